"""The values of a bulk matrix under current gene symbols."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from consilience.expression.duplicates import strongest_rows, summed_genes
from consilience.expression.genes import GeneMatch, GeneTable, resolve
from consilience.expression.log_values import to_log2
from consilience.expression.normalise import COUNTED
from consilience.foundation.errors import DataError
from consilience.sources.bulk.matrix import BulkMatrix
from consilience.sources.bulk.stored import StoredMatrix, whole
from consilience.study.cohorts import Units

if TYPE_CHECKING:
    import numpy.typing as npt

MIN_GENES_MATCHED = 0.2


@dataclass(frozen=True, slots=True)
class NamedValues:
    """Values (samples, genes) under current `symbols`: counts, or log2 values where `units` are no counts.

    Counts may lie in a file; `source_ids` what the source calls each gene (of a probe its name); `match` all
    ids; `notes` what was decided where several ids name one gene.
    """

    values: npt.NDArray[Any] | StoredMatrix
    units: Units
    symbols: tuple[str, ...]
    source_ids: tuple[str, ...]
    match: GeneMatch
    notes: tuple[str, ...] = ()

    @property
    def counted(self) -> bool:
        """True for counts."""
        return self.units in COUNTED


def name_genes(
    matrix: BulkMatrix, *, table: GeneTable, where: str, scratch: Path | None = None
) -> NamedValues:
    """Bring values to current symbols by the id column that names most genes (of an array, its genes).

    Counts of several ids of one gene add up; of other values the id with the highest mean logarithm is kept.
    Genes without any count are left out. Counts are put into a file of the folder `scratch`, without one they
    stay in memory.
    """
    # the numbers that some arrays give their probes would be read as Entrez ids
    columns = [matrix.genes, *(ids for name, ids in matrix.gene_columns.items() if name != "probe")]
    matches = [resolve(ids, table=table) for ids in columns]
    best = max(range(len(matches)), key=lambda one: (len(matches[one].unique), -one))
    ids, match = columns[best], matches[best]
    share = match.n_matched / max(1, len(ids))
    if share < MIN_GENES_MATCHED:
        raise DataError(
            f"only {match.n_matched} of {len(ids)} gene ids ({share:.1%}) are known human genes",
            where=where, value=", ".join(match.unmatched[:5]),
            allowed="symbols, Ensembl ids or Entrez ids of human genes",
            mend="give a table with gene ids; probes of arrays and transcripts must be summed to genes first",
        )  # fmt: skip
    if matrix.units in COUNTED:
        return _counts(matrix, ids=ids, match=match, place=scratch / "named.h5" if scratch else None)
    return _logarithms(matrix, ids=matrix.gene_columns.get("probe", ids), match=match)


def _counts(matrix: BulkMatrix, *, ids: Sequence[str], match: GeneMatch, place: Path | None) -> NamedValues:
    counts, genes = summed_genes(matrix.values, match=match, place=place)
    sources: dict[str, list[str]] = {}
    for source, symbol in zip(ids, match.symbol, strict=True):
        if symbol and source not in sources.setdefault(symbol, []):
            sources[symbol].append(source)
    unique = match.unique
    symbols = tuple(unique[gene] for gene in genes)
    return NamedValues(
        values=counts, units=matrix.units, symbols=symbols, match=match,
        source_ids=tuple(";".join(sources[symbol]) for symbol in symbols),
    )  # fmt: skip


def _logarithms(matrix: BulkMatrix, *, ids: Sequence[str], match: GeneMatch) -> NamedValues:
    logs = to_log2(whole(matrix.values), units=matrix.units)
    rows = strongest_rows(logs.mean(axis=0, dtype=np.float64), match=match)
    notes = []
    if match.n_duplicates:
        notes.append(
            f"{match.n_duplicates} rows name a gene that another row names too; as values in {matrix.units}"
            " do not add up, the row with the highest mean was kept for each gene"
        )
    if blank := sum(how == "blank" for how in match.how):
        notes.append(f"{blank} rows without a gene were left out")
    return NamedValues(
        values=np.ascontiguousarray(logs[:, rows]), units=matrix.units, symbols=match.unique, match=match,
        source_ids=tuple(ids[row] for row in rows), notes=tuple(notes),
    )  # fmt: skip
