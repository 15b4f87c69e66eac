"""Passes over the counts of cells: each reads every block once and keeps only sums, so memory stays flat."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from consilience.foundation.jobs import progress
from consilience.sources.cells.matrix import BLOCK_CELLS, CountSource

if TYPE_CHECKING:
    import numpy.typing as npt
    from scipy import sparse


class Sink(Protocol):
    """Takes the kept counts of a block (cells, genes) and, where asked for, their log-normalised values."""

    def __call__(self, counts: sparse.csr_matrix, logged: npt.NDArray[np.float32] | None) -> None:
        """Store one block."""
        ...


@dataclass(frozen=True, slots=True)
class CellMetrics:
    """What the first pass finds.

    Of each cell (n,): `totals` counts, `n_genes` detected, `mitochondrial` counts; `gene_cells` (genes,)
    cells in which each gene is seen; `largest` count of all.
    """

    totals: npt.NDArray[np.int64]
    n_genes: npt.NDArray[np.int32]
    mitochondrial: npt.NDArray[np.int64]
    gene_cells: npt.NDArray[np.int64]
    largest: int

    def mitochondrial_share(self) -> npt.NDArray[np.float64]:
        """Share of mitochondrial counts (n,), 0 for a cell without counts."""
        return self.mitochondrial / np.maximum(self.totals, 1)


@dataclass(frozen=True, slots=True)
class GeneMoments:
    """What the last pass finds.

    Of each gene (genes,), over the kept cells: `n_cells` in which it is seen, `totals` counts, mean and
    variance (n - 1) of normalised counts and of their log1p; `group_totals` (groups, genes) counts of each
    group; `size_factors` (cells,) counts of a cell divided by the target sum.
    """

    n_cells: npt.NDArray[np.int64]
    totals: npt.NDArray[np.int64]
    mean: npt.NDArray[np.float64]
    variance: npt.NDArray[np.float64]
    log_mean: npt.NDArray[np.float64]
    log_variance: npt.NDArray[np.float64]
    group_totals: npt.NDArray[np.int64]
    size_factors: npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class GeneColumns:
    """Where source genes go: `columns` (source genes,) int64, new column or -1; `n_genes` new columns."""

    columns: npt.NDArray[np.int64]
    n_genes: int

    @property
    def merges(self) -> bool:
        """Whether two source genes go to one column."""
        used = self.columns[self.columns >= 0]
        return np.unique(used).size < used.size

    def keep(self, genes: npt.NDArray[np.bool_]) -> GeneColumns:
        """Only some of the new columns (n_genes,), numbered afresh."""
        numbers = np.where(genes, np.cumsum(genes) - 1, -1)
        moved = np.where(self.columns >= 0, numbers[self.columns], -1)
        return GeneColumns(moved, int(genes.sum()))


def measure_cells(
    *, source: CountSource, mitochondrial: npt.NDArray[np.bool_], size: int = BLOCK_CELLS
) -> CellMetrics:
    """First pass: counts, genes and mitochondrial counts of each cell; `mitochondrial` (genes,) marks genes.

    Equals ``scanpy.pp.calculate_qc_metrics``.
    """
    from consilience.expression.cell_kernels import measure

    n = source.n_cells
    totals, n_genes = np.zeros(n, dtype=np.int64), np.zeros(n, dtype=np.int32)
    special, gene_cells = np.zeros(n, dtype=np.int64), np.zeros(source.n_genes, dtype=np.int64)
    largest = 0
    for start, block in progress(source.blocks(size), label="measuring cells, blocks", total=-(-n // size)):
        rows = slice(start, start + block.shape[0])
        found = measure(block.data, block.indices, block.indptr, mitochondrial,
                        totals[rows], n_genes[rows], special[rows], gene_cells)  # fmt: skip
        largest = max(largest, int(found))
    return CellMetrics(totals, n_genes, special, gene_cells, largest)


def cells_of_genes(
    *, source: CountSource, metrics: CellMetrics, kept: npt.NDArray[np.bool_], genes: GeneColumns,
    size: int = BLOCK_CELLS,
) -> npt.NDArray[np.int64]:  # fmt: skip
    """Second pass: in how many kept cells (mask (n,)) each gene is seen; (genes.n_genes,).

    Only blocks with removed cells are read again. Where two source genes are one gene, its cells are counted
    anew, because a cell may show both.
    """
    from consilience.expression.cell_kernels import subtract_cells

    counted = np.zeros(genes.n_genes, dtype=np.int64)
    if genes.merges:
        for start, block in source.blocks(size, kept):
            part = select_block(block, kept=kept[start : start + block.shape[0]], genes=genes)
            counted += np.bincount(part.indices, minlength=genes.n_genes)
        return counted
    of_source = metrics.gene_cells.copy()
    removed = ~kept
    for start, block in source.blocks(size, removed):
        subtract_cells(
            block.data, block.indices, block.indptr, removed[start : start + block.shape[0]], of_source
        )
    used = genes.columns >= 0
    counted[genes.columns[used]] = of_source[used]
    return counted


def select_block(
    block: sparse.csr_matrix, *, kept: npt.NDArray[np.bool_], genes: GeneColumns
) -> sparse.csr_matrix:
    """The kept cells (mask) of a block with the new genes, without explicit zeros; canonical int32 CSR."""
    from scipy import sparse

    from consilience.expression.cell_kernels import select

    data, indices = np.empty(block.nnz, dtype=np.int32), np.empty(block.nnz, dtype=np.int32)
    indptr = np.empty(int(kept.sum()) + 1, dtype=np.int32)
    n = select(block.data, block.indices, block.indptr, kept, genes.columns, data, indices, indptr)
    part = sparse.csr_matrix((data[:n], indices[:n], indptr), shape=(indptr.size - 1, genes.n_genes))
    if not part.has_canonical_format:
        part.sum_duplicates()
    return part


def accumulate_genes(
    *,
    source: CountSource,
    kept: npt.NDArray[np.bool_],
    genes: GeneColumns,
    groups: npt.NDArray[np.int32],
    n_groups: int,
    target_sum: float,
    sink: Sink | None = None,
    with_log: bool = False,
    size: int = BLOCK_CELLS,
) -> GeneMoments:
    """Last pass: normalise the kept cells, hand them to `sink`, and sum up every gene.

    `groups` (n,) group of each cell or -1. With `with_log` the sink also gets the log1p values. Equals
    ``scanpy.pp.normalize_total(target_sum=…)`` and ``log1p`` on the kept cells and genes.
    """
    from consilience.expression import cell_kernels as kernels

    n_kept = int(kept.sum())
    sums = np.zeros((genes.n_genes, kernels.N_SUMS))
    group_totals = np.zeros((n_groups, genes.n_genes), dtype=np.int64)
    factors = np.ones(n_kept)
    done, nothing = 0, np.empty(0, dtype=np.float32)
    blocks = progress(
        source.blocks(size, kept), label="normalising cells, blocks", total=-(-kept.size // size)
    )
    for start, block in blocks:
        rows = slice(start, start + block.shape[0])
        part = select_block(block, kept=kept[rows], genes=genes)
        # An empty array says that no logarithms are wanted; for a block without entries both mean the same.
        logged = np.empty(part.nnz, dtype=np.float32) if with_log else nothing
        kernels.accumulate(part.data, part.indices, part.indptr, float(target_sum), groups[rows][kept[rows]],
                           sums, group_totals, factors[done : done + part.shape[0]], logged)  # fmt: skip
        done += part.shape[0]
        if sink:
            sink(part, logged if with_log else None)
    return _moments(sums, group_totals, factors, n_kept)


def _moments(
    sums: npt.NDArray[np.float64],
    group_totals: npt.NDArray[np.int64],
    factors: npt.NDArray[np.float64],
    n: int,
) -> GeneMoments:
    from consilience.expression import cell_kernels as kernels

    def mean_variance(first: int, second: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        mean = sums[:, first] / max(n, 1)
        variance = (sums[:, second] - n * mean**2) / max(n - 1, 1)
        return mean, np.maximum(variance, 0.0)

    mean, variance = mean_variance(kernels.NORMALISED, kernels.NORMALISED_SQUARED)
    log_mean, log_variance = mean_variance(kernels.LOG, kernels.LOG_SQUARED)
    return GeneMoments(
        n_cells=sums[:, kernels.CELLS].astype(np.int64), totals=sums[:, kernels.COUNTS].astype(np.int64),
        mean=mean, variance=variance, log_mean=log_mean, log_variance=log_variance,
        group_totals=group_totals, size_factors=factors,
    )  # fmt: skip
