"""From scores over repeats to p-values with donors as the units, whichever way the scores came about."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from consilience.causal.dml.donor_scores import clustered_se
from consilience.causal.dml.few_donors import DonorTest, donor_test, mean_contrast, ridge_contrast, scaled
from consilience.causal.dml.gathering import gather

if TYPE_CHECKING:
    import numpy.typing as npt

    from consilience.causal.dml.donor_scores import DonorScores
    from consilience.causal.dml.moments import Moments
    from consilience.causal.dml.ridge_scores import Choice

    Floats = npt.NDArray[np.float64]

Inference = Literal["t", "wild_bootstrap"]


def from_moments(
    moments: Moments, *, disease: Floats, divisions: Sequence[npt.NDArray[np.intp]],
    chosen: Sequence[float | Choice], scores: Sequence[DonorScores],
) -> DonorTest:  # fmt: skip
    """Tests of partialling-out effects with ridge nuisances: errors from the design (see `few_donors`)."""
    contrasts = [
        scaled(ridge_contrast(moments, folds=folds, penalty=penalty), one.weights @ one.a)
        for folds, penalty, one in zip(divisions, chosen, scores, strict=True)
    ]
    theta = np.median([one.theta for one in scores], axis=0)
    return donor_test(moments, disease=disease, theta=theta, contrast=mean_contrast(contrasts))


def from_scores(scores: Sequence[DonorScores]) -> DonorTest:
    """Tests from scores summed up within donors alone: clustered errors, t with two degrees of freedom fewer than
    donors, and errors wider by √(m / (m - 2)).
    """
    from scipy.stats import t as student

    m = len(scores[0].cells)
    theta, se = gather(
        np.stack([one.theta for one in scores]), np.stack([clustered_se(one) for one in scores])
    )
    se = se * np.sqrt(m / max(m - 2, 1))
    df = np.full(theta.size, float(max(m - 2, 1)))
    with np.errstate(divide="ignore", invalid="ignore"):
        statistic = np.where(se > 0, theta / se, np.nan)
    half = student.ppf(0.975, df) * se
    nothing = np.full(theta.size, np.nan)
    trouble = np.where(np.isfinite(statistic), "", "no_variation")
    return DonorTest(se=se, df=df, statistic=statistic, p=2 * student.sf(np.abs(statistic), df), low=theta - half,
                     high=theta + half, between=nothing, within=nothing, trouble=trouble)  # fmt: skip


def tests_beside(blocks: Sequence[DonorTest]) -> DonorTest:
    """Tests of blocks of genes as one."""
    names = [one.name for one in fields(DonorTest)]
    return replace(
        blocks[0], **{name: np.concatenate([getattr(one, name) for one in blocks]) for name in names}
    )
