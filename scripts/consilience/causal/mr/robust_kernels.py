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
    left, right = _sides(x, w, h)
    points, density, size = _starts(x, w, h, left, right)
    first = int(density[:size].argmax())
    best: float = _climbed(x, w, h, points[first], np.inf)
    height = _density(x, w, h, best)
    low, high = min(points[first], best), max(points[first], best)
    for k in range(size):
        if density[k] < NEAR * height or low <= points[k] <= high:  # too low, or on the slope just climbed
            continue
        top = _climbed(x, w, h, points[k], best)
        if top == best:
            continue
        there = _density(x, w, h, top)
        if there > height * (1 + 1e-12):
            best, height = top, there
            low, high = min(points[k], best), max(points[k], best)
    return best


@compiled
def _sides(x: Floats, w: Floats, h: float) -> tuple[Floats, Floats]:
    """What values up to each one add to the density there, and what those from each one on do (n,)."""
    n = len(x)
    left, right = w.copy(), w.copy()
    for i in range(n):
        for j in range(i + 1, n):
            z = (x[j] - x[i]) / h
            if z >= FAR:
                break
            kernel = np.exp(-0.5 * z * z)
            left[j] += w[i] * kernel
            right[i] += w[j] * kernel
    return left, right


@compiled
def _starts(x: Floats, w: Floats, h: float, left: Floats, right: Floats) -> tuple[Floats, Floats, int]:
    """Points from which to climb, their densities, and how many of both are filled.

    Between two neighbouring values the density is at most what is left of the one adds there and what is
    right of the other adds there: where that is below the highest value's density there is no highest mode.
    """
    n = len(x)
    at_values = left + right - w
    enough = at_values.max()
    points, density, size = np.empty(3 * n), np.empty(3 * n), 0
    for i in range(n):
        points[size], density[size] = x[i], at_values[i]
        size += 1
        gap = x[i + 1] - x[i] if i + 1 < n else 0.0
        if gap <= h or left[i] + right[i + 1] < enough:
            continue
        for step in range(1 if gap <= 2 * h else 2):
            at = x[i] + gap / 2 if gap <= 2 * h else (x[i] + h if step == 0 else x[i + 1] - h)
            points[size], density[size] = at, _density(x, w, h, at)
            size += 1
    return points, density, size


@compiled
def _density(x: Floats, w: Floats, h: float, at: float) -> float:
    total = 0.0
    for i in range(len(x)):
        z = (x[i] - at) / h
        if -FAR < z < FAR:
            total += w[i] * np.exp(-0.5 * z * z)
    return total


@compiled
def _climbed(x: Floats, w: Floats, h: float, start: float, known: float) -> float:
    """The top that Newton's steps (mean shifts where the density is not concave) reach from `start`.

    That is `known`, exactly, where a step ends next to it.
    """
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
        if abs(at - known) < 1e-3 * h:
            return known
        if abs(step) < 1e-11:
            break
    return at
