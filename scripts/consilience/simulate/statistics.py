"""The statistics by which what was found is compared with what was planted; plain and honest about chance."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Auroc:
    """Area under the ROC curve and its standard error (Hanley and McNeil, 1982)."""

    value: float
    error: float

    def beats_chance(self) -> bool:
        """True when the lower end of the 95 % interval is above one half."""
        return bool(np.isfinite(self.value)) and self.value - 1.96 * self.error > 0.5

    def is_chance(self) -> bool:
        """True when the 99 % interval holds one half."""
        return bool(np.isfinite(self.value)) and abs(self.value - 0.5) < 2.58 * self.error


@dataclass(frozen=True, slots=True)
class Welch:
    """Difference of means, t and two-sided p (genes,); NaN where a gene does not vary."""

    difference: Floats
    t: Floats
    p: Floats


def auroc(*, score: Floats, positive: Flags) -> Auroc:
    """Chance that a positive entry scores higher than a negative one; ties count half, NaN are out."""
    from scipy.stats import rankdata

    known = np.isfinite(score)
    score, positive = score[known], positive[known]
    n_positive, n_negative = int(positive.sum()), int((~positive).sum())
    if not n_positive or not n_negative:
        return Auroc(float("nan"), float("nan"))
    ranks = rankdata(score)
    area = (ranks[positive].sum() - n_positive * (n_positive + 1) / 2) / (n_positive * n_negative)
    q1, q2 = area / (2 - area), 2 * area**2 / (1 + area)
    spread = area * (1 - area) + (n_positive - 1) * (q1 - area**2) + (n_negative - 1) * (q2 - area**2)
    floor = 1.0 / (n_positive * n_negative)  # an area of exactly 1 has no error by the formula
    return Auroc(float(area), float(np.sqrt(max(spread / (n_positive * n_negative), floor / 12))))


def welch(*, case: Floats, control: Floats) -> Welch:
    """Welch's t-test of each column of `case` (n1, genes) against `control` (n2, genes)."""
    from scipy.stats import t as student

    n1, n2 = len(case), len(control)
    if min(n1, n2) < 2:
        nothing = np.full(case.shape[1], np.nan)
        return Welch(case.mean(axis=0) - control.mean(axis=0) if min(n1, n2) else nothing, nothing, nothing)
    difference = case.mean(axis=0) - control.mean(axis=0)
    v1, v2 = case.var(axis=0, ddof=1) / n1, control.var(axis=0, ddof=1) / n2
    total = v1 + v2
    with np.errstate(invalid="ignore", divide="ignore"):
        t = np.where(total > 0, difference / np.sqrt(total), np.nan)
        freedom = total**2 / (v1**2 / (n1 - 1) + v2**2 / (n2 - 1))
    p = np.full(t.size, np.nan)
    known = np.isfinite(t)
    p[known] = 2 * student.sf(np.abs(t[known]), freedom[known])
    return Welch(difference, t, p)


def n_discoveries(p: Floats, *, level: float) -> int:
    """How many hypotheses Benjamini and Hochberg (1995) reject at this false discovery rate; NaN are out."""
    ordered = np.sort(p[np.isfinite(p)])
    below = np.flatnonzero(ordered <= level * np.arange(1, ordered.size + 1) / max(ordered.size, 1))
    return int(below[-1]) + 1 if below.size else 0


def rank_sum_z(*, score: Floats, sets: list[npt.NDArray[np.intp]]) -> Floats:
    """Normal score of each set's rank sum against all other genes; NaN scores rank lowest."""
    from scipy.stats import rankdata

    ranks = rankdata(np.nan_to_num(score, nan=-np.inf))
    n = score.size
    sizes = np.array([rows.size for rows in sets], dtype=np.float64)
    sums = np.array([ranks[rows].sum() for rows in sets])
    spread = np.sqrt(np.maximum(sizes * (n - sizes) * (n + 1) / 12, 1e-12))
    return np.asarray((sums - sizes * (n + 1) / 2) / spread)


def sign_p(*, n_right: int, n: int) -> float:
    """One-sided binomial p-value of `n_right` right signs among `n` where a coin would do."""
    from scipy.stats import binom

    return float(binom.sf(n_right - 1, n, 0.5)) if n else 1.0
