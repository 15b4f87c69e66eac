"""Inverse-variance weighted mean of the ratios, all variants estimating one effect."""

from __future__ import annotations

from typing import TYPE_CHECKING

from consilience.causal.mr.estimators.estimator import Estimates, Estimator
from consilience.causal.mr.regression import fit

if TYPE_CHECKING:
    from consilience.causal.mr.estimators.estimator import Instruments


def estimate(instruments: Instruments, *, bootstraps: int, seed: int) -> Estimates:
    """Weighted regression through the origin, residual error 1."""
    line = fit(instruments, intercept=False, ld=False)
    return Estimates.of(line.effect, line.fixed_se, q=line.q, q_df=line.q_df)


ESTIMATOR = Estimator(
    key="ivw_fixed",
    title="Inverse-variance weighted, fixed effects",
    reference="Burgess, Butterworth, Thompson 2013",
    doi="10.1002/gepi.21758",
    assumes="all variants valid, strong and independent",
    limits="interval too short with pleiotropy, and with variants in LD; neglects the errors of the exposure "
    "effects, which matter where the effect is large and the exposure's study small",
    min_variants=2,
    uses_ld=False,
    estimate=estimate,
)
