"""The moderated t-test: each gene's variance is shrunk towards what genes have in common (Smyth 2004)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from consilience.learning.differential.method import (
    Differential,
    DifferentialMethod,
    check_two_kinds,
    design_matrix,
    differential,
)

if TYPE_CHECKING:
    import numpy.typing as npt

VARIANCE_FLOOR = 1e-5
"""Least variance that takes part in the fit of the prior, as a share of the median (a gene with almost no
variance would otherwise pull the prior's degrees of freedom down)."""
VARIES = 1e-7
"""Genes whose residual standard deviation is below this share of their largest value do not vary."""


@dataclass(frozen=True, slots=True)
class VariancePrior:
    """Scaled inverse chi-square prior of gene variances: `variance` s0², `freedom` d0 (may be infinite)."""

    variance: float
    freedom: float


def moderated_t(
    *, values: npt.NDArray[np.floating], positive: npt.NDArray[np.bool_], batches: npt.NDArray[np.intp]
) -> Differential:
    """Least squares on kind and batches for each column of `values` (n, G), then the moderated t.

    The effect is the difference of means, in the unit of `values`.
    """
    from scipy.stats import t as student

    check_two_kinds(values, positive)
    design = design_matrix(positive, batches)
    y = np.asarray(values, dtype=np.float64)
    inverse = np.linalg.pinv(design)
    beta = inverse @ y
    freedom = len(y) - design.shape[1]
    variance = ((y - design @ beta) ** 2).sum(axis=0) / freedom
    tested = np.ptp(y, axis=0) > VARIES * np.abs(y).max(axis=0)
    unit = float(inverse[0] @ inverse[0])
    prior = fit_prior(variance[tested], freedom=freedom)
    shrunk, total = shrink(variance, freedom=freedom, prior=prior, n_genes=int(tested.sum()))
    with np.errstate(divide="ignore", invalid="ignore"):
        t = np.where(tested & (shrunk > 0), beta[0] / np.sqrt(shrunk * unit), 0.0)
    p = 2 * student.sf(np.abs(t), total)
    return differential(effect=beta[0], statistic=t, p=p, tested=tested)


def shrink(
    variance: npt.NDArray[np.float64], *, freedom: int, prior: VariancePrior, n_genes: int
) -> tuple[npt.NDArray[np.float64], float]:
    """Posterior variances (G,) and their degrees of freedom, never more than all genes together have."""
    if np.isinf(prior.freedom):
        return np.full_like(variance, prior.variance), float(freedom * max(n_genes, 1))
    total = freedom + prior.freedom
    posterior = (freedom * variance + prior.freedom * prior.variance) / total
    return posterior, float(min(total, freedom * max(n_genes, 1)))


def fit_prior(variance: npt.NDArray[np.float64], *, freedom: int) -> VariancePrior:
    """Prior by the moments of log variances (G,), each with `freedom` degrees (Smyth 2004, section 6.2)."""
    from scipy.special import digamma, polygamma

    if variance.size < 2:
        return VariancePrior(float(variance.mean()) if variance.size else 1.0, 0.0)
    typical = float(np.median(variance))
    if typical <= 0:
        typical = float(variance.mean()) or 1.0
    logs = np.log(np.maximum(variance, VARIANCE_FLOOR * typical))
    e = logs - digamma(freedom / 2) + np.log(freedom / 2)
    extra = float(e.var(ddof=1)) - float(polygamma(1, freedom / 2))
    if extra <= 0:
        return VariancePrior(float(np.exp(e.mean())), float("inf"))
    d0 = 2 * inverse_trigamma(extra)
    return VariancePrior(float(np.exp(e.mean() + digamma(d0 / 2) - np.log(d0 / 2))), d0)


def inverse_trigamma(value: float) -> float:
    """Solve trigamma(x) = value > 0 by Newton steps on 1/trigamma (Smyth 2004, appendix)."""
    from scipy.special import polygamma

    if value > 1e7:
        return float(1 / np.sqrt(value))
    if value < 1e-6:
        return 1 / value
    x = 0.5 + 1 / value
    for _ in range(50):
        trigamma = float(polygamma(1, x))
        step = trigamma * (1 - trigamma / value) / float(polygamma(2, x))
        x += step
        if -step / x < 1e-10:
            break
    return x


METHOD = DifferentialMethod(
    name="moderated_t",
    label="moderated t-test",
    doi="10.2202/1544-6115.1027",
    needs="log",
    effect_is="difference of means, in the unit of the values",
    assumptions="donors are independent; log values are near normal with one variance per gene",
    limits="no trend of the variance with expression: counts below about ten reads should be filtered first",
    run=moderated_t,
)
