"""The value around which the weight of the ratios is densest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from consilience.causal.mr.estimators.estimator import Estimator
from consilience.causal.mr.robust import modes

if TYPE_CHECKING:
    from consilience.causal.mr.estimators.estimator import Estimates, Instruments


def estimate(instruments: Instruments, *, bootstraps: int, seed: int) -> Estimates:
    """Mode of the smoothed ratios, with the error of a parametric bootstrap."""
    return modes(instruments, weighted=True, ld=False, bootstraps=bootstraps, seed=seed)


ESTIMATOR = Estimator(
    key="weighted_mode",
    title="Weighted mode",
    reference="Hartwig, Davey Smith, Bowden 2017",
    doi="10.1093/ije/dyx102",
    assumes="of all groups of variants with one ratio, the valid one has most weight; variants independent",
    limits="depends on the bandwidth (Silverman's, as published); interval long, little power with few "
    "variants",
    min_variants=3,
    uses_ld=False,
    estimate=estimate,
)
