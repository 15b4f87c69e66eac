"""The weighted median of the ratios: right while valid variants hold half of the weight."""

from __future__ import annotations

from typing import TYPE_CHECKING

from consilience.causal.mr.estimators.estimator import Estimator
from consilience.causal.mr.robust import medians

if TYPE_CHECKING:
    from consilience.causal.mr.estimators.estimator import Estimates, Instruments


def estimate(instruments: Instruments, *, bootstraps: int, seed: int) -> Estimates:
    """Median of the ratios, with the error of a parametric bootstrap."""
    return medians(instruments, weighted=True, ld=False, bootstraps=bootstraps, seed=seed)


ESTIMATOR = Estimator(
    key="weighted_median",
    title="Weighted median",
    reference="Bowden, Davey Smith, Haycock, Burgess 2016",
    doi="10.1002/gepi.21965",
    assumes="valid variants hold more than half of the weight; variants independent",
    limits="the parametric bootstrap adds noise to noisy ratios, so the interval is rather long where "
    "variants are few or weak",
    min_variants=3,
    uses_ld=False,
    estimate=estimate,
)
