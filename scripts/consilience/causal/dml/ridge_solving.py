"""Ridge regression from sums of products alone, its penalty chosen on groups of donors left out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from consilience.foundation.errors import DataError

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

PENALTIES = (1e-4, 1e-3, 1e-2, 0.1, 1.0, 10.0)
"""λ per training cell: the same number means the same shrinkage of standardised confounders at any size.
Confounders of donors (age, sex, batch) need the large ones: there are as few of their values as donors."""


def solve_ridge(gram: Floats, cross: Floats, *, penalty: float) -> Floats:
    """Coefficients (g, q) of g targets on q columns; the first is the constant 1 and is not penalised.

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
        errors += errors_on_grid(gram - grams[group], cross - crosses[group], gram=grams[group],
                                 cross=crosses[group], squares=squares[group])  # fmt: skip
    best: npt.NDArray[np.intp] = np.argmin(errors[::-1], axis=0)
    return len(PENALTIES) - 1 - best


def errors_on_grid(
    fitted_gram: Floats, fitted_cross: Floats, *, gram: Floats, cross: Floats, squares: Floats
) -> Floats:
    """Squared errors (penalties, g) on the cells of `gram`, `cross`, `squares` of fits to the `fitted_` sums.

    What fits by `solve_ridge` for each of PENALTIES would have, with one decomposition for all of them.
    """
    n, size = fitted_gram[0, 0], gram[0, 0]
    means, levels = fitted_gram[0, 1:] / n, fitted_cross[:, 0] / n
    values, axes = np.linalg.eigh(fitted_gram[1:, 1:] - n * np.outer(means, means))
    rotated = (fitted_cross[:, 1:] - np.outer(fitted_cross[:, 0], means)) @ axes
    # the cells left out, around what the fit takes for the middle
    shift = np.outer(gram[0, 1:], means)
    held = axes.T @ (gram[1:, 1:] - shift - shift.T + size * np.outer(means, means)) @ axes
    sums = cross[:, 0] - size * levels
    with_target = (cross[:, 1:] - np.outer(levels, gram[0, 1:]) - np.outer(sums, means)) @ axes
    around = squares - 2 * levels * cross[:, 0] + size * levels**2
    errors = np.empty((len(PENALTIES), levels.size))
    for place, penalty in enumerate(PENALTIES):
        slopes = rotated / (np.maximum(values, 0.0) + penalty * n)
        errors[place] = around + np.einsum("gp,gp->g", slopes @ held - 2 * with_target, slopes)
    return errors
