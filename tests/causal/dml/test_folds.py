"""Donors in folds."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from consilience.causal.dml.folds import donor_folds


def named(n: int) -> tuple[str, ...]:
    return tuple(f"P{one}" for one in range(n))


@given(
    cases=st.integers(2, 12), controls=st.integers(2, 12), folds=st.integers(2, 8), seed=st.integers(0, 99)
)
def test_no_fold_lacks_an_arm_and_none_is_larger_than_others(cases, controls, folds, seed):
    disease = np.array([1.0] * cases + [0.0] * controls)
    found = donor_folds(named(cases + controls), disease=disease, folds=folds, repeat=0, seed=seed)
    n_folds = min(folds, cases, controls)
    assert sorted(set(found)) == list(range(n_folds))
    for arm in (0, 1):
        counts = np.bincount(found[disease == arm], minlength=n_folds)
        assert counts.min() >= 1
        assert np.ptp(counts) <= 1
    assert np.ptp(np.bincount(found)) <= 1


def test_luck_goes_with_the_name_and_changes_with_the_repeat():
    disease = (np.arange(10) % 2).astype(float)
    given_names = named(10)
    found = donor_folds(given_names, disease=disease, folds=5, repeat=0, seed=1)
    order = np.random.default_rng(0).permutation(10)
    again = donor_folds(
        tuple(given_names[one] for one in order), disease=disease[order], folds=5, repeat=0, seed=1
    )
    assert (again == found[order]).all()
    other = donor_folds(given_names, disease=disease, folds=5, repeat=1, seed=1)
    assert (other != found).any()
