"""The median of the ratios: right while half of the variants are valid."""

from __future__ import annotations

from typing import TYPE_CHECKING

from consilience.causal.mr.estimators.estimator import Estimator
from consilience.causal.mr.robust import medians

if TYPE_CHECKING:
    from consilience.causal.mr.estimators.estimator import Estimates, Instruments


def estimate(instruments: Instruments, *, bootstraps: int, seed: int) -> Estimates:
    """Median of the ratios, with the error of a parametric bootstrap."""
    return medians(instruments, weighted=False, ld=False, bootstraps=bootstraps, seed=seed)


ESTIMATOR = Estimator(
    key="simple_median",
    title="Simple median",
    reference="Bowden, Davey Smith, Haycock, Burgess 2016",
    doi="10.1002/gepi.21965",
    assumes="more than half of the variants are valid; variants independent",
    limits="spends no weight on precise variants; interval rather long where variants are few or weak",
    min_variants=3,
    uses_ld=False,
    estimate=estimate,
)
