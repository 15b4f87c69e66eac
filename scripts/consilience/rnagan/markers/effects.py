"""Effects of genes and pathways by each attribution, from donors that the references do not know."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from consilience.rnagan.markers.attribution import fitted_slope
from consilience.rnagan.markers.contrast import Contrast, contrast, difference
from consilience.rnagan.markers.features import (
    Parts,
    Pathways,
    UnitSlopes,
    gene_parts,
    pathway_effect,
    unit_slopes,
)
from consilience.rnagan.markers.own_inputs import own_effects
from consilience.rnagan.markers.questions import Model
from consilience.rnagan.markers.registry import attribution
from consilience.rnagan.markers.settings import MarkerSettings
from consilience.rnagan.markers.splits import Split

if TYPE_CHECKING:
    import numpy.typing as npt

    from consilience.rnagan.markers.cohort import Cohort


@dataclass(frozen=True)
class Effects:
    """Effects of all features, genes before pathways.

    `effect` (attributions, G + P) signed logits, genes then pathways; `contribution` (G + P,) logits by which
    a feature parts the kinds in unseen donors (mean over attributions; positive: rightly); `coherence` (P,)
    of the pathways (see `pathway_effect`); `exact` (G,) whether every attribution was exact there; `error`
    the path's largest completeness error; `own` (P,) effects of the model's own pathway inputs, None where it
    has none.
    """

    effect: npt.NDArray[np.float64]
    contribution: npt.NDArray[np.float64]
    coherence: npt.NDArray[np.float64]
    exact: npt.NDArray[np.bool_]
    error: float | None
    own: npt.NDArray[np.float64] | None


def effects_of(
    model: Model, cohort: Cohort, splits: Sequence[Split], pathways: Pathways, settings: MarkerSettings
) -> Effects:
    """Run all attributions on all splits."""
    shape = cohort.samples.values.shape
    slopes = {name: np.zeros(shape) for name in settings.attributions}
    exact, errors = np.ones(shape[1], dtype=bool), []
    own: list[npt.NDArray[np.float64]] = []
    for split, question in model.questions(cohort, cohort.positive, splits):
        for name in settings.attributions:
            found = attribution(name).run(question, settings.attribution)
            slopes[name][split.query] = found.slope
            exact &= found.exact
            errors.append(found.error)
        mine = own_effects(question, pathways.names, positive=cohort.positive[split.query])
        own += [] if mine is None else [mine]
    asked = np.sort(np.concatenate([split.query for split in splits]))
    sub = cohort.take(asked)
    parts = [all_effects(unit_slopes(sub, slope[asked]), sub, pathways) for slope in slopes.values()]
    known = [error for error in errors if np.isfinite(error)]
    return Effects(
        np.array([part.effect for part in parts]),
        np.mean([part.contribution for part in parts], axis=0),
        np.mean([part.coherence for part in parts], axis=0),
        exact,
        max(known) if known else None,
        np.mean(own, axis=0) if own else None,
    )


@dataclass(frozen=True)
class OneEffect:
    """`effect` and `contribution` (G + P,) by one set of slopes, `coherence` (P,) of pathways."""

    effect: npt.NDArray[np.float64]
    contribution: npt.NDArray[np.float64]
    coherence: npt.NDArray[np.float64]


def all_effects(found: UnitSlopes, asked: Cohort, pathways: Pathways) -> OneEffect:
    """Effects of genes, then of pathways, from the slopes of the donors asked about."""
    labels = contrast(asked.units, asked.units.positive)
    genes = gene_parts(found, labels)
    effect, contribution, coherence = pathway_effect(genes, labels, pathways)
    return OneEffect(
        np.concatenate([gene_effect(genes, labels), effect]),
        np.concatenate([difference(labels, genes.contribution), contribution]),
        coherence,
    )


def gene_effect(genes: Parts, labels: Contrast) -> npt.NDArray[np.float64]:
    """Slope times the distance between the kinds (G,).

    Logits that the score gains when the gene rises as far as the kinds lie apart: positive for a pedal,
    negative for a brake, 0 for what never moves or does not differ.
    """
    slope = fitted_slope(genes.contribution, genes.distance, np.ones(len(labels.positive)))
    return slope * np.abs(difference(labels, genes.distance))
