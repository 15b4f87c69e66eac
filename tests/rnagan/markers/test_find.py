"""The whole of it: what find_markers gives, for scorers whose markers are known, and for what users do."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from consilience.foundation.errors import ConfigError, DataError
from consilience.pathways.wiring import wire
from consilience.rnagan.markers.against_truth import recovery
from consilience.rnagan.markers.agreement import consensus, pairwise_agreement, strongest
from consilience.rnagan.markers.attribution import AttributionSettings, Question
from consilience.rnagan.markers.enrichment import overlap_enrichment, ranked_enrichment
from consilience.rnagan.markers.features import pathways_of
from consilience.rnagan.markers.find import find_markers
from consilience.rnagan.markers.interactions import (
    interactions,
    mixed_differences,
    published_interactions,
    second_derivatives,
)
from consilience.rnagan.markers.published import published_markers
from consilience.rnagan.markers.settings import MarkerSettings
from consilience.rnagan.markers.stability import kuncheva, nogueira, stability
from rnagan.markers.scorers import Centroid, Linear, Product, donors

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


def test_published_columns_are_the_published_numbers() -> None:
    samples, _ = donors(n=12, genes=25, planted=5, shift=3)

    class OneSided(Centroid):
        def __call__(self, query, positive, negative):
            if negative is None:
                return super().__call__(query, positive, None)
            return super().__call__(query, positive, None) - super().__call__(query, negative, None)

    markers = find_markers(
        samples, positive="case", scorer=OneSided(), settings=replace(QUICK, published=True)
    )
    known = markers.genes["published_occlusion"].notna()
    assert known.sum() == 10
    case = samples.labels == "case"
    paper = published_markers(OneSided(), positive=samples.values[case], negative=samples.values[~case])
    np.testing.assert_allclose(
        markers.genes["published_occlusion"][known], paper.occlusion[known.to_numpy()], rtol=1e-5
    )
    assert paper.auc == 1
    assert not paper.flipped
    # by hand: set one gene to 0 in one positive patient that has it above its lower quartile
    x, gene = samples.values[case], 2
    pos, neg = x.mean(0), samples.values[~case].mean(0)
    drop = [(-(q[gene] - pos[gene]) ** 2 + pos[gene] ** 2 + (q[gene] - neg[gene]) ** 2 - neg[gene] ** 2) / 25 *
            (q[gene] > np.quantile(q, 0.25)) for q in x]  # fmt: skip
    assert paper.occlusion[gene] == pytest.approx(np.mean(drop), abs=1e-4)


def test_interactions_of_a_product_are_what_was_planted() -> None:
    rng = np.random.default_rng(0)
    positive, negative = (rng.normal(mean, 0.1, (8, 6)).astype(np.float32) for mean in (3, 1))
    question = Question(Product(np.ones(6), 1, 4, 0.7), positive[:5], positive, negative)
    genes = np.array([4, 0, 1])
    apart = question.positive_mean - question.negative_mean
    mixed = mixed_differences(question, genes)
    np.testing.assert_allclose(mixed[:, 1], 0.7 * apart[1] * apart[4], atol=1e-4)
    np.testing.assert_allclose(mixed[:, [0, 2]], 0, atol=1e-4)
    found = interactions([question], genes, donors=[np.array(list("aabbc"))])
    assert found.n == 3
    assert list(zip(found.first, found.second, strict=True)) == [(4, 0), (4, 1), (0, 1)]
    curve = second_derivatives(question, genes)
    np.testing.assert_allclose(curve, [[0, 0, 0.7], [0, 0, 0], [0.7, 0, 0]], atol=1e-6)
    paper = published_interactions(question, np.array([4, 1]), trials=100)
    assert paper.coefficient[0] == pytest.approx(
        0.7 * (question.query[:, 1] * question.query[:, 4]).mean(), rel=0.02
    )
    assert paper.partial_r2[0] > 0.99
    straight = published_interactions(
        replace(question, scorer=Linear(np.ones(6))), np.array([4, 1]), trials=100
    )
    assert np.abs(straight.coefficient).max() < 0.05


def test_consensus_and_agreement() -> None:
    effects = np.array([[3.0, -2.0, 0.0, 1.0], [2.0, -1.0, 0.0, -1.5], [4.0, -3.0, 0.0, 0.1]])
    found = consensus(effects)
    np.testing.assert_allclose(found.effect, [3, -2, 0, -0.4 / 3])
    np.testing.assert_allclose(found.agreement, [1, 1, 0, 1 / 3])
    assert np.argsort(-found.rank)[0] == 0
    pairs = pairwise_agreement(effects, ("a", "b", "c"), top=2)
    assert [pair["overlap"] for pair in pairs] == [1 / 3, 1, 1 / 3]
    assert pairs[1]["sign_agreement"] == 1
    assert pairs[0]["sign_agreement"] == pytest.approx(2 / 3)
    assert strongest(np.zeros(4), 2).size == 0


def test_stability_is_the_mean_of_kunchevas_index() -> None:
    rng = np.random.default_rng(0)
    chosen = np.zeros((7, 40), dtype=bool)
    for row in chosen:
        row[rng.permutation(40)[:9]] = True
        row[:3] = True
        row[np.flatnonzero(row)[9:]] = False
    pairs = [kuncheva(a, b) for k, a in enumerate(chosen) for b in chosen[k + 1 :]]
    assert nogueira(chosen) == pytest.approx(np.mean(pairs))
    assert nogueira(np.tile(chosen[0], (5, 1))) == pytest.approx(1)
    assert np.isnan(nogueira(np.ones((3, 4), dtype=bool)))
    found = stability(np.array([[1.0, -5.0, 0.1], [2.0, 3.0, 0.2]]), np.array([1.0, -1.0, 0.0]), top=1)
    np.testing.assert_allclose(found.sign, [1, 0.5, 0])
    np.testing.assert_allclose(found.frequency, [0, 1, 0])


def test_recovery_needs_something_planted() -> None:
    with pytest.raises(DataError, match="0 planted of 2"):
        recovery(features=["A", "B"], effect=np.ones(2), truth={"A": 0, "B": 0})
    found = recovery(features=["A", "B", "X"], effect=np.array([1.0, -2.0, 9.0]), truth={"A": 1, "B": 0})
    assert (found.n_genes, found.sign_accuracy, found.auprc) == (2, 1, 0.5)


def test_pathways_come_in_three_forms() -> None:
    genes = ("A", "B", "C")
    table = pd.DataFrame({"gene": ["A", "B", "B", "C", "Z"], "pathway": ["p", "p", "q", "q", "q"]})
    forms = [table, {"p": ["A", "B"], "q": ["B", "C", "Z"]}, wire(table, genes=genes, allow_missing=True)]
    for form in forms:
        found = pathways_of(form, genes)
        assert found.names == ("p", "q")
        np.testing.assert_array_equal(found.members.toarray(), [[1, 0], [1, 1], [0, 1]])
    assert pathways_of(None, genes).names == ()
    assert pathways_of({"one": ["A"], "gone": ["Y", "Z"]}, genes).names == ()
    with pytest.raises(DataError, match="columns gene and pathway"):
        pathways_of(pd.DataFrame({"a": [1]}), genes)


def test_enrichment_finds_the_pathway_that_moves_and_is_repeatable() -> None:
    rng = np.random.default_rng(0)
    genes = [f"G{g:03d}" for g in range(300)]
    effect = np.round(rng.normal(size=300), 1)
    effect[:20] += 2
    effect[100:150] = 0
    sets = {f"P{k}": genes[20 * k : 20 * k + 20] for k in range(15)} | {
        "tiny": genes[:2],
        "mixed": genes[::15],
    }
    table = ranked_enrichment(genes=genes, effect=effect, gene_sets=sets, permutations=200)
    assert table["pathway"][0] == "P0"
    assert table["nes"][0] > 1.5
    assert table["fdr"][0] < 0.05
    assert set(table["pathway"]) == set(sets) - {"tiny"}
    order = rng.permutation(300)
    again = ranked_enrichment(
        genes=[genes[k] for k in order], effect=effect[order], gene_sets=sets, permutations=200
    )
    pd.testing.assert_frame_equal(table, again)
    assert ranked_enrichment(genes=genes, effect=np.zeros(300), gene_sets=sets).empty


def test_overlap_is_fishers_exact_test() -> None:
    from scipy.stats import fisher_exact

    genes = [f"G{g}" for g in range(50)]
    table = overlap_enrichment(
        chosen=genes[:10], genes=genes, gene_sets={"a": genes[5:15], "b": [*genes[20:40], "Z"]}
    )
    by_name = table.set_index("pathway")
    assert by_name.loc["a", "n_chosen"] == 5
    assert by_name.loc["a", "p"] == pytest.approx(
        fisher_exact([[5, 5], [5, 35]], alternative="greater").pvalue
    )
    assert by_name.loc["b", "n_genes"] == 20
    assert by_name.loc["b", "p"] == 1
    with pytest.raises(DataError, match="not measured"):
        overlap_enrichment(chosen=["Z"], genes=genes, gene_sets={})
