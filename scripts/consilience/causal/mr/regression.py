"""Least squares of outcome effects on exposure effects, for many exposures at once.

Without LD the weights are 1 / se_out²; with LD the errors of the outcome effects have the covariance
se_i se_j r_ij (Burgess, Dudbridge, Thompson 2016, doi 10.1002/sim.6835).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from consilience.causal.mr.estimators.estimator import Instruments

    Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Fit:
    """Lines through g clouds of n variants: m coefficients each (the exposure's effect last).

    `coefficients` (g, m), `covariance` (g, m, m) for errors as given, `q` (g,) weighted sum of squared
    residuals, `q_df` = n - m. `gain` (g, n) derivatives of the effect by the outcome effects, `lever` (g, n)
    by the exposure effects.
    """

    coefficients: Floats
    covariance: Floats
    q: Floats
    q_df: int
    gain: Floats
    lever: Floats

    @property
    def effect(self) -> Floats:
        """The exposure's effect (g,)."""
        return self.coefficients[:, -1]

    @property
    def fixed_se(self) -> Floats:
        """Standard error (g,) if nothing but sampling of the outcome moves the residuals."""
        return np.sqrt(self.covariance[:, -1, -1])

    @property
    def scale(self) -> Floats:
        """Residual standard error (g,), 1 where variants differ as much as their errors say; not below 1."""
        return np.sqrt(np.maximum(self.q / max(self.q_df, 1), 1.0))


def fit(instruments: Instruments, *, intercept: bool, ld: bool) -> Fit:
    """Weighted (or, with `ld`, generalised) least squares with or without an intercept."""
    x = instruments.b_exp[:, :, None]
    if intercept:
        x = np.concatenate([np.ones_like(x), x], axis=2)
    white_x = whitened(instruments, x, ld=ld)
    white_y = whitened(instruments, instruments.b_out[:, :, None], ld=ld)
    transposed = white_x.transpose(0, 2, 1)
    covariance = inverse(transposed @ white_x)
    coefficients = covariance @ (transposed @ white_y)
    residual = white_y - white_x @ coefficients
    gain = whitened(instruments, white_x @ covariance[:, :, -1:], ld=ld, transposed=True)[..., 0]
    back = whitened(instruments, residual, ld=ld, transposed=True)[..., 0]
    lever = covariance[:, -1, -1, None] * back - coefficients[:, -1] * gain
    return Fit(
        coefficients[..., 0], covariance, np.sum(residual[..., 0] ** 2, axis=1),
        x.shape[1] - x.shape[2], gain, lever,
    )  # fmt: skip


def whitened(instruments: Instruments, values: Floats, *, ld: bool, transposed: bool = False) -> Floats:
    """W values (g, n, m) where W'W is the inverse covariance of b_out; W' values if asked."""
    scale = 1 / instruments.se_out[:, :, None]
    if not ld:
        return np.asarray(values * scale)
    factor = np.linalg.cholesky(instruments.ld)
    if transposed:
        return np.asarray(np.linalg.solve(factor.transpose(0, 2, 1), values) * scale)
    return np.asarray(np.linalg.solve(factor, values * scale))


def exposure_variance(instruments: Instruments, lever: Floats, *, ld: bool) -> Floats:
    """What the errors of the exposure effects add to the variance of the effect (g,), by the delta method."""
    moved = lever * instruments.se_exp
    if not ld:
        return np.sum(moved**2, axis=1)
    return np.asarray(np.einsum("gi,gij,gj->g", moved, instruments.ld, moved))


def inverse(matrices: Floats) -> Floats:
    """Inverses of (g, 1, 1) or (g, 2, 2) positive definite matrices; NaN where there is none."""
    with np.errstate(divide="ignore", invalid="ignore"):
        if matrices.shape[1] == 1:
            reciprocal: Floats = 1 / matrices
            return reciprocal
        a, b, d = matrices[:, 0, 0], matrices[:, 0, 1], matrices[:, 1, 1]
        determinant = a * d - b * b
        regular = determinant > 1e-12 * a * d
        rows = np.stack([np.stack([d, -b], axis=-1), np.stack([-b, a], axis=-1)], axis=1)
        found: Floats = np.where(regular[:, None, None], rows / determinant[:, None, None], np.nan)
        return found
