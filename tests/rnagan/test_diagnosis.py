"""Diagnosis: probabilities, intervals, what is left out, and every bad input."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from consilience.foundation.errors import ConfigError, DataError, ModelError
from consilience.measures.calibration import calibration_error
from consilience.measures.ranking import auc
from consilience.rnagan.calibration import Calibration
from consilience.rnagan.diagnosis import diagnose
from consilience.rnagan.draw_scores import score_draws
from consilience.rnagan.reference_draws import published_draws
from rnagan.simple_scorers import FastCentroid, RandomNetwork, centroid, make_samples, noise, of_kind

FAST = FastCentroid()


def references(n: int = 10, *, seed: int = 1, **options):
    samples = make_samples(n, n, seed=seed, prefix="r", **options)
    return of_kind(samples, "sick"), of_kind(samples, "well")


def same(one, other) -> None:
    """Two diagnoses with the same numbers for each sample, in whatever order."""
    left, right = (d.table().sort_values("sample", ignore_index=True) for d in (one, other))
    for column in left.columns:
        if left[column].dtype.kind == "f":
            np.testing.assert_allclose(left[column], right[column], rtol=1e-4, atol=1e-5, err_msg=column)
        else:
            assert (left[column] == right[column]).all(), column


def test_sick_and_well_are_told_apart():
    queries = make_samples(30, 30, seed=2, prefix="q")
    found = diagnose(FAST, queries, *references(), seed=0)
    sick = queries.labels == "sick"
    assert auc(found.probability, sick) > 0.9
    assert (found.low <= found.probability).all()
    assert (found.probability <= found.high).all()
    assert (found.high - found.low < 0.95).mean() > 0.8
    assert found.mode == "two kinds"
    assert found.references_per_draw == (8, 8)
    assert found.calibration[0] > 0
    assert list(found.table().columns[:5]) == ["sample", "probability", "low", "high", "ood"]
    json.dumps(found.summary(), allow_nan=False)


@pytest.mark.parametrize("published", [False, True])
@pytest.mark.parametrize("kinds", ["both", "positive only"])
def test_a_scorer_that_knows_all_draws_gives_the_same(kinds, published):
    queries = make_samples(6, 6, seed=2, prefix="q")
    positive, negative = references()
    negative = negative if kinds == "both" else None
    one = diagnose(FAST, queries, positive, negative, seed=0, n_draws=20, published=published)
    other = diagnose(centroid, queries, positive, negative, seed=0, n_draws=20, published=published)
    same(one, other)


def test_blocks_do_not_change_the_scores():
    rng = np.random.default_rng(0)
    x = [rng.normal(size=(n, 12)).astype(np.float32) for n in (9, 7, 5)]
    rows = rng.integers(0, 5, (11, 3))
    asked = {"query": x[0], "positive": x[1], "negative": x[2], "positive_rows": rows, "negative_rows": rows}
    whole = score_draws(centroid, **asked)
    slow = [
        [float(centroid(*(torch.from_numpy(v) for v in (x[0][[k]], x[1][row], x[2][row]))))
         for k in range(9)] for row in rows
    ]  # fmt: skip
    np.testing.assert_allclose(whole, slow, rtol=1e-5)
    for entries in (1, 50, 12 * 9 * 2, 10**6):
        np.testing.assert_allclose(score_draws(centroid, **asked, block_entries=entries), whole, rtol=1e-6)


@pytest.mark.parametrize("kinds", ["both", "positive only"])
@pytest.mark.parametrize("published", [False, True])
def test_order_and_company_of_samples_do_not_matter(kinds, published):
    rng = np.random.default_rng(0)
    queries = make_samples(5, 5, seed=2, prefix="q")
    kept = [references()[0], references()[1] if kinds == "both" else None]
    shuffled = [None if x is None else x.take(rng.permutation(len(x))) for x in kept]
    options = {"seed": 4, "n_draws": 16, "published": published}
    one = diagnose(FAST, queries, *kept, **options)
    same(one, diagnose(FAST, queries.take(rng.permutation(10)), *shuffled, **options))
    few = diagnose(FAST, queries.take(np.arange(3)), *kept, **options)
    np.testing.assert_allclose(few.probability, one.probability[:3], rtol=1e-4)
    np.testing.assert_allclose(few.low, one.low[:3], rtol=1e-3, atol=1e-5)


def test_global_random_numbers_do_not_matter():
    queries = make_samples(4, 4, seed=2, prefix="q")
    network = RandomNetwork(40)
    network.train()
    found = []
    for seed in (0, 1):
        np.random.seed(seed)  # noqa: NPY002
        torch.manual_seed(seed)
        found.append(diagnose(network, queries, *references(), seed=0, n_draws=10))
    np.testing.assert_array_equal(found[0].probability, found[1].probability)
    assert network.training


def test_another_seed_gives_almost_the_same():
    queries = make_samples(20, 20, seed=2, prefix="q")
    one, other = (diagnose(FAST, queries, *references(20), seed=seed) for seed in (0, 1))
    assert np.abs(one.probability - other.probability).max() < 0.1
    assert (one.probability != other.probability).any()


def test_more_signal_and_more_references_narrow_the_interval():
    widths = {}
    for n, shift in ((5, 1.0), (40, 1.0), (40, 2.5)):
        queries = make_samples(25, 25, seed=2, prefix="q", shift=shift)
        found = diagnose(FAST, queries, *references(n, shift=shift), seed=0, n_references=40)
        widths[n, shift] = float(np.mean(found.high - found.low))
    assert widths[5, 1.0] > widths[40, 1.0] > widths[40, 2.5]


def test_calibrated_over_simulated_tasks():
    """At five references per kind, over tasks of all difficulties, ECE is at most 0.05."""
    p, truth = [], []
    for task in range(60):
        shift = np.random.default_rng([5, task]).uniform(0.3, 2.5)
        queries = make_samples(25, 25, seed=1000 + task, prefix="q", shift=shift)
        found = diagnose(FAST, queries, *references(5, seed=task, shift=shift), seed=0, n_draws=20)
        p.append(found.probability)
        truth.append(queries.labels == "sick")
    assert calibration_error(np.concatenate(p), np.concatenate(truth)).plain <= 0.05


def test_interval_holds_the_true_probability():
    """What a logit of this scorer with these references means is known here; 90 % intervals hold it."""
    hits = []
    for task in range(60):
        positive, negative = references(8, seed=task)
        queries = make_samples(10, 10, seed=500 + task, prefix="q")
        found = diagnose(FAST, queries, positive, negative, seed=0, n_draws=40)
        weights = 2 * (positive.values.mean(axis=0) - negative.values.mean(axis=0)).astype(float) / 40
        move = np.where(np.arange(40) < 10, 1.0, 0.0)
        slope = (weights @ move) / (weights @ weights)
        middle = 2 * 5.0 * 0 + weights @ (5.0 + move / 2)
        exact = queries.values @ weights
        truth = 1 / (1 + np.exp(-slope * (exact - middle)))
        hits.append((found.low <= truth) & (truth <= found.high))
    assert np.mean(hits) > 0.88


def test_patients_of_the_query_are_left_out_and_told():
    positive, negative = references()
    own = positive.take(np.array([3]))
    strangers = {
        "name": replace(own, donors=np.array(["x1"]), values=own.values + 0.5),
        "patient": replace(own, names=np.array(["x2"]), values=own.values + 0.5),
        "profile": replace(own, names=np.array(["x3"]), donors=np.array(["x3"])),
    }
    others = positive.take(np.arange(10) != 3)
    for why, query in strangers.items():
        found = diagnose(FAST, query, positive, negative, seed=0, n_draws=200)
        assert [(one.reference, one.why) for one in found.left_out] == [("r0003", f"the same {why}")]
        assert found.n_left_out.tolist() == [1]
        without = diagnose(FAST, query, others, negative, seed=0, n_draws=200)
        assert found.logit_mean[0] == pytest.approx(without.logit_mean[0], abs=0.05)
    seen = diagnose(FAST, replace(own, names=np.array(["x"]), donors=np.array(["x"]), values=own.values + 1e-4),
                    positive, negative, seed=0, n_draws=200)  # fmt: skip
    assert seen.logit_mean[0] > found.logit_mean[0] + 0.1


def test_references_diagnosed_by_the_others():
    """A whole cohort as its own references: nobody is judged by himself, so permuted labels give 0.5."""
    means = []
    for seed in range(20):
        samples = make_samples(10, 10, seed=seed, shift=0.0)
        found = diagnose(
            FAST, samples, of_kind(samples, "sick"), of_kind(samples, "well"), seed=0, n_draws=40
        )
        assert (found.n_left_out == 1).all()
        means.append(auc(found.logit_mean, samples.labels == "sick"))
    assert abs(np.mean(means) - 0.5) < 0.1


def test_a_query_whose_patient_no_draw_misses_is_scored_apart():
    positive, negative = references(6)
    query = positive.take(np.array([0]))
    found = diagnose(FAST, query, positive, negative, seed=0, n_draws=2)
    assert np.isfinite(found.probability).all()
    assert found.n_left_out.tolist() == [1]


def test_patients_with_samples_of_both_kinds():
    samples = make_samples(8, 8, seed=3)
    paired = replace(samples, donors=np.array([f"p{k % 8}" for k in range(16)]))
    found = diagnose(FAST, make_samples(10, 10, seed=9, prefix="q"), of_kind(paired, "sick"), of_kind(paired, "well"),
                     seed=0)  # fmt: skip
    assert np.isfinite(found.logit_se).all()
    assert found.calibration[0] > 0


def test_prevalence_moves_probabilities():
    queries = make_samples(10, 10, seed=2, prefix="q")
    rare, even = (
        diagnose(FAST, queries, *references(), seed=0, prevalence=p).probability for p in (0.01, 0.5)
    )
    assert (rare < even).all()


def test_stored_calibration_as_a_line_or_a_prior():
    queries = make_samples(10, 10, seed=2, prefix="q")
    line = diagnose(FAST, queries, *references(), seed=0, calibration=(5.0, 0.1))
    prior = diagnose(FAST, queries, *references(), seed=0, calibration=Calibration.of_line(5.0, 0.1))
    np.testing.assert_array_equal(line.probability, prior.probability)
    with pytest.raises(ModelError, match="calibration cannot be used"):
        diagnose(FAST, queries, *references(), seed=0, calibration=(float("nan"), 0.0))


# ---- positives only ----


def test_positive_only_is_uniform_for_positives():
    found, exact = [], []
    for seed in range(60):
        positive = of_kind(make_samples(12, 0, seed=seed, prefix="r"), "sick")
        queries = make_samples(10, 0, seed=900 + seed, prefix="q")
        result = diagnose(FAST, queries, positive, None, seed=0, n_draws=20)
        assert result.mode == "positive only"
        assert result.calibration is None
        found.append(result.probability)
        exact.append(result.p_value)
    found, exact = np.concatenate(found), np.concatenate(exact)
    for share in (0.1, 0.25, 0.5, 0.75):
        assert np.mean(found <= share) == pytest.approx(share, abs=0.09)
        assert np.mean(exact <= share) <= share + 0.07
    assert set(np.round(exact * 13, 6)) <= set(range(1, 14))


def test_positive_only_finds_what_is_not_positive():
    positive = of_kind(make_samples(20, 0, seed=1, prefix="r"), "sick")
    queries = make_samples(0, 20, seed=2, prefix="q", shift=0.0)
    strange = replace(queries, values=queries.values + 4 * (np.arange(40) < 10).astype(np.float32))
    found = diagnose(FAST, strange, positive, None, seed=0)
    assert np.median(found.probability) < 0.01
    assert (found.low <= found.probability).all()
    assert (found.high >= found.probability).all()


# ---- as published ----


def test_published_rule_by_hand():
    queries = make_samples(2, 2, seed=2, prefix="q")
    positive, negative = references(6)
    found = diagnose(FAST, queries, positive, negative, seed=5, n_references=4, n_draws=12, published=True)
    one, other = published_draws(n_positive=6, n_negative=6, n_references=4, n_draws=12, seed=5)
    for k in range(4):
        query = torch.from_numpy(queries.values[[k]])
        for_positive = [float(centroid(query, torch.from_numpy(positive.values[row]))) for row in one]
        for_negative = [float(centroid(query, torch.from_numpy(negative.values[row]))) for row in other]
        pairs = [a > b for a in for_positive for b in for_negative]
        assert found.probability[k] == pytest.approx(np.mean(pairs))
    assert found.mode == "published"
    alone = diagnose(noise(0), queries, positive, None, seed=5, n_draws=12, published=True)
    assert set(alone.probability.tolist()) <= {0.0, 1.0}


# ---- bad input: a clear error or a documented result ----


@pytest.mark.parametrize(
    ("n", "words"), [(1, "one positive reference patient"), (2, "only 2 positive"), (3, "only 3")]
)
def test_one_to_three_references_give_a_wide_interval_and_say_so(n, words):
    queries = make_samples(10, 10, seed=2, prefix="q")
    found = diagnose(FAST, queries, *references(n), seed=0)
    assert any(words in note for note in found.notes)
    assert np.isfinite(found.probability).all()
    few, many = (np.mean(d.high - d.low) for d in (found, diagnose(FAST, queries, *references(20), seed=0)))
    assert few > many
    if n == 1:
        assert (found.low == 0).all()
        assert (found.high == 1).all()
    alone = diagnose(FAST, queries, references(n)[0], None, seed=0)
    assert ((alone.low >= 0) & (alone.high <= 1)).all()


def test_no_references_and_one_class():
    positive, negative = references()
    nobody = np.zeros(0, dtype=np.intp)
    queries = make_samples(2, 2, prefix="q")
    with pytest.raises(DataError, match="no positive references"):
        diagnose(FAST, queries, positive.take(nobody), negative, seed=0)
    with pytest.raises(DataError, match=r"one kind only.*positive-only mode"):
        diagnose(FAST, queries, positive, negative.take(nobody), seed=0)


def test_nan_is_named():
    queries = make_samples(2, 2, prefix="q")
    queries.values[1, 7] = np.nan
    with pytest.raises(DataError, match="queries: sample q0001, gene g7"):
        diagnose(FAST, queries, *references(), seed=0)
    measured = np.arange(40) != 7
    assert np.isfinite(diagnose(FAST, queries, *references(), seed=0, observed=measured).probability).all()


def test_zero_and_constant_genes():
    def flat(samples, value):
        values = samples.values.copy()
        values[:, 5:30] = value
        return replace(samples, values=values)

    queries = make_samples(10, 10, seed=2, prefix="q")
    for value in (0.0, 3.0):
        found = diagnose(FAST, flat(queries, value), *(flat(x, value) for x in references()), seed=0)
        assert (found.usable_genes <= 15).all()
        assert auc(found.probability, queries.labels == "sick") > 0.65
    everything = [replace(x, values=np.full_like(x.values, value)) for x in references()]
    with pytest.raises(DataError, match=r"both kinds"):
        diagnose(FAST, queries, *everything, seed=0)
    with pytest.raises(DataError, match="no gene varies"):
        diagnose(FAST, queries, everything[0], None, seed=0)


def test_an_empty_query_is_flagged():
    queries = make_samples(1, 1, prefix="q")
    queries.values[0] = 0.0
    found = diagnose(FAST, queries, *references(), seed=0)
    assert found.usable_genes[0] == 0
    assert found.ood[0]
    assert any("no usable gene in q0000" in note for note in found.notes)


def test_duplicated_patients_among_references():
    positive, negative = references(6)
    copied = replace(positive, values=np.concatenate([positive.values[:5], positive.values[:1]]))
    found = diagnose(FAST, make_samples(2, 2, prefix="q"), copied, negative, seed=0)
    assert any("copies of another patient" in note and "r0005" in note for note in found.notes)
    both = replace(negative, values=np.concatenate([negative.values[:5], positive.values[:1]]))
    with pytest.raises(DataError, match="reference of both kinds"):
        diagnose(FAST, make_samples(2, 2, prefix="q"), positive, both, seed=0)


def test_references_of_one_patient_only():
    positive, negative = (replace(x, donors=np.full(len(x), f"{k}")) for k, x in enumerate(references()))
    found = diagnose(FAST, make_samples(5, 5, prefix="q"), positive, negative, seed=0)
    assert sum("of one patient" in note for note in found.notes) == 2
    with pytest.raises(DataError, match="references are of the patient to be diagnosed"):
        diagnose(
            FAST,
            replace(make_samples(1, 1, prefix="q"), donors=np.array(["0", "x"])),
            positive,
            negative,
            seed=0,
        )


def test_other_genes_other_units_other_numbers():
    queries, (positive, negative) = make_samples(2, 2, prefix="q"), references()
    with pytest.raises(DataError, match="same genes in the same order"):
        diagnose(FAST, queries.of_genes(queries.genes[::-1]), positive, negative, seed=0)
    with pytest.raises(DataError, match="not on the same scale"):
        diagnose(FAST, replace(queries, units="counts"), positive, negative, seed=0)
    with pytest.raises(ConfigError, match="prevalence"):
        diagnose(FAST, queries, positive, negative, seed=0, prevalence=1.0)
    with pytest.raises(ModelError, match="not numbers"):
        diagnose(lambda q, p, n: q.sum(-1) * float("nan"), queries, positive, negative, seed=0)
    with pytest.raises(ModelError, match="wrong shape"):
        diagnose(lambda q, p, n: q, queries, positive, negative, seed=0)


def test_a_random_network_is_not_overconfident():
    """Scores that tell nothing: probabilities stay near one half."""
    gaps = []
    for seed in range(10):
        queries = make_samples(20, 20, seed=seed, prefix="q")
        found = diagnose(
            RandomNetwork(40, seed=seed), queries, *references(20, seed=seed + 50), seed=0, n_draws=20
        )
        gaps.append(np.abs(found.probability - 0.5).mean())
    assert np.mean(gaps) < 0.15


def test_no_queries_is_no_error():
    queries = make_samples(1, 1, prefix="q").take(np.zeros(0, dtype=np.intp))
    for negative in (references()[1], None):
        found = diagnose(FAST, queries, references()[0], negative, seed=0)
        assert len(found.table()) == 0
        assert len(diagnose(FAST, queries, references()[0], negative, seed=0, published=True).table()) == 0
