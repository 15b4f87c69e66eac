"""Medians and modes of ratios, with errors from a parametric bootstrap.

The draws of an exposure follow from its name, so that they depend neither on other exposures nor on their
order. Median: both effects of every variant are drawn anew (Bowden 2016). Mode: the ratios are, with the
second-order errors of the ratio (Hartwig 2017); the error is the scaled median absolute deviation of the
drawn modes. Weights stay those of the data. With `ld`, draws of correlated variants are correlated.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from consilience.causal.mr.estimators.estimator import Estimates
from consilience.foundation.seeds import stream

if TYPE_CHECKING:
    import numpy.typing as npt

    from consilience.causal.mr.estimators.estimator import Instruments

    Floats = npt.NDArray[np.float64]

MAD_TO_SD = 1.4826


def ratio_errors(instruments: Instruments) -> Floats:
    """Second-order standard errors (g, n) of the ratios b_out / b_exp."""
    first = instruments.se_out / instruments.b_exp
    second = instruments.b_out * instruments.se_exp / instruments.b_exp**2
    return np.sqrt(first**2 + second**2)


def medians(instruments: Instruments, *, weighted: bool, ld: bool, bootstraps: int, seed: int) -> Estimates:
    """Weighted medians of the ratios; standard error: that of `bootstraps` redrawn ones; normal p-values."""
    from consilience.causal.mr.robust_kernels import weighted_medians

    ratios = instruments.b_out / instruments.b_exp
    weights = ratio_errors(instruments) ** -2 if weighted else np.ones_like(ratios)
    value, se = np.empty(len(ratios)), np.empty(len(ratios))
    for row, factor in enumerate(_factors(instruments, ld=ld)):
        noise = _noise(instruments, row, factor, kind="median", shape=(2, bootstraps), seed=seed)
        b_exp = instruments.b_exp[row] + instruments.se_exp[row] * noise[0]
        b_out = instruments.b_out[row] + instruments.se_out[row] * noise[1]
        value[row] = weighted_medians(ratios[row][None], weights[row])[0]
        se[row] = weighted_medians(b_out / b_exp, weights[row]).std(ddof=1)
    return Estimates.of(value, se)


def modes(instruments: Instruments, *, weighted: bool, ld: bool, bootstraps: int, seed: int) -> Estimates:
    """Modes of the smoothed ratios; p-values from t with n - 1 degrees of freedom, as published.

    NaN where more than half of the ratios are equal: there is no bandwidth then.
    """
    from consilience.causal.mr.robust_kernels import smoothed_modes

    ratios, errors = instruments.b_out / instruments.b_exp, ratio_errors(instruments)
    weights = errors**-2 if weighted else np.ones_like(ratios)
    value, se = np.empty(len(ratios)), np.empty(len(ratios))
    for row, factor in enumerate(_factors(instruments, ld=ld)):
        noise = _noise(instruments, row, factor, kind="mode", shape=(bootstraps,), seed=seed)
        value[row] = smoothed_modes(ratios[row][None], weights[row])[0]
        drawn = smoothed_modes(ratios[row] + errors[row] * noise, weights[row])
        se[row] = MAD_TO_SD * np.median(np.abs(drawn - np.median(drawn)))
    return Estimates.of(value, se, df=float(ratios.shape[1] - 1)).without(~np.isfinite(value))


def _factors(instruments: Instruments, *, ld: bool) -> list[Floats] | list[None]:
    return list(np.linalg.cholesky(instruments.ld)) if ld else [None] * len(instruments.names)


def _noise(
    instruments: Instruments,
    row: int,
    factor: Floats | None,
    *,
    kind: str,
    shape: tuple[int, ...],
    seed: int,
) -> Floats:
    """Standard normal draws (*shape, n), correlated as the variants are where a factor is given."""
    rng = stream(seed, "mr", kind, instruments.names[row])
    noise = rng.standard_normal((*shape, instruments.b_exp.shape[1]))
    return noise if factor is None else np.asarray(noise @ factor.T)
