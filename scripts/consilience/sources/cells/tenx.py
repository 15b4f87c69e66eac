"""10x folders (matrix.mtx, features.tsv, barcodes.tsv for each sample) and the table of their cells."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from consilience.foundation.errors import DataError
from consilience.foundation.jobs import progress
from consilience.sources.cells.cell_table import CellTable, join_cells, read_cell_table
from consilience.sources.cells.h5_counts import Naming, SparseRows
from consilience.sources.cells.matrix import (
    BLOCK_CELLS,
    CACHED_ENTRIES,
    CellMatrix,
    CountSource,
    Labels,
    MemoryCounts,
)
from consilience.sources.cells.mtx import MtxHeader, NotSortedError, mtx_blocks, read_header
from consilience.sources.raw_folder import RawFolder
from consilience.sources.text import FETCH_AGAIN, read_lines, shown

if TYPE_CHECKING:
    import numpy.typing as npt
    from scipy import sparse

_PARTS = {
    "matrix": re.compile(r"(?P<sample>.*?)[/_.-]?matrix\.mtx(\.gz)?"),
    "features": re.compile(r"(?P<sample>.*?)[/_.-]?(features|genes)\.tsv(\.gz)?"),
    "barcodes": re.compile(r"(?P<sample>.*?)[/_.-]?barcodes\.tsv(\.gz)?"),
}
GENE_TYPE = "gene expression"


@dataclass(frozen=True, slots=True)
class TenxSample:
    """One sample: its header, ids and names of its genes, and where these lie among all its features."""

    name: str
    matrix: Path
    header: MtxHeader
    genes: tuple[str, ...]
    names: tuple[str, ...]
    gene_rows: npt.NDArray[np.int64]
    barcodes: npt.NDArray[np.bytes_]
    n_other_features: int


def read_10x(folder: RawFolder, *, scratch: Path) -> CellMatrix:
    """The cells of all samples of a raw folder, one after the other, with their phenotype.

    Small cohorts are kept in memory. Text is slow to read more than once, so larger ones are put into one
    binary file in `scratch`, a folder that the caller removes.
    """
    samples = [_read_sample(name, files) for name, files in sorted(_samples_of(folder).items())]
    genes, names, maps, notes = _common_genes(samples, where=shown(folder.path))
    barcodes = np.concatenate([sample.barcodes for sample in samples])
    of_cell = np.repeat(np.arange(len(samples), dtype=np.int32), [sample.barcodes.size for sample in samples])
    labels = Labels(of_cell, tuple(sample.name for sample in samples))
    naming = Naming(
        shown(folder.path),
        lambda cell: f"{labels.levels[of_cell[cell]]}/{barcodes[cell].decode()}",
        lambda gene: genes[gene],
    )
    counts, unsorted = _collect(samples, maps, n_genes=len(genes), scratch=scratch, naming=naming)
    notes += (
        [f"entries of {', '.join(unsorted)} were not sorted by cell and were sorted in memory"]
        if unsorted
        else []
    )
    table = _phenotypes(folder)
    joined = join_cells(table=table, samples=labels, barcodes=barcodes) if table else None
    return CellMatrix(
        where=shown(folder.path), counts=counts, barcodes=barcodes, genes=genes, gene_names=names,
        samples=labels if joined is None else joined.samples,
        columns={"sample": labels} if joined is None else joined.columns,
        unannotated=None if joined is None else joined.unannotated,
        notes=(*notes, *(joined.notes if joined else ("there is no cells.tsv.gz: cells have no phenotype",))),
    )  # fmt: skip


def _samples_of(folder: RawFolder) -> dict[str, dict[str, Path]]:
    """Files by sample (a folder, or a prefix of the file names as GEO has them) and part."""
    found: dict[str, dict[str, Path]] = {}
    for name, path in folder.files:
        for part, pattern in _PARTS.items():
            match = pattern.fullmatch(name)
            if match:
                sample = match["sample"].rsplit("/", 1)[-1] or "all"
                if part in found.setdefault(sample, {}):
                    raise DataError(f"two {part} files for sample {sample!r}", where=shown(path),
                                    allowed=found[sample][part].name)  # fmt: skip
                found[sample][part] = path
    if not found:
        raise DataError("holds no matrix.mtx", where=shown(folder.path), mend=FETCH_AGAIN)
    for sample, files in found.items():
        if missing := sorted(set(_PARTS) - set(files)):
            raise DataError(
                f"sample {sample!r} has no {' and no '.join(missing)} file",
                where=shown(folder.path),
                allowed="matrix.mtx, features.tsv (or genes.tsv), barcodes.tsv (also .gz)",
            )
    return found


def _read_sample(name: str, files: dict[str, Path]) -> TenxSample:
    header = read_header(files["matrix"])
    rows = [line.split("\t") for line in _listed(files["features"], header.n_genes, "genes", files["matrix"])]
    for number, row in enumerate(rows, 1):
        if len(row) != len(rows[0]) or not row[0]:
            raise DataError("a cut or ragged line", where=f"{shown(files['features'])}:{number}",
                            value="\t".join(row)[:60], mend=FETCH_AGAIN)  # fmt: skip
    typed = bool(rows) and len(rows[0]) > 2
    kept = [k for k, row in enumerate(rows) if not typed or row[2].strip().lower() == GENE_TYPE]
    barcodes = [
        line.split("\t")[0] for line in _listed(files["barcodes"], header.n_cells, "cells", files["matrix"])
    ]
    encoded = np.array([code.encode() for code in barcodes]) if barcodes else np.empty(0, dtype="S1")
    if np.unique(encoded).size != encoded.size or (encoded == b"").any():
        raise DataError("a barcode is empty or given twice", where=shown(files["barcodes"]), mend=FETCH_AGAIN)
    return TenxSample(
        name=name, matrix=files["matrix"], header=header, genes=tuple(rows[k][0] for k in kept),
        names=tuple(rows[k][1] if len(rows[k]) > 1 else "" for k in kept),
        gene_rows=np.array(kept, dtype=np.int64), barcodes=encoded, n_other_features=len(rows) - len(kept),
    )  # fmt: skip


def _listed(path: Path, expected: int, what: str, matrix: Path) -> list[str]:
    """Lines of a list; as many as the matrix announces."""
    lines = read_lines(path)
    lines = lines if lines != [""] else []
    if len(lines) != expected:
        raise DataError(
            f"lists {len(lines)} {what} but {matrix.name} announces {expected}",
            where=shown(path),
            mend="the files do not belong together or one was cut; " + FETCH_AGAIN,
        )
    return lines


def _common_genes(
    samples: list[TenxSample], *, where: str
) -> tuple[tuple[str, ...], tuple[str, ...], list[npt.NDArray[np.int64]], list[str]]:
    """Genes that every sample has, and for each sample the new column of each of its features (-1: none)."""
    first = samples[0]
    genes, notes = first.genes, []
    if any(sample.genes != genes for sample in samples):
        common = set(genes).intersection(*(sample.genes for sample in samples))
        for sample in samples:
            if len(set(sample.genes)) != len(sample.genes):
                raise DataError("samples list different genes, and this one lists a gene twice",
                                where=shown(sample.matrix.parent))  # fmt: skip
        genes = tuple(gene for gene in genes if gene in common)
        lost = len(set().union(*(sample.genes for sample in samples))) - len(genes)
        notes.append(f"{lost} genes are not listed in every sample and were left out")
    if not genes:
        raise DataError(
            "the samples have no gene in common", where=where, mend="check that all files are human genes"
        )
    if others := max(sample.n_other_features for sample in samples):
        notes.append(f"{others} features that are no genes (antibodies, guides …) were left out")
    maps, name_of = [], dict(zip(first.genes, first.names, strict=True))
    column_of = {gene: column for column, gene in enumerate(genes)}
    for sample in samples:
        columns = np.full(sample.header.n_genes, -1, dtype=np.int64)
        same = sample.genes == genes
        columns[sample.gene_rows] = (
            np.arange(len(genes)) if same else [column_of.get(gene, -1) for gene in sample.genes]
        )
        maps.append(columns)
    names = first.names if first.genes == genes else tuple(name_of[gene] for gene in genes)
    return genes, names, maps, notes


def _collect(
    samples: list[TenxSample],
    maps: list[npt.NDArray[np.int64]],
    *,
    n_genes: int,
    scratch: Path,
    naming: Naming,
) -> tuple[CountSource, list[str]]:
    """All counts, in memory or in one binary file, and the samples that had to be sorted."""
    from consilience.sources.cells.spool import Spool

    spool = Spool(
        scratch / "counts.h5" if sum(s.header.n_entries for s in samples) > CACHED_ENTRIES else None
    )
    unsorted = []
    with spool:
        for sample, columns in progress(list(zip(samples, maps, strict=True)), label="reading samples"):
            mark = spool.mark()
            try:
                _append(spool, sample, columns, n_genes, in_any_order=False)
            except NotSortedError:
                spool.rewind(mark)
                unsorted.append(sample.name)
                _append(spool, sample, columns, n_genes, in_any_order=True)
        matrix, n_entries = spool.finish(n_genes)
    n_cells = sum(sample.barcodes.size for sample in samples)
    if matrix is not None:
        return MemoryCounts(matrix), unsorted
    return SparseRows(scratch / "counts.h5", "/", n_cells, n_genes, n_entries, naming), unsorted


def _append(
    spool: Any, sample: TenxSample, columns: npt.NDArray[np.int64], n_genes: int, *, in_any_order: bool
) -> None:
    for _, block in _mapped(
        mtx_blocks(sample.matrix, size=BLOCK_CELLS, in_any_order=in_any_order), columns, n_genes
    ):
        spool.append(block)


def _mapped(
    blocks: Iterator[tuple[int, sparse.csr_matrix]], columns: npt.NDArray[np.int64], n_genes: int
) -> Iterator[tuple[int, sparse.csr_matrix]]:
    """Blocks with the columns of the cohort instead of those of the sample's file."""
    from scipy import sparse

    same = columns.size == n_genes and bool((columns == np.arange(n_genes)).all())
    for start, block in blocks:
        if same:
            yield start, block
            continue
        kept = columns[block.indices] >= 0
        running = np.concatenate([[0], np.cumsum(kept)])
        moved = sparse.csr_matrix(
            (
                block.data[kept],
                columns[block.indices[kept]].astype(np.int32),
                running[block.indptr].astype(np.int32),
            ),
            shape=(block.shape[0], n_genes),
        )
        moved.sort_indices()
        yield start, moved


def _phenotypes(folder: RawFolder) -> CellTable | None:
    """The table of cells (or, where there is none, of samples) of the cohort."""
    for endings in (("cells.tsv.gz", "cells.tsv"), ("samples.tsv.gz", "samples.tsv")):
        found = folder.named(*endings)
        if len(found) > 1:
            raise DataError(
                "several tables of cells",
                where=shown(folder.path),
                value=", ".join(path.name for path in found),
                allowed="one cells.tsv.gz",
            )
        if found:
            return read_cell_table(found[0])
    return None
