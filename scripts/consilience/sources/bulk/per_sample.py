"""A user's folder of one table for each sample: HTSeq, STAR, featureCounts, RSEM, salmon, kallisto."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from consilience.foundation.errors import DataError
from consilience.sources.bulk.matrix import BulkMatrix, refuse_duplicates
from consilience.sources.bulk.tables import join_columns, noted_samples_table
from consilience.sources.bulk.units import settle_units
from consilience.sources.geo.per_sample import VALUE_COLUMNS, join_tables, read_sample
from consilience.sources.raw_folder import RawFolder
from consilience.sources.text import read_bytes, shown

ENDINGS = re.compile(
    r"\.(htseq|htseq_counts|counts?|genes|isoforms|results|featureCounts|ReadsPerGene|out|tab|txt|tsv|csv|sf)$"
)
UNNAMED = frozenset({"quant", "abundance", "quant.genes", "ReadsPerGene", "counts"})
SAMPLES_TABLE = re.compile(r"(.*[._-])?samples\.(tsv|csv|txt)(\.gz)?")
SIGNATURES = (
    re.compile(r"(target_id\tlength\teff_length\test_counts\ttpm|Name\tLength\tEffectiveLength\tTPM\tNumReads)"),
    re.compile(r"(gene_id\ttranscript_id\(s\)|transcript_id\tgene_id)\tlength\teffective_length\texpected_count"),
    re.compile(r"Geneid\tChr\tStart\tEnd\tStrand\tLength\t[^\t]+$"),
    re.compile(r"(N_unmapped\t\d+\t\d+\t\d+|[^\t]+\t\d+(\.\d+)?)$"),
)  # fmt: skip
_TRANSCRIPT = re.compile(r"(ENST\d{11}|[NX][MR]_\d{6,})")


def tables_of_samples(folder: RawFolder) -> list[tuple[str, Path]]:
    """Sample name and file of each per-sample table; [] unless there are two of them and a samples table."""
    if not any(SAMPLES_TABLE.fullmatch(path.name) for _, path in folder.files):
        return []
    found = [
        (name, path)
        for (name, path), kind in zip(folder.files, folder.kinds, strict=True)
        if kind in {"table", "htseq_counts"}
        and not SAMPLES_TABLE.fullmatch(path.name)
        and _is_one_sample(path)
    ]
    return [(sample_of(name), path) for name, path in found] if len(found) > 1 else []


def sample_of(name: str) -> str:
    """The sample that a file is of: its name without endings, or its folder where files are called alike."""
    path = PurePosixPath(name.removesuffix(".gz"))
    stem = path.name
    while ending := ENDINGS.search(stem):
        stem = stem[: ending.start()]
    if (stem in UNNAMED or not stem) and len(path.parts) > 1:
        return path.parts[-2]
    return stem


def _is_one_sample(path: Path) -> bool:
    lines = read_bytes(path)[:4096].decode("utf-8", errors="replace").splitlines()
    first = next((line for line in lines if line.strip() and not line.startswith("#")), "")
    return any(signature.match(first) for signature in SIGNATURES)


def read_tables_of_samples(
    folder: RawFolder, *, tables: Sequence[tuple[str, Path]], units: str = ""
) -> BulkMatrix:
    """Join the tables of all samples by gene, and to the rows of the one samples table beside them."""
    names, paths = [name for name, _ in tables], [path for _, path in tables]
    where = shown(folder.path)
    refuse_duplicates(names, what="table of sample", where=where)
    columns, notes = noted_samples_table(_samples_table(folder))
    phenotypes, absent = join_columns(names, columns, beside="the samples table", where=where)
    first = read_sample(paths[0], units=units)
    _refuse_transcripts(first.genes, where=first.where)
    joined = join_tables(paths, units=units)
    key = re.sub(r"[^a-z0-9]", "", first.column.casefold())
    claimed = units or ("estimated_counts" if key in VALUE_COLUMNS["estimated_counts"] else "")
    settled = settle_units(
        joined.values, claimed=claimed, array=False, genes=joined.genes, samples=names, where=where
    )
    return BulkMatrix(
        values=np.ascontiguousarray(settled.values.T),
        samples=tuple(names),
        genes=joined.genes,
        columns=phenotypes,
        metrics=joined.metrics,
        notes=(*absent, *notes, *joined.notes, *settled.notes),
        units=settled.units,
    )


def _samples_table(folder: RawFolder) -> Path:
    found = [path for _, path in folder.files if SAMPLES_TABLE.fullmatch(path.name)]
    if len(found) != 1:
        raise DataError(
            f"{len(found)} samples tables beside the tables of single samples", where=shown(folder.path),
            allowed="one samples.tsv with a column 'sample' that holds the names of the files",
        )  # fmt: skip
    return found[0]


def _refuse_transcripts(ids: Sequence[str], *, where: str) -> None:
    n_transcripts = sum(bool(_TRANSCRIPT.match(one)) for one in ids)
    if 2 * n_transcripts > len(ids):
        first = next(one for one in ids if _TRANSCRIPT.match(one))
        raise DataError(
            f"{n_transcripts} of {len(ids)} ids are transcripts, not genes", where=where, value=first,
            allowed="tables of genes (RSEM genes.results, salmon quant.genes.sf, or sums made by tximport)",
            mend="sum the transcripts to genes with the annotation that they were counted with (tximport in"
            " R, or salmon quant --geneMap): this release of the annotation is not known here",
        )  # fmt: skip
