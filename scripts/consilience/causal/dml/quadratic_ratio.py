"""The distribution of a squared normal variable over a quadratic form that may depend on it, as a plain t.

Reference: Satterthwaite FE. Biometrics Bulletin 2:110, 1946.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

LEVEL = 0.05
SINGULAR = 1e-10
LEAST, MOST = 1.959964, 1e3
"""Critical values are looked for in between: never below the one of known variances."""
HALVINGS = 24


def student_of(form: Floats, direction: Floats) -> tuple[Floats, Floats]:
    """Factor on the standard error and degrees of freedom (g,) that make (k'x)² / x'Mx a plain t² at 5 %.

    M = `form` (m, m) with trace 1, k = `direction` (m, g) scaled to length 1, x standard normal. With λ the
    one positive eigenvalue of kk' - T²M, P((k'x)² > T² x'Mx) is that of λ·χ²₁ beating a mixture of χ² with
    the negative ones, which is replaced by the χ² of equal mean and variance (Satterthwaite).
    """
    from scipy.stats import t as student

    values, vectors = np.linalg.eigh(form)
    values = np.where(values > SINGULAR * values[-1], values, 0.0)
    length = np.sqrt((direction**2).sum(0))
    squared = (vectors.T @ (direction / np.where(length > 0, length, 1.0))) ** 2
    along, spread = values @ squared, float((values**2).sum())
    low, high = np.full(direction.shape[1], np.log(LEAST)), np.full(direction.shape[1], np.log(MOST))
    for _ in range(HALVINGS):
        middle = 0.5 * (low + high)
        statistic, df = _as_student(np.exp(2 * middle), squared, values, along=along, spread=spread)
        rejected = statistic > student.ppf(1 - LEVEL / 2, df)
        high, low = np.where(rejected, middle, high), np.where(rejected, low, middle)
    critical = np.exp(high)
    _, df = _as_student(critical**2, squared, values, along=along, spread=spread)
    return critical / student.ppf(1 - LEVEL / 2, df), df


def _as_student(
    square: Floats, squared: Floats, values: Floats, *, along: Floats, spread: float
) -> tuple[Floats, Floats]:
    """Give t and its degrees of freedom (g,) with P(t² or more) = P((k'x)² > T² x'Mx), T² = `square` (g,)."""
    top = _positive_root(squared, values, square)
    rest = np.maximum(top - 1 + square, 1e-12)
    second = np.maximum(1 - 2 * square * along + square**2 * spread - top**2, 1e-12)
    return np.sqrt(rest / top), np.clip(rest**2 / second, 0.1, 1e6)


def _positive_root(squared: Floats, values: Floats, square: Floats) -> Floats:
    """λ > 0 with Σ squared / (λ + square·values) = 1 (g,): Newton from the left, where the sum is convex."""
    root: Floats = np.maximum(squared[values == 0].sum(0), 1e-9)
    for _ in range(60):
        bottom = root + square * values[:, None]
        excess = (squared / bottom).sum(0) - 1
        step = excess / (squared / bottom**2).sum(0)
        root = root + np.maximum(step, 0.0)
        if float(np.max(step, initial=0.0)) < 1e-10:
            break
    return root
