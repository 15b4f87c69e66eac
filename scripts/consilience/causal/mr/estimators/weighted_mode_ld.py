"""The value around which the weight of the ratios is densest; its error knows of correlated variants."""

from __future__ import annotations

from typing import TYPE_CHECKING

from consilience.causal.mr.estimators.estimator import Estimator
from consilience.causal.mr.robust import modes

if TYPE_CHECKING:
    from consilience.causal.mr.estimators.estimator import Estimates, Instruments


def estimate(instruments: Instruments, *, bootstraps: int, seed: int) -> Estimates:
    """Mode of the smoothed ratios, with the error of a parametric bootstrap."""
    return modes(instruments, weighted=True, ld=True, bootstraps=bootstraps, seed=seed)


ESTIMATOR = Estimator(
    key="weighted_mode_ld",
    title="Weighted mode with LD",
    reference="Hartwig, Davey Smith, Bowden 2017",
    doi="10.1093/ije/dyx102",
    assumes="of all groups of variants with one ratio, the valid one has most weight; they may be correlated",
    limits="as weighted_mode; correlation changes its error, not the weights",
    min_variants=3,
    uses_ld=True,
    estimate=estimate,
)
