"""Markers of synthetic samples: ranks and signs as far as they go, and p-values that mean nothing."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consilience.augment.judging import REAL_TRAIN
from consilience.augment.marker_agreement import (
    deflated,
    false_positive_rate,
    marker_agreement,
    markers,
    one_per_donor,
    rank_biased_overlap,
    truth_agreement,
    with_shuffled_labels,
)
from consilience.foundation.errors import DataError
from consilience.learning.samples import Samples
from sample_makers import by_class, cohort, nonsense, truth
from samplers import Population, shrunk_gaussian

POPULATION = Population(n_genes=200)
POPULATION.shift = 0.6 * POPULATION.shift
GAUSSIAN = by_class(shrunk_gaussian)


def slow_overlap(first, second, p):
    total = 0.0
    for depth in range(1, len(first) + 1):
        total += (1 - p) * p ** (depth - 1) * len(set(first[:depth]) & set(second[:depth])) / depth
    return total + p ** len(first)


@given(seed=st.integers(0, 10_000), n=st.integers(1, 40), p=st.floats(0.5, 0.99))
@settings(max_examples=60)
def test_rank_biased_overlap_against_a_slow_one(seed, n, p):
    rng = np.random.default_rng(seed)
    first, second = rng.permutation(n), rng.permutation(n)
    found = rank_biased_overlap(first, second, persistence=p)
    assert found == pytest.approx(slow_overlap(first.tolist(), second.tolist(), p))
    assert found == pytest.approx(rank_biased_overlap(second, first, persistence=p))
    assert rank_biased_overlap(first, first, persistence=p) == pytest.approx(1)


def test_agreement_of_known_lists():
    reference = np.array([5.0, -4.0, 3.0, 0.5, -0.1, 0.2])
    same = marker_agreement(reference=reference, compared=reference * 3, k=3)
    assert (same.top, same.rbo, same.spearman, same.sign) == (1.0, pytest.approx(1), pytest.approx(1), 1.0)
    against = marker_agreement(reference=reference, compared=-reference, k=3)
    assert against.top == 1.0  # the same genes
    assert against.sign == 0.0  # all the wrong way
    assert against.spearman == pytest.approx(-1)
    other = marker_agreement(reference=reference, compared=np.array([5.0, 4.0, 0, 0, 0, 9.0]), k=3)
    assert other.top == pytest.approx(2 / 3)
    assert other.sign == pytest.approx(1 / 3)
    assert np.isnan(marker_agreement(reference=reference, compared=np.zeros(6)).spearman)


def test_truth_agreement_of_known_lists():
    planted = np.array([1.0, -1.0, 0.0, 0.0])
    assert truth_agreement(np.array([3.0, -2.0, 1.0, 0.5]), truth=planted) == {
        "auprc": 1.0,
        "truth_sign": 1.0,
    }
    assert truth_agreement(np.array([3.0, 2.0, -5.0, 0.5]), truth=planted)["truth_sign"] == 0.5
    assert truth_agreement(np.array([3.0, 2.0, -5.0, 0.5]), truth=planted)["auprc"] == pytest.approx(
        (1 / 2 + 2 / 3) / 2
    )
    assert np.isnan(truth_agreement(np.ones(4), truth=np.zeros(4))["auprc"])


def test_markers_of_the_truth_are_as_good_as_patients_and_of_nonsense_are_none():
    samples = cohort(80, population=POPULATION)
    found = markers(
        samples, {"gaussian": GAUSSIAN, "truth": truth(POPULATION), "nonsense": nonsense},
        n_splits=3, folds=(1,), k=20, truth={"well": -POPULATION.shift},
    )  # fmt: skip
    mean = found.groupby(["generator", "test"])[
        ["top", "rbo", "sign", "spearman", "own_top", "auprc", "truth_sign"]
    ].mean()
    for test in ("moderated_t", "wilcoxon"):
        real, gaussian, best, none = (
            mean.loc[key, test] for key in (REAL_TRAIN, "gaussian", "truth", "nonsense")
        )
        assert real["own_top"] == 1
        assert real["auprc"] > 0.5
        assert gaussian["auprc"] < real["auprc"] + 0.02  # no sampler knows more than its patients
        assert gaussian["own_top"] > none["own_top"] + 0.2
        assert none["auprc"] < 0.3
        assert abs(none["truth_sign"] - 0.5) < 0.25
        assert gaussian["truth_sign"] > 0.85
        assert best["auprc"] > none["auprc"] + 0.3
        assert none["top"] < 0.4


def test_ten_fold_synthetic_samples_make_false_markers():
    """The level of 5 % is 17 % with as many synthetic samples as patients, and 55 % with ten times as many."""
    alone = Population(n_genes=400, n_factors=0)  # independent genes: shares of calls scatter little
    samples = cohort(120, population=alone)
    planted = {"well": -alone.shift}
    found = markers(
        samples, {"g": GAUSSIAN}, n_splits=4, folds=(1, 10), truth=planted, tests=("moderated_t",)
    )
    mean = found.groupby("fold")[["false_calls", "false_calls_deflated"]].mean()
    assert mean.loc[0, "false_calls"] < 0.08  # patients themselves
    assert mean.loc[1, "false_calls"] == pytest.approx(false_positive_rate(1), abs=0.03)
    assert mean.loc[10, "false_calls"] == pytest.approx(false_positive_rate(10), abs=0.05)
    assert mean["false_calls_deflated"].max() < 0.08


def test_shuffled_labels_show_the_true_level_without_a_planted_truth():
    samples = cohort(100, population=POPULATION)
    found = [
        markers(
            samples, {"g": GAUSSIAN}, n_splits=2, folds=(10,), tests=("wilcoxon",), permuted=True, seed=seed
        )
        for seed in range(5)
    ]
    calls = {fold: np.mean([one[one["fold"] == fold]["called"].mean() for one in found]) for fold in (0, 10)}
    assert calls[0] < 0.1
    assert calls[10] > 0.4


def test_the_stated_levels():
    assert false_positive_rate(1) == pytest.approx(0.166, abs=0.001)
    assert false_positive_rate(10) == pytest.approx(0.555, abs=0.001)
    assert false_positive_rate(1e-9) == pytest.approx(0.05)
    z = np.array([1.96 * np.sqrt(11), 0.0])
    np.testing.assert_allclose(deflated(z, fold=10), [0.05, 1.0], atol=1e-4)
    assert (deflated(z, fold=10, freedom=5)[0]) > 0.05
    for fold in (0, -1):
        with pytest.raises(DataError, match="per real one"):
            deflated(z, fold=fold)
        with pytest.raises(DataError, match="per real one"):
            false_positive_rate(fold)


def test_samples_of_one_donor_are_one_row():
    samples = cohort(40, population=POPULATION, per_donor=4)
    one = one_per_donor(samples)
    assert len(one) == len(
        {(donor, label) for donor, label in zip(samples.donors, samples.labels, strict=True)}
    )
    for row in range(len(one)):
        mine = (samples.donors == one.donors[row]) & (samples.labels == one.labels[row])
        np.testing.assert_allclose(one.values[row], samples.values[mine].mean(axis=0), rtol=1e-5)
    again = one_per_donor(cohort(10, population=POPULATION))
    assert len(again) == 10


def test_labels_are_shuffled_by_donor():
    samples = cohort(60, population=POPULATION, per_donor=3)
    same = np.array(["ill", "well"])[np.arange(20) % 2].repeat(3)
    whole = Samples(
        samples.values, samples.genes, samples.names, same, samples.donors, samples.batches, "log"
    )
    shuffled = with_shuffled_labels(whole, seed=0)
    assert (shuffled.labels != whole.labels).any()
    assert sorted(shuffled.labels) == sorted(whole.labels)
    for donor in np.unique(whole.donors):
        assert len(np.unique(shuffled.labels[whole.donors == donor])) == 1
    paired = np.array(["post", "pre", "pre"] * 20)
    mixed = Samples(
        samples.values, samples.genes, samples.names, paired, samples.donors, samples.batches, "log"
    )
    other = with_shuffled_labels(mixed, seed=0)
    assert (other.labels != mixed.labels).any()
    for donor in np.unique(mixed.donors):
        rows = mixed.donors == donor
        assert sorted(other.labels[rows]) == sorted(mixed.labels[rows])


def test_no_generator_sees_the_patients_whose_markers_it_is_held_against():
    samples = cohort(40, population=POPULATION, per_donor=2)
    seen = []

    def spy(train, seed):
        seen.append(set(train.donors.tolist()))
        return GAUSSIAN(train, seed)

    found = markers(samples, {"spy": spy}, n_splits=2, folds=(1, 3))
    assert len(seen) == 2  # one fit per split, whatever is drawn and tested
    assert all(0 < len(one) < 20 for one in seen)
    order = np.random.default_rng(0).permutation(40)
    assert found.equals(markers(samples.take(order), {"spy": spy}, n_splits=2, folds=(1, 3)))


def test_a_class_too_small_to_test_is_left_out():
    samples = cohort(24, population=POPULATION)
    labels = samples.labels.copy()
    labels[[0, 1]] = "rare"
    few = Samples(
        samples.values, samples.genes, samples.names, labels, samples.donors, samples.batches, "log"
    )
    found = markers(few, {"n": nonsense}, n_splits=2, folds=(1,), tests=("moderated_t",))
    assert set(found["class"]) == {"ill", "well"}


def test_bad_input_is_refused():
    with pytest.raises(DataError, match="sizes do not agree"):
        marker_agreement(reference=np.zeros(4), compared=np.zeros(3))
    with pytest.raises(DataError, match="persistence"):
        rank_biased_overlap(np.arange(3), np.arange(3), persistence=1.0)
