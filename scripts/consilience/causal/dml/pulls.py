"""How far each donor pulls the effects: what an error of a sum of effects over genes needs.

Effects of many genes rest on the same few donors. An effect is a contrast of donors' levels of expression,
and its variance a weighted sum of squares of donors' residual levels (`few_donors`). The square root of each
donor's term, with the sign of its residual, is the donor's pull. Sums of products of two genes' pulls over
donors are then the covariance of their statistics, so that Σ (Σ cᵍ pullᵍ)² over donors is the variance of
Σ cᵍ θᵍ/seᵍ for any coefficients of genes, however genes move together. Leaving donors out and estimating
anew does the same with twice the variance: without a donor the nuisances of all folds differ too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from consilience.causal.dml.few_donors import (
    donor_residuals,
    noise_ratio,
    quadratic_form,
    without_confounders,
)
from consilience.causal.dml.quadratic_ratio import SINGULAR

if TYPE_CHECKING:
    import numpy.typing as npt

    from consilience.causal.dml.few_donors import Contrast
    from consilience.causal.dml.moments import Moments

    Floats = npt.NDArray[np.float64]


def donor_pulls(moments: Moments, *, disease: npt.NDArray[np.floating], contrast: Contrast) -> Floats:
    """Pulls (m, G) in standard errors: squares sum to 1 for each gene; NaN where nothing varies.

    `contrast` of the effects; `disease` (m,) 0 or 1. The variances of donors' levels are those of each arm,
    as in `few_donors.donor_test`.
    """
    left = donor_residuals(moments)
    _, contrast = without_confounders(moments, theta=np.zeros(len(left.within)), contrast=contrast)
    cells = moments.cells.astype(np.float64)
    freedom, noise = float((left.maker**2).sum()), float(np.trace(left.noise))
    between = np.maximum((left.means**2).sum(0) - left.within * noise, 0.0) / max(freedom, SINGULAR)
    ratio = noise_ratio(between=between, within=left.within)
    made = np.full(left.means.shape, np.nan)
    for one in np.unique(ratio):
        spread = 1.0 + one / cells
        those = ratio == one
        for group in (disease > 0.5, disease <= 0.5):
            trace = max(float(np.trace(quadratic_form(left.maker, spread, group))), SINGULAR)
            wanted = (contrast.donors[group][:, those] ** 2 * spread[group, None]).sum(0) / trace
            made[np.ix_(group, those)] = (
                left.means[group][:, those] * np.sqrt(wanted) / np.sqrt(spread[group, None])
            )
    length = np.sqrt((made**2).sum(0))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(length > 0, made / length, np.nan)
