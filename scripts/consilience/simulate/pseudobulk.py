"""Sums of counts over groups of cells, read in chunks: memory does not grow with cells."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import pandas as pd

CHUNK = 1 << 22


@dataclass(frozen=True)
class ExpressionFile:
    """The tables of an expression file without its matrices: `obs` (cells), `genes` symbols."""

    path: Path
    obs: pd.DataFrame
    genes: list[str]


def open_expression(path: Path) -> ExpressionFile:
    """Read obs and the gene names."""
    import anndata
    import h5py

    with h5py.File(path, "r") as file:
        obs, var = anndata.io.read_elem(file["obs"]), anndata.io.read_elem(file["var"])
    return ExpressionFile(path, obs, [str(name) for name in var.index])


def sum_counts(
    data: ExpressionFile, *, group: npt.NDArray[np.intp], n_groups: int
) -> npt.NDArray[np.float64]:
    """Summed counts (n_groups, genes) of the cells of each group; cells of group -1 are left out."""
    import h5py

    n_genes = len(data.genes)
    total = np.zeros(n_groups * n_genes)
    with h5py.File(data.path, "r") as file:
        matrix: Any = file["layers/counts"]
        if isinstance(matrix, h5py.Dataset):
            for row in range(len(group)):
                if group[row] >= 0:
                    total[group[row] * n_genes : (group[row] + 1) * n_genes] += matrix[row]
            return total.reshape(n_groups, n_genes)
        indptr = matrix["indptr"][:]
        for start in range(0, int(indptr[-1]), CHUNK):
            stop = min(start + CHUNK, int(indptr[-1]))
            cell = np.searchsorted(indptr, np.arange(start, stop), side="right") - 1
            of_cell = group[cell]
            kept = of_cell >= 0
            place = of_cell[kept] * n_genes + matrix["indices"][start:stop][kept]
            total += np.bincount(place, weights=matrix["data"][start:stop][kept], minlength=total.size)
    return total.reshape(n_groups, n_genes)


def log_cpm(counts: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """log2 counts per million of sums (groups, genes); half a count of the mean group is added to each."""
    depth = counts.sum(axis=1, keepdims=True)
    prior = 0.5 * depth / max(float(depth.mean()), 1e-9)
    return np.asarray(np.log2((counts + prior) / np.maximum(depth + 2 * prior, 1e-9) * 1e6))
