"""The ratio of a single variant: its effect on the outcome over its effect on the exposure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from consilience.causal.mr.estimators.estimator import Estimates, Estimator

if TYPE_CHECKING:
    from consilience.causal.mr.estimators.estimator import Instruments


def estimate(instruments: Instruments, *, bootstraps: int, seed: int) -> Estimates:
    """The strongest instrument's ratio; the error of the exposure effect is neglected."""
    b_exp = instruments.b_exp[:, 0]
    return Estimates.of(instruments.b_out[:, 0] / b_exp, instruments.se_out[:, 0] / b_exp)


ESTIMATOR = Estimator(
    key="wald_ratio",
    title="Wald ratio of the strongest variant",
    reference="Burgess, Small, Thompson 2017",
    doi="10.1177/0962280215597579",
    assumes="one valid, strong instrument",
    limits="uses one variant alone, so it can neither average nor see pleiotropy; the choice of the "
    "strongest makes its exposure effect a little too large (winner's curse) and the ratio too small",
    min_variants=1,
    uses_ld=False,
    estimate=estimate,
)
