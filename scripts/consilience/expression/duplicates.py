"""Several rows for one gene: counts are added, values on any other scale keep the first row.

Counts of two ids of one gene (its X and Y copy, a retired id, a previous symbol) are reads of that gene, so
they add. Logarithms, intensities and ratios do not add; there the first row in file order is kept, which
depends on nothing but the file.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from consilience.expression.genes import GeneMatch

if TYPE_CHECKING:
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


def _selector(rows: np.ndarray, n_genes: int, dtype: Any) -> sparse.csr_matrix:
    """Genes × ids matrix of ones."""
    from scipy import sparse

    kept = np.flatnonzero(rows >= 0)
    ones = np.ones(kept.size, dtype=dtype)
    return sparse.csr_matrix((ones, (rows[kept], kept)), shape=(n_genes, rows.size))
