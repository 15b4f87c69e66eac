"""Dispersions of counts: one per gene, a trend over genes, and each gene's shrunk towards it (Love 2014)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from consilience.learning.differential.information import Information

if TYPE_CHECKING:
    import numpy.typing as npt

LEAST = 1e-8
GRID = 16
GOLDEN_STEPS = 14
OUTLIER_SD = 2.0
"""A gene whose own dispersion lies so many standard deviations above the trend keeps it."""
LEAST_PRIOR_VARIANCE = 0.25
BLOCK = 2048


@dataclass(frozen=True)
class Dispersions:
    """`genewise`, `trend`, `used` (genes,); `prior_variance` of log dispersions around the trend."""

    genewise: npt.NDArray[np.float64]
    trend: npt.NDArray[np.float64]
    used: npt.NDArray[np.float64]
    prior_variance: float


def dispersions(
    *, counts: npt.NDArray[np.float64], mu: npt.NDArray[np.float64], means: npt.NDArray[np.float64],
    design: npt.NDArray[np.float64],
) -> Dispersions:  # fmt: skip
    """Estimate dispersions: `counts` and fitted `mu` (n, G), normalised `means` (G,), `design` (n, p)."""
    from scipy.special import polygamma

    freedom = len(counts) - design.shape[1]
    genewise = best_dispersion(counts=counts, mu=mu, design=design)
    trend = fitted_trend(genewise, means)
    usable = genewise > 100 * LEAST
    residual = np.log(genewise[usable]) - np.log(trend[usable])
    spread = float((1.4826 * np.median(np.abs(residual - np.median(residual)))) ** 2) if usable.any() else 0.0
    prior = max(spread - float(polygamma(1, freedom / 2)), LEAST_PRIOR_VARIANCE)
    used = best_dispersion(
        counts=counts, mu=mu, design=design, prior_mean=np.log(trend), prior_variance=prior
    )
    outlier = np.log(genewise) > np.log(trend) + OUTLIER_SD * np.sqrt(spread)
    return Dispersions(genewise, trend, np.where(outlier, genewise, used), prior)


def best_dispersion(
    *, counts: npt.NDArray[np.float64], mu: npt.NDArray[np.float64], design: npt.NDArray[np.float64],
    prior_mean: npt.NDArray[np.float64] | None = None, prior_variance: float = 1.0,
) -> npt.NDArray[np.float64]:  # fmt: skip
    """Maximise the adjusted likelihood (with a log-normal prior, where given) over each dispersion."""
    n_genes = counts.shape[1]
    found = np.empty(n_genes)
    for start in range(0, n_genes, BLOCK):
        genes = slice(start, start + BLOCK)
        mean = None if prior_mean is None else prior_mean[genes]
        found[genes] = _best_of_block(counts[:, genes], mu[:, genes], design, mean, prior_variance)
    return found


def _best_of_block(
    counts: npt.NDArray[np.float64], mu: npt.NDArray[np.float64], design: npt.NDArray[np.float64],
    prior_mean: npt.NDArray[np.float64] | None, prior_variance: float,
) -> npt.NDArray[np.float64]:  # fmt: skip
    def gain(log_alpha: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        value = adjusted_likelihood(log_alpha, counts=counts, mu=mu, design=design)
        if prior_mean is not None:
            value = value - (log_alpha - prior_mean) ** 2 / (2 * prior_variance)
        return value

    grid = np.linspace(np.log(LEAST), np.log(max(10.0, len(counts))), GRID)
    values = np.stack([gain(np.full(counts.shape[1], point)) for point in grid])
    best, step = grid[values.argmax(axis=0)], grid[1] - grid[0]
    low, high = np.maximum(best - step, grid[0]), np.minimum(best + step, grid[-1])
    ratio = (np.sqrt(5) - 1) / 2
    left, right = high - ratio * (high - low), low + ratio * (high - low)
    at_left, at_right = gain(left), gain(right)
    for _ in range(GOLDEN_STEPS):
        go_left = at_left > at_right
        low, high = np.where(go_left, low, left), np.where(go_left, right, high)
        new = np.where(go_left, high - ratio * (high - low), low + ratio * (high - low))
        at_new = gain(new)
        left, right = np.where(go_left, new, right), np.where(go_left, left, new)
        at_left, at_right = np.where(go_left, at_new, at_right), np.where(go_left, at_left, at_new)
    return np.asarray(np.exp((low + high) / 2))


def adjusted_likelihood(
    log_alpha: npt.NDArray[np.float64],
    *, counts: npt.NDArray[np.float64], mu: npt.NDArray[np.float64], design: npt.NDArray[np.float64],
) -> npt.NDArray[np.float64]:  # fmt: skip
    """Negative binomial log-likelihood less half the log determinant of the information (G,)."""
    from scipy.special import gammaln

    alpha = np.exp(log_alpha)
    size = 1 / alpha
    likelihood = (
        gammaln(counts + size) - gammaln(size) + counts * np.log(mu) + size * np.log(size)
        - (counts + size) * np.log(mu + size)
    ).sum(axis=0)  # fmt: skip
    information = Information.of(mu / (1 + alpha * mu), design)
    return np.asarray(likelihood - 0.5 * information.log_determinant)


def fitted_trend(
    genewise: npt.NDArray[np.float64], means: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Fit a1/mean + a0 by iterated gamma regression (genes,); the mean dispersion where that fails."""
    usable = (genewise > 100 * LEAST) & (means > 0)
    if usable.sum() < 3:
        return np.full_like(genewise, max(float(np.median(genewise)), LEAST) if genewise.size else LEAST)
    good, a = usable, np.array([0.1, 1.0])
    for _ in range(20):
        ratio = genewise / (a[0] + a[1] / np.maximum(means, 1e-12))
        good = usable & (ratio > 1e-4) & (ratio < 15)
        new = _gamma_regression(genewise[good], means[good], a) if good.sum() >= 3 else None
        if new is None:
            flat = genewise[genewise > 10 * LEAST]
            return np.full_like(genewise, float(flat.mean()))
        moved = float((np.log(new / a) ** 2).sum())
        a = np.asarray(new, dtype=np.float64)
        if moved < 1e-6:
            break
    return np.asarray(a[0] + a[1] / np.maximum(means, 1e-12))


def _gamma_regression(
    y: npt.NDArray[np.float64], means: npt.NDArray[np.float64], start: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64] | None:
    """Coefficients of a gamma regression with identity link; None when a coefficient is not positive."""
    x = np.column_stack([np.ones_like(means), 1 / means])
    a = start
    for _ in range(100):
        fitted = x @ a
        if (fitted <= 0).any():
            return None
        scaled = x / fitted[:, None]
        new = np.linalg.lstsq(scaled, y / fitted, rcond=None)[0]
        done = np.abs(new - a).max() < 1e-8 * np.abs(a).max()
        a = np.asarray(new, dtype=np.float64)
        if done:
            break
    return a if (a > 0).all() else None
