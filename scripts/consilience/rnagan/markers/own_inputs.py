"""A model's own pathway inputs, where it lets them be seen: what each adds to the score by itself."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from consilience.rnagan.markers.attribution import Question, fitted_slope
from consilience.rnagan.markers.scorer import checked, finite, tensor

if TYPE_CHECKING:
    import numpy.typing as npt


def own_effects(
    question: Question, names: Sequence[str], *, positive: npt.NDArray[np.bool_]
) -> npt.NDArray[np.float64] | None:
    """Effects (P,) of the pathway inputs called `names`, by gradients; NaN for unknown names.

    A scorer that offers `feature_names` (pathways, then genes), `features(samples) -> (n, P + G)` and
    `of_features(query, positive, negative)`, all three as features, is asked; for others there is None.
    `positive` (n,) labels of the queries.
    """
    import torch

    scorer = question.scorer
    if not all(hasattr(scorer, need) for need in ("feature_names", "features", "of_features")):
        return None
    own = list(scorer.feature_names)[: -question.query.shape[1]]  # type: ignore[attr-defined]
    sides = (question.query, question.positive, question.negative)
    with torch.no_grad():
        inputs, *refs = (scorer.features(tensor(scorer, side)) for side in sides)  # type: ignore[attr-defined]
    means = [side[:, : len(own)].mean(dim=0) for side in refs]
    inputs = inputs.detach().clone().requires_grad_(True)
    with torch.enable_grad():
        score = scorer.of_features(inputs, *refs)  # type: ignore[attr-defined]
        checked(score, len(inputs))
        (slope,) = torch.autograd.grad(score.sum(), inputs)
    distance = (inputs.detach()[:, : len(own)] - (means[0] + means[1]) / 2).cpu().numpy().astype(np.float64)
    steep = finite(slope[:, : len(own)].cpu().numpy().astype(np.float64), "gradients")
    apart = np.abs((means[0] - means[1]).cpu().numpy().astype(np.float64))
    # both kinds weigh the same, however many of each were asked
    n = np.maximum(np.bincount(positive.astype(np.intp), minlength=2), 1)
    weight = 1 / n[positive.astype(np.intp)]
    effect = fitted_slope(steep * distance, distance, weight) * apart
    place = {name: number for number, name in enumerate(own)}
    return np.array([effect[place[name]] if name in place else np.nan for name in names])
