"""Which genes can be estimated in a cell type, and why others cannot."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt
    from scipy import sparse

    Floats = npt.NDArray[np.float64]

MIN_DONORS_SEEN = 3
"""A gene seen in fewer donors is not estimated: no error bar could be had from them."""


@dataclass(frozen=True)
class SeenGenes:
    """Of each gene (G,) in n cells of a type: what is seen of it, and why it is not estimated.

    `cells` and `donors` in which it is seen, `mean` of its values, `share` of cells; `reason` "" where it is.
    """

    cells: npt.NDArray[np.int64]
    donors: npt.NDArray[np.int64]
    mean: Floats
    share: Floats
    reason: npt.NDArray[np.str_]

    @property
    def kept(self) -> npt.NDArray[np.bool_]:
        """Genes that are estimated."""
        return np.asarray(self.reason == "")


def seen_genes(matrix: sparse.csr_matrix, donor: npt.NDArray[np.intp], *, min_expressed: float) -> SeenGenes:
    """Count the cells and donors of each gene; `matrix` (n, G) with rows sorted by `donor` (n,)."""
    from consilience.causal.dml.cell_rows_kernels import seen

    n, n_genes = matrix.shape
    cells, donors = np.zeros(n_genes, dtype=np.int64), np.zeros(n_genes, dtype=np.int64)
    sums = np.zeros(n_genes)
    seen(matrix.indices, matrix.data, matrix.indptr.astype(np.int64), donor.astype(np.int64), cells,
         np.full(n_genes, -1, dtype=np.int64), donors, sums)  # fmt: skip
    share = cells / max(n, 1)
    reason = np.select(
        [cells == 0, share < min_expressed, donors < MIN_DONORS_SEEN],
        ["not_expressed", "rarely_expressed", "few_donors_express"], "",
    )  # fmt: skip
    return SeenGenes(cells, donors, sums / max(n, 1), share, reason)


def with_genes(matrix: sparse.csr_matrix, kept: npt.NDArray[np.bool_]) -> sparse.csr_matrix:
    """Only the genes `kept` (G,), without stored zeros.

    Takes the arrays of `matrix`, which must not be used again.
    """
    from scipy import sparse

    from consilience.causal.dml.cell_rows_kernels import keep_columns

    number = np.where(kept, np.cumsum(kept) - 1, -1).astype(np.int32)
    pointers = matrix.indptr.astype(np.int64)
    left = keep_columns(matrix.data, matrix.indices, pointers, number)
    shape = (matrix.shape[0], int(kept.sum()))
    return sparse.csr_matrix((matrix.data[:left], matrix.indices[:left], pointers), shape=shape)
