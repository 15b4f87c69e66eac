"""Statistics of few donors as normal scores: a t of 5 with 4 degrees of freedom is no z of 5."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

FARTHEST = 37.0
"""A normal score beyond which p is no double any more."""


def normal_scores(statistic: Floats, df: Floats) -> Floats:
    """Normal scores with the sign and the two-sided p of t (any shape); without df: taken as z.

    Through logarithms, so that a p below the smallest double still has its score.
    """
    from scipy import stats

    statistic, df = np.broadcast_arrays(np.asarray(statistic, dtype=np.float64), df)
    exact = ~(np.isfinite(df) & (df > 0))
    found: Floats = np.array(statistic)
    rows = ~exact & np.isfinite(statistic)
    tail = stats.t.logsf(np.abs(statistic[rows]), df[rows])
    found[rows] = np.sign(statistic[rows]) * _upper_normal(tail)
    found[np.isfinite(found)] = np.clip(found[np.isfinite(found)], -FARTHEST, FARTHEST)
    return found


def statistics_of(score: Floats, df: Floats) -> Floats:
    """The t statistics behind normal scores: `normal_scores` turned round."""
    from scipy import stats

    known = np.isfinite(df) & (df > 0) & np.isfinite(score)
    found: Floats = np.array(score)
    tail = stats.norm.sf(np.abs(score[known]))
    found[known] = np.sign(score[known]) * stats.t.isf(tail, df[known])
    return found


def scores_of_p(p: Floats, sign: Floats) -> Floats:
    """Normal scores with this sign and two-sided p, for tables without degrees of freedom."""
    with np.errstate(divide="ignore"):
        size = _upper_normal(np.log(np.asarray(p, dtype=np.float64)) - np.log(2.0))
    found: Floats = np.sign(sign) * np.minimum(size, FARTHEST)
    return found


def _upper_normal(log_tail: Floats) -> Floats:
    """The normal score whose upper tail has this log probability (at most log 1/2)."""
    from scipy import special

    found: Floats = -special.ndtri_exp(np.minimum(log_tail, np.log(0.5)))
    return np.maximum(found, 0.0)
