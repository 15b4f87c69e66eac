"""Pearson and Spearman over the genes that both sides have; NaN where a side does not vary."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

FLAT = 1e-20
"""Variance, as a share of the mean square, below which values are constant."""


@dataclass(frozen=True)
class Moments:
    """Of x against y with weights: `n` their sum, `covariance`, `variance_x`, `variance_y` (any shape)."""

    n: Floats
    covariance: Floats
    variance_x: Floats
    variance_y: Floats

    @property
    def r(self) -> Floats:
        """Pearson correlation."""
        product = self.variance_x * self.variance_y
        with np.errstate(invalid="ignore", divide="ignore"):
            found: Floats = np.where(product > 0, self.covariance / np.sqrt(product), np.nan)
        return np.clip(found, -1.0, 1.0)


def moments(x: Floats, y: Floats, weights: Floats) -> Moments:
    """Moments (k,) of x, y (g,) under weights (k, g), such as how often a resample draws each gene."""
    sums = weights @ np.stack([np.ones_like(x), x, y, x * x, x * y, y * y], axis=1)
    return from_sums(*sums.T)


def from_sums(n: Floats, x: Floats, y: Floats, xx: Floats, xy: Floats, yy: Floats) -> Moments:
    """Moments from sums of 1, x, y, x², xy, y²; a variance that is only rounding is 0."""
    with np.errstate(invalid="ignore", divide="ignore"):
        vx, vy = xx / n - (x / n) ** 2, yy / n - (y / n) ** 2
        vx, vy = (np.where(v > 1e-12 * s / n, v, 0.0) for v, s in ((vx, xx), (vy, yy)))
        return Moments(n, xy / n - (x / n) * (y / n), vx, vy)


def pearson(x: Floats, y: Floats) -> float:
    """Pearson correlation of x and y (g,), centred first."""
    x, y = x - x.mean(), y - y.mean()
    xx, yy = float(x @ x), float(y @ y)
    if xx <= FLAT * len(x) or yy <= FLAT * len(y):
        return float("nan")
    return float(np.clip(x @ y / np.sqrt(xx * yy), -1.0, 1.0))


def spearman(x: Floats, y: Floats) -> float:
    """Pearson correlation of average ranks."""
    from scipy import stats

    return pearson(stats.rankdata(x), stats.rankdata(y))
