"""Ridge regression from sums of products alone, its penalty chosen on groups of donors left out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from consilience.foundation.errors import DataError

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

PENALTIES = (1e-4, 1e-3, 1e-2, 0.1, 1.0, 10.0)
"""λ per training cell: the same number means the same shrinkage of standardised confounders at any size. Confounders
of donors (age, sex, batch) need the large ones: there are as few of their values as donors."""


def solve_ridge(gram: Floats, cross: Floats, *, penalty: float) -> Floats:
    """Coefficients (g, q) of g targets on q columns, the first of which is the constant 1 and is not penalised.

    `gram` (q, q) sums of products of the columns; `cross` (g, q) with the targets; the minimum of
    Σ (target - prediction)² + `penalty`·Σ coefficient², as scikit-learn's Ridge(alpha) with an intercept.
    """
    if not penalty > 0:
        raise DataError("ridge needs a positive penalty", value=penalty)
    n = gram[0, 0]
    means = gram[0, 1:] / n
    inner = gram[1:, 1:] - n * np.outer(means, means)
    inner[np.diag_indices_from(inner)] += penalty
    slopes = np.linalg.solve(inner, (cross[:, 1:] - cross[:, :1] * means).T).T
    return np.column_stack([cross[:, 0] / n - slopes @ means, slopes])


def squared_errors(coefficients: Floats, *, gram: Floats, cross: Floats, squares: Floats) -> Floats:
    """Σ (target - prediction)² (g,) over cells known by their sums; `squares` (g,) Σ target²."""
    products = np.einsum("gq,gq->g", coefficients @ gram, coefficients)
    return np.maximum(squares - 2 * np.einsum("gq,gq->g", coefficients, cross) + products, 0.0)


def solve_each(gram: Floats, cross: Floats, *, chosen: npt.NDArray[np.intp], grid: Floats) -> Floats:
    """As `solve_ridge`, target by target with the penalty grid[chosen] (`chosen` (g,))."""
    coefficients = np.empty_like(cross)
    for place in np.unique(chosen):
        those = chosen == place
        coefficients[those] = solve_ridge(gram, cross[those], penalty=float(grid[place]))
    return coefficients


def choose_penalties(*, grams: Floats, crosses: Floats, squares: Floats) -> npt.NDArray[np.intp]:
    """For each target the place in PENALTIES (g,) with the least squared error on groups left out.

    `grams` (groups, q, q), `crosses` (groups, g, q), `squares` (groups, g): sums within groups of donors.
    Of equal ones the strongest penalty; one group alone takes the middle.
    """
    if len(grams) < 2:
        return np.full(crosses.shape[1], len(PENALTIES) // 2, dtype=np.intp)
    errors = np.zeros((len(PENALTIES), crosses.shape[1]))
    gram, cross = grams.sum(0), crosses.sum(0)
    for group in range(len(grams)):
        rest_gram, rest_cross = gram - grams[group], cross - crosses[group]
        for place, penalty in enumerate(PENALTIES):
            fitted = solve_ridge(rest_gram, rest_cross, penalty=penalty * rest_gram[0, 0])
            errors[place] += squared_errors(
                fitted, gram=grams[group], cross=crosses[group], squares=squares[group]
            )
    return len(PENALTIES) - 1 - np.argmin(errors[::-1], axis=0)
