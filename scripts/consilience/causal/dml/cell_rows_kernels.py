"""Rows of sparse matrices put where they belong, in arrays that are there already."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from consilience.foundation.compiled import compiled

if TYPE_CHECKING:
    import numpy.typing as npt

    Values = npt.NDArray[np.float32]
    Genes = npt.NDArray[np.int32]
    Places = npt.NDArray[np.int64]


@compiled
def place_rows(
    data: Values, indices: Genes, pointers: Places, target: Places, out_data: Values, out_indices: Genes,
    out_pointers: Places,
) -> None:  # fmt: skip
    """Copy row i of a block to row target[i] of the output (-1: not wanted), whose pointers are known."""
    for row in range(target.size):
        if target[row] < 0:
            continue
        to = out_pointers[target[row]]
        for k in range(pointers[row], pointers[row + 1]):
            out_data[to] = data[k]
            out_indices[to] = indices[k]
            to += 1


@compiled
def keep_columns(data: Values, indices: Genes, pointers: Places, number: Genes) -> int:
    """Drop in place zeros and columns whose `number` (genes,) is -1; returns how many values are left."""
    to, start = 0, pointers[0]
    for row in range(pointers.size - 1):
        stop = pointers[row + 1]
        for k in range(start, stop):
            new = number[indices[k]]
            if new >= 0 and data[k] != 0:
                data[to] = data[k]
                indices[to] = new
                to += 1
        start = stop
        pointers[row + 1] = to
    return to


@compiled
def seen(
    indices: Genes,
    data: Values,
    pointers: Places,
    groups: Places,
    cells: Places,
    last: Places,
    donors: Places,
    sums: npt.NDArray[np.float64],
) -> None:
    """Add up of each gene: `cells` and `donors` (groups) in which it is seen, `sums` of its values.

    Rows are sorted by group; `last` (genes,) is -1 at the start.
    """
    for row in range(pointers.size - 1):
        for k in range(pointers[row], pointers[row + 1]):
            if data[k] == 0:
                continue
            gene = indices[k]
            cells[gene] += 1
            sums[gene] += data[k]
            if last[gene] != groups[row]:
                last[gene] = groups[row]
                donors[gene] += 1
