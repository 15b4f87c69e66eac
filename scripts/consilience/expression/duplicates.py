"""Several rows for one gene: counts are added, values on any other scale keep one row.

Counts of two ids of one gene (its X and Y copy, a retired id, a previous symbol) are reads of that gene, so
they add. Logarithms, intensities and ratios do not add; there one row is kept: of a sparse or a cell matrix
the first in file order, of a bulk cohort the one with the highest mean, as a probe that hardly binds shows
its gene as hardly expressed.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from consilience.expression.genes import GeneMatch
from consilience.sources.bulk.stored import Matrix, StoredMatrix, blocks, new_matrix

if TYPE_CHECKING:
    import numpy.typing as npt
    from scipy import sparse


def merge_duplicates(*, values: Any, match: GeneMatch, additive: bool) -> Any:
    """Bring a genes × samples matrix (numpy or scipy sparse) from input ids to `match.unique` genes.

    Returns the same kind of matrix and dtype (sparse: CSR) with one row per gene of `match.unique`.
    """
    rows = np.asarray(match.row_of_input, dtype=np.int64)
    if values.shape[0] != rows.size:
        raise ValueError(f"{values.shape[0]} rows of values for {rows.size} ids")
    used, first = np.unique(rows, return_index=True)
    first = first[used >= 0]
    if not additive or match.n_duplicates == 0:
        return values.tocsr()[first] if hasattr(values, "tocsr") else np.asarray(values)[first]
    summed = _selector(rows, len(first), values.dtype) @ values
    return summed.tocsr() if hasattr(summed, "tocsr") else np.asarray(summed, dtype=values.dtype)


def summed_genes(
    values: Matrix, *, match: GeneMatch, place: Path | None = None
) -> tuple[npt.NDArray[Any] | StoredMatrix, npt.NDArray[np.intp]]:
    """Counts (samples, ids) as counts (samples, genes) of the genes with any count, and these genes.

    The genes are positions in `match.unique`. Genes that no sample expresses are left out at once: of an
    annotation's 60,000 genes they are many, and every later step would carry them. The result lies in the
    file `place`, without one in memory.
    """
    rows = np.asarray(match.row_of_input, dtype=np.int64)
    n_genes = len(match.unique)
    of_id, largest = np.zeros(rows.size, dtype=np.int64), 0
    for block in blocks(values.shape[0]):
        part = values[block]
        of_id += part.sum(axis=0, dtype=np.int64)
        largest = max(largest, int(part.max(initial=0)))
    totals = np.zeros(n_genes, dtype=np.int64)
    np.add.at(totals, rows[rows >= 0], of_id[rows >= 0])
    genes = np.flatnonzero(totals)
    column = np.full(n_genes, -1, dtype=np.int64)
    column[genes] = np.arange(genes.size)
    target = np.where(rows >= 0, column[rows], -1)
    used, first = np.unique(target, return_index=True)
    first = first[used >= 0]
    others = np.setdiff1d(np.flatnonzero(target >= 0), first)
    dtype = _sum_type(values.dtype, largest=largest, target=target)
    result = new_matrix((values.shape[0], genes.size), dtype=dtype, path=place)
    for block in blocks(values.shape[0]):
        part = values[block]
        summed = part[:, first].astype(dtype)
        if others.size:
            np.add.at(summed.T, target[others], part[:, others].T.astype(dtype))
        result[block] = summed
    return result, genes


def _sum_type(dtype: np.dtype[Any], *, largest: int, target: npt.NDArray[np.int64]) -> np.dtype[Any]:
    """The type of the values, or int64 where a sum might not fit into it."""
    most = int(np.bincount(target[target >= 0]).max(initial=1))
    return dtype if largest * most <= np.iinfo(dtype).max else np.dtype(np.int64)


def strongest_rows(means: npt.NDArray[np.floating], *, match: GeneMatch) -> npt.NDArray[np.intp]:
    """For each gene of `match.unique` the id with the highest mean (of equals the first); `means` (ids,)."""
    rows = np.asarray(match.row_of_input, dtype=np.int64)
    order = np.lexsort((np.arange(rows.size), -np.asarray(means), rows))
    order = order[rows[order] >= 0]
    return order[np.concatenate([[True], rows[order][1:] != rows[order][:-1]])] if order.size else order


def _selector(rows: np.ndarray, n_genes: int, dtype: Any) -> sparse.csr_matrix:
    """Genes × ids matrix of ones."""
    from scipy import sparse

    kept = np.flatnonzero(rows >= 0)
    ones = np.ones(kept.size, dtype=dtype)
    return sparse.csr_matrix((ones, (rows[kept], kept)), shape=(n_genes, rows.size))
