"""Inverse-variance weighted mean without the attenuation by weak instruments."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from consilience.causal.mr.estimators.estimator import Estimates, Estimator

if TYPE_CHECKING:
    from consilience.causal.mr.estimators.estimator import Instruments


def estimate(instruments: Instruments, *, bootstraps: int, seed: int) -> Estimates:
    """b_exp² overstates the squared effect by se_exp² on average; that is taken off.

    With w = b_exp² / se_out² and v = se_exp² / se_out² the variance is
    sum(w + b² v (w + v)) / (sum(w - v))², b the effect.
    """
    weight = 1 / instruments.se_out**2
    w, v = instruments.b_exp**2 * weight, instruments.se_exp**2 * weight
    total = (w - v).sum(axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        effect = (instruments.b_exp * instruments.b_out * weight).sum(axis=1) / total
        variance = np.sum(w + effect[:, None] ** 2 * v * (w + v), axis=1) / total**2
    found = Estimates.of(effect, np.sqrt(variance))
    return found.without(total <= 0)


ESTIMATOR = Estimator(
    key="ivw_debiased",
    title="Debiased inverse-variance weighted",
    reference="Ye, Shao, Kang 2021",
    doi="10.1214/20-AOS2027",
    assumes="all variants valid and independent; they may be weak, but were not chosen for their strength in "
    "the same data",
    limits="interval too short with pleiotropy and LD; unstable where the mean F is near 1",
    min_variants=2,
    uses_ld=False,
    estimate=estimate,
)
