"""P-values of markers: exact counts, uniform without effects, right beside effects."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consilience.learning.differential.method import benjamini_hochberg
from consilience.rnagan.markers.cohort import build_cohort
from consilience.rnagan.markers.evidence import (
    combined,
    permuted_evidence,
    pooled_p,
    split_evidence,
    standardised,
    twice_the_median,
)
from consilience.rnagan.markers.features import pathways_of
from consilience.rnagan.markers.questions import Model, plain_slopes
from consilience.rnagan.markers.splits import halves
from rnagan.markers.scorers import Borrowing, Centroid, Linear, donors

NONE = pathways_of(None, ())


def evidence(scorer, way: str, *, seed: int, count: int = 40, refit=None, sets=None, **options):
    samples, effect = donors(seed=seed, **options)
    cohort = build_cohort(samples, positive="case")
    model = Model(None if refit else scorer, refit, 30, 0)
    pathways = pathways_of(sets, samples.genes)
    if way == "permute":
        found = permuted_evidence(model, cohort, pathways, n_folds=4, count=count, steps=1, seed=seed)
    else:
        splits = halves(cohort, count=3, seed=seed)[: 6 if way == "splits" else 1]
        found = combined(
            [
                split_evidence(plain_slopes(question, steps=1), cohort.take(split.query), pathways, count=count, seed=seed)
                for split, question in model.questions(cohort, cohort.positive, splits)
            ],
            way="splits", permutations=count, seed=seed,
        )  # fmt: skip
    return found, effect


@given(st.integers(1, 6), st.integers(1, 5), st.integers(0, 1000))
@settings(max_examples=40)
def test_pooled_counts_are_exact(n_null: int, n_features: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    true, null = (
        rng.integers(0, 4, n_features).astype(float),
        rng.integers(0, 4, (n_null, n_features)).astype(np.float32),
    )
    tested = rng.random(n_features) < 0.8
    found = pooled_p(true, null, tested=tested)
    pool = null[:, tested].ravel()
    for place in range(n_features):
        expected = (1 + (pool >= true[place]).sum()) / (1 + pool.size) if tested[place] else 1
        assert found[place] == pytest.approx(expected)


def test_standardised_draws_are_judged_by_the_others() -> None:
    rng = np.random.default_rng(0)
    scale, shift = np.exp(rng.normal(0, 1, 200)), rng.normal(0, 3, 200)
    null = rng.normal(size=(60, 200)) * scale + shift
    z, others = standardised(shift + 2 * scale, null)
    assert z.mean() == pytest.approx(2, abs=0.15)
    assert others.mean() == pytest.approx(0, abs=0.05)
    assert others.std() == pytest.approx(1, abs=0.06)
    # features that have their moments in common are judged by the common ones
    z, _ = standardised(np.full(500, 2.0), rng.normal(size=(20, 500)))
    assert z.std() < 0.06


def test_twice_the_median_is_a_p_value_whatever_the_dependence() -> None:
    rng = np.random.default_rng(1)
    n, k = 40_000, 10
    independent = rng.random((k, n))
    same = np.repeat(rng.random((1, n)), k, axis=0)
    opposed = np.concatenate([same[:5], 1 - same[:5]])
    for p in (independent, same, opposed):
        found = twice_the_median(p, seed=3)
        for level in (0.01, 0.05, 0.2):
            assert (found <= level).mean() <= level + 3 * np.sqrt(level / n)
    assert (twice_the_median(np.full((k, 1), 0.004), seed=0) == 0.008).all()


def uniform(p: np.ndarray, *, se: float) -> None:
    for level in (0.01, 0.05, 0.2, 0.5):
        width = 4 * max(se, 1) * np.sqrt(level * (1 - level) / p.size)
        assert abs((p <= level).mean() - level) < width, level


@pytest.mark.parametrize(
    "scorer", [Centroid(), Borrowing(), Linear(np.random.default_rng(0).normal(size=120))]
)
@pytest.mark.parametrize("way", ["permute", "one split"])
def test_without_effects_p_values_are_uniform(scorer, way) -> None:
    ps = [evidence(scorer, way, seed=seed, genes=120, n=20)[0].p for seed in range(12)]
    uniform(np.concatenate(ps), se=1.5)


def test_batches_and_repeated_samples_do_not_matter() -> None:
    ps = [
        evidence(Centroid(), "permute", seed=seed, genes=120, n=24, batches=3, batch_shift=2, per_donor=2)[
            0
        ].p
        for seed in range(10)
    ]
    uniform(np.concatenate(ps), se=1.5)


def test_splits_are_cautious() -> None:
    p = np.concatenate([evidence(Centroid(), "splits", seed=seed, genes=120)[0].p for seed in range(10)])
    for level in (0.01, 0.05, 0.2):
        assert (p <= level).mean() <= level + 4 * np.sqrt(level / p.size)


def test_planted_markers_are_found_and_few_others() -> None:
    false, power = [], []
    for seed in range(8):
        found, effect = evidence(Centroid(), "permute", seed=seed, planted=30, shift=2)
        called = benjamini_hochberg(found.p) <= 0.1
        false.append((called & (effect == 0)).sum() / max(1, called.sum()))
        power.append(called[effect != 0].mean())
    assert np.mean(power) > 0.9
    assert np.mean(false) < 0.17


def test_planted_markers_are_found_by_refits_on_halves() -> None:
    def refit(samples, positive):
        # a scorer that knows the labels it was trained with by heart, and ignores the references
        values = samples.values
        apart = values[positive].mean(0) - values[~positive].mean(0)
        return Linear(apart)

    found, effect = evidence(None, "splits", seed=0, refit=refit, planted=30, shift=2.5, n=40)
    called = benjamini_hochberg(found.p) <= 0.1
    assert called[effect != 0].mean() > 0.8
    assert called[effect == 0].mean() < 0.02
    null, _ = evidence(None, "splits", seed=1, refit=refit, n=40)
    assert (benjamini_hochberg(null.p) > 0.1).all()


def test_a_scorer_that_knows_the_labels_by_heart_would_fool_permuted_references() -> None:
    """Why seen donors must not be permuted: every gene looks like a marker."""
    samples, _ = donors(n=16, genes=200)
    cohort = build_cohort(samples, positive="case")
    apart = cohort.samples.values[cohort.positive].mean(0) - cohort.samples.values[~cohort.positive].mean(0)
    found = permuted_evidence(
        Model(Linear(apart), None, 30, 0), cohort, NONE, n_folds=4, count=40, steps=1, seed=0
    )  # fmt: skip
    assert (found.p <= 0.05).mean() > 0.08
    assert np.median(found.p) < 0.3


def test_pathways_are_tested_as_one() -> None:
    sets = {f"P{k}": [f"G{g:04d}" for g in range(10 * k, 10 * k + 10)] for k in range(30)}
    found, _ = evidence(Centroid(), "permute", seed=3, planted=20, shift=1.2, sets=sets)
    assert (found.p[300:302] < 0.01).all()
    assert (found.p[302:] < 0.05).mean() < 0.2


def test_too_few_labellings_give_no_p_value() -> None:
    found, _ = evidence(Centroid(), "permute", seed=0, n=4, genes=30)
    assert np.isnan(found.p).all()
    assert "only 6 labellings" in found.why


@pytest.mark.slow
def test_a_gene_that_only_lives_among_moving_genes_is_no_marker() -> None:
    """The model weighs it, because its pathway moves; it does not differ: its p-values are uniform."""
    for scorer in (Centroid(), Borrowing()):
        for way in ("permute", "one split"):
            near = []
            for seed in range(40):
                found, effect = evidence(scorer, way, seed=seed, genes=150, planted=35, alternating=False)
                assert (effect[35:40] == 0).all()
                near.append(found.p[35:40])
            p = np.concatenate(near)
            assert (p <= 0.05).mean() < 0.05 + 4 * np.sqrt(0.05 / p.size)


@pytest.mark.slow
def test_false_discoveries_stay_at_their_level_over_many_seeds() -> None:
    for options in ({}, {"correlated": 0.4}, {"batches": 2, "batch_shift": 1.0}):
        shares = []
        for seed in range(30):
            found, effect = evidence(Centroid(), "permute", seed=seed + 500, planted=30, **options)
            called = benjamini_hochberg(found.p) <= 0.1
            shares.append((called & (effect == 0)).sum() / max(1, called.sum()))
        assert np.mean(shares) < 0.1 + 3 * np.std(shares) / np.sqrt(len(shares))


@pytest.mark.slow
def test_nothing_is_found_where_nothing_is_planted() -> None:
    any_found = []
    for seed in range(50):
        found, _ = evidence(Centroid(), "permute", seed=seed + 900, genes=200, n=20)
        any_found.append((benjamini_hochberg(found.p) <= 0.1).any())
    assert np.mean(any_found) < 0.1 + 3 * np.sqrt(0.1 * 0.9 / 50)
