"""The common object of all single-cell readers: counts in blocks of cells, and what is known of each cell.

The counts of a cohort may be larger than memory, so no reader hands out a whole matrix. Everything that is
kept for each cell is compact: barcodes as fixed-width bytes, text columns as codes into their levels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from consilience.foundation.errors import DataError

if TYPE_CHECKING:
    import numpy.typing as npt
    from scipy import sparse

MAX_COUNT = 2**31 - 1
BLOCK_CELLS = 4096
CACHED_ENTRIES = 8_000_000
"""Counts with fewer entries (64 MB) are kept in memory between passes; larger ones are read again."""


@dataclass(frozen=True, slots=True)
class Labels:
    """One text column: `codes` (n,) int32 into `levels`, -1 where the value is missing.

    `numeric` says that the source holds numbers, of which the levels are the text.
    """

    codes: npt.NDArray[np.int32]
    levels: tuple[str, ...]
    numeric: bool = False

    @classmethod
    def from_text(cls, values: Iterable[str]) -> Labels:
        """Encode text; levels in sorted order, so that they do not depend on the order of cells."""
        given = list(values)
        levels = tuple(sorted(set(given)))
        code_of = {level: code for code, level in enumerate(levels)}
        return cls(np.array([code_of[value] for value in given], dtype=np.int32), levels)

    @classmethod
    def constant(cls, value: str, n: int) -> Labels:
        """The same value for all cells."""
        return cls(np.zeros(n, dtype=np.int32), (value,))

    def take(self, rows: npt.NDArray[Any]) -> Labels:
        """The column for some cells (indices, -1 giving a missing value, or a mask), in their order."""
        codes = self.codes[rows]
        if rows.dtype != bool:
            codes[rows < 0] = -1
        return Labels(codes, self.levels, self.numeric)

    def compact(self) -> Labels:
        """Only the levels that occur and are not empty, sorted; an empty value becomes a missing one."""
        used = np.bincount(self.codes[self.codes >= 0], minlength=len(self.levels)) > 0
        levels = tuple(
            sorted({level for level, in_use in zip(self.levels, used, strict=True) if in_use and level})
        )
        code_of = {level: code for code, level in enumerate(levels)}
        recode = np.array([*(code_of.get(level, -1) for level in self.levels), -1], dtype=np.int32)
        return Labels(recode[self.codes], levels, self.numeric)

    def numbers(self) -> npt.NDArray[np.float64]:
        """The numbers of a numeric column (n,), NaN where missing."""
        return np.array([*(float(level or "nan") for level in self.levels), np.nan])[self.codes]

    def text(self) -> list[str]:
        """One string for each cell, "" where missing (for few cells)."""
        names = (*self.levels, "")
        return [names[code] for code in self.codes]


class CountSource(Protocol):
    """Counts of cells × genes, read block by block as often as needed."""

    @property
    def n_cells(self) -> int:
        """Cells."""
        ...

    @property
    def n_genes(self) -> int:
        """Genes."""
        ...

    @property
    def n_entries(self) -> int:
        """Stored values (an upper bound where the source is dense)."""
        ...

    def blocks(
        self, size: int = BLOCK_CELLS, wanted: npt.NDArray[np.bool_] | None = None
    ) -> Iterator[tuple[int, sparse.csr_matrix]]:
        """Yield (first cell, counts (size, genes) int32 in canonical CSR form), in the order of cells.

        Blocks without any cell of the mask `wanted` are left out.
        """
        ...


@dataclass(frozen=True)
class CellMatrix:
    """Counts of a cohort of cells, as its source gives them.

    `barcodes` (n,) fixed-width bytes; `genes` ids of the columns of `counts` (Ensembl ids where the source
    has them) and `gene_names` a second id of each ("" where there is none); `samples` the sample of each cell
    where the source knows it; `columns` phenotype columns by their name in the source, decoded when asked
    for; `unannotated` (n,) cells without a row in the phenotype table; `notes` what a reader should be told.
    """

    where: str
    counts: CountSource
    barcodes: npt.NDArray[np.bytes_]
    genes: tuple[str, ...]
    gene_names: tuple[str, ...]
    samples: Labels | None
    columns: Mapping[str, Labels]
    unannotated: npt.NDArray[np.bool_] | None = None
    notes: tuple[str, ...] = ()

    @property
    def n_cells(self) -> int:
        """Cells in the source."""
        return self.counts.n_cells

    def blocks(
        self, size: int = BLOCK_CELLS, wanted: npt.NDArray[np.bool_] | None = None
    ) -> Iterator[tuple[int, sparse.csr_matrix]]:
        """Blocks of the counts; see `CountSource.blocks`."""
        return self.counts.blocks(size, wanted)


class LazyColumns(Mapping[str, Labels]):
    """Phenotype columns that are decoded when they are asked for, and then forgotten again."""

    def __init__(self, names: Sequence[str], read: Callable[[str], Labels]) -> None:
        self._names = tuple(names)
        self._read = read

    def __getitem__(self, name: str) -> Labels:
        if name not in self._names:
            raise KeyError(name)
        return self._read(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


@dataclass(frozen=True)
class MemoryCounts:
    """Counts that are few enough to stay in memory; `matrix` (cells, genes) int32 canonical CSR."""

    matrix: sparse.csr_matrix

    @property
    def n_cells(self) -> int:
        """Cells."""
        return int(self.matrix.shape[0])

    @property
    def n_genes(self) -> int:
        """Genes."""
        return int(self.matrix.shape[1])

    @property
    def n_entries(self) -> int:
        """Stored values."""
        return int(self.matrix.nnz)

    def blocks(
        self, size: int = BLOCK_CELLS, wanted: npt.NDArray[np.bool_] | None = None
    ) -> Iterator[tuple[int, sparse.csr_matrix]]:
        """See `CountSource.blocks`."""
        for start, stop in block_bounds(self.n_cells, size, wanted):
            whole = start == 0 and stop == self.n_cells
            yield start, self.matrix if whole else self.matrix[start:stop]


def block_bounds(
    n_cells: int, size: int, wanted: npt.NDArray[np.bool_] | None = None
) -> Iterator[tuple[int, int]]:
    """First and last + 1 cell of each block that holds a wanted cell."""
    for start in range(0, n_cells, size):
        stop = min(start + size, n_cells)
        if wanted is None or wanted[start:stop].any():
            yield start, stop


def kept_in_memory(source: CountSource, *, limit: int = CACHED_ENTRIES) -> CountSource:
    """The same counts, in memory when they are few; several passes then read (and decompress) them once."""
    if source.n_entries > limit or isinstance(source, MemoryCounts):
        return source
    from scipy import sparse

    parts = [block for _, block in source.blocks()]
    shape = (source.n_cells, source.n_genes)
    matrix = sparse.vstack(parts, format="csr") if parts else sparse.csr_matrix(shape, dtype=np.int32)
    return MemoryCounts(canonical(matrix))


def canonical(matrix: sparse.csr_matrix) -> sparse.csr_matrix:
    """Genes of each cell in order and each once (entries given twice are added, as scipy reads them)."""
    if not matrix.has_canonical_format:
        matrix.sum_duplicates()
    return matrix


def whole_block(
    *,
    data: npt.NDArray[Any],
    indices: npt.NDArray[Any],
    indptr: npt.NDArray[Any],
    n_genes: int,
    start: int,
    where: str,
    cell_name: Callable[[int], str],
    gene_name: Callable[[int], str],
) -> sparse.csr_matrix:
    """Check one block and give it as int32 CSR; refuses what is no count and indices outside the matrix.

    `indptr` (cells + 1,) starts at 0; `start` is the number of the block's first cell.
    """
    from scipy import sparse

    if indptr[0] != 0 or indptr[-1] != data.size or indices.size != data.size or (np.diff(indptr) < 0).any():
        raise DataError(
            "the sparse matrix is damaged: its row pointers do not fit its entries", where=where,
            mend="fetch the file again",
        )  # fmt: skip
    if indices.size and (int(indices.min()) < 0 or int(indices.max()) >= n_genes):
        raise DataError(
            "the sparse matrix is damaged: it names a gene outside the matrix", where=where,
            value=int(indices.max()), allowed=f"0 to {n_genes - 1}", mend="fetch the file again",
        )  # fmt: skip
    bad = first_bad_count(data)
    if bad >= 0:
        row = int(np.searchsorted(indptr, bad, side="right")) - 1
        refuse_value(data[bad], cell=cell_name(start + row), gene=gene_name(int(indices[bad])), where=where)
    block = sparse.csr_matrix(
        (data.astype(np.int32, copy=False), indices.astype(np.int32, copy=False), indptr.astype(np.int32)),
        shape=(indptr.size - 1, n_genes),
    )
    return canonical(block)


def first_bad_count(data: npt.NDArray[Any]) -> int:
    """Position of the first value that is not a whole number of 0 or more, -1 where all are."""
    if data.dtype.kind == "u" and data.dtype.itemsize < 4:
        return -1
    with np.errstate(invalid="ignore"):
        fine = (data >= 0) & (data <= MAX_COUNT)
        if data.dtype.kind not in "iu":
            fine &= data == np.floor(data)
    return -1 if fine.all() else int(np.argmin(fine))


def refuse_value(value: object, *, cell: str, gene: str, where: str) -> None:
    """Refuse a matrix because of one value, named by its cell and gene."""
    shown = "missing (NaN)" if value != value else str(value)
    raise DataError(
        f"not raw counts: cell {cell!r}, gene {gene!r}", where=where, value=shown,
        allowed=f"whole numbers from 0 to {MAX_COUNT}",
        mend="give the matrix of raw counts (in layers['counts'], raw.X or X), not a normalised one",
    )  # fmt: skip
