"""AUC, average precision and their intervals against slow second ways and scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from consilience.foundation.errors import DataError
from consilience.measures.ranking import (
    auc,
    average_precision,
    bootstrap_interval,
    delong_covariance,
    delong_difference,
    delong_interval,
    mean_interval,
    midranks,
    paired_difference,
    placements,
)


@st.composite
def ranked(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    n = draw(st.integers(2, 40))
    scores = draw(hnp.arrays(np.float64, n, elements=st.integers(-4, 4).map(float)))
    positive = draw(hnp.arrays(bool, n))
    positive[0], positive[1] = True, False
    return scores, positive


def slow_auc(scores: np.ndarray, positive: np.ndarray) -> float:
    pairs = [(a > b) + 0.5 * (a == b) for a in scores[positive] for b in scores[~positive]]
    return float(np.mean(pairs))


@given(ranked())
def test_auc_counts_pairs(case: tuple[np.ndarray, np.ndarray]) -> None:
    scores, positive = case
    assert auc(scores, positive) == pytest.approx(slow_auc(scores, positive), abs=1e-12)
    assert auc(-scores, positive) == pytest.approx(1 - auc(scores, positive), abs=1e-12)
    one, other = placements(scores, positive)
    assert (
        one.mean()
        == pytest.approx(other.mean(), abs=1e-12)
        == pytest.approx(auc(scores, positive), abs=1e-12)
    )


@given(ranked())
def test_average_precision_is_that_of_sklearn(case: tuple[np.ndarray, np.ndarray]) -> None:
    from sklearn.metrics import average_precision_score

    scores, positive = case
    assert average_precision(scores, positive) == pytest.approx(
        average_precision_score(positive, scores), abs=1e-12
    )


@given(hnp.arrays(np.float64, st.integers(1, 30), elements=st.integers(0, 5).map(float)))
def test_midranks_are_those_of_scipy(scores: np.ndarray) -> None:
    from scipy.stats import rankdata

    np.testing.assert_allclose(midranks(scores), rankdata(scores))


def test_order_of_samples_does_not_matter() -> None:
    rng = np.random.default_rng(0)
    scores, positive = rng.integers(0, 9, 50).astype(float), rng.random(50) < 0.3
    shuffled = rng.permutation(50)
    for measure in (auc, average_precision):
        assert measure(scores, positive) == pytest.approx(
            measure(scores[shuffled], positive[shuffled]), abs=1e-12
        )


def test_delong_covariance_as_defined() -> None:
    # the definition, with its kernel over all pairs
    rng = np.random.default_rng(1)
    positive = np.arange(30) < 12
    scores = np.round(rng.normal(size=(3, 30)) + positive, 1)
    kernel = (scores[:, positive][:, :, None] > scores[:, ~positive][:, None]) + 0.5 * (
        scores[:, positive][:, :, None] == scores[:, ~positive][:, None]
    )
    expected = np.cov(kernel.mean(axis=2)) / 12 + np.cov(kernel.mean(axis=1)) / 18
    np.testing.assert_allclose(delong_covariance(scores, positive), expected, atol=1e-14)


def test_delong_interval_covers_as_it_says() -> None:
    from scipy.stats import norm

    positive = np.arange(60) < 25
    truth = norm.cdf(1.2 / np.sqrt(2))
    hits, below = 0, 0
    for number in range(1000):
        scores = np.random.default_rng(number).normal(size=60) + 1.2 * positive
        interval = delong_interval(scores, positive)
        assert interval.low <= interval.value <= interval.high
        hits += interval.low <= truth <= interval.high
        below += truth < interval.low
    # 95 % ± 3.5 standard errors of a share over 1,000, with room for the small sample
    assert 0.925 <= hits / 1000 <= 0.975
    assert below / 1000 < 0.045


def test_delong_interval_of_perfect_ranking_has_width() -> None:
    positive = np.arange(20) < 10
    interval = delong_interval(positive.astype(float), positive)
    assert interval.high == 1.0
    assert interval.low == pytest.approx(0.025 ** (1 / 10))
    assert delong_interval(-positive.astype(float), positive).high == pytest.approx(1 - 0.025 ** (1 / 10))


def test_delong_difference_is_calibrated_and_has_power() -> None:
    positive = np.arange(80) < 40
    p_null, p_real = [], []
    for number in range(400):
        rng = np.random.default_rng(number)
        shared = rng.normal(size=80) + positive
        first, second, worse = (shared + rng.normal(size=80) for _ in range(3))
        p_null.append(delong_difference(first, second, positive).p)
        gap = delong_difference(first + 2 * positive, worse, positive)
        p_real.append(gap.p)
        assert gap.low <= gap.mean <= gap.high
    assert 0.02 <= np.mean(np.array(p_null) < 0.05) <= 0.085
    assert np.mean(np.array(p_real) < 0.05) > 0.8


def test_same_scores_do_not_differ() -> None:
    positive = np.arange(30) < 10
    scores = np.random.default_rng(0).normal(size=30)
    same = delong_difference(scores, 2 * scores, positive)
    assert (same.mean, same.p) == (0.0, 1.0)
    draws = np.full(10, 0.7)
    assert paired_difference(draws, draws).p == 1.0


def test_bootstrap_agrees_with_delong_and_widens_for_donors() -> None:
    rng = np.random.default_rng(3)
    donors = np.repeat(np.array([f"D{number:02d}" for number in range(20)]), 5)
    positive = np.repeat(np.arange(20) < 10, 5)
    scores = np.repeat(rng.normal(size=20), 5) + 0.2 * rng.normal(size=100) + positive
    by_sample = bootstrap_interval(scores, positive, seed=1, n_boot=400)
    exact = delong_interval(scores, positive)
    assert by_sample.high - by_sample.low == pytest.approx(exact.high - exact.low, rel=0.2)
    by_donor = bootstrap_interval(scores, positive, seed=1, n_boot=400, donors=donors)
    # five copies of each donor's value are little more than one
    assert by_donor.high - by_donor.low > 1.6 * (by_sample.high - by_sample.low)
    assert by_sample == bootstrap_interval(scores, positive, seed=1, n_boot=400)


def test_bootstrap_keeps_both_kinds_of_paired_donors() -> None:
    donors = np.repeat(np.array(["A", "B", "C"]), 2)
    positive = np.tile([True, False], 3)
    interval = bootstrap_interval(np.arange(6.0), positive, seed=0, donors=donors, n_boot=50)
    assert 0 <= interval.low <= interval.high <= 1


def test_mean_interval_and_paired_difference() -> None:
    from scipy.stats import ttest_rel

    rng = np.random.default_rng(0)
    first, second = rng.normal(0.8, 0.05, 20), rng.normal(0.75, 0.05, 20)
    gap = paired_difference(first, second)
    expected = ttest_rel(first, second).confidence_interval()
    assert (gap.low, gap.high) == pytest.approx((expected.low, expected.high))
    assert gap.better == pytest.approx(np.mean(first > second))
    assert gap.p < 0.05
    assert mean_interval(np.array([0.5])) == (0.5, 0.5, 0.5)


@pytest.mark.parametrize(
    ("scores", "positive", "words"),
    [
        (np.zeros(3), np.ones(3, dtype=bool), "both kinds"),
        (np.array([0.0, np.nan]), np.array([True, False]), "missing"),
        (np.zeros(3), np.ones(2, dtype=bool), "sizes"),
    ],
)
def test_bad_input_is_explained(scores: np.ndarray, positive: np.ndarray, words: str) -> None:
    for measure in (auc, average_precision):
        with pytest.raises(DataError, match=words):
            measure(scores, positive)


def test_other_bad_input_is_explained() -> None:
    positive = np.array([True, False, False])
    with pytest.raises(DataError, match="two samples of each kind"):
        delong_interval(np.arange(3.0), positive)
    with pytest.raises(DataError, match="level"):
        bootstrap_interval(np.arange(3.0), positive, seed=0, level=1.0)
    with pytest.raises(DataError, match="no draws"):
        mean_interval(np.array([]))
    with pytest.raises(DataError, match="same draws"):
        paired_difference(np.zeros(2), np.zeros(3))
