"""What remains of the markers when half of the donors are compared with the other half, again and again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from consilience.rnagan.markers.agreement import strongest

if TYPE_CHECKING:
    import numpy.typing as npt


@dataclass(frozen=True)
class Stability:
    """How much of the markers remains.

    `sign` (F,) share of resamples with the whole cohort's sign, `frequency` (F,) of being among the top,
    `index` Nogueira's stability of the top list (1 always the same, 0 as by chance; NaN when undefined).
    """

    sign: npt.NDArray[np.float64]
    frequency: npt.NDArray[np.float64]
    index: float


def stability(resampled: npt.NDArray[np.float64], effect: npt.NDArray[np.float64], *, top: int) -> Stability:
    """Compare effects of resamples (M, F) with those of the whole cohort (F,)."""
    if not len(resampled):
        nothing = np.full(effect.size, np.nan)
        return Stability(nothing, nothing, float("nan"))
    sign = ((np.sign(resampled) == np.sign(effect)) & (effect != 0)).mean(axis=0)
    chosen = np.zeros(resampled.shape, dtype=bool)
    for row, one in enumerate(resampled):
        chosen[row, strongest(one, top)] = True
    return Stability(sign, chosen.mean(axis=0), nogueira(chosen))


def nogueira(chosen: npt.NDArray[np.bool_]) -> float:
    """Stability of selections (M, F), corrected for chance (Nogueira et al. 2018, JMLR 18:174).

    With lists of one length it is the mean of Kuncheva's index over all pairs.
    """
    m, n = chosen.shape
    if m < 2 or not n:
        return float("nan")
    share = chosen.mean(axis=0)
    size = chosen.sum() / m
    chance = size / n * (1 - size / n)
    if chance == 0:
        return float("nan")
    return float(1 - (m / (m - 1) * share * (1 - share)).mean() / chance)


def kuncheva(first: npt.NDArray[np.bool_], second: npt.NDArray[np.bool_]) -> float:
    """Overlap of two lists of one length, corrected for chance (Kuncheva 2007)."""
    k, n = int(first.sum()), first.size
    common = int((first & second).sum())
    return (common * n - k * k) / (k * (n - k)) if 0 < k < n else float("nan")
