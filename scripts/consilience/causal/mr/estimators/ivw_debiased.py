"""Inverse-variance weighted mean without the attenuation by weak instruments."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from consilience.causal.mr.estimators.estimator import Estimates, Estimator
from consilience.causal.mr.regression import whitened

if TYPE_CHECKING:
    from consilience.causal.mr.estimators.estimator import Instruments


def debiased(instruments: Instruments, *, ld: bool) -> Estimates:
    """Squares of noisy exposure effects are too large by their errors' variance, which is taken off.

    In units in which outcome errors are independent and 1: x and y the effects, M the covariance of x's
    errors; effect b = x'y / (x'x - tr M), variance (x'x + b² (x'Mx + tr M²)) / (x'x - tr M)². For independent
    variants that is the estimator of the reference. NaN where x'x is below tr M.
    """
    x = whitened(instruments, instruments.b_exp[:, :, None], ld=ld)[..., 0]
    y = whitened(instruments, instruments.b_out[:, :, None], ld=ld)[..., 0]
    n = x.shape[1]
    correlations = instruments.ld if ld else np.broadcast_to(np.eye(n), (len(x), n, n))
    scaled = instruments.se_exp[:, :, None] * correlations * instruments.se_exp[:, None, :]
    half = whitened(instruments, scaled, ld=ld)
    errors = whitened(instruments, half.transpose(0, 2, 1), ld=ld)
    total = np.sum(x * x, axis=1) - np.trace(errors, axis1=1, axis2=2)
    with np.errstate(invalid="ignore", divide="ignore"):
        effect = np.sum(x * y, axis=1) / total
        spread = np.einsum("gi,gij,gj->g", x, errors, x) + np.sum(errors**2, axis=(1, 2))
        variance = (np.sum(x * x, axis=1) + effect**2 * spread) / total**2
    return Estimates.of(effect, np.sqrt(variance)).without(total <= 0)


def estimate(instruments: Instruments, *, bootstraps: int, seed: int) -> Estimates:
    """For independent variants."""
    return debiased(instruments, ld=False)


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
