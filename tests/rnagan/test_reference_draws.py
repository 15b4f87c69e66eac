"""Draws of references: no sample twice, patients left out in turn, standard errors that hold."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consilience.foundation.errors import ConfigError
from consilience.rnagan.reference_draws import (
    Draws,
    draw_references,
    free_draws,
    published_draws,
    standard_error,
)


def units_of(counts: list[int], prefix: str) -> np.ndarray:
    return np.repeat([f"{prefix}{k}" for k in range(len(counts))], counts)


@given(
    positive=st.lists(st.integers(1, 4), min_size=1, max_size=12),
    negative=st.lists(st.integers(1, 4), min_size=1, max_size=12),
    shared=st.booleans(),
    n_references=st.integers(1, 15),
    n_draws=st.integers(1, 24),
)
def test_draws_hold_no_sample_twice_and_as_many_patients_as_they_can(
    positive, negative, shared, n_references, n_draws
):
    one, other = units_of(positive, "p"), units_of(negative, "p" if shared else "n")
    draws = draw_references(
        positive_units=one, negative_units=other, n_references=n_references, n_draws=n_draws, seed=3
    )
    assert len(draws) == (n_draws if shared else 2 * max(1, n_draws // 2))
    for rows, units in ((draws.positive, one), (draws.negative, other)):
        assert 1 <= rows.shape[1] <= n_references
        for row in rows:
            assert len(set(row.tolist())) == len(row)
            # a second sample of a patient only where the draw had no further patient
            assert len(set(units[row].tolist())) <= len(row)
    for rows, units, left in (
        (draws.positive, one, draws.positive_left_out),
        (draws.negative, other, draws.negative_left_out),
    ):
        if len(set(units.tolist())) > 1 and not shared:
            assert left > 0
            assert all(len(set(units[row].tolist())) < len(set(units.tolist())) for row in rows)


def test_every_patient_is_left_out_about_equally_often():
    units = units_of([1] * 11, "p")
    draws = draw_references(positive_units=units, negative_units=None, n_references=30, n_draws=110, seed=0)
    free = free_draws(rows=draws.positive, units=units, of=units).sum(axis=0)
    assert free.min() >= 20
    assert free.max() <= 42
    np.testing.assert_allclose(free.mean(), 110 * draws.positive_left_out)


def test_shared_patients_are_left_out_of_both_kinds_at_once():
    units = units_of([1] * 8, "p")
    draws = draw_references(positive_units=units, negative_units=units, n_references=20, n_draws=40, seed=0)
    free_one = free_draws(rows=draws.positive, units=units, of=units)
    free_other = free_draws(rows=draws.negative, units=units, of=units)
    np.testing.assert_array_equal(free_one, free_other)
    assert free_one.any(axis=0).all()


def test_ring_shares_one_kind_between_neighbours():
    draws = draw_references(positive_units=units_of([1] * 30, "p"), negative_units=units_of([1] * 30, "n"),
                            n_references=10, n_draws=20, seed=0)  # fmt: skip
    np.testing.assert_array_equal(draws.positive[0::2], draws.positive[1::2])
    np.testing.assert_array_equal(draws.negative[1::2], np.roll(draws.negative[0::2], -1, axis=0))
    assert not np.array_equal(draws.negative[0::2], draws.negative[1::2])


def test_free_draws_by_hand():
    rows, units = np.array([[0, 1], [1, 2], [2, 3]]), np.array(["a", "a", "b", "c"])
    found = free_draws(rows=rows, units=units, of=np.array(["a", "b", "c", "nobody"]))
    np.testing.assert_array_equal(
        found, [[False, True, True, True], [False, False, True, True], [True, False, False, True]]
    )


def test_leaving_one_out_of_each_kind_is_the_jackknife():
    """With all leave-one-out draws of one kind the standard error of a mean is its textbook value."""
    x = np.random.default_rng(0).normal(size=9)
    rows = np.array([[k for k in range(9) if k != out] for out in range(9)])
    logits = x[rows].mean(axis=1)[:, None]
    found = standard_error(logits, draws=Draws(rows, None, 1 / 9, 0.0, ring=False))
    # the variance over draws has 8 in its denominator where the jackknife has 9
    np.testing.assert_allclose(found[0], np.sqrt(9 / 8) * x.std(ddof=1) / 3, rtol=1e-12)


@pytest.mark.parametrize(
    ("n_one", "n_other", "size"), [(5, 5, 5), (24, 6, 20), pytest.param(60, 30, 10, marks=pytest.mark.slow)]
)
def test_standard_error_is_that_of_new_patients(n_one, n_other, size):
    """Over many reference sets the standard error agrees with the spread of the mean logit."""
    means, errors = [], []
    for trial in range(120):
        rng = np.random.default_rng(trial)
        one, other = rng.normal(0, 1.0, n_one), rng.normal(0, 2.0, n_other)
        draws = draw_references(positive_units=units_of([1] * n_one, "p"), negative_units=units_of([1] * n_other, "n"),
                                n_references=size, n_draws=100, seed=trial)  # fmt: skip
        logits = (one[draws.positive].mean(axis=1) - other[draws.negative].mean(axis=1))[:, None]
        means.append(logits.mean())
        errors.append(standard_error(logits, draws=draws)[0])
    ratio = np.sqrt(np.mean(np.square(errors))) / np.std(means)
    assert 0.8 < ratio < 1.25


def test_one_patient_has_no_standard_error():
    draws = draw_references(positive_units=np.array(["a"]), negative_units=units_of([1] * 6, "n"),
                            n_references=5, n_draws=10, seed=0)  # fmt: skip
    assert np.isnan(standard_error(np.zeros((10, 3)), draws=draws)).all()


def test_published_draws_share_positions():
    one, other = published_draws(n_positive=10, n_negative=10, n_references=7, n_draws=50, seed=1)
    np.testing.assert_array_equal(one, other)
    one, other = published_draws(n_positive=10, n_negative=3, n_references=7, n_draws=50, seed=1)
    assert (one.max(), other.max()) == (9, 2)
    assert any(len(set(row.tolist())) < len(row) for row in one)


@pytest.mark.parametrize("numbers", [{"n_references": 0, "n_draws": 5}, {"n_references": 5, "n_draws": 0}])
def test_numbers_below_one_are_refused(numbers):
    with pytest.raises(ConfigError, match="at least 1"):
        draw_references(positive_units=np.array(["a"]), negative_units=None, seed=0, **numbers)
