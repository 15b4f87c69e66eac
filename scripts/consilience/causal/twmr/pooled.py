"""Errors that allow for heterogeneity as all genes of a study show it, not one gene alone.

A gene's Q says by which factor f the errors of its variants are larger than noise, because some of them act
on the trait in another way: ``Q / f`` is chi-square with n - k degrees of freedom. With one to five of them Q
says little, and with none nothing. So the distribution of f over genes is estimated first (nonparametric
maximum likelihood on a grid from 1 upwards: Kiefer J, Wolfowitz J, Ann Math Stat 27:887, 1956), and each
gene's error is judged by what f may be given its own Q: ``p = sum_j P(f_j | Q) 2 Phi(-|alpha| / (se sqrt
f_j))``. It is to variants what moderated variances are to replicates (Smyth GK, Stat Appl Genet Mol Biol 3:3,
2004), but a few genes with large f do not make all others' intervals wider.
A gene's error so depends on which genes are in the study.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

LEAST_GENES = 100
"""Genes with a Q below which nothing is pooled."""
STEP, LARGEST = 1.25, 3_000.0
ITERATIONS = 300
NORMAL_975 = 1.959963984540054
BISECTIONS = 60


@dataclass(frozen=True)
class Spread:
    """Factors (J,) of the variance, 1 the first, and how frequent they are over genes (J,)."""

    factors: Floats
    weights: Floats


@dataclass(frozen=True)
class Pooled:
    """`se` (G,): 1/1.96 of half the 95 % interval; `p`, `z` (G,); `inflation` (G,): expected factor of the variance."""

    se: Floats
    p: Floats
    z: Floats
    inflation: Floats


def spread_of(q: Floats, df: Floats) -> Spread | None:
    """How heterogeneity is spread over genes; None where too few have a Q with degrees of freedom."""
    some = (df > 0) & np.isfinite(q)
    if some.sum() < LEAST_GENES:
        return None
    factors = STEP ** np.arange(0, int(np.log(LARGEST) / np.log(STEP)) + 1)
    likelihood = _likelihood(q[some], df[some], factors)
    weights = np.full(len(factors), 1.0 / len(factors))
    for _ in range(ITERATIONS):
        share = likelihood * weights
        weights = (share / share.sum(axis=1, keepdims=True)).mean(axis=0)
    return Spread(factors, weights)


def pooled(*, alpha: Floats, se: Floats, q: Floats, df: Floats, spread: Spread) -> Pooled:
    """Judge each effect; `se` is the error without heterogeneity. Without df the spread alone decides."""
    from scipy.special import ndtr, ndtri

    known = (df > 0) & np.isfinite(q)
    likelihood = np.ones((len(alpha), len(spread.factors)))
    likelihood[known] = _likelihood(q[known], df[known], spread.factors)
    weights = likelihood * spread.weights
    weights /= weights.sum(axis=1, keepdims=True)
    root = np.sqrt(spread.factors)

    def tail(statistic: Floats) -> Floats:
        return np.asarray(np.sum(weights * 2.0 * ndtr(-statistic[:, None] / root), axis=1))

    statistic = np.abs(alpha) / se
    p = tail(statistic)
    low, high = np.full(len(alpha), NORMAL_975), np.full(len(alpha), NORMAL_975 * root[-1])
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        above = tail(middle) > 0.05
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    with np.errstate(divide="ignore"):
        z = -ndtri(p / 2.0)
    return Pooled(
        se=se * high / NORMAL_975, p=p, z=np.sign(alpha) * np.where(np.isfinite(z), z, statistic),
        inflation=weights @ spread.factors,
    )  # fmt: skip


def _likelihood(q: Floats, df: Floats, factors: Floats) -> Floats:
    """Likelihood (G, J) of each factor, the largest of a gene 1."""
    log = -0.5 * (df[:, None] * np.log(factors) + q[:, None] / factors)
    return np.asarray(np.exp(log - log.max(axis=1, keepdims=True)))
