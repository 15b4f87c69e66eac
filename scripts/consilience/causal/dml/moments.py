"""Sums of products within donors: all that ridge nuisances and partially linear scores need of the cells.

Both the coefficients on any set of donors and Σ (D - m̂)(Y - l̂), Σ (D - m̂)² over any donor's cells are
functions of these sums. So cells are read once, whatever the penalties, folds, repeats and left-out donors.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from typing import TypeAlias

    import numpy.typing as npt
    from scipy import sparse

    Floats = npt.NDArray[np.float64]
    Expression: TypeAlias = sparse.csr_matrix | npt.NDArray[np.float32]

BLOCK_BYTES = 192 * 2**20
"""Sums of as many genes are held at a time."""


@dataclass(frozen=True)
class Moments:
    """m donors, G genes, q columns: the constant 1, the confounders, the outcome.

    `gram` (m, q, q) of the columns, `cross` (m, G, q) of genes and columns, `squares` (m, G) of genes,
    `cells` (m,).
    """

    gram: Floats
    cross: Floats
    squares: Floats
    cells: npt.NDArray[np.intp]


def columns_of(confounders: Floats, outcome: Floats) -> Floats:
    """The columns (n, q) of `Moments`."""
    return np.column_stack([np.ones(len(outcome)), confounders, outcome])


def gene_blocks(n_genes: int, *, donors: int, columns: int, limit: int = BLOCK_BYTES) -> list[slice]:
    """Genes in blocks whose sums fit into `limit` bytes."""
    size = max(1, min(n_genes, limit // (8 * donors * (columns + 1))))
    return [slice(first, min(first + size, n_genes)) for first in range(0, n_genes, size)]


def moments_in_blocks(
    *, columns: Floats, expression: Expression, donor: npt.NDArray[np.intp], n_donors: int,
    limit: int = BLOCK_BYTES,
) -> Iterator[tuple[slice, Moments]]:  # fmt: skip
    """Yield (genes, their moments). `columns` (n, q), `expression` (n, G), `donor` (n,) 0 … n_donors - 1."""
    rows = np.argsort(donor, kind="stable").astype(np.int64)
    cells = np.bincount(donor, minlength=n_donors)
    cut = np.concatenate([[0], np.cumsum(cells)]).astype(np.int64)
    groups = [rows[start:stop] for start, stop in pairwise(cut)]
    gram = np.stack([columns[group].T @ columns[group] for group in groups])
    blocks = gene_blocks(expression.shape[1], donors=n_donors, columns=columns.shape[1], limit=limit)
    if isinstance(expression, np.ndarray):
        for genes in blocks:
            parts = [(columns[group], expression[group, genes].astype(np.float64)) for group in groups]
            cross = np.stack([values.T @ held for held, values in parts])
            squares = np.stack([(values**2).sum(0) for _, values in parts])
            yield genes, Moments(gram, cross, squares, cells)
        return
    from consilience.causal.dml.moments_kernels import cross_moments

    sparse_rows = ascending(expression)
    at, ends = sparse_rows.indptr[:-1].astype(np.int64), sparse_rows.indptr[1:].astype(np.int64)
    for genes in blocks:
        cross = np.zeros((n_donors, genes.stop - genes.start, columns.shape[1]))
        squares = np.zeros(cross.shape[:2])
        cross_moments(sparse_rows.data, sparse_rows.indices, at, ends, genes.start, genes.stop,
                      columns, rows, cut, cross, squares)  # fmt: skip
        yield genes, Moments(gram, cross, squares, cells)


def ascending(expression: sparse.csr_matrix) -> sparse.csr_matrix:
    """The same float32 matrix with ascending, unique indices in every row; a copy only where needed."""
    if expression.has_canonical_format and expression.dtype == np.float32:
        return expression
    made = expression.astype(np.float32, copy=True)
    made.sum_duplicates()
    return made
