"""Whether a gene's instruments can tell it from its neighbours: condition number and conditional F.

Sanderson E, Windmeijer F. Journal of Econometrics 2016;190:212-221, doi:10.1016/j.jeconom.2015.06.004.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from consilience.causal.twmr.moments import Moments

    Floats = npt.NDArray[np.float64]
    Integers = npt.NDArray[np.int64]

COLLINEAR = 30.0
"""Condition number from which genes of a locus count as hardly separable (two genes: r = 0.935)."""
SEPARABLE = 1e10
"""Condition number beyond which there is nothing left to estimate from."""
WEAK = 10.0
"""Conditional F below which instruments are called weak."""


def agreement(of: Moments) -> Floats:
    """Correlations (G, k, k) between the genes' effects, freed of LD."""
    length = np.sqrt(np.maximum(np.einsum("gjj->gj", of.exposures), np.finfo(float).tiny))
    return np.asarray(of.exposures / (length[:, :, None] * length[:, None, :]))


def condition(correlations: Floats) -> Floats:
    """Condition number (G,) of correlations between genes: 1 when they are unrelated, or when k is 1."""
    values = np.linalg.eigvalsh(correlations)
    smallest = np.maximum(values[:, 0], np.finfo(float).tiny)
    return np.asarray(np.where(values[:, 0] > 0, values[:, -1] / smallest, np.inf))


def conditional_f(of: Moments) -> Floats:
    """F (G,) of what is left of the focal gene's effects once its neighbours' are taken out; 1 is noise."""
    k = of.both.shape[1]
    if k == 1:
        return np.asarray(of.exposures[:, 0, 0] / of.n)
    P = np.linalg.inv(of.exposures)
    left = 1.0 / P[:, 0, 0]
    weights = P[:, 0, 1:] * left[:, None]  # effects of neighbours that predict the focal gene's, sign apart
    freedom = np.maximum(of.n - (k - 1), 1.0)
    return np.asarray(left / (freedom * (1.0 + np.sum(weights**2, axis=1))))


def redundant(correlations: Floats, lengths: Floats) -> Integers:
    """The neighbour (G,) that can go where two of them say the same: the weaker one; -1 where none does.

    Taking out one of two neighbours whose effects are nearly proportional leaves nearly the same span, so the
    focal gene's effect keeps its meaning. The focal gene's own twin is never taken out: the effect would then
    be that of either of the two under the focal gene's name.
    """
    G, k = lengths.shape
    if k < 3:
        return np.full(G, -1)
    others = np.abs(correlations[:, 1:, 1:]) * (1.0 - np.eye(k - 1))
    at = others.reshape(G, -1).argmax(axis=1)
    first, second = 1 + at // (k - 1), 1 + at % (k - 1)
    rows = np.arange(G)
    weaker = np.where(lengths[rows, first] < lengths[rows, second], first, second)
    limit = (COLLINEAR - 1.0) / (COLLINEAR + 1.0)
    return np.where(others.reshape(G, -1).max(axis=1) > limit, weaker, -1)
