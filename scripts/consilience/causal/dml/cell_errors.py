"""Heteroscedasticity-robust errors of cells with ridge nuisances: cells go by in tiles, no residual is kept.

They take cells of one donor for independent. That is what DoubleML does without clusters; it is shown beside
errors clustered by donor, not believed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from consilience.causal.dml.moments import Moments, ascending, columns_of, moments_in_blocks
from consilience.causal.dml.ridge_scores import FoldFit, fit_fold
from consilience.causal.dml.scores import cell_level_from_sums

if TYPE_CHECKING:
    import numpy.typing as npt

    from consilience.causal.dml.moments import Expression
    from consilience.causal.dml.ridge_scores import Choice

    Floats = npt.NDArray[np.float64]
    Places = npt.NDArray[np.intp]

TILE_VALUES = 2**20
"""Predictions that are held at a time."""


def ridge_cell_errors(
    *, confounders: Floats, outcome: Floats, expression: Expression, fold: Places, penalty: float
) -> tuple[Floats, Floats]:
    """Effects and robust standard errors (G,) by partialling out; `fold` (n,) of each cell, λ = `penalty`."""
    columns = columns_of(confounders, outcome)
    n_folds = int(fold.max()) + 1
    found = np.empty((2, expression.shape[1]))
    for genes, moments in moments_in_blocks(
        columns=columns, expression=expression, donor=fold, n_donors=n_folds
    ):
        fits = [fit_fold(moments, np.arange(n_folds), one, penalty) for one in range(n_folds)]
        sums = score_sums(columns=columns, expression=expression[:, genes], fold=fold, fits=fits)
        found[:, genes] = cell_level_from_sums(sums)
    return found[0], found[1]


def moments_cell_errors(
    *,
    moments: Moments,
    columns: Floats,
    expression: Expression,
    donor: Places,
    folds: Places,
    penalty: float | Choice,
    levels: Floats | None = None,
) -> tuple[Floats, Floats]:
    """The same for a division of donors into `folds` (m,), with penalties chosen before.

    `levels` (m, G): what expression of each donor is taken from.
    """
    fits = [fit_fold(moments, folds, one, penalty) for one in range(int(folds.max()) + 1)]
    of_cell = None if levels is None else (donor, levels)
    return cell_level_from_sums(
        score_sums(columns=columns, expression=expression, fold=folds[donor], fits=fits, levels=of_cell)
    )


def score_sums(
    *, columns: Floats, expression: Expression, fold: Places, fits: list[FoldFit],
    levels: tuple[Places, Floats] | None = None,
) -> Floats:  # fmt: skip
    """Sums (5, G) behind `scores.cell_level_from_sums`, each cell with the fit of its fold (n,).

    `levels`: donor (n,) of each cell and the donors' levels (m, G), added to what is predicted.
    """
    sums = np.zeros((5, expression.shape[1]))
    tile = max(1, TILE_VALUES // max(1, expression.shape[1]))
    rows_of = ascending(expression) if not isinstance(expression, np.ndarray) else None
    for fit in fits:
        cells = np.flatnonzero(fold == fit.fold)
        left = columns[:, -1].copy()
        left[cells] -= columns[cells, :-1] @ fit.outcome
        weights = np.ascontiguousarray(fit.treatment.T)
        for first in range(0, cells.size, tile):
            rows = cells[first : first + tile]
            predicted = columns[rows, :-1] @ weights
            if levels is not None:
                predicted += levels[1][levels[0][rows]]
            if rows_of is None:
                _dense_sums(expression[rows] - predicted, left[rows], sums)
                continue
            from consilience.causal.dml.moments_kernels import squared_score_sums

            squared_score_sums(rows_of.data, rows_of.indices, rows_of.indptr,
                               rows.astype(np.int64), predicted, left, sums)  # fmt: skip
    return sums


def _dense_sums(left: Floats, outcome: Floats, sums: Floats) -> None:
    products = left * outcome[:, None]
    squares = left**2
    for place, (one, other) in enumerate(
        (
            (left, left),
            (left, outcome[:, None]),
            (products, products),
            (squares, products),
            (squares, squares),
        )
    ):
        sums[place] += np.einsum("ng,ng->g", one, np.broadcast_to(other, one.shape))
