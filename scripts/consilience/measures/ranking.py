"""How well scores rank: area under the ROC curve, average precision, their intervals and differences.

Pure functions. Scores are compared as they are (ties count half for the AUC, and are one threshold for the
average precision); labels are bool, true for the positive kind.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from consilience.foundation.errors import DataError
from consilience.foundation.seeds import stream

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.floating]
    Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Interval:
    """An estimate with the ends of its interval at `level`; `method` in words."""

    value: float
    low: float
    high: float
    level: float
    method: str


@dataclass(frozen=True)
class PairedDifference:
    """Mean of first − second over draws, its interval, and a two-sided p-value (1 where all are equal).

    `better` is the share of draws in which the first is ahead, draws that tie counting half.
    """

    mean: float
    low: float
    high: float
    p: float
    better: float
    n_draws: int


def auc(scores: Floats, positive: Flags) -> float:
    """Chance that a positive scores above a negative, ties counting half; exact.

    References
    ----------
    Hanley JA, McNeil BJ. Radiology 143:29, 1982.
    """
    _check(scores, positive)
    n_one = int(positive.sum())
    n_other = len(positive) - n_one
    ranks = midranks(scores)
    return float((ranks[positive].sum() - n_one * (n_one + 1) / 2) / (n_one * n_other))


def midranks(scores: Floats) -> npt.NDArray[np.float64]:
    """Ranks from 1, equal scores sharing their mean rank; (..., n) along the last axis of one row."""
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return np.asarray((last - 0.5 * (counts - 1))[inverse], dtype=np.float64)


def average_precision(scores: Floats, positive: Flags) -> float:
    """Area under precision over recall in steps: Σ (recall gained at a threshold) · (precision there).

    No interpolation, which would be too hopeful (Davis and Goadrich). Equal scores are one threshold. Chance
    gives the share of positives.

    References
    ----------
    Davis J, Goadrich M. ICML 2006:233. Boyd K, Eng KH, Page CD. ECML PKDD 2013:451.
    """
    _check(scores, positive)
    order = np.argsort(-scores, kind="stable")
    ordered = scores[order]
    ends = np.append(np.flatnonzero(ordered[1:] != ordered[:-1]), len(ordered) - 1)
    hits = np.cumsum(positive[order])[ends]
    gained = np.diff(hits, prepend=0) / hits[-1]
    return float((gained * hits / (ends + 1)).sum())


def placements(scores: Floats, positive: Flags) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """For each positive the share of negatives below it, for each negative the share of positives above it.

    Ties count half. The mean of either is the AUC.
    """
    ranks = midranks(scores)
    one, other = midranks(scores[positive]), midranks(scores[~positive])
    n_one, n_other = len(one), len(other)
    return (ranks[positive] - one) / n_other, 1.0 - (ranks[~positive] - other) / n_one


def delong_interval(scores: Floats, positive: Flags, *, level: float = 0.95) -> Interval:
    """DeLong's interval of the AUC, made on the logit scale so that it stays within 0..1.

    Where the AUC is 0 or 1 its variance is estimated as zero, which would be an interval without width; there
    the ends are those of no misranked pair in min(n positive, n negative) independent ones (rule of three's
    exact form).

    References
    ----------
    DeLong ER, DeLong DM, Clarke-Pearson DL. Biometrics 44:837, 1988. Sun X, Xu W. IEEE Signal Process Lett
    21:1389, 2014 (the fast form). Pepe MS. The Statistical Evaluation of Medical Tests, 2003 (logit scale).
    """
    _check(scores, positive)
    _check_level(level)
    value = auc(scores, positive)
    n_least = min(int(positive.sum()), int((~positive).sum()))
    if n_least < 2:
        raise DataError("an interval needs two samples of each kind", value=f"{n_least} of one")
    method = "DeLong, logit scale"
    if value in (0.0, 1.0):
        width = 1.0 - ((1.0 - level) / 2) ** (1.0 / n_least)
        low, high = (1.0 - width, 1.0) if value == 1.0 else (0.0, width)
        return Interval(value, low, high, level, "no misranked pair: exact binomial bound")
    sd = float(np.sqrt(delong_covariance(scores[None], positive)[0, 0]))
    if sd == 0.0:
        return Interval(value, value, value, level, method)
    logit = np.log(value / (1 - value))
    reach = _normal_quantile(level) * sd / (value * (1 - value))
    low, high = (float(1 / (1 + np.exp(-(logit + sign * reach)))) for sign in (-1, 1))
    return Interval(value, low, high, level, method)


def delong_covariance(scores: Floats, positive: Flags) -> npt.NDArray[np.float64]:
    """Covariance (methods, methods) of AUCs of several methods' `scores` (methods, n) on one sample."""
    both = [placements(row, positive) for row in scores]
    result = np.zeros((len(scores), len(scores)))
    for side in (0, 1):
        values = np.array([pair[side] for pair in both])
        result += np.atleast_2d(np.cov(values)) / values.shape[1]
    return result


def delong_difference(
    first: Floats, second: Floats, positive: Flags, *, level: float = 0.95
) -> PairedDifference:
    """AUC of `first` − AUC of `second` on the same samples (n,), with DeLong's interval and p-value."""
    from scipy.stats import norm

    _check(first, positive)
    _check(second, positive)
    _check_level(level)
    gap = auc(first, positive) - auc(second, positive)
    covariance = delong_covariance(np.stack([first, second]), positive)
    variance = float(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])
    sd = float(np.sqrt(max(variance, 0.0)))
    reach = _normal_quantile(level) * sd
    # equal rankings leave a rounding error of a variance: no difference then, and no evidence of one
    p = float(2 * norm.sf(abs(gap) / sd)) if sd > 1e-12 else float(gap == 0.0)
    return PairedDifference(gap, gap - reach, gap + reach, p, float(np.sign(gap) * 0.5 + 0.5), 1)


def bootstrap_interval(
    scores: Floats,
    positive: Flags,
    *,
    seed: int,
    measure: Callable[[Floats, Flags], float] = auc,
    donors: npt.NDArray[np.str_] | None = None,
    n_boot: int = 1000,
    level: float = 0.95,
) -> Interval:
    """Percentile interval of `measure` from resampled samples, or donors with all their samples.

    Each kind (or donors by which kinds they have) is resampled apart, so both are always there.

    References
    ----------
    Efron B, Tibshirani RJ. An Introduction to the Bootstrap, 1993.
    """
    _check(scores, positive)
    _check_level(level)
    strata = _strata(positive, donors)
    values = np.empty(n_boot)
    for number in range(n_boot):
        rng = stream(seed, "bootstrap", number)
        rows = np.concatenate(
            [
                np.concatenate([units[place] for place in rng.integers(len(units), size=len(units))])
                for units in strata
            ]
        )
        values[number] = measure(scores[rows], positive[rows])
    low, high = np.quantile(values, [(1 - level) / 2, (1 + level) / 2])
    unit = "samples" if donors is None else "donors"
    return Interval(measure(scores, positive), float(low), float(high), level, f"bootstrap of {unit}")


def mean_interval(values: Floats, *, level: float = 0.95) -> tuple[float, float, float]:
    """Mean over draws, with the ends of Student's interval of that mean (equal to it for one draw)."""
    from scipy.stats import t

    if len(values) == 0:
        raise DataError("no draws, no mean")
    mean = float(np.mean(values))
    if len(values) == 1:
        return mean, mean, mean
    reach = float(t.ppf(0.5 + level / 2, len(values) - 1) * np.std(values, ddof=1) / np.sqrt(len(values)))
    return mean, mean - reach, mean + reach


def paired_difference(first: Floats, second: Floats, *, level: float = 0.95) -> PairedDifference:
    """First − second over the same draws (draws,): Student's interval, Wilcoxon's signed-rank p-value.

    Draws share test samples: the interval is of other draws from these patients, not of other patients.
    """
    from scipy.stats import wilcoxon

    if first.shape != second.shape or first.ndim != 1:
        raise DataError("both must have the same draws", value=f"{first.shape} and {second.shape}")
    gap = np.asarray(first, dtype=np.float64) - second
    mean, low, high = mean_interval(gap, level=level)
    p = float(wilcoxon(gap, zero_method="zsplit", method="asymptotic").pvalue) if gap.any() else 1.0
    better = float((gap > 0).mean() + 0.5 * (gap == 0).mean())
    return PairedDifference(mean, low, high, p, better, len(gap))


def _strata(positive: Flags, donors: npt.NDArray[np.str_] | None) -> list[list[npt.NDArray[np.intp]]]:
    """Per stratum its units, each the rows it brings; in the order of donors' names or of rows."""
    if donors is None:
        return [[np.array([row]) for row in np.flatnonzero(positive == kind)] for kind in (True, False)]
    groups: dict[tuple[bool, bool], list[npt.NDArray[np.intp]]] = {}
    for donor in np.unique(donors):
        rows = np.flatnonzero(donors == donor)
        kinds = (bool(positive[rows].any()), bool((~positive[rows]).any()))
        groups.setdefault(kinds, []).append(rows)
    return [groups[kinds] for kinds in sorted(groups)]


def _normal_quantile(level: float) -> float:
    from scipy.stats import norm

    return float(norm.ppf(0.5 + level / 2))


def _check(scores: Floats, positive: Flags) -> None:
    if scores.ndim != 1 or scores.shape != positive.shape:
        raise DataError("sizes do not agree", value=f"scores {scores.shape}, labels {positive.shape}")
    if np.isnan(scores).any():
        raise DataError("scores are missing", value=f"{int(np.isnan(scores).sum())} of {len(scores)}")
    if not positive.any() or positive.all():
        raise DataError(
            "a ranking can only be judged on samples of both kinds",
            value=f"{int(positive.sum())} positive, {int((~positive).sum())} negative",
        )


def _check_level(level: float) -> None:
    if not 0.0 < level < 1.0:
        raise DataError("the level of an interval is out of range", value=level, allowed="between 0 and 1")
