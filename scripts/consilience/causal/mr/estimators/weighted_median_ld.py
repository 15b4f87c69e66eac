"""The weighted median of the ratios; its error knows that the variants are correlated."""

from __future__ import annotations

from typing import TYPE_CHECKING

from consilience.causal.mr.estimators.estimator import Estimator
from consilience.causal.mr.robust import medians

if TYPE_CHECKING:
    from consilience.causal.mr.estimators.estimator import Estimates, Instruments


def estimate(instruments: Instruments, *, bootstraps: int, seed: int) -> Estimates:
    """Median of the ratios, with the error of a parametric bootstrap."""
    return medians(instruments, weighted=True, ld=True, bootstraps=bootstraps, seed=seed)


ESTIMATOR = Estimator(
    key="weighted_median_ld",
    title="Weighted median with LD",
    reference="Bowden, Davey Smith, Haycock, Burgess 2016",
    doi="10.1002/gepi.21965",
    assumes="valid variants hold more than half of the weight; they may be correlated",
    limits="correlation changes its error, not the weights: less efficient than regression with LD",
    min_variants=3,
    uses_ld=True,
    estimate=estimate,
)
