"""Counts seen through a choice: some genes in another order, several files as one, some of the cells."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from consilience.sources.cells.matrix import BLOCK_CELLS, CellMatrix, CountSource, LazyColumns, MemoryCounts

if TYPE_CHECKING:
    import numpy.typing as npt
    from scipy import sparse


def move_genes(
    block: sparse.csr_matrix, *, columns: npt.NDArray[np.int64], n_genes: int
) -> sparse.csr_matrix:
    """A block (cells, genes) with the gene k in column `columns[k]`, left out where that is -1."""
    from scipy import sparse

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
    return moved


@dataclass(frozen=True)
class PickedGenes:
    """The counts of `source` with its gene k in column `columns[k]` (-1: left out) of `n_genes`."""

    source: CountSource
    columns: npt.NDArray[np.int64]
    n_genes: int

    @property
    def n_cells(self) -> int:
        """Cells."""
        return self.source.n_cells

    @property
    def n_entries(self) -> int:
        """Stored values of the source: an upper bound."""
        return self.source.n_entries

    def blocks(
        self, size: int = BLOCK_CELLS, wanted: npt.NDArray[np.bool_] | None = None
    ) -> Iterator[tuple[int, sparse.csr_matrix]]:
        """See `CountSource.blocks`."""
        for start, block in self.source.blocks(size, wanted):
            yield start, move_genes(block, columns=self.columns, n_genes=self.n_genes)


def pick_genes(source: CountSource, columns: npt.NDArray[np.int64], n_genes: int) -> CountSource:
    """The source itself where nothing moves."""
    same = columns.size == n_genes and bool((columns == np.arange(n_genes)).all())
    return source if same else PickedGenes(source, columns, n_genes)


@dataclass(frozen=True)
class JoinedCounts:
    """The cells of several sources with the same genes, one source after the other."""

    parts: tuple[CountSource, ...]

    @property
    def n_cells(self) -> int:
        """Cells of all parts."""
        return sum(part.n_cells for part in self.parts)

    @property
    def n_genes(self) -> int:
        """Genes."""
        return self.parts[0].n_genes

    @property
    def n_entries(self) -> int:
        """Stored values of all parts."""
        return sum(part.n_entries for part in self.parts)

    def blocks(
        self, size: int = BLOCK_CELLS, wanted: npt.NDArray[np.bool_] | None = None
    ) -> Iterator[tuple[int, sparse.csr_matrix]]:
        """See `CountSource.blocks`; a block never holds cells of two parts."""
        first = 0
        for part in self.parts:
            mine = None if wanted is None else wanted[first : first + part.n_cells]
            for start, block in part.blocks(size, mine):
                yield first + start, block
            first += part.n_cells


@dataclass(frozen=True)
class CellSubset:
    """The cells of `source` that the mask `cells` marks; blocks are those of the source, thinned."""

    source: CountSource
    cells: npt.NDArray[np.bool_]

    @property
    def n_cells(self) -> int:
        """Marked cells."""
        return int(self.cells.sum())

    @property
    def n_genes(self) -> int:
        """Genes."""
        return self.source.n_genes

    @property
    def n_entries(self) -> int:
        """Stored values: those of the marked cells where the source tells them, else an upper bound."""
        sizes = entries_of_cells(self.source)
        return self.source.n_entries if sizes is None else int(sizes[self.cells].sum())

    def blocks(
        self, size: int = BLOCK_CELLS, wanted: npt.NDArray[np.bool_] | None = None
    ) -> Iterator[tuple[int, sparse.csr_matrix]]:
        """See `CountSource.blocks`."""
        asked = self.cells
        if wanted is not None:
            asked = self.cells.copy()
            asked[self.cells] = wanted
        before = np.concatenate([[0], np.cumsum(self.cells)])
        for start, block in self.source.blocks(size, asked):
            mine = self.cells[start : start + block.shape[0]]
            yield int(before[start]), block if mine.all() else block[mine]


def subset_cells(matrix: CellMatrix, cells: npt.NDArray[np.bool_], *, note: str) -> CellMatrix:
    """The cohort with only the cells of a mask (n,), and a note that says why."""
    columns = matrix.columns
    return replace(
        matrix,
        counts=CellSubset(matrix.counts, cells),
        barcodes=matrix.barcodes[cells],
        samples=None if matrix.samples is None else matrix.samples.take(cells).compact(),
        columns=LazyColumns(list(columns), lambda name: columns[name].take(cells)),
        unannotated=None if matrix.unannotated is None else matrix.unannotated[cells],
        notes=(*matrix.notes, note),
    )


def entries_of_cells(source: CountSource) -> npt.NDArray[np.int64] | None:
    """Stored values of each cell (n,), read from row pointers alone; None where a source has none.

    An upper bound of the genes seen in a cell: values of left-out features and explicit zeros count too.
    """
    from consilience.sources.cells.h5_counts import SparseRows

    if isinstance(source, MemoryCounts):
        return np.asarray(np.diff(source.matrix.indptr), dtype=np.int64)
    if isinstance(source, SparseRows):
        return source.row_sizes()
    if isinstance(source, PickedGenes):
        return entries_of_cells(source.source)
    if isinstance(source, CellSubset):
        sizes = entries_of_cells(source.source)
        return None if sizes is None else np.asarray(sizes[source.cells])
    if isinstance(source, JoinedCounts):
        return _together([entries_of_cells(part) for part in source.parts])
    return None


def _together(sizes: Sequence[npt.NDArray[np.int64] | None]) -> npt.NDArray[np.int64] | None:
    known = [part for part in sizes if part is not None]
    return np.concatenate(known, dtype=np.int64) if len(known) == len(sizes) else None
