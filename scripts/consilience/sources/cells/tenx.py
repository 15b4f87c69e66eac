"""10x folders: matrix.mtx, features.tsv and barcodes.tsv for each sample."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from consilience.foundation.errors import DataError
from consilience.foundation.jobs import progress
from consilience.sources.cells.file_names import sample_of, unfiltered_twins
from consilience.sources.cells.gene_lists import GeneList, common_genes, human_genes
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
from consilience.sources.cells.views import move_genes
from consilience.sources.raw_folder import RawFolder
from consilience.sources.text import FETCH_AGAIN, read_lines, shown

if TYPE_CHECKING:
    import numpy.typing as npt

_PARTS = {
    "matrix": re.compile(r"(?P<sample>.*?)[/_.-]?((matrix|counts?)[_.-]?)?\.mtx(\.gz)?", re.IGNORECASE),
    "features": re.compile(r"(?P<sample>.*?)[/_.-]?(features|genes)\.(tsv|txt)(\.gz)?", re.IGNORECASE),
    "barcodes": re.compile(r"(?P<sample>.*?)[/_.-]?barcodes\.(tsv|txt)(\.gz)?", re.IGNORECASE),
}


@dataclass(frozen=True, slots=True)
class TenxSample:
    """One sample: its header, its genes among all its features, its barcodes."""

    name: str
    matrix: Path
    header: MtxHeader
    genes: GeneList
    barcodes: npt.NDArray[np.bytes_]


def read_10x(folder: RawFolder, *, scratch: Path) -> CellMatrix:
    """The cells of all samples of a raw folder, one after the other, with their phenotype.

    Small cohorts are kept in memory. Text is slow to read more than once, so larger ones are put into one
    binary file in `scratch`, a folder that the caller removes.
    """
    found, left = _samples_of(folder)
    samples = [_read_sample(name, files) for name, files in sorted(found.items())]
    genes, names, maps, notes = common_genes(
        [sample.genes for sample in samples],
        samples=[sample.name for sample in samples],
        where=shown(folder.path),
    )
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
    return CellMatrix(
        where=shown(folder.path), counts=counts, barcodes=barcodes, genes=genes, gene_names=names,
        samples=labels, columns={"sample": labels}, notes=(*left, *notes),
    )  # fmt: skip


def _samples_of(folder: RawFolder) -> tuple[dict[str, dict[str, Path]], list[str]]:
    """Files by sample (a folder, or a prefix of the file names as GEO has them) and part; notes."""
    matches = {
        name: (part, match, path)
        for name, path in folder.files
        for part, pattern in _PARTS.items()
        if (match := pattern.fullmatch(name))
    }
    # the word is put back, so that a folder's name is told from a prefix in the same way for all parts
    samples = {name: sample_of(f"{match['sample']}_matrix") for name, (_, match, _) in matches.items()}
    left, notes = unfiltered_twins(samples)
    found: dict[str, dict[str, Path]] = {}
    for name, (part, _, path) in matches.items():
        if name not in left:
            parts = found.setdefault(samples[name], {})
            if part in parts:
                raise DataError(f"two {part} files for sample {samples[name]!r}", where=shown(path),
                                allowed=parts[part].name)  # fmt: skip
            parts[part] = path
    if not found:
        raise DataError("holds no matrix.mtx", where=shown(folder.path), mend=FETCH_AGAIN)
    notes += _share_the_features(found)
    for sample, parts in found.items():
        if missing := sorted(set(_PARTS) - set(parts)):
            raise DataError(
                f"sample {sample!r} has no {' and no '.join(missing)} file",
                where=shown(folder.path),
                allowed="matrix.mtx, features.tsv (or genes.tsv), barcodes.tsv (also .gz)",
            )
    return found, notes


def _share_the_features(found: dict[str, dict[str, Path]]) -> list[str]:
    """One list of genes that stands alone is that of all samples, as some series have it."""
    alone = [sample for sample, parts in found.items() if set(parts) == {"features"}]
    without = [parts for parts in found.values() if set(parts) == {"matrix", "barcodes"}]
    if len(alone) != 1 or len(without) != len(found) - 1:
        return []
    path = found.pop(alone[0])["features"]
    for parts in without:
        parts["features"] = path
    return [f"{path.name} lists the genes of all samples"]


def _read_sample(name: str, files: dict[str, Path]) -> TenxSample:
    header = read_header(files["matrix"])
    rows = [line.split("\t") for line in _listed(files["features"], header.n_genes, "genes", files["matrix"])]
    for number, row in enumerate(rows, 1):
        if len(row) != len(rows[0]) or not row[0]:
            raise DataError("a cut or ragged line", where=f"{shown(files['features'])}:{number}",
                            value="\t".join(row)[:60], mend=FETCH_AGAIN)  # fmt: skip
    genes = human_genes(
        ids=[row[0] for row in rows], names=[row[1] if len(row) > 1 else "" for row in rows],
        types=[row[2] for row in rows] if rows and len(rows[0]) > 2 else (),
    )  # fmt: skip
    barcodes = [
        line.split("\t")[0] for line in _listed(files["barcodes"], header.n_cells, "cells", files["matrix"])
    ]
    encoded = np.array([code.encode() for code in barcodes]) if barcodes else np.empty(0, dtype="S1")
    if np.unique(encoded).size != encoded.size or (encoded == b"").any():
        raise DataError("a barcode is empty or given twice", where=shown(files["barcodes"]), mend=FETCH_AGAIN)
    return TenxSample(name=name, matrix=files["matrix"], header=header, genes=genes, barcodes=encoded)


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
    same = columns.size == n_genes and bool((columns == np.arange(n_genes)).all())
    for _, block in mtx_blocks(sample.matrix, size=BLOCK_CELLS, in_any_order=in_any_order):
        spool.append(block if same else move_genes(block, columns=columns, n_genes=n_genes))
