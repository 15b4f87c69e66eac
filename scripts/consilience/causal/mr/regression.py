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
    residuals, `q_df` = n - m. `gain` (g, n) derivatives of the effect by the outcome effects.
    """

    coefficients: Floats
    covariance: Floats
    q: Floats
    q_df: int
    gain: Floats

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
        return residual_scale(self.q, self.q_df)


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
    return Fit(
        coefficients[..., 0], covariance, np.sum(residual[..., 0] ** 2, axis=1),
        x.shape[1] - x.shape[2], gain,
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


def residual_scale(q: Floats, q_df: int) -> Floats:
    """Residual standard error (g,), not below 1."""
    return np.sqrt(np.maximum(q / max(q_df, 1), 1.0))


@dataclass(frozen=True)
class Errors:
    """What errors of the exposure effects change: `variance` (g,) of the effect, `q` (g,) heterogeneity."""

    variance: Floats
    q: Floats


def with_exposure_errors(instruments: Instruments, line: Fit) -> Errors:
    """The effect's variance and Q of a line through the origin with LD, exposure errors counted.

    They move the residuals by the effect times themselves. (The full delta method has a term more, residual
    times error, of the relative size 1 / F; given the exposure effects the residual is only noise, so without
    that term the variance is exact where there is no effect, however weak the instruments.)
    """
    square = line.effect[:, None, None] ** 2
    moved = instruments.ld * instruments.se_exp[:, :, None] * instruments.se_exp[:, None, :] * square
    noise = instruments.ld * instruments.se_out[:, :, None] * instruments.se_out[:, None, :] + moved
    variance = line.covariance[:, -1, -1] + np.einsum("gi,gij,gj->g", line.gain, moved, line.gain)
    residual = instruments.b_out - line.effect[:, None] * instruments.b_exp
    solved = np.linalg.solve(noise, residual[:, :, None])[..., 0]
    return Errors(variance, np.sum(residual * solved, axis=1))


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
