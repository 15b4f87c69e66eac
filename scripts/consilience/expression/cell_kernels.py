"""Compiled loops over the entries of one block of cells (numba; import only where it is needed).

Every sum over cells is taken entry by entry in the order of cells, in float64 or int64, so that results do
not depend on how cells are cut into blocks.
"""

from __future__ import annotations

from typing import Any

import numba
import numpy as np

SMALL = 16
"""Counts below this have their logarithm kept for the rest of the cell: most counts are 1, 2 or 3."""
N_SUMS = 6
CELLS, COUNTS, NORMALISED, NORMALISED_SQUARED, LOG, LOG_SQUARED = range(N_SUMS)


def _compiled(function: Any) -> Any:
    """Compile on first use, kept on disk where a writable place exists."""
    try:
        return numba.njit(cache=True, nogil=True, error_model="numpy")(function)
    except RuntimeError:
        return numba.njit(nogil=True, error_model="numpy")(function)


@_compiled
def measure(
    data: np.ndarray, indices: np.ndarray, indptr: np.ndarray, mitochondrial: np.ndarray,
    totals: np.ndarray, n_genes: np.ndarray, mitochondrial_totals: np.ndarray, gene_cells: np.ndarray,
) -> int:  # fmt: skip
    """Fill totals, genes, mitochondrial counts of each cell; add to the cells of each gene; largest count."""
    largest = 0
    for cell in range(indptr.size - 1):
        total, genes, special = 0, 0, 0
        for k in range(indptr[cell], indptr[cell + 1]):
            value = data[k]
            if value > 0:
                gene = indices[k]
                total += value
                genes += 1
                gene_cells[gene] += 1
                if mitochondrial[gene]:
                    special += value
                largest = max(largest, value)
        totals[cell], n_genes[cell], mitochondrial_totals[cell] = total, genes, special
    return largest


@_compiled
def subtract_cells(
    data: np.ndarray, indices: np.ndarray, indptr: np.ndarray, removed: np.ndarray, gene_cells: np.ndarray
) -> None:
    """Take the removed cells of a block out of the cells of each gene."""
    for cell in range(indptr.size - 1):
        if removed[cell]:
            for k in range(indptr[cell], indptr[cell + 1]):
                if data[k] > 0:
                    gene_cells[indices[k]] -= 1


@_compiled
def select(
    data: np.ndarray, indices: np.ndarray, indptr: np.ndarray, kept: np.ndarray, columns: np.ndarray,
    out_data: np.ndarray, out_indices: np.ndarray, out_indptr: np.ndarray,
) -> int:  # fmt: skip
    """Copy kept cells with the new column of each gene (-1: dropped), without zeros; entries written."""
    n, row = 0, 0
    out_indptr[0] = 0
    for cell in range(indptr.size - 1):
        if kept[cell]:
            for k in range(indptr[cell], indptr[cell + 1]):
                column = columns[indices[k]]
                if column >= 0 and data[k] > 0:
                    out_data[n] = data[k]
                    out_indices[n] = column
                    n += 1
            row += 1
            out_indptr[row] = n
    return n


@_compiled
def accumulate(
    data: np.ndarray, indices: np.ndarray, indptr: np.ndarray, target: float, groups: np.ndarray,
    sums: np.ndarray, group_sums: np.ndarray, factors: np.ndarray, logged: np.ndarray,
) -> None:  # fmt: skip
    """Normalise each cell to `target` counts and add it to the sums of genes (genes, N_SUMS) and groups.

    Fills the size `factors` of the cells and, where `logged` has room for them, the log1p values (float32).
    A cell without counts has factor 1, as in scanpy.
    """
    wants_log = logged.size == data.size
    table = np.empty(SMALL, dtype=np.float64)
    for cell in range(indptr.size - 1):
        total = 0
        for k in range(indptr[cell], indptr[cell + 1]):
            total += data[k]
        factor = total / target if total > 0 else 1.0
        factors[cell] = factor
        table[:] = -1.0
        group = groups[cell]
        for k in range(indptr[cell], indptr[cell + 1]):
            value, gene = data[k], indices[k]
            normalised = value / factor
            if value < SMALL:
                if table[value] < 0.0:
                    table[value] = np.log1p(normalised)
                log_value = table[value]
            else:
                log_value = np.log1p(normalised)
            sums[gene, CELLS] += 1.0
            sums[gene, COUNTS] += value
            sums[gene, NORMALISED] += normalised
            sums[gene, NORMALISED_SQUARED] += normalised * normalised
            sums[gene, LOG] += log_value
            sums[gene, LOG_SQUARED] += log_value * log_value
            if group >= 0:
                group_sums[group, gene] += value
            if wants_log:
                logged[k] = log_value


@_compiled
def nearest_share(
    distances: np.ndarray,
    first_simulated: int,
    k: int,
    own: np.ndarray,
    heap: np.ndarray,
    simulated: np.ndarray,
) -> None:
    """Count simulated neighbours among the `k` nearest of each row of `distances` (cells, references).

    `own` (cells,) is the column of the cell itself (-1: none), which is passed over. `heap` (2, k) is room
    to work in. Of equal distances the first column is taken.
    """
    for cell in range(distances.shape[0]):
        filled = 0
        for column in range(distances.shape[1]):
            if column == own[cell]:
                continue
            value = distances[cell, column]
            if filled < k:
                place = filled
                filled += 1
            elif value < heap[0, k - 1]:
                place = k - 1
            else:
                continue
            while place > 0 and heap[0, place - 1] > value:
                heap[0, place] = heap[0, place - 1]
                heap[1, place] = heap[1, place - 1]
                place -= 1
            heap[0, place] = value
            heap[1, place] = column
        count = 0
        for place in range(filled):
            if heap[1, place] >= first_simulated:
                count += 1
        simulated[cell] = count
