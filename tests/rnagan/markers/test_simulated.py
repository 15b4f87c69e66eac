"""Markers of the simulated study against what was planted, beside simple tests."""

from __future__ import annotations

import numpy as np
import pytest

from consilience.rnagan.markers.against_truth import recovery
from consilience.rnagan.markers.find import find_markers
from consilience.rnagan.markers.settings import MarkerSettings
from rnagan.markers.scorers import Centroid
from rnagan.markers.simulated import planted_cohort

QUICK = MarkerSettings(
    attributions=("integrated_gradients", "elasticity"), permutations=30, resamples=1, interactions=0
)


@pytest.mark.slow
def test_markers_find_what_was_planted_as_well_as_simple_tests_do(tmp_path) -> None:
    ours, theirs, signs, false = [], [], [], []
    for seed in range(4):
        study = planted_cohort(tmp_path / str(seed), seed=seed)
        markers = find_markers(
            study.samples, positive="case", scorer=Centroid(), pathways=study.sets, settings=QUICK
        )
        genes = markers.genes
        mine = recovery(
            features=genes["feature"],
            effect=genes["effect"].to_numpy(),
            truth=study.effect,
            fdr=genes["fdr"].to_numpy(),
        )
        simple = recovery(
            features=genes["feature"], effect=genes["moderated_t_effect"].to_numpy(), truth=study.effect,
            score=-np.log(genes["moderated_t_p"].to_numpy()), fdr=genes["moderated_t_fdr"].to_numpy(),
        )  # fmt: skip
        ours.append(mine.auprc)
        theirs.append(simple.auprc)
        signs.append(mine.sign_accuracy)
        false.append(mine.false_share if mine.n_called else 0.0)
    assert np.mean(ours) > np.mean(theirs) - 0.05
    assert np.mean(ours) > 4 * mine.chance
    assert np.mean(signs) > 0.7
    assert np.mean(false) < 0.3


@pytest.mark.slow
def test_the_null_study_has_no_markers(tmp_path) -> None:
    called = []
    for seed in range(4):
        study = planted_cohort(tmp_path / str(seed), seed=seed, effect=0)
        markers = find_markers(
            study.samples, positive="case", scorer=Centroid(), pathways=study.sets, settings=QUICK
        )
        called += [int((table["fdr"] < 0.05).sum()) for table in (markers.genes, markers.pathways)]
    assert np.median(called) == 0
    assert np.mean(called) < 3
