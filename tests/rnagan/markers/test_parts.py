"""The parts of markers: published numbers, interactions, agreement, stability, truth, enrichment."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from consilience.foundation.errors import DataError
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
