"""Inverse-variance weighted mean of variants in LD."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from consilience.causal.mr.estimators.estimator import Estimates, Estimator
from consilience.causal.mr.regression import fit, with_exposure_errors

if TYPE_CHECKING:
    from consilience.causal.mr.estimators.estimator import Instruments


def estimate(instruments: Instruments, *, bootstraps: int, seed: int) -> Estimates:
    """Generalised regression through the origin; error and Q count the errors of the exposure effects.

    Without those it is the fixed-effect estimator of the reference.
    """
    line = fit(instruments, intercept=False, ld=True)
    errors = with_exposure_errors(instruments, line)
    return Estimates.of(line.effect, np.sqrt(errors.variance), q=errors.q, q_df=line.q_df)


ESTIMATOR = Estimator(
    key="ivw_ld",
    title="Inverse-variance weighted with LD",
    reference="Burgess, Dudbridge, Thompson 2016",
    doi="10.1002/sim.6835",
    assumes="all variants valid; the LD is that of the people studied; variants may be correlated",
    limits="interval too short with pleiotropy (then Q is large); wrong LD makes it wrong; attenuated by "
    "weak instruments by a share of about 1 / F (ivw_ld_debiased is not)",
    min_variants=1,
    uses_ld=True,
    estimate=estimate,
)
