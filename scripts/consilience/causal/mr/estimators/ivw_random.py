"""Inverse-variance weighted mean whose error grows with the variants' disagreement."""

from __future__ import annotations

from typing import TYPE_CHECKING

from consilience.causal.mr.estimators.estimator import Estimates, Estimator
from consilience.causal.mr.regression import fit

if TYPE_CHECKING:
    from consilience.causal.mr.estimators.estimator import Instruments


def estimate(instruments: Instruments, *, bootstraps: int, seed: int) -> Estimates:
    """Multiplicative random effects: the residual error counts where it is above 1."""
    line = fit(instruments, intercept=False, ld=False)
    return Estimates.of(line.effect, line.fixed_se * line.scale, q=line.q, q_df=line.q_df)


ESTIMATOR = Estimator(
    key="ivw_random",
    title="Inverse-variance weighted, multiplicative random effects",
    reference="Bowden, Del Greco, Minelli, Davey Smith, Sheehan, Thompson 2017",
    doi="10.1002/sim.7221",
    assumes="independent variants whose direct effects on the outcome average to nothing",
    limits="normal p-values as in TwoSampleMR: with few variants that disagree they are too small "
    "(ivw_ld_random has the t distribution)",
    min_variants=2,
    uses_ld=False,
    estimate=estimate,
)
