"""Wald test of counts by a negative binomial model with shrunk dispersions, as DESeq2 defines it (Love 2014).

Own code, because the whole of what is needed here is two hundred lines, and the package of that name for
Python would bring its own object model and formula parser.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from consilience.foundation.errors import DataError
from consilience.learning.differential.dispersions import LEAST, dispersions
from consilience.learning.differential.information import Information
from consilience.learning.differential.method import (
    Differential,
    DifferentialMethod,
    check_two_kinds,
    design_matrix,
    differential,
)

if TYPE_CHECKING:
    import numpy.typing as npt

LEAST_MU = 0.5
LARGEST = 30.0
STEPS = 100


def negative_binomial(
    *, values: npt.NDArray[np.floating], positive: npt.NDArray[np.bool_], batches: npt.NDArray[np.intp]
) -> Differential:
    """Test each column of counts `values` (n, G); the effect is the log2 fold change (maximum likelihood)."""
    from scipy.stats import norm

    from consilience.expression.normalise import size_factors

    counts = _whole_counts(values)
    check_two_kinds(counts, positive)
    design = design_matrix(positive, batches)
    factors = size_factors(counts).values
    tested = counts.max(axis=0) > 0
    y = counts[:, tested]
    normal = y / factors[:, None]
    rough = _rough_dispersion(normal, design, factors)
    _, mu, _ = fit(counts=y, factors=factors, design=design, alpha=rough)
    found = dispersions(counts=y, mu=np.maximum(mu, LEAST_MU), means=normal.mean(axis=0), design=design)
    beta, _, error = fit(counts=y, factors=factors, design=design, alpha=found.used)
    effect, z = np.zeros(counts.shape[1]), np.zeros(counts.shape[1])
    effect[tested] = beta[:, 0] / np.log(2)
    z[tested] = beta[:, 0] / error
    return differential(effect=effect, statistic=z, p=2 * norm.sf(np.abs(z)), tested=tested)


def _whole_counts(values: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    counts = np.asarray(values, dtype=np.float64)
    if np.isfinite(counts).all() and ((counts < 0).any() or (counts != np.rint(counts)).any()):
        worst = counts[(counts < 0) | (counts != np.rint(counts))][0]
        raise DataError("not counts: a value is negative or not whole", value=worst, allowed="0, 1, 2, …",
                        mend="give raw counts, or use a method for log values")  # fmt: skip
    return counts


def _rough_dispersion(
    normal: npt.NDArray[np.float64], design: npt.NDArray[np.float64], factors: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """A start: the smaller of the estimates by moments and by residuals (genes,)."""
    n, p = design.shape
    fitted = np.maximum(design @ np.linalg.pinv(design) @ normal, 1.0)
    by_residual = (((normal - fitted) ** 2 - fitted) / fitted**2).sum(axis=0) / (n - p)
    mean, variance = normal.mean(axis=0), normal.var(axis=0, ddof=1)
    by_moments = (variance - (1 / factors).mean() * mean) / np.maximum(mean, 1e-12) ** 2
    rough = np.minimum(np.maximum(by_residual, 0), by_moments)
    return np.asarray(np.clip(rough, LEAST, max(10.0, n)))


def fit(
    *, counts: npt.NDArray[np.float64], factors: npt.NDArray[np.float64], design: npt.NDArray[np.float64],
    alpha: npt.NDArray[np.float64],
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.float64]]:  # fmt: skip
    """Maximum likelihood of all genes at once by iterated least squares.

    Gives coefficients (G, p), fitted means (n, G) and the standard error of the first coefficient (G,), all
    on the natural-log scale. A coefficient without end (no reads in one kind) stops at a floor of half a
    read.
    """
    start = np.log(counts / factors[:, None] + 0.1)
    beta = (np.linalg.pinv(design) @ start).T
    offset = np.log(factors)[:, None]
    active = np.arange(counts.shape[1])
    deviance = np.full(counts.shape[1], np.inf)
    for _ in range(STEPS):
        y, a = counts[:, active], alpha[active]
        mu = np.maximum(np.exp(design @ beta[active].T + offset), LEAST_MU)
        weights = mu / (1 + a * mu)
        working = np.log(mu) - offset + (y - mu) / mu
        right = design.T @ (weights * working)
        solved = Information.of(weights, design).solve(right[0], right[1:])
        beta[active] = np.clip(solved, -LARGEST, LARGEST)
        mu = np.maximum(np.exp(design @ beta[active].T + offset), LEAST_MU)
        size = 1 / a
        now = -2 * (y * np.log(mu) - (y + size) * np.log(mu + size) + size * np.log(size)).sum(axis=0)
        moving = np.abs(now - deviance[active]) > 1e-8 * (np.abs(now) + 0.1)
        deviance[active] = now
        active = active[moving]
        if not active.size:
            break
    fitted = np.asarray(np.exp(design @ beta.T + offset), dtype=np.float64)
    mu = np.maximum(fitted, LEAST_MU)
    error = 1 / np.sqrt(Information.of(mu / (1 + alpha * mu), design).schur)
    return np.asarray(beta, dtype=np.float64), fitted, np.asarray(error, dtype=np.float64)


METHOD = DifferentialMethod(
    name="negative_binomial",
    label="negative binomial Wald test (DESeq2's model)",
    doi="10.1186/s13059-014-0550-8",
    needs="counts",
    effect_is="log2 fold change, not shrunk",
    assumptions="donors are independent; counts are negative binomial; most genes do not change",
    limits=(
        "no replacement of outlying counts (Cook's distance), no independent filtering, no shrinkage of fold "
        "changes; with fewer than about five donors of a kind it finds too much (the Wald test takes the "
        "dispersion as known)"
    ),
    run=negative_binomial,
)
