"""Whether probabilities can be taken at their word, and how to mend them on held-out samples.

Pure functions. `probabilities` (n,) of the positive kind, `positive` (n,) bool, `logits` (n,) real.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from consilience.foundation.errors import DataError

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Flags = npt.NDArray[np.bool_]

BINS = 10
LARGEST_SLOPE = 100.0
"""Of temperature scaling: where held-out samples are parted without error its best slope has no bound."""


@dataclass(frozen=True)
class Reliability:
    """Bins of about equally many samples, by rising probability; all (bins,).

    `predicted` mean probability, `observed` share of positives with Wilson's interval `low`, `high`, `count`
    samples, `variance` of `observed` if the probabilities are right.
    """

    predicted: Floats
    observed: Floats
    low: Floats
    high: Floats
    count: npt.NDArray[np.int64]
    variance: Floats


@dataclass(frozen=True)
class CalibrationError:
    """Expected calibration error, 0 is best.

    `plain`: mean over samples of |observed − predicted| in their bin; a perfect model has more than 0 of it
    with few samples. `corrected`: less that excess, as estimated bin by bin. `squared_corrected`: the mean
    squared gap without the part that chance makes, unbiased, so it may be below 0. `expected_by_chance`: what
    `plain` would be for right probabilities (normal approximation).
    """

    plain: float
    corrected: float
    squared_corrected: float
    expected_by_chance: float
    n_bins: int


@dataclass(frozen=True)
class LogitScaling:
    """probability = 1 / (1 + exp(−(slope · logit + intercept))); `slope` ≥ 0, so ranks stay."""

    method: Literal["none", "temperature", "platt"]
    slope: float
    intercept: float

    def probabilities(self, logits: npt.NDArray[np.floating]) -> Floats:
        """Probabilities (n,) of raw logits (n,)."""
        return expit(self.slope * np.asarray(logits, dtype=np.float64) + self.intercept)


AS_IT_IS = LogitScaling("none", 1.0, 0.0)


def expit(logits: Floats) -> Floats:
    """1 / (1 + exp(−logit)), without overflow."""
    return np.asarray(0.5 * (1.0 + np.tanh(0.5 * logits)))


def log_loss(logits: Floats, positive: Flags) -> float:
    """Mean of log(1 + exp(∓logit)): nats per sample."""
    return float(np.logaddexp(0.0, np.where(positive, -logits, logits)).mean())


def brier(probabilities: Floats, positive: Flags) -> float:
    """Mean squared difference of probability and outcome; 0 is best, ¼ is ½ said of all.

    References
    ----------
    Brier GW. Monthly Weather Review 78:1, 1950.
    """
    _check(probabilities, positive)
    return float(np.mean((probabilities - positive) ** 2))


def reliability(probabilities: Floats, positive: Flags, *, n_bins: int = BINS) -> Reliability:
    """Observed against predicted in at most `n_bins` of equal mass; equal probabilities never part."""
    _check(probabilities, positive)
    if n_bins < 1:
        raise DataError("at least one bin is needed", value=n_bins)
    inner = np.quantile(probabilities, np.arange(1, n_bins) / n_bins, method="inverted_cdf")
    # a quantile is a value that occurs: it closes its bin, and so does nothing twice or at the very end
    edges = np.unique(inner[inner < probabilities.max()])
    place = np.searchsorted(edges, probabilities, side="left")
    count = np.bincount(place, minlength=len(edges) + 1)
    predicted = np.bincount(place, weights=probabilities) / count
    observed = np.bincount(place, weights=positive.astype(np.float64)) / count
    spread = np.bincount(place, weights=probabilities * (1 - probabilities)) / count
    low, high = _wilson(observed, count)
    return Reliability(predicted, observed, low, high, count, spread / count)


def calibration_error(probabilities: Floats, positive: Flags, *, n_bins: int = BINS) -> CalibrationError:
    """Expected calibration error over bins of equal mass, plain and corrected for small samples.

    In a bin the gap is the true one plus noise of known variance v = mean p(1 − p) / n. Its square exceeds
    the true one's by v; its absolute value exceeds |μ| by as much as a normal's of mean μ and variance v
    does, and μ² is put at gap² − v, at least 0.

    References
    ----------
    Naeini MP, et al. AAAI 2015:2901. Bröcker J. Clim Dyn 39:655, 2012. Kumar A, Liang P, Ma T. NeurIPS 2019
    (the unbiased square; equal mass).
    """
    curve = reliability(probabilities, positive, n_bins=n_bins)
    weight = curve.count / curve.count.sum()
    gap = np.abs(curve.observed - curve.predicted)
    sd = np.sqrt(curve.variance)
    true = np.sqrt(np.maximum(gap**2 - curve.variance, 0.0))
    excess = mean_of_folded_normal(true, sd) - true
    return CalibrationError(
        plain=float(weight @ gap),
        corrected=max(0.0, float(weight @ (gap - excess))),
        squared_corrected=float(weight @ (gap**2 - curve.variance)),
        expected_by_chance=float(weight @ mean_of_folded_normal(np.zeros_like(sd), sd)),
        n_bins=len(gap),
    )


def mean_of_folded_normal(mean: Floats, sd: Floats) -> Floats:
    """E|X| of normal X (any shape)."""
    from scipy.special import ndtr

    z = mean / np.where(sd > 0, sd, 1.0)
    density = np.exp(-0.5 * z**2) * np.sqrt(2 / np.pi)
    return np.asarray(np.where(sd > 0, sd * density + mean * (2 * ndtr(z) - 1), np.abs(mean)))


def fit_scaling(
    logits: npt.NDArray[np.floating],
    positive: Flags,
    *,
    method: Literal["temperature", "platt"],
    balanced: bool = False,
) -> LogitScaling:
    """Slope (and intercept, `platt`) of least log loss on held-out logits.

    `platt` aims at (n₊+1)/(n₊+2) and 1/(n₋+2) in place of 1 and 0, as Platt does, so that it is finite where
    the kinds are parted without error; `temperature` is bounded to 1/100…100. Neither turns the ranking
    round: at worst the slope is 0 (1/100). `balanced` gives both kinds the same weight: probabilities then
    are for a share of one half.

    References
    ----------
    Platt J. Advances in Large Margin Classifiers, 1999. Guo C, et al. ICML 2017:1321.
    """
    x = np.asarray(logits, dtype=np.float64)
    _check_pair(x, positive)
    n_one, n_other = int(positive.sum()), int((~positive).sum())
    if min(n_one, n_other) == 0:
        raise DataError(
            "calibration needs held-out samples of both kinds", value=f"{n_one} positive, {n_other} negative"
        )
    weight = np.where(positive, 0.5 / n_one, 0.5 / n_other) if balanced else np.full(len(x), 1 / len(x))
    if method == "temperature":
        return LogitScaling("temperature", _best_slope(x, positive, weight=weight), 0.0)
    aim = np.where(positive, (n_one + 1) / (n_one + 2), 1 / (n_other + 2))
    slope, intercept = _newton(x, aim, weight=weight)
    if slope < 0:
        share = float(weight @ aim)
        slope, intercept = 0.0, float(np.log(share / (1 - share)))
    return LogitScaling("platt", slope, intercept)


def _best_slope(x: Floats, positive: Flags, *, weight: Floats) -> float:
    """Root of the loss' derivative in the slope, which only rises; by halving on a logarithmic scale."""

    def derivative(slope: float) -> float:
        return float(weight @ ((expit(slope * x) - positive) * x))

    low, high = 1 / LARGEST_SLOPE, LARGEST_SLOPE
    if derivative(low) >= 0:
        return low
    if derivative(high) <= 0:
        return high
    for _ in range(60):
        middle = float(np.sqrt(low * high))
        low, high = (middle, high) if derivative(middle) < 0 else (low, middle)
    return float(np.sqrt(low * high))


def _newton(x: Floats, aim: Floats, *, weight: Floats) -> tuple[float, float]:
    """Slope and intercept of least cross entropy with `aim`; steps are halved until they descend."""
    scale = float(np.abs(x).max())
    if scale == 0 or x.max() == x.min():
        share = float(weight @ aim)
        return 0.0, float(np.log(share / (1 - share)))
    design = np.column_stack([x / scale, np.ones(len(x))])
    w = np.zeros(2)

    def loss(at: Floats) -> float:
        z = design @ at
        return float(weight @ (np.logaddexp(0.0, z) - aim * z))

    for _ in range(100):
        p = expit(design @ w)
        gradient = design.T @ (weight * (p - aim))
        hessian = (design.T * (weight * p * (1 - p))) @ design + 1e-12 * np.eye(2)
        step = np.linalg.solve(hessian, gradient)
        decrease = float(gradient @ step)
        if decrease < 1e-16:
            break
        size = 1.0
        while loss(w - size * step) > loss(w) - 1e-4 * size * decrease and size > 1e-8:
            size *= 0.5
        w = w - size * step
    return float(w[0] / scale), float(w[1])


def _wilson(
    share: Floats, n: npt.NDArray[np.int64], *, z: float = 1.959963984540054
) -> tuple[Floats, Floats]:
    """Wilson's 95 % interval of a share."""
    centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    reach = z / (1 + z**2 / n) * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    return np.maximum(centre - reach, 0.0), np.minimum(centre + reach, 1.0)


def _check(probabilities: Floats, positive: Flags) -> None:
    _check_pair(probabilities, positive)
    if (probabilities < 0).any() or (probabilities > 1).any():
        raise DataError(
            "these are no probabilities",
            value=f"{probabilities.min():g} to {probabilities.max():g}",
            allowed="0 to 1",
        )


def _check_pair(values: Floats, positive: Flags) -> None:
    if values.ndim != 1 or values.shape != positive.shape or not len(values):
        raise DataError("sizes do not agree", value=f"values {values.shape}, labels {positive.shape}")
    if not np.isfinite(values).all():
        raise DataError(
            "values are missing or infinite", value=f"{int((~np.isfinite(values)).sum())} of them"
        )
