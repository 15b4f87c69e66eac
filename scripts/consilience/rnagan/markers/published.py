"""Markers as the paper defines them, so that its figures can be compared (preset `published`).

Every positive patient is compared with the references, itself among them; a gene is set to 0 if its value
lies above the patient's lower quartile; the effect is the drop of the logit under positive references less
the drop under negative ones. There is no error rate, and patients are not held out: that is why this is no
default.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from consilience.rnagan.markers.attribution import Question
from consilience.rnagan.markers.occlusion import changed, drops
from consilience.rnagan.markers.scorer import ReferenceContrast, Scorer, evaluation, logits

if TYPE_CHECKING:
    import numpy.typing as npt

QUANTILE = 0.25
STEP = 0.05


@dataclass(frozen=True)
class PublishedMarkers:
    """Effects as the paper defines them.

    `occlusion`, `elasticity`, `log_difference` (genes,) for the `genes` asked (places); `rank_p` (genes,)
    two-sided Mann-Whitney; `auc` of the logits of positive against negative samples (not held out), `flipped`
    whether it was below one half, and all signs turned.
    """

    genes: npt.NDArray[np.intp]
    occlusion: npt.NDArray[np.float64]
    elasticity: npt.NDArray[np.float64]
    log_difference: npt.NDArray[np.float64]
    rank_p: npt.NDArray[np.float64]
    auc: float
    flipped: bool


def published_markers(
    scorer: Scorer,
    *,
    positive: npt.NDArray[np.float32],
    negative: npt.NDArray[np.float32],
    genes: npt.NDArray[np.intp] | None = None,
) -> PublishedMarkers:
    """Compute orders 0 and 1 for references `positive` (R, G) and `negative` (S, G).

    `genes` limits the costly part to some genes (n x genes x 3 evaluations).
    """
    from scipy.stats import mannwhitneyu

    genes = np.arange(positive.shape[1]) if genes is None else genes
    model = ReferenceContrast(evaluation(scorer))
    question = Question(model, positive, positive, negative)
    above = positive > np.quantile(positive, QUANTILE, axis=1, keepdims=True)
    drop = drops(question, values=np.zeros(positive.shape[1]), genes=genes)
    values = positive[:, genes].astype(np.float64)
    up = changed(question, genes=genes, values=values * (1 + STEP))
    down = changed(question, genes=genes, values=values * (1 - STEP))
    scores = [logits(model, x, positive, negative) for x in (positive, negative)]
    u = mannwhitneyu(scores[0], scores[1], method="asymptotic").statistic
    auc = float(u) / (len(positive) * len(negative))
    sign = -1.0 if auc < 0.5 else 1.0
    return PublishedMarkers(
        genes=genes,
        occlusion=sign * np.where(above[:, genes], drop, 0.0).mean(axis=0),
        elasticity=sign * ((up - down) / (2 * STEP)).mean(axis=0),
        log_difference=positive[:, genes].mean(axis=0, dtype=np.float64)
        - negative[:, genes].mean(axis=0, dtype=np.float64),
        rank_p=np.nan_to_num(
            mannwhitneyu(positive[:, genes], negative[:, genes], method="asymptotic").pvalue, nan=1.0
        ),
        auc=max(auc, 1 - auc),
        flipped=auc < 0.5,
    )
