"""The eQTLs of a cohort: read in batches, those with a small p kept, sorted by gene and place."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from consilience.foundation.errors import DataError
from consilience.sources.summary_statistics.associations import (
    Batch,
    Source,
    read_associations,
    shared_columns,
)
from consilience.sources.summary_statistics.columns import (
    Associations,
    gathered,
    in_order,
    table_of,
    without_repeats,
)
from consilience.sources.summary_statistics.findings import Findings
from consilience.sources.summary_statistics.tables import TextTable
from consilience.sources.summary_statistics.variants import chromosome_codes

if TYPE_CHECKING:
    import pyarrow as pa

_GENE = r"^ENSG\d{11}$"


def read_eqtl(source: Source, *, findings: Findings, largest_p: float = 1.0) -> Associations:
    """Read and check eQTLs of any layout; rows with p above `largest_p` are left out, which is said.

    The table may be empty for that reason (a study without any effect has no such rows), and for no other.
    """
    tables, scale = [], "given"
    for batch, found in read_associations(source, findings=findings, largest_p=largest_p):
        tables.append(table_of("eqtl", shared_columns(batch) | _gene_columns(batch, found)))
        scale = batch.effects.scale
    eqtl = gathered("eqtl", tables, scale)
    eqtl = without_repeats(
        eqtl, findings, same="eQTL: the same row twice", several="eQTL: one variant and gene on several rows"
    )
    if not len(eqtl) and findings.too_large["eQTL"]:
        findings.alarm(
            f"no usable row of the eQTL table has p of {largest_p:g} or less (summary_statistics: eqtl_p): "
            "instruments, TWMR and Mendelian randomisation of genes will not run on it"
        )
        return eqtl
    if not len(eqtl):
        raise DataError(
            "no row of the eQTL table can be used",
            where=source.header.where,
            value="; ".join(f"{reason}: {n}" for reason, n in findings.removed.items() if "eQTL" in reason),
        )
    genes = eqtl.table.column("ensembl_id").combine_chunks()
    rank = np.argsort(np.argsort(np.array(genes.dictionary.to_pylist(), dtype=str)))
    eqtl, _ = in_order(eqtl, (rank[genes.indices.to_numpy()], eqtl.position))
    return eqtl


def _gene_columns(batch: Batch, found: dict[str, str]) -> dict[str, object]:
    rows, n = batch.rows, batch.rows.n_rows
    unknown: npt.NDArray[np.int64] = np.full(n, -1, dtype=np.int64)
    position = unknown
    if "gene_position" in found:
        values = rows.numbers(
            found["gene_position"],
            fits=lambda v: (v > 0) & (v == np.floor(v)),
            allowed="a whole number above 0",
        )
        position = np.where(np.isnan(values), -1, values).astype(np.int64)
    return {
        "ensembl_id": _ensembl_ids(rows, found["ensembl_id"]),
        "gene": _symbols(rows, found),
        "gene_chromosome": chromosome_codes(rows, found["gene_chromosome"])
        if "gene_chromosome" in found
        else unknown,
        "gene_position": position,
    }


def _ensembl_ids(rows: TextTable, name: str) -> pa.Array:
    """Ensembl ids without versions; anything else is refused."""
    import pyarrow as pa
    import pyarrow.compute as pc

    level, words = rows.levels(name)
    ids = pc.replace_substring_regex(pa.array(words, pa.string()), r"\.\d+(_PAR_Y)?$", "")
    good = np.asarray(pc.match_substring_regex(ids, _GENE).to_numpy(zero_copy_only=False), dtype=bool)
    rows.refuse_any(~good[level], name, "not an Ensembl gene id", allowed="ENSG and eleven digits")
    coded = ids.dictionary_encode()
    return pa.DictionaryArray.from_arrays(coded.indices.take(pa.array(level)), coded.dictionary)


def _symbols(rows: TextTable, found: dict[str, str]) -> pa.Array:
    """Symbols of the genes, null where the table gives none."""
    import pyarrow as pa

    if "gene" not in found or found["gene"] == found["ensembl_id"]:
        return pa.nulls(rows.n_rows, pa.string()).dictionary_encode()
    level, words = rows.levels(found["gene"])
    unnamed = np.array([word == "" for word in words], dtype=bool)
    indices = pa.array(level.astype(np.int32), mask=unnamed[level])
    return pa.DictionaryArray.from_arrays(indices, pa.array(words, pa.string()))
