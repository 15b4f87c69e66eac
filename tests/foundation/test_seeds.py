"""Streams depend on names, not on order."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from consilience.foundation.seeds import stream

keys = st.lists(st.one_of(st.text(max_size=8), st.integers(0, 9)), max_size=4)


@given(seed=st.integers(0, 2**32 - 1), names=keys)
def test_same_names_same_numbers(seed, names):
    assert stream(seed, *names).random(4).tolist() == stream(seed, *names).random(4).tolist()


@given(seed=st.integers(0, 2**31), first=keys, second=keys)
def test_other_names_other_numbers(seed, first, second):
    same_names = [(type(k), k) for k in first] == [(type(k), k) for k in second]
    same_numbers = stream(seed, *first).random(4).tolist() == stream(seed, *second).random(4).tolist()
    assert same_names == same_numbers


def test_neighbouring_streams_are_independent():
    draws = np.array([stream(1, "donor", number).normal(size=2_000) for number in range(20)])
    off_diagonal = np.corrcoef(draws)[np.triu_indices(20, 1)]
    assert stats.kstest(off_diagonal * np.sqrt(2_000), "norm").pvalue > 1e-3
    assert stats.kstest(draws.ravel(), "norm").pvalue > 1e-3
