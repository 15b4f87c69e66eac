"""The temperature at which synthetic samples match patients left out, with its uncertainty.

Least is Σ over figures of √(1 + (log ratio / s)²) − 1, s² = tolerance² + the figure's variance: square near a
match, linear far from it. The tolerances are what is asked of good samples: spread and diversity within 5 %,
the slope of the sds within 10 %, correlations as strong as 0.63 of the real ones (a concordance of 0.9). So a
figure that no temperature can match (a shrunken correlation stays too weak however far the samples are
spread) does not drag along those that can be matched, and an uncertain one says little.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from consilience.augment.temperature_match import FIGURES, log_ratios

if TYPE_CHECKING:
    import numpy.typing as npt

TOLERANCES = np.array([0.1, 0.05, 0.05, 0.46])
"""Of the log ratio of each of FIGURES."""
FLAT = 0.02
"""A temperature that changes no figure by 2 % over the whole grid has no effect."""
N_BETWEEN = 601


@dataclass(frozen=True)
class Adaptive:
    """The temperature that fits a cohort.

    `temperature`: to be used, 1 where 1 is inside the interval. `estimate` with its 95 % interval `low` to
    `high` (delete-a-fold jackknife by donor, on log T, cut to the grid). `effect`: whether T changes
    anything. `edge`: "low" or "high" where the best is at an end of the grid and more would be wanted.
    `temperatures` (t,); `ratios` (t,) of each of FIGURES to what real patients reach (1: a match);
    `wanted`: where each alone would be matched (NaN: nowhere on the grid, or not measurable). `mismatch_one`,
    `mismatch_estimate`: root mean square log ratio, weighted as in the choice, at T = 1 and at the estimate,
    each fold judged by an estimate from the others. `why`: in words.
    """

    temperature: float
    estimate: float
    low: float
    high: float
    one_inside: bool
    effect: bool
    edge: str
    temperatures: tuple[float, ...]
    ratios: Mapping[str, tuple[float, ...]]
    wanted: Mapping[str, float]
    mismatch_one: float
    mismatch_estimate: float
    n_folds: int
    why: str


def choose(parts: npt.NDArray[np.float64], *, temperatures: Sequence[float]) -> Adaptive:
    """The choice from numerators and denominators `parts` (1 + folds, folds, t, 2, 4).

    First axis: of all patients, then without those of each fold. `temperatures` (t,) ascending.
    """
    from scipy.stats import t as student

    n = parts.shape[1]
    scale = np.log(np.asarray(temperatures, dtype=np.float64))
    between = np.linspace(scale[0], scale[-1], N_BETWEEN)
    pooled, *others = (log_ratios(one) for one in parts)
    without = np.stack(others)
    variance = (n - 1) / n * ((without - without.mean(axis=0)) ** 2).sum(axis=0).mean(axis=0)
    used = np.isfinite(pooled).all(axis=0) & np.isfinite(variance)
    ratios = {name: tuple(np.exp(pooled[:, place]).tolist()) for place, name in enumerate(FIGURES)}
    if not used.any():
        return unchosen(tuple(temperatures), "None of the figures can be had from so few patients: T = 1.")
    if np.ptp(pooled[:, used], axis=0).max() < FLAT:
        blank = unchosen(tuple(temperatures), "Temperature changes nothing here, so any would do: T = 1.")
        return replace(blank, ratios=ratios, n_folds=n)
    weights = np.where(used, 1 / (TOLERANCES**2 + np.nan_to_num(variance)), 0.0)
    best = _best(pooled, weights, scale, between)
    left_out = np.array([_best(one, weights, scale, between) for one in without])
    error = float(np.sqrt((n - 1) / n * ((left_out - left_out.mean()) ** 2).sum()))
    reach = float(student.ppf(0.975, n - 1)) * error
    low, high = max(best - reach, scale[0]), min(best + reach, scale[-1])
    inside = bool(low <= 0.0 <= high)
    edge = "low" if best <= between[0] else "high" if best >= between[-1] else ""
    alone = [log_ratios(one[None]) for one in parts[0]]
    mismatch_one = _mismatch(alone, np.zeros(n), weights, scale)
    mismatch = _mismatch(alone, left_out, weights, scale)
    estimate, interval = float(np.exp(best)), (float(np.exp(low)), float(np.exp(high)))
    return Adaptive(
        temperature=1.0 if inside else estimate, estimate=estimate, low=interval[0], high=interval[1],
        one_inside=inside, effect=True, edge=edge, temperatures=tuple(temperatures), ratios=ratios,
        wanted={name: _crossing(pooled[:, place], scale) for place, name in enumerate(FIGURES)},
        mismatch_one=mismatch_one, mismatch_estimate=mismatch, n_folds=n,
        why=_words(estimate, interval, inside, edge),
    )  # fmt: skip


def _best(
    logs: npt.NDArray[np.float64],
    weights: npt.NDArray[np.float64],
    scale: npt.NDArray[np.float64],
    between: npt.NDArray[np.float64],
) -> float:
    """Where the loss of `logs` (t, 4), with `weights` 1/s², is least, on the scale of log T."""
    from scipy.interpolate import PchipInterpolator

    total = np.zeros(len(between))
    for place in np.flatnonzero(weights):
        # smooth and without overshoot: with straight lines the best would stick at their corners
        square = PchipInterpolator(scale, logs[:, place])(between) ** 2
        total += np.sqrt(1 + weights[place] * square) - 1
    return float(between[total.argmin()])


def _mismatch(
    alone: list[npt.NDArray[np.float64]],
    at: npt.NDArray[np.float64],
    weights: npt.NDArray[np.float64],
    scale: npt.NDArray[np.float64],
) -> float:
    """Root of the weighted mean of squared log ratios of single folds, each at its own log T `at`."""
    found = [
        (weights[place], float(np.interp(log, scale, logs[:, place])) ** 2)
        for logs, log in zip(alone, at, strict=True)
        for place in np.flatnonzero(weights)
        if np.isfinite(logs[:, place]).all()
    ]
    total = sum(weight for weight, _ in found)
    return float(np.sqrt(sum(weight * square for weight, square in found) / total)) if total else float("nan")


def _crossing(logs: npt.NDArray[np.float64], scale: npt.NDArray[np.float64]) -> float:
    """Lowest temperature at which `logs` (t,) pass 0; NaN where they do not."""
    turns = np.flatnonzero(logs[:-1] * logs[1:] <= 0)
    if not turns.size or np.ptp(logs) < FLAT:
        return float("nan")
    first = int(turns[0])
    step = logs[first + 1] - logs[first]
    share = -logs[first] / step if step else 0.0
    return float(np.exp(scale[first] + share * (scale[first + 1] - scale[first])))


def _words(estimate: float, interval: tuple[float, float], inside: bool, edge: str) -> str:
    text = f"Samples match patients left out best at T = {estimate:.2f} ({interval[0]:.2f}–{interval[1]:.2f})"
    text += "; 1 is inside, so T = 1 is kept." if inside else "; 1 is outside, so this T is used."
    if edge:
        text += f" The best is at the {edge} end of the grid: temperature alone cannot make them match."
    return text


def unchosen(grid: tuple[float, ...], why: str) -> Adaptive:
    """T = 1, all open, for this reason."""
    nan = float("nan")
    nothing = {name: (nan,) * len(grid) for name in FIGURES}
    return Adaptive(
        1.0, 1.0, grid[0], grid[-1], True, False, "", grid, nothing, dict.fromkeys(FIGURES, nan),
        nan, nan, 0, why,
    )  # fmt: skip
