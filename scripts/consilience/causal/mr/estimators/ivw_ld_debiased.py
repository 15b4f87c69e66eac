"""Inverse-variance weighted mean of variants in LD without the attenuation by weak instruments."""

from __future__ import annotations

from typing import TYPE_CHECKING

from consilience.causal.mr.estimators.estimator import Estimates, Estimator
from consilience.causal.mr.estimators.ivw_debiased import debiased

if TYPE_CHECKING:
    from consilience.causal.mr.estimators.estimator import Instruments


def estimate(instruments: Instruments, *, bootstraps: int, seed: int) -> Estimates:
    """As `ivw_debiased` on what is left of every variant without the others."""
    return debiased(instruments, ld=True)


ESTIMATOR = Estimator(
    key="ivw_ld_debiased",
    title="Debiased inverse-variance weighted with LD",
    reference="Ye, Shao, Kang 2021",
    doi="10.1214/20-AOS2027",
    assumes="all variants valid; they may be weak and correlated, but were not chosen for their strength in "
    "the same data; the LD is that of the people studied",
    limits="interval too short with pleiotropy; wrong LD makes it wrong; unstable where the mean F is near 1",
    min_variants=2,
    uses_ld=True,
    estimate=estimate,
)
