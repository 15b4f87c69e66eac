"""The whole of it: what find_markers gives, for scorers whose markers are known, and for what users do."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from consilience.foundation.errors import ConfigError, DataError
from consilience.rnagan.markers.against_truth import recovery
from consilience.rnagan.markers.attribution import AttributionSettings
from consilience.rnagan.markers.find import find_markers
from consilience.rnagan.markers.settings import MarkerSettings
from rnagan.markers.scorers import Centroid, Linear, donors

QUICK = MarkerSettings(
    permutations=30, resamples=3, interactions=3, top=10, attribution=AttributionSettings(exact_genes=10)
)
SETS = {f"P{k}": [f"G{g:04d}" for g in range(10 * k, 10 * k + 10)] for k in range(8)}


@pytest.fixture(scope="module")
def study():
    samples, effect = donors(n=24, genes=80, planted=20, shift=2, alternating=False)
    return (
        samples,
        effect,
        find_markers(samples, positive="case", scorer=Centroid(), pathways=SETS, settings=QUICK),
    )


def test_planted_genes_and_pathways_are_found_with_their_signs(study) -> None:
    _, effect, markers = study
    genes, pathways = markers.genes, markers.pathways
    assert (genes["fdr"][:20] < 0.05).mean() > 0.9
    assert (genes["fdr"][20:] < 0.05).mean() < 0.1
    assert (genes["direction"][:20] == "pedal").all()
    assert (pathways["direction"][:2] == "pedal").all()
    assert (pathways["fdr"] < 0.05).tolist() == [True, True] + [False] * 6
    assert (pathways["coherence"][:2] > 0.8).all()
    assert (genes["stability"][:20] > 0.9).all()
    truth = dict(zip(genes["feature"], effect, strict=True))
    found = recovery(
        features=genes["feature"], effect=genes["effect"].to_numpy(), truth=truth, fdr=genes["fdr"].to_numpy()
    )
    assert found.auprc > 0.95
    assert found.sign_accuracy == 1
    assert found.power > 0.9
    assert found.chance == 0.25


def test_brakes_are_brakes_of_the_other_kind(study) -> None:
    samples, _, markers = study
    turned = find_markers(samples, positive="control", scorer=Centroid(), pathways=SETS, settings=QUICK)
    np.testing.assert_allclose(turned.genes["effect"], -markers.genes["effect"], atol=2e-3)
    assert (turned.pathways["direction"][:2] == "brake").all()


def test_a_linear_scorer_has_the_closed_form() -> None:
    samples, _ = donors(n=16, genes=40, planted=4)
    weight = np.random.default_rng(5).normal(size=40)
    markers = find_markers(samples, positive="case", scorer=Linear(weight), settings=QUICK)
    case = samples.labels == "case"
    apart = samples.values[case].mean(0) - samples.values[~case].mean(0)
    for name in ("effect", "integrated_gradients", "occlusion", "elasticity"):
        np.testing.assert_allclose(markers.genes[name], weight * np.abs(apart), atol=2e-3)
    np.testing.assert_allclose(markers.genes["contribution"], weight * apart, atol=2e-3)
    assert (markers.genes["agreement"] == 1).all()
    assert markers.record["completeness_error"] < 1e-4
    assert np.abs(markers.interactions["effect"]).max() < 1e-4


def test_a_gene_the_scorer_ignores_is_no_marker_however_it_differs() -> None:
    samples, _ = donors(n=16, genes=10, planted=10, shift=5)
    weight = np.ones(10)
    weight[3] = 0
    markers = find_markers(samples, positive="case", scorer=Linear(weight), settings=QUICK)
    row = markers.genes.iloc[3]
    assert (row["effect"], row["direction"], row["p"], row["fdr"], row["tested"]) == (0, "", 1, 1, False)
    assert row["moderated_t_fdr"] < 0.01
    # genes used in the wrong direction do not count either
    assert (markers.genes["p"][1::2][markers.genes["tested"][1::2]] > 0.5).all()


def test_silent_and_constant_genes_are_listed_and_neutral() -> None:
    samples, _ = donors(n=16, genes=30, planted=3)
    values = samples.values.copy()
    values[:, 10], values[:, 11] = 0, 7
    markers = find_markers(
        replace(samples, values=values), positive="case", scorer=Centroid(), settings=QUICK
    )
    quiet = markers.genes.iloc[10:12]
    for column, value in [("effect", 0), ("p", 1), ("fdr", 1), ("tested", False), ("log2fc", 0),
                          ("wilcoxon_p", 1), ("moderated_t_p", 1), ("frequency", 0)]:  # fmt: skip
        assert (quiet[column] == value).all(), column
    assert (quiet["direction"] == "").all()
    assert markers.record["n_genes_tested"] == 28
    others = np.delete(np.arange(30), [10, 11])
    # neither do they dilute the null: the others' p-values are what they are without them
    alone = find_markers(
        replace(samples, values=values).of_genes([samples.genes[g] for g in others]), positive="case",
        scorer=Centroid(), settings=QUICK,
    )  # fmt: skip
    np.testing.assert_allclose(alone.genes["p"], markers.genes["p"].to_numpy()[others], rtol=1e-3)


def test_nothing_depends_on_the_order_of_samples_or_the_global_generator(study) -> None:
    samples, _, markers = study
    np.random.seed(99)  # noqa: NPY002 - to show that it does not matter
    order = np.random.default_rng(3).permutation(len(samples))
    again = find_markers(
        samples.take(order), positive="case", scorer=Centroid(), pathways=SETS, settings=QUICK
    )
    pd.testing.assert_frame_equal(markers.genes, again.genes)
    pd.testing.assert_frame_equal(markers.pathways, again.pathways)
    assert markers.record == again.record


def test_files_hold_what_was_found(study, tmp_path) -> None:
    markers = study[2]
    markers.write(tmp_path)
    pd.testing.assert_frame_equal(pd.read_parquet(tmp_path / "markers_genes.parquet"), markers.genes)
    assert len(pd.read_parquet(tmp_path / "markers_pathways.parquet")) == 8
    assert len(pd.read_parquet(tmp_path / "markers_interactions.parquet")) == 3
    record = json.loads((tmp_path / "markers.json").read_text())
    assert record["evidence"] == "permute"
    assert len(record["agreement"]) == 3
    assert record["caveats"] == []


def test_donors_that_the_scorer_knows_are_references_only() -> None:
    samples, _ = donors(n=30, genes=60, planted=6, shift=3)
    seen = sorted(set(samples.donors.tolist()))[:14]
    markers = find_markers(samples, positive="case", scorer=Centroid(), seen_donors=seen, settings=QUICK)
    assert markers.record["evidence"] == "held_out"
    assert markers.record["n_samples_asked"] == 16
    assert (markers.genes["p"][:6] < 0.05).all()
    known = find_markers(
        samples, positive="case", scorer=Centroid(), seen_donors=samples.donors.tolist(), settings=QUICK
    )
    assert known.record["evidence"] == "none"
    assert known.genes[["p", "fdr", "statistic"]].isna().all(axis=None)
    assert "keep donors back" in " ".join(known.record["caveats"])
    assert known.genes["effect"].notna().all()


def test_refits_see_only_donors_that_are_not_asked() -> None:
    samples, _ = donors(n=16, genes=20, planted=4, shift=3)
    sizes = []

    def refit(part, positive):
        assert len(part) == len(positive)
        assert 0 < positive.sum() < len(positive)
        sizes.append(len(set(part.donors.tolist())))
        return Centroid()

    markers = find_markers(
        samples, positive="case", refit=refit, settings=replace(QUICK, folds=4, interactions=0)
    )
    assert markers.record["evidence"] == "splits"
    assert sizes == [12] * 4 + [8] * 6
    sizes.clear()
    markers = find_markers(
        samples, positive="case", refit=refit,
        settings=replace(QUICK, folds=4, interactions=0, permutations=5, resamples=1, evidence="permute"),
    )  # fmt: skip
    assert markers.record["evidence"] == "permute"
    assert sizes == [12] * 4 + [8] * 2 + [12] * 4 * 6


@pytest.mark.parametrize("n", [4, 6])
def test_two_or_three_donors_of_a_kind_give_effects_and_a_caveat(n: int) -> None:
    samples, _ = donors(n=n, genes=30, planted=3, shift=6)
    markers = find_markers(samples, positive="case", scorer=Centroid(), settings=QUICK)
    assert (markers.genes["direction"][:3] == ["pedal", "brake", "pedal"]).all()
    assert any("coarse" in text for text in markers.record["caveats"])
    assert markers.genes["p"].isna().all() == (n == 4)


def test_paired_donors_are_compared_with_themselves() -> None:
    rng = np.random.default_rng(0)
    samples, _ = donors(n=20, genes=40)
    own = np.repeat(rng.normal(0, 5, (10, 40)), 2, axis=0)
    values = (
        samples.values + own + np.where((np.arange(20) % 2 == 0)[:, None] & (np.arange(40) < 4), 3, 0)
    ).astype(np.float32)
    paired = replace(samples, values=values, donors=np.repeat([f"D{k}" for k in range(10)], 2))
    markers = find_markers(paired, positive="case", scorer=Centroid(), settings=QUICK)
    assert markers.record["n_donors_paired"] == 10
    assert markers.record["labellings_possible"] == 2**10
    assert (markers.genes["fdr"][:4] < 0.05).all()
    alone = find_markers(
        replace(paired, donors=samples.donors), positive="case", scorer=Centroid(), settings=QUICK
    )
    assert (alone.genes["fdr"][:4] > 0.05).all()


def test_kinds_that_coincide_with_batches_give_no_p_value() -> None:
    samples, _ = donors(n=12, genes=20, planted=4)
    markers = find_markers(
        replace(samples, batches=samples.labels), positive="case", scorer=Centroid(), settings=QUICK
    )
    assert markers.genes["p"].isna().all()
    assert markers.genes["wilcoxon_p"].isna().all()
    text = " ".join(markers.record["caveats"])
    assert "only 1 labelling is possible" in text
    assert "coincide" in text


def test_counts_add_a_comparison_and_must_fit() -> None:
    rng = np.random.default_rng(0)
    samples, _ = donors(n=12, genes=30)
    counts = rng.poisson(50, samples.values.shape)
    counts[samples.labels == "case", 0] *= 4
    order = rng.permutation(12)
    markers = find_markers(
        samples.take(order),
        positive="case",
        scorer=Centroid(),
        counts=counts[order].astype(float),
        settings=QUICK,
    )
    assert markers.genes["negative_binomial_effect"][0] == pytest.approx(2, abs=0.3)
    assert markers.genes["negative_binomial_fdr"][0] < 1e-6
    with pytest.raises(DataError, match="differ in size"):
        find_markers(samples, positive="case", scorer=Centroid(), counts=counts[:5], settings=QUICK)


def test_logs_are_told_in_base_two() -> None:
    samples, _ = donors(n=8, genes=5)
    first = find_markers(samples, positive="case", scorer=Centroid(), settings=QUICK).genes["log2fc"]
    natural = replace(samples, units="log1p CP10k", values=(samples.values * np.log(2)).astype(np.float32))
    second = find_markers(natural, positive="case", scorer=Centroid(), settings=QUICK).genes["log2fc"]
    np.testing.assert_allclose(first, second, atol=1e-5)


def test_settings_are_checked() -> None:
    for wrong in ({"folds": 1}, {"attributions": ()}, {"attributions": ("gradcam",)}, {"evidence": "some"},
                  {"attributions": ("occlusion", "occlusion")}, {"permutations": -1}):  # fmt: skip
        with pytest.raises(ConfigError):
            MarkerSettings(**wrong)


@pytest.mark.gpu
def test_a_scorer_on_a_gpu_gives_the_same_markers(require_or_skip) -> None:
    import torch

    if not torch.cuda.is_available():
        require_or_skip("gpu", "no CUDA device")

    class Net(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            torch.manual_seed(0)
            self.first, self.last = torch.nn.Linear(30, 8), torch.nn.Linear(8, 1)

        def forward(self, query, positive, negative):
            apart = positive.mean(0) - negative.mean(0)
            middle = (positive.mean(0) + negative.mean(0)) / 2
            hidden = torch.nn.functional.silu(self.first((query - middle) * apart))
            return self.last(hidden).squeeze(-1) + ((query - middle) * apart).sum(-1)

    samples, _ = donors(n=16, genes=30, planted=5, shift=3)
    both = [
        find_markers(samples, positive="case", scorer=Net().to(device), settings=QUICK).genes
        for device in ("cpu", "cuda")
    ]
    np.testing.assert_allclose(both[0]["effect"], both[1]["effect"], rtol=1e-3, atol=1e-4)
    assert (both[0]["direction"] == both[1]["direction"]).mean() > 0.95
