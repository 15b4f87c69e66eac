"""Weighted medians and modes of many short rows, compiled."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from consilience.foundation.compiled import compiled

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

FAR = 8.5
"""Bandwidths beyond which a Gaussian kernel is nothing (2e-16)."""
NEAR = float(np.exp(-0.125))
"""A smoothed density falls by no more than this within half a bandwidth of its mode."""


@compiled
def weighted_medians(values: Floats, weights: Floats) -> Floats:
    """Weighted medians (m,) of the rows of `values` (m, n >= 2) with `weights` (n,), interpolated.

    A value lies at the middle of its weight; the median is where half of the weight is passed.
    """
    m, n = values.shape
    found = np.empty(m)
    x, w = np.empty(n), np.empty(n)
    for row in range(m):
        for i in range(n):
            _insert(x, w, i, values[row, i], weights[i])
        half, passed = w.sum() / 2, 0.0
        found[row] = x[n - 1]
        before = 0.0
        for i in range(n):
            middle = passed + w[i] / 2
            if middle >= half:
                if i == 0:
                    found[row] = x[0]
                else:
                    found[row] = x[i - 1] + (x[i] - x[i - 1]) * (half - before) / (middle - before)
                break
            before = middle
            passed += w[i]
    return found


@compiled
def smoothed_modes(values: Floats, weights: Floats) -> Floats:
    """Modes (m,) of the Gaussian-smoothed rows of `values` (m, n) with `weights` (n,).

    Bandwidth: 0.9 min(sd, scaled median absolute deviation) n^-1/5; NaN where it is 0. The highest mode is
    found for certain: its density is at least `NEAR` of the peak's at the nearest of points that lie no
    further than a bandwidth apart wherever a mode can be; from all points as dense as that one climbs.
    """
    m, n = values.shape
    found = np.empty(m)
    x, w = np.empty(n), np.empty(n)
    for row in range(m):
        for i in range(n):
            _insert(x, w, i, values[row, i], weights[i])
        h = _bandwidth(x)
        found[row] = _highest(x, w, h) if h > 0 else np.nan
    return found


@compiled
def _insert(x: Floats, w: Floats, length: int, value: float, weight: float) -> None:
    """Put a value into the sorted first `length` of x."""
    i = length
    while i > 0 and x[i - 1] > value:
        x[i], w[i] = x[i - 1], w[i - 1]
        i -= 1
    x[i], w[i] = value, weight


@compiled
def _bandwidth(x: Floats) -> float:
    """Silverman's, of sorted values."""
    n = len(x)
    middle = (x[(n - 1) // 2] + x[n // 2]) / 2
    away = np.sort(np.abs(x - middle))
    spread = 1.4826 * (away[(n - 1) // 2] + away[n // 2]) / 2
    sd = np.sqrt(np.sum((x - x.mean()) ** 2) / (n - 1))
    width: float = 0.9 * min(sd, spread) / n**0.2
    return width


@compiled
def _highest(x: Floats, w: Floats, h: float) -> float:
    """The highest mode of the smoothed sorted values."""
    n = len(x)
    points, size = np.empty(3 * n), 0
    for i in range(n):
        points[size] = x[i]
        size += 1
        gap = x[i + 1] - x[i] if i + 1 < n else 0.0
        if gap > 2 * h:
            points[size], points[size + 1] = x[i] + h, x[i + 1] - h
            size += 2
        elif gap > h:
            points[size] = x[i] + gap / 2
            size += 1
    density = np.empty(size)
    for k in range(size):
        density[k] = _density(x, w, h, points[k])
    least = NEAR * density[:size].max()
    best, height, top = np.nan, -1.0, -np.inf
    for k in range(size):
        if density[k] < least or points[k] <= top:  # what lies below a top just climbed leads there too
            continue
        top = _climbed(x, w, h, points[k])
        high = _density(x, w, h, top)
        if high > height * (1 + 1e-12):
            best, height = top, high
    return best


@compiled
def _density(x: Floats, w: Floats, h: float, at: float) -> float:
    total = 0.0
    for i in range(len(x)):
        z = (x[i] - at) / h
        if -FAR < z < FAR:
            total += w[i] * np.exp(-0.5 * z * z)
    return total


@compiled
def _climbed(x: Floats, w: Floats, h: float, start: float) -> float:
    """The top that Newton's steps (mean shifts where the density is not concave) reach from `start`."""
    at = start
    for _ in range(500):
        total, first, second = 0.0, 0.0, 0.0
        for i in range(len(x)):
            z = (x[i] - at) / h
            if -FAR < z < FAR:
                mass = w[i] * np.exp(-0.5 * z * z)
                total += mass
                first += mass * z
                second += mass * z * z
        shift = first / total
        curvature = second / total - 1.0
        step = -shift / curvature if curvature < 0 else shift
        if abs(step) > 0.5 or curvature >= 0:
            step = shift
        at += step * h
        if abs(step) < 1e-11:
            break
    return at
