"""MR-Egger of variants in LD."""

from __future__ import annotations

from typing import TYPE_CHECKING

from consilience.causal.mr.estimators.egger import regress
from consilience.causal.mr.estimators.estimator import Estimates, Estimator

if TYPE_CHECKING:
    from consilience.causal.mr.estimators.estimator import Instruments


def estimate(instruments: Instruments, *, bootstraps: int, seed: int) -> Estimates:
    """Generalised regression with an intercept."""
    return regress(instruments, ld=True)


ESTIMATOR = Estimator(
    key="egger_ld",
    title="MR-Egger with LD",
    reference="Burgess, Thompson 2017",
    doi="10.1007/s10654-017-0255-x",
    assumes="direct effects do not depend on the variants' strength (InSIDE); variants may be correlated",
    limits="as MR-Egger; with strong LD between alleles of opposite effect slope and intercept are hard to "
    "tell apart",
    min_variants=3,
    uses_ld=True,
    estimate=estimate,
)
