"""Occlusion: what happens to the score when one gene of the query is set to its reference value."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from consilience.rnagan.markers.attribution import Attribution, AttributionSettings, Question, Slopes
from consilience.rnagan.markers.scorer import BLOCK_ENTRIES, checked, finite, gradients, logits, tensor

if TYPE_CHECKING:
    import numpy.typing as npt


ROUNDING = 4 * float(np.finfo(np.float32).eps)


def occlusion(question: Question, settings: AttributionSettings) -> Slopes:
    """Slope between the query and the query with the gene halfway between the kinds.

    The `exact_genes` with the largest first-order change are set one by one; the others keep the gradient
    (a gene without first-order change in any query can then only be missed if its effect is all curvature).
    """
    neutral = question.neutral
    distance = question.query - neutral
    n_genes = distance.shape[1]
    quick = getattr(question.scorer, "occluded", None)
    slope = np.zeros(distance.shape)
    exact = np.ones(n_genes, dtype=bool)
    genes = np.arange(n_genes)
    if not quick and settings.exact_genes is not None and settings.exact_genes < n_genes:
        slope = gradients(question.scorer, question.query, question.positive, question.negative)
        change = np.abs(slope * distance).mean(axis=0)
        genes = np.sort(np.argsort(-change, kind="stable")[: settings.exact_genes])
        exact = np.isin(np.arange(n_genes), genes)
    drop = drops(question, values=neutral, genes=genes)
    moved = distance[:, genes]
    chord = np.divide(drop, moved, out=np.zeros_like(drop), where=np.abs(moved) > 1e-6)
    slope[:, genes] = chord
    return Slopes(slope, exact)


def drops(
    question: Question, *, values: npt.NDArray[np.float64], genes: npt.NDArray[np.intp]
) -> npt.NDArray[np.float64]:
    """Score of each query less its score with a gene set to `values` (G,): (n, genes)."""
    whole = logits(question.scorer, question.query, question.positive, question.negative)
    quick = getattr(question.scorer, "occluded", None)
    if quick:
        return np.asarray(whole[:, None] - _quickly(question, values)[:, genes])
    found = whole[:, None] - changed(question, genes=genes, values=values[None, genes])
    # what rounding to float32 may do to a logit is no effect
    return np.where(np.abs(found) > ROUNDING * np.abs(whole)[:, None], found, 0.0)


def changed(
    question: Question, *, genes: npt.NDArray[np.intp], values: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Scores (n, genes) of the queries with one gene at a time set to `values` (n or 1, genes), in blocks."""
    import torch

    scorer = question.scorer
    positive, negative = tensor(scorer, question.positive), tensor(scorer, question.negative)
    query = tensor(scorer, question.query)
    shape = (len(question.query), len(genes))
    new = tensor(scorer, np.broadcast_to(values, shape)).reshape(-1)
    place = torch.as_tensor(genes, device=query.device).repeat(shape[0])
    row = torch.arange(shape[0], device=query.device).repeat_interleave(shape[1])
    found = np.empty(shape[0] * shape[1])
    width = max(1, BLOCK_ENTRIES // max(1, query.shape[1]))
    with torch.inference_mode():
        for start in range(0, found.size, width):
            part = slice(start, start + width)
            block = query[row[part]]
            block[torch.arange(len(block), device=query.device), place[part]] = new[part]
            found[part] = checked(scorer(block, positive, negative), len(block))
    return found.reshape(shape)


def _quickly(question: Question, values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Scores (n, G) by the scorer's own short cut."""
    import torch

    scorer = question.scorer
    with torch.inference_mode():
        found = scorer.occluded(  # type: ignore[attr-defined]
            tensor(scorer, question.query), tensor(scorer, values),
            tensor(scorer, question.positive), tensor(scorer, question.negative),
        )  # fmt: skip
    return finite(found.cpu().numpy().astype(np.float64), "scores")


METHOD = Attribution(
    name="occlusion",
    label="occlusion by the reference value",
    doi="10.1007/978-3-319-10590-1_53",
    assumptions="one gene at a time can be changed while the others stay",
    limits="genes that stand in for each other hide each other; beyond the strongest genes, first order only",
    run=occlusion,
)
