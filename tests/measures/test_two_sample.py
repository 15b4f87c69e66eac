import numpy as np
import pytest

from consilience.measures.two_sample import two_sample_auc
from samplers import Population, independent_genes, narrow


def test_two_draws_of_one_population_cannot_be_told_apart():
    """Mean 0.5 over many populations, for very unequal sizes and small ones as well."""
    found = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        draw = Population(n_genes=80, seed=seed).draw
        m, k = ((10, 60), (25, 25), (30, 12))[seed % 3]
        auc = two_sample_auc(real=draw(m, rng)[0], synthetic=draw(k, rng)[0], seed=seed, n_repeats=1)
        found.append((auc.linear, auc.spread, auc.joint))
    mean, error = np.mean(found, axis=0), np.std(found, axis=0, ddof=1) / np.sqrt(60)
    assert (np.abs(mean - 0.5) < 3.5 * error).all()
    assert (error < 0.03).all()


@pytest.mark.parametrize(
    ("kind", "seen_by", "least"),
    [("shift", ["linear"], 0.9), ("narrow", ["spread"], 0.95), ("alone", ["spread", "joint"], 0.85)],
)
def test_every_fault_is_seen_by_the_classifier_made_for_it(kind, seen_by, least):
    rng = np.random.default_rng(0)
    real, other = (Population().draw(60, rng)[0] for _ in range(2))
    made = {
        "shift": lambda: other + 0.8 * rng.standard_normal(300),
        "narrow": lambda: narrow(other, 60, rng),
        "alone": lambda: independent_genes(other, 60, rng),
    }[kind]()
    auc = two_sample_auc(real=real, synthetic=made, seed=0)
    for name in seen_by:
        assert getattr(auc, name) > least, name


def test_few_rows_give_no_number_and_equal_rows_no_difference():
    rng = np.random.default_rng(0)
    assert np.isnan(two_sample_auc(real=rng.random((3, 5)), synthetic=rng.random((9, 5)), seed=0).linear)
    same = two_sample_auc(real=np.ones((8, 5)), synthetic=np.ones((8, 5)), seed=0)
    assert same.linear == same.spread == same.joint == 0.5
