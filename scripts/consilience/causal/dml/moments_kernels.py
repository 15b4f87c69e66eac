"""Sums of products over the non-zeros of expression, and sums of squared scores over cells."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from consilience.foundation.compiled import compiled

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Values = npt.NDArray[np.float32]
    Places = npt.NDArray[np.int64]


@compiled
def cross_moments(
    data: Values, indices: npt.NDArray[np.int32], at: Places, ends: Places, first: int, last: int,
    columns: Floats, rows: Places, cut: Places, cross: Floats, squares: Floats,
) -> None:  # fmt: skip
    """Add genes first … last - 1 of all cells to `cross` (groups, genes, q) and `squares` (groups, genes).

    Group c has the cells rows[cut[c]:cut[c + 1]]. `at` (n,) is where a cell's next non-zero lies: it moves
    on to the first gene >= last, so that blocks of genes one after the other read every non-zero once.
    Indices of a cell ascend.
    """
    q = columns.shape[1]
    for group in range(cut.size - 1):
        for place in range(cut[group], cut[group + 1]):
            cell = rows[place]
            k = at[cell]
            while k < ends[cell] and indices[k] < last:
                gene = indices[k] - first
                value = np.float64(data[k])
                squares[group, gene] += value * value
                for column in range(q):
                    cross[group, gene, column] += value * columns[cell, column]
                k += 1
            at[cell] = k


@compiled
def squared_score_sums(
    data: Values, indices: npt.NDArray[np.int32], pointers: Places, rows: Places, predicted: Values | Floats,
    outcome: Floats, sums: Floats,
) -> None:  # fmt: skip
    """Add to `sums` (5, G) over the cells `rows`: Σv², Σvu, Σv²u², Σv³u, Σv⁴ of each gene.

    v = expression - `predicted` (rows, G), which is overwritten; u = `outcome` (n,), the outcome's residual.
    Σ (vu - θv²)² needs no second pass with θ then.
    """
    n_genes = predicted.shape[1]
    for place in range(rows.size):
        cell = rows[place]
        u = outcome[cell]
        row = predicted[place]
        for gene in range(n_genes):
            row[gene] = -row[gene]
        for k in range(pointers[cell], pointers[cell + 1]):
            row[indices[k]] += data[k]
        for gene in range(n_genes):
            v = row[gene]
            square, product = v * v, v * u
            sums[0, gene] += square
            sums[1, gene] += product
            sums[2, gene] += product * product
            sums[3, gene] += square * product
            sums[4, gene] += square * square
