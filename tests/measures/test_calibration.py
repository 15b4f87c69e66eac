"""Reliability, Brier, calibration error and scaling, against second ways and known truth."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from consilience.foundation.errors import DataError
from consilience.measures.calibration import (
    AS_IT_IS,
    brier,
    calibration_error,
    expit,
    fit_scaling,
    log_loss,
    mean_of_folded_normal,
    reliability,
)
from consilience.measures.ranking import auc

PROBABILITIES = hnp.arrays(np.float64, st.integers(1, 60), elements=st.integers(0, 8).map(lambda k: k / 8))


@given(PROBABILITIES, st.integers(1, 12))
def test_bins_hold_all_and_never_part_ties(p: np.ndarray, n_bins: int) -> None:
    positive = np.random.default_rng(len(p)).random(len(p)) < p
    curve = reliability(p, positive, n_bins=n_bins)
    assert curve.count.sum() == len(p)
    assert (curve.count > 0).all()
    assert len(curve.count) <= n_bins
    assert (np.diff(curve.predicted) > 0).all()
    assert curve.count @ curve.predicted == pytest.approx(p.sum())
    assert curve.count @ curve.observed == pytest.approx(positive.sum())
    assert (curve.low <= curve.observed + 1e-12).all()
    assert (curve.high >= curve.observed - 1e-12).all()
    # ties together: the order of the samples cannot matter
    order = np.random.default_rng(1).permutation(len(p))
    np.testing.assert_allclose(reliability(p[order], positive[order], n_bins=n_bins).observed, curve.observed)


def test_bins_are_of_equal_mass_without_ties() -> None:
    p = np.random.default_rng(0).random(100)
    curve = reliability(p, p > 0.5, n_bins=10)
    np.testing.assert_array_equal(curve.count, 10)
    # second way: sort and cut
    np.testing.assert_allclose(curve.predicted, np.sort(p).reshape(10, 10).mean(axis=1))


def test_brier_is_that_of_sklearn() -> None:
    from sklearn.metrics import brier_score_loss
    from sklearn.metrics import log_loss as sklearn_log_loss

    rng = np.random.default_rng(0)
    logits, positive = rng.normal(size=50), rng.random(50) < 0.4
    assert brier(expit(logits), positive) == pytest.approx(brier_score_loss(positive, expit(logits)))
    assert log_loss(logits, positive) == pytest.approx(sklearn_log_loss(positive, expit(logits)))


def test_wilson_is_that_of_statsmodels() -> None:
    from statsmodels.stats.proportion import proportion_confint

    p = np.random.default_rng(0).random(100)
    positive = np.random.default_rng(1).random(100) < p
    curve = reliability(p, positive, n_bins=5)
    low, high = proportion_confint(curve.observed * curve.count, curve.count, method="wilson")
    np.testing.assert_allclose(curve.low, low, atol=1e-9)
    np.testing.assert_allclose(curve.high, high, atol=1e-9)


def test_plain_error_by_hand() -> None:
    p = np.array([0.1, 0.1, 0.9, 0.9])
    positive = np.array([False, True, True, True])
    error = calibration_error(p, positive, n_bins=2)
    assert error.plain == pytest.approx(0.5 * 0.4 + 0.5 * 0.1)
    assert error.squared_corrected == pytest.approx(0.5 * (0.16 - 0.045) + 0.5 * (0.01 - 0.045))
    assert calibration_error(np.array([0.0, 1.0]), np.array([False, True])).plain == 0.0


def test_folded_normal_by_simulation() -> None:
    draws = np.random.default_rng(0).normal(size=400_000)
    for mean, sd in ((0.0, 1.0), (0.3, 0.5), (2.0, 0.1)):
        expected = np.abs(mean + sd * draws).mean()
        assert mean_of_folded_normal(np.array([mean]), np.array([sd]))[0] == pytest.approx(expected, rel=5e-3)
    assert mean_of_folded_normal(np.array([0.2]), np.array([0.0]))[0] == 0.2


@pytest.mark.parametrize("shift", [0.0, 0.1, 0.3])
def test_correction_takes_the_excess_of_small_samples_away(shift: float) -> None:
    # p is said, p − shift is true, and all is known: the true error is the shift
    plain, corrected, squared, by_chance = [], [], [], []
    for number in range(300):
        rng = np.random.default_rng(number)
        p = rng.uniform(0.35, 0.65, size=100)
        error = calibration_error(p, rng.random(100) < p - shift)
        plain.append(error.plain)
        corrected.append(error.corrected)
        squared.append(error.squared_corrected)
        by_chance.append(error.expected_by_chance)
    assert abs(np.mean(corrected) - shift) < abs(np.mean(plain) - shift) or shift == 0.3
    assert abs(np.mean(corrected) - shift) < 0.05
    # unbiased but for the assumed variance, which differs by no more than 0.09/10
    assert np.mean(squared) == pytest.approx(shift**2, abs=0.01)
    if shift == 0.0:
        assert np.mean(plain) == pytest.approx(np.mean(by_chance), abs=0.01)
        assert np.mean(plain) > 0.1


@pytest.mark.parametrize("slope", [0.3, 1.0, 4.0])
def test_scaling_finds_the_truth(slope: float) -> None:
    rng = np.random.default_rng(0)
    truth = rng.normal(scale=1.5, size=20_000)
    positive = rng.random(20_000) < expit(truth)
    temperature = fit_scaling(truth / slope, positive, method="temperature")
    assert temperature.slope == pytest.approx(slope, rel=0.05)
    platt = fit_scaling((truth + 0.5) / slope, positive, method="platt")
    assert platt.slope == pytest.approx(slope, rel=0.05)
    assert platt.intercept == pytest.approx(-0.5, abs=0.05)
    assert calibration_error(platt.probabilities((truth + 0.5) / slope), positive).plain < 0.015


def test_temperature_is_scipys_minimum() -> None:
    from scipy.optimize import minimize_scalar

    rng = np.random.default_rng(5)
    logits, positive = rng.normal(size=40), rng.random(40) < 0.5
    positive |= logits > 1
    found = fit_scaling(logits, positive, method="temperature").slope
    best = minimize_scalar(lambda s: log_loss(s * logits, positive), bounds=(0.01, 100), method="bounded")
    assert found == pytest.approx(best.x, rel=1e-3)


def test_platt_is_sklearns_unpenalised_fit_to_platts_targets() -> None:
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(2)
    positive = np.arange(60) < 20
    logits = 3 * rng.normal(size=60) + 2 * positive
    ours = fit_scaling(logits, positive, method="platt")
    # a target of t is a sample of weight t and its opposite of weight 1 − t
    aim = np.where(positive, 21 / 22, 1 / 42)
    peer = LogisticRegression(C=1e9, tol=1e-10, max_iter=1000).fit(
        np.concatenate([logits, logits])[:, None],
        np.repeat([1, 0], 60),
        sample_weight=np.concatenate([aim, 1 - aim]),
    )
    assert ours.slope == pytest.approx(peer.coef_[0, 0], rel=1e-4)
    assert ours.intercept == pytest.approx(peer.intercept_[0], rel=1e-3, abs=1e-4)


@pytest.mark.parametrize("method", ["temperature", "platt"])
@pytest.mark.parametrize("size", [1e-6, 1.0, 1e6])
def test_scaling_is_finite_and_keeps_ranks(method: str, size: float) -> None:
    positive = np.arange(12) < 6
    parted = size * np.where(positive, 1.0, -1.0) * np.arange(1, 13)
    for logits in (parted, -parted, np.zeros(12), parted + 3 * size):
        scaling = fit_scaling(logits, positive, method=method)  # type: ignore[arg-type]
        p = scaling.probabilities(logits)
        assert np.isfinite(p).all()
        assert scaling.slope >= 0
    # ranks never turn round
    assert auc(fit_scaling(-parted, positive, method=method).probabilities(-parted), positive) <= 0.5  # type: ignore[arg-type]


def test_platt_of_parted_kinds_stays_modest() -> None:
    positive = np.arange(10) < 5
    scaling = fit_scaling(np.where(positive, 8.0, -8.0), positive, method="platt")
    # (n + 1)/(n + 2) for the kind, and no more
    np.testing.assert_allclose(scaling.probabilities(np.array([8.0, -8.0])), [6 / 7, 1 / 7], rtol=1e-6)


def test_balanced_gives_kinds_equal_weight() -> None:
    rng = np.random.default_rng(0)
    positive = np.arange(5_000) < 500
    logits = rng.normal(size=5_000) + np.where(positive, 1.0, -1.0)
    balanced = fit_scaling(logits, positive, method="platt", balanced=True)
    plain = fit_scaling(logits, positive, method="platt")
    assert balanced.intercept == pytest.approx(0.0, abs=0.15)
    assert plain.intercept == pytest.approx(np.log(1 / 9), abs=0.2)
    assert balanced.slope == pytest.approx(2.0, rel=0.1)


def test_as_it_is() -> None:
    np.testing.assert_allclose(AS_IT_IS.probabilities(np.array([0.0, 1000.0, -1000.0])), [0.5, 1.0, 0.0])


def test_bad_input_is_explained() -> None:
    two = np.array([True, False])
    with pytest.raises(DataError, match="no probabilities"):
        brier(np.array([0.5, 1.5]), two)
    with pytest.raises(DataError, match="missing"):
        fit_scaling(np.array([np.nan, 1.0]), two, method="platt")
    with pytest.raises(DataError, match="both kinds"):
        fit_scaling(np.zeros(2), np.ones(2, dtype=bool), method="temperature")
    with pytest.raises(DataError, match="sizes"):
        reliability(np.array([]), np.array([], dtype=bool))
    with pytest.raises(DataError, match="one bin"):
        reliability(np.array([0.5, 0.5]), two, n_bins=0)
