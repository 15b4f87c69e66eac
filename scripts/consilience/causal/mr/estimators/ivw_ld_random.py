"""Inverse-variance weighted mean of variants in LD, whose error grows with their disagreement."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from consilience.causal.mr.estimators.estimator import Estimates, Estimator
from consilience.causal.mr.regression import fit, residual_scale, with_exposure_errors

if TYPE_CHECKING:
    from consilience.causal.mr.estimators.estimator import Instruments


def estimate(instruments: Instruments, *, bootstraps: int, seed: int) -> Estimates:
    """As `ivw_ld`, its error times the residual error where that is above 1, then with t of n - 1."""
    line = fit(instruments, intercept=False, ld=True)
    errors = with_exposure_errors(instruments, line)
    scale = residual_scale(errors.q, line.q_df)
    df = np.where(scale > 1, float(line.q_df), np.inf)
    return Estimates.of(line.effect, np.sqrt(errors.variance) * scale, df=df, q=errors.q, q_df=line.q_df)


ESTIMATOR = Estimator(
    key="ivw_ld_random",
    title="Inverse-variance weighted with LD, multiplicative random effects",
    reference="Burgess, Dudbridge, Thompson 2016",
    doi="10.1002/sim.6835",
    assumes="direct effects on the outcome average to nothing and are correlated as the variants are",
    limits="cautious where variants agree, because the error is never less than that of ivw_ld",
    min_variants=2,
    uses_ld=True,
    estimate=estimate,
)
