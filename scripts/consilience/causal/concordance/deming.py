"""A line through two estimates that both have errors: cells' effect against the population's.

Each gene has its own standard errors. The line a + b x minimises Σ (y - a - b x)² / (se_y² + b² se_x²), the
squared distance in units of the errors; turning the axes round turns the line round. Least squares would give
too flat a slope, the more so the weaker the instruments are. The slope is searched as an angle, so that steep
lines are no harder than flat ones. What is not in the errors (effects that truly differ between the sides)
is not in the weights either; the interval, from resampled blocks, holds it.

References
----------
Deming WE. Statistical adjustment of data. Wiley 1943.
York D, et al. Unified equations for the slope, intercept, and standard errors of the best straight line.
American Journal of Physics 2004, 72:367.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from consilience.causal.concordance.resampling import interval

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Numbers = npt.NDArray[np.intp]

NAN = float("nan")
ANGLES = 180
REFINED = 6
"""Rounds of ever finer angles around the best: 10 angles each."""
UNDECIDED = 0.9
"""Where resampled lines point everywhere (this share of the half circle), the slope is not known."""


@dataclass(frozen=True)
class Line:
    """`slope` and its 95 % interval, `intercept`; NaN where the points have no direction."""

    slope: float
    low: float
    high: float
    intercept: float
    n: int


def deming(
    *, x: Floats, y: Floats, se_x: Floats, se_y: Floats, block: Numbers, draws: Floats,
    widening: float = 1.0,
) -> Line:  # fmt: skip
    """Line of y on x (g,), both with standard errors; `draws` (n, blocks) of `block_draws`."""
    used = np.isfinite(x) & np.isfinite(y) & (se_x > 0) & (se_y > 0) & np.isfinite(se_x) & np.isfinite(se_y)
    x, y, se_x, se_y, block = x[used], y[used], se_x[used], se_y[used], block[used]
    if len(x) < 3 or not np.ptp(x) > 0 or not np.ptp(y) > 0:
        return Line(NAN, NAN, NAN, NAN, len(x))
    # in units of typical errors: angles are then comparable, whatever the scales are
    unit_x, unit_y = float(np.median(se_x)), float(np.median(se_y))
    points = (x / unit_x, y / unit_y, se_x / unit_x, se_y / unit_y)
    angles = (np.arange(ANGLES) + 0.5) / ANGLES * np.pi - np.pi / 2
    once = np.ones((1, draws.shape[1]))
    best = float(angles[int(np.argmin(_distances(points, angles, block, once)[0]))])
    step = np.pi / ANGLES
    for _ in range(REFINED):
        near = best + np.linspace(-step, step, 11)
        best = float(near[int(np.argmin(_distances(points, near, block, once)[0]))])
        step /= 5
    found = angles[np.argmin(_distances(points, angles, block, draws), axis=1)]
    # a line has no direction: angles are taken as differences of at most a quarter turn
    away = (found - best + np.pi / 2) % np.pi - np.pi / 2
    low, high = interval(0.0, away, widening=widening)
    scale = unit_y / unit_x
    slope = float(np.tan(best)) * scale
    weights = 1.0 / (se_y**2 + slope**2 * se_x**2)
    intercept = float((weights * (y - slope * x)).sum() / weights.sum())
    if high - low >= UNDECIDED * np.pi:
        return Line(slope, float("-inf"), float("inf"), intercept, len(x))
    limits = [_slope(best + one) * scale for one in (low, high)]
    return Line(slope, limits[0], limits[1], intercept, len(x))


def _slope(angle: float) -> float:
    """Tangent; an angle beyond the vertical is the vertical."""
    if abs(angle) >= np.pi / 2:
        return float(np.copysign(np.inf, angle))
    return float(np.tan(angle))


def _distances(
    points: tuple[Floats, Floats, Floats, Floats], angles: Floats, block: Numbers, draws: Floats
) -> Floats:
    """Weighted squared distances (n, angles) of the best line of each angle, under each draw of blocks."""
    x, y, sx, sy = points
    sine, cosine = np.sin(angles)[:, None], np.cos(angles)[:, None]
    weights = 1.0 / ((cosine * sy) ** 2 + (sine * sx) ** 2)
    off = cosine * y - sine * x
    sums = []
    for values in (weights, weights * off, weights * off**2):
        per_block = np.zeros((len(angles), draws.shape[1]))
        np.add.at(per_block.T, block, values.T)
        sums.append(draws @ per_block.T)
    with np.errstate(invalid="ignore", divide="ignore"):
        found: Floats = sums[2] - sums[1] ** 2 / sums[0]
    return np.where(np.isfinite(found), found, np.inf)
