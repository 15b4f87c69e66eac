"""Regression with an intercept: the mean direct effect of the variants is estimated too."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from consilience.causal.mr.estimators.estimator import Estimates, Estimator
from consilience.causal.mr.regression import fit

if TYPE_CHECKING:
    from consilience.causal.mr.estimators.estimator import Instruments


def regress(instruments: Instruments, *, ld: bool) -> Estimates:
    """Slope and intercept of alleles that raise the exposure; residual error at least 1, t of n - 2."""
    line = fit(instruments, intercept=True, ld=ld)
    se = np.sqrt(np.diagonal(line.covariance, axis1=1, axis2=2)) * line.scale[:, None]
    intercept = (line.coefficients[:, 0], se[:, 0])
    return Estimates.of(
        line.effect, se[:, 1], df=float(line.q_df), q=line.q, q_df=line.q_df, intercept=intercept
    )


def estimate(instruments: Instruments, *, bootstraps: int, seed: int) -> Estimates:
    """Weighted regression with an intercept."""
    return regress(instruments, ld=False)


ESTIMATOR = Estimator(
    key="egger",
    title="MR-Egger",
    reference="Bowden, Davey Smith, Burgess 2015",
    doi="10.1093/ije/dyv080",
    assumes="independent variants whose direct effects do not depend on their strength (InSIDE)",
    limits="little power; attenuated where the exposure effects hardly differ (flag egger_attenuated); with "
    "fewer than ten variants that agree its p-values are far too cautious",
    min_variants=3,
    uses_ld=False,
    estimate=estimate,
)
