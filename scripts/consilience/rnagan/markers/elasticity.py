"""Elasticity: the slope of the score at the query itself, exactly or by changing each gene by ±5 %."""

from __future__ import annotations

import numpy as np

from consilience.rnagan.markers.attribution import Attribution, AttributionSettings, Question, Slopes
from consilience.rnagan.markers.occlusion import changed
from consilience.rnagan.markers.scorer import gradients


def elasticity(question: Question, settings: AttributionSettings) -> Slopes:
    """The exact gradient at the query."""
    slope = gradients(question.scorer, question.query, question.positive, question.negative)
    return Slopes(slope, np.ones(slope.shape[1], dtype=bool))


def finite_elasticity(question: Question, settings: AttributionSettings) -> Slopes:
    """Slope between the query with a gene raised and lowered by `settings.step` of its own value.

    As in elasticity, the exact gradient is kept beyond the `exact_genes` strongest; a value of 0 cannot be
    changed by a share of itself and has slope 0.
    """
    query = question.query.astype(np.float64)
    slope = gradients(question.scorer, question.query, question.positive, question.negative)
    genes = np.arange(query.shape[1])
    if settings.exact_genes is not None and settings.exact_genes < len(genes):
        order = np.argsort(-np.abs(slope * query).mean(axis=0), kind="stable")
        genes = np.sort(order[: settings.exact_genes])
    values = query[:, genes]
    up = changed(question, genes=genes, values=values * (1 + settings.step))
    down = changed(question, genes=genes, values=values * (1 - settings.step))
    width = 2 * settings.step * values
    slope[:, genes] = np.divide(up - down, width, out=np.zeros_like(width), where=width != 0)
    return Slopes(slope, np.isin(np.arange(query.shape[1]), genes))


METHOD = Attribution(
    name="elasticity",
    label="gradient at the patient",
    doi="10.48550/arXiv.1312.6034",
    assumptions="the score is smooth near the patient",
    limits="sees nothing of what happens further away (a saturated score has no slope)",
    run=elasticity,
)
FINITE = Attribution(
    name="finite_elasticity",
    label="finite difference of ±5 %",
    doi="10.64898/2026.03.17.712527",
    assumptions="a change by a share of the gene's own log value means the same for all genes (it does not)",
    limits="nothing for a gene that is 0; beyond the strongest genes the exact gradient stands in",
    run=finite_elasticity,
)
