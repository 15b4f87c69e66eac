"""MatrixMarket count matrices (genes × cells), read as a stream of cells; every way of being cut is named."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from consilience.foundation.errors import DataError
from consilience.sources.cells.lines import Lines
from consilience.sources.text import FETCH_AGAIN, shown

if TYPE_CHECKING:
    import numpy.typing as npt
    from scipy import sparse

BANNER = b"%%matrixmarket"
UNSORTED_ENTRIES = 100_000_000
"""Largest matrix not sorted by cell that is sorted in memory: about 3 GB while it happens."""
_REASONS = {
    1: "a field that is no number",
    2: "a count that is no whole number of 0 or more",
    3: "not three fields (gene, cell, count)",
    4: "a number beyond 2147483647",
}


@dataclass(frozen=True, slots=True)
class MtxHeader:
    """What the file says of itself; `line` is the number of the line with the sizes."""

    n_genes: int
    n_cells: int
    n_entries: int
    line: int


def read_header(path: Path) -> MtxHeader:
    """Read the banner and the line of sizes."""
    with path.open("rb") as handle:
        return _header(Lines(handle, shown(path)))


def mtx_blocks(
    path: Path, *, size: int, in_any_order: bool = False
) -> Iterator[tuple[int, sparse.csr_matrix]]:
    """Yield (first cell, counts (cells, genes) int32 CSR) in the order of cells.

    Raises `NotSortedError`, possibly after some blocks, when entries are not sorted by cell (Cell Ranger
    sorts them); with `in_any_order` the whole file is read and sorted in memory instead.
    """
    return _unsorted_blocks(path, size=size) if in_any_order else _sorted_blocks(path, size=size)


class NotSortedError(Exception):
    """Entries of a file are not in the order of cells."""


def _header(lines: Lines) -> MtxHeader:
    banner = lines.line().lower().split()
    if len(banner) != 5 or banner[0] != BANNER or banner[1:3] != [b"matrix", b"coordinate"]:
        raise DataError(
            "not a MatrixMarket coordinate matrix",
            where=f"{lines.where}:1",
            allowed="%%MatrixMarket matrix coordinate integer general",
            mend=FETCH_AGAIN,
        )
    if banner[3] not in {b"integer", b"real"} or banner[4] != b"general":
        raise DataError("not a general matrix of whole numbers", where=f"{lines.where}:1",
                        value=b" ".join(banner[3:]).decode("ascii", "replace"),
                        allowed="integer general (or real general)")  # fmt: skip
    line = lines.line()
    while line.startswith(b"%") or not line.strip():
        line = lines.line()
    fields = line.split()
    if len(fields) != 3 or not all(field.isdigit() and len(field) < 16 for field in fields):
        raise DataError(
            "the line of sizes is damaged",
            where=f"{lines.where}:{lines.number}",
            value=line[:60].decode("ascii", "replace"),
            allowed="genes cells entries",
            mend=FETCH_AGAIN,
        )
    n_genes, n_cells, n_entries = (int(field) for field in fields)
    return MtxHeader(n_genes, n_cells, n_entries, line=lines.number)


def _entries(path: Path, *, must_be_sorted: bool) -> Iterator[npt.NDArray[np.int64]]:
    """Arrays (n, 3) of gene, cell, count (from 1), checked against the sizes that the file states."""
    from consilience.sources.cells.mtx_kernels import COMPLETE, check_entries, parse_entries

    where, read, last = shown(path), 0, 0
    with path.open("rb") as handle:
        lines = Lines(handle, where)
        header = _header(lines)
        for piece in lines.pieces():
            text = np.frombuffer(piece, dtype=np.uint8)
            entries = np.empty((piece.count(b"\n"), 3), dtype=np.int64)
            n, n_lines, code = parse_entries(text, entries)
            if code != COMPLETE:
                bad = piece.split(b"\n")[n_lines - 1][:60].decode("ascii", "replace")
                raise DataError(
                    _REASONS[code],
                    where=f"{where}:{lines.number + n_lines}",
                    value=bad,
                    allowed="gene, cell and count as whole numbers",
                    mend=FETCH_AGAIN,
                )
            entries = entries[:n]
            outside, unsorted = check_entries(entries, header.n_genes, header.n_cells, last)
            if outside >= 0:
                gene, cell, _ = (int(value) for value in entries[outside])
                raise DataError(
                    "an entry outside the matrix",
                    where=f"{where}:{lines.number + outside + 1}",
                    value=f"gene {gene}, cell {cell}",
                    allowed=f"1 to {header.n_genes} and 1 to {header.n_cells}",
                    mend=FETCH_AGAIN,
                )
            if must_be_sorted and unsorted >= 0:
                raise NotSortedError
            lines.number += n_lines
            read += n
            if n:
                last = int(entries[-1, 1])
                yield entries
    if read != header.n_entries:
        raise DataError(
            f"has {read} entries but announces {header.n_entries}",
            where=f"{where}:{header.line}",
            mend="the file was cut or put together wrongly; " + FETCH_AGAIN,
        )


def _sorted_blocks(path: Path, *, size: int) -> Iterator[tuple[int, sparse.csr_matrix]]:
    header = read_header(path)
    where = shown(path)
    waiting: list[npt.NDArray[np.int64]] = []
    start = 0
    for entries in _entries(path, must_be_sorted=True):
        waiting.append(entries)
        # All cells before the one that is being read are complete.
        while int(entries[-1, 1]) - 1 >= start + size:
            together = np.concatenate(waiting)
            cut = int(np.searchsorted(together[:, 1], start + size, side="right"))
            yield start, _block(together[:cut], start, start + size, header.n_genes, where)
            waiting = [together[cut:]]
            start += size
    together = np.concatenate(waiting) if waiting else np.empty((0, 3), dtype=np.int64)
    while start < header.n_cells:
        stop = min(start + size, header.n_cells)
        cut = int(np.searchsorted(together[:, 1], stop, side="right"))
        yield start, _block(together[:cut], start, stop, header.n_genes, where)
        together, start = together[cut:], stop


def _unsorted_blocks(path: Path, *, size: int) -> Iterator[tuple[int, sparse.csr_matrix]]:
    header = read_header(path)
    where = shown(path)
    if header.n_entries > UNSORTED_ENTRIES:
        raise DataError(
            f"its {header.n_entries:,} entries are not sorted by cell, too many to sort in memory",
            where=where,
            mend="write the matrix as Cell Ranger does (sorted by cell), or as an h5ad file",
        )
    parts = list(_entries(path, must_be_sorted=False))
    entries = np.concatenate(parts) if parts else np.empty((0, 3), dtype=np.int64)
    entries = entries[np.argsort(entries[:, 1], kind="stable")]
    for start in range(0, header.n_cells, size):
        stop = min(start + size, header.n_cells)
        first, last = np.searchsorted(entries[:, 1], [start, stop], side="right")
        yield start, _block(entries[first:last], start, stop, header.n_genes, where)


def _block(
    entries: npt.NDArray[np.int64], start: int, stop: int, n_genes: int, where: str
) -> sparse.csr_matrix:
    """Entries of the cells start … stop as canonical CSR; a gene given twice for a cell is refused."""
    from scipy import sparse

    indptr = np.searchsorted(entries[:, 1], np.arange(start, stop + 1), side="right").astype(np.int32)
    block = sparse.csr_matrix(
        (entries[:, 2].astype(np.int32), (entries[:, 0] - 1).astype(np.int32), indptr),
        shape=(stop - start, n_genes),
    )
    if not block.has_canonical_format:
        before = block.nnz
        block.sum_duplicates()
        if block.nnz != before:
            raise DataError("the same gene is given twice for the same cell", where=where,
                            mend="the file was put together wrongly; " + FETCH_AGAIN)  # fmt: skip
    return block
