import numpy as np
import pytest

from consilience.measures.draws import dealt_folds, proportional_rows
from consilience.measures.two_sample import two_sample_auc


@pytest.mark.parametrize("seed", range(20))
def test_shares_are_kept_and_no_row_comes_twice(seed):
    rng = np.random.default_rng(seed)
    labels = np.repeat(["a", "b", "c"], [60, 30, 10])
    rows = proportional_rows(n=100, size=40, labels=labels, rng=rng)
    assert len(set(rows.tolist())) == 40
    counts = [(labels[rows] == label).sum() for label in "abc"]
    assert np.abs(np.array(counts) - [24, 12, 4]).max() <= 2
    assert sorted(proportional_rows(n=9, size=20, labels=labels[:9], rng=rng)) == list(range(9))


def test_folds_have_equal_shares():
    rng = np.random.default_rng(0)
    labels = rng.permutation(np.repeat(["a", "b"], [20, 13]))
    fold = dealt_folds(labels=labels, n=33, n_folds=5, start=2, rng=rng)
    table = np.array([[((labels == label) & (fold == k)).sum() for k in range(5)] for label in "ab"])
    assert (np.ptp(table, axis=1) <= 1).all()
    assert np.ptp(table.sum(axis=0)) <= 1


def test_halves_of_one_cohort_split_by_class_give_one_half():
    """Without dealing the classes out evenly the mean is below: what is more in training is less in test."""
    found = {True: [], False: []}
    for seed in range(60):
        rng = np.random.default_rng(seed)
        labels = np.tile(np.repeat(["ill", "well"], [3, 9]), 2)
        values = rng.standard_normal((24, 60)) + 4 * (labels == "ill")[:, None]
        for dealt in found:
            of = (labels[:12], labels[12:]) if dealt else None
            auc = two_sample_auc(real=values[:12], synthetic=values[12:], seed=seed, labels=of, n_repeats=1)
            found[dealt].append(auc.linear)
    mean = {dealt: np.mean(aucs) for dealt, aucs in found.items()}
    error = np.std(found[True], ddof=1) / np.sqrt(60)
    assert abs(mean[True] - 0.5) < 3 * error
    assert mean[False] < mean[True] - 0.01
