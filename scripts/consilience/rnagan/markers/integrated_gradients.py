"""Integrated gradients: the mean slope on the straight way from a reference patient to the query.

The way starts at the mean negative and at the mean positive reference in turn, and both are averaged, so that
neither kind is taken for the normal one. Along each way the parts add up to the whole change of the score
(completeness), which is checked; the way is cut finer until they do.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from consilience.rnagan.markers.attribution import Attribution, AttributionSettings, Question, Slopes
from consilience.rnagan.markers.scorer import gradients, logits

if TYPE_CHECKING:
    import numpy.typing as npt


def path_slopes(question: Question, start: npt.NDArray[np.float64], *, steps: int) -> npt.NDArray[np.float64]:
    """Mean gradient (n, G) on the way from `start` (G,) to each query, at Gauss-Legendre nodes."""
    node, weight = np.polynomial.legendre.leggauss(steps)
    query = question.query.astype(np.float64)
    total = np.zeros(query.shape)
    for t, w in zip((node + 1) / 2, weight / 2, strict=True):
        point = start + t * (query - start)
        total += w * gradients(question.scorer, point, question.positive, question.negative)
    return total


def incompleteness(
    question: Question, start: npt.NDArray[np.float64], slope: npt.NDArray[np.float64]
) -> float:
    """Largest gap between the sum of parts and the change of the score, as a share of the largest change."""
    query = question.query.astype(np.float64)
    ends = logits(question.scorer, query, question.positive, question.negative)
    (begin,) = logits(question.scorer, start[None], question.positive, question.negative)
    change, parts = ends - begin, (slope * (query - start)).sum(axis=1)
    return float(np.abs(parts - change).max() / max(float(np.abs(change).max()), 1e-6))


def integrated_gradients(question: Question, settings: AttributionSettings) -> Slopes:
    """Average the ways from both reference means."""
    total, worst = np.zeros(question.query.shape), 0.0
    for start in (question.negative_mean, question.positive_mean):
        steps = settings.steps
        while True:
            slope = path_slopes(question, start, steps=steps)
            error = incompleteness(question, start, slope)
            if error <= settings.tolerance or 2 * steps > settings.most_steps:
                break
            steps *= 2
        total += slope / 2
        worst = max(worst, error)
    return Slopes(total, np.full(question.query.shape[-1], fill_value=True), worst)


METHOD = Attribution(
    name="integrated_gradients",
    label="integrated gradients",
    doi="10.48550/arXiv.1703.01365",
    assumptions="patients between a reference and the query are meaningful to the model",
    limits="correlated genes share their effect as the model happens to share it",
    run=integrated_gradients,
)
