"""Logits to probabilities: the posterior against a slow one, its shape, and its calibration."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit

from consilience.foundation.errors import DataError, ModelError
from consilience.measures.calibration import calibration_error
from consilience.rnagan.calibration import Calibration, Posterior, donor_weights, fit_calibration, posterior

ONE = np.ones


def scores(n: int, *, separation: float, seed: int, slope: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Logits (2n,) of n positives and n negatives, normal within each kind; their kinds."""
    rng = np.random.default_rng(seed)
    kind = np.arange(2 * n) < n
    return slope * (rng.normal(size=2 * n) + separation * (kind - 0.5)), kind


def test_posterior_by_numerical_integration():
    """Mean probability against the integral over log slope and shift, point by point."""
    logits, kind = scores(4, separation=2.0, seed=1)
    prior = Calibration(0.3, 0.6, 0.2, 0.5, useless=0.2)
    found = posterior(logits, positive=kind, weights=ONE(8), calibration=prior)
    top, bottom = 0.0, 0.0
    density_total = 0.0
    for u in np.linspace(-3.5, 3.5, 141):
        for v in np.linspace(-3.5, 3.5, 141):
            density = np.exp(-(u * u + v * v) / 2)
            density_total += density
            slope, shift = np.exp(0.3 + 0.6 * u), 0.2 + 0.5 * v
            likelihood = 1.0
            for one, positive in zip(logits, kind, strict=True):
                p = expit(slope * (one - shift))
                likelihood *= p if positive else 1 - p
            top += density * likelihood * expit(slope * (1.1 - shift))
            bottom += density * likelihood
    top, bottom = 0.8 * top / density_total + 0.2 * 0.5**8 * 0.5, 0.8 * bottom / density_total + 0.2 * 0.5**8
    np.testing.assert_allclose(found.probability(np.array([1.1]))[0], top / bottom, rtol=5e-3)


@given(st.integers(2, 12), st.floats(0, 6), st.integers(0, 1000))
def test_probability_rises_with_the_logit(n, separation, seed):
    logits, kind = scores(n, separation=separation, seed=seed)
    found = posterior(logits, positive=kind, weights=ONE(2 * n), calibration=None)
    p = found.probability(np.linspace(-20, 20, 81))
    assert (np.diff(p) >= -1e-12).all()
    assert p.min() >= 0
    assert p.max() <= 1
    np.testing.assert_allclose(found.weights.sum(), 1.0)


@given(st.floats(0.01, 100), st.floats(-50, 50))
def test_general_prior_does_not_depend_on_the_units_of_the_score(scale, moved):
    logits, kind = scores(6, separation=2.0, seed=3)
    one = posterior(logits, positive=kind, weights=ONE(12), calibration=None)
    other = posterior(scale * logits + moved, positive=kind, weights=ONE(12), calibration=None)
    np.testing.assert_allclose(one.probability(logits), other.probability(scale * logits + moved), rtol=1e-4)


def test_prevalence_moves_the_log_odds():
    certain = Posterior(np.array([2.0]), np.array([0.5]), np.array([1.0]))
    p = certain.probability(np.array([1.0]), log_odds=np.log(0.1 / 0.9))
    np.testing.assert_allclose(p, expit(2 * 0.5 + np.log(0.1 / 0.9)))


def test_interval_is_that_of_the_mixture():
    """Against quantiles of a large random sample from line and error."""
    logits, kind = scores(6, separation=2.0, seed=5)
    found = posterior(logits, positive=kind, weights=ONE(12), calibration=None)
    low, high = found.interval(np.array([0.8]), standard_errors=np.array([0.3]), df=5, level=0.9)
    rng = np.random.default_rng(0)
    lines = rng.choice(len(found.weights), 200_000, p=found.weights)
    p = expit(found.slopes[lines] * (0.8 + 0.3 * rng.standard_t(5, 200_000) - found.shifts[lines]))
    np.testing.assert_allclose([low[0], high[0]], np.quantile(p, [0.05, 0.95]), atol=0.02)


@pytest.mark.parametrize(
    ("n", "n_tasks"), [(5, 100), *(pytest.param(n, 400, marks=pytest.mark.slow) for n in (5, 10, 20))]
)
def test_calibrated_from_few_references_over_tasks_of_all_difficulties(n, n_tasks):
    """Expected calibration error at most 0.05 where a plain fit of the line is twice as far off."""
    found, plain, truth = [], [], []
    for task in range(n_tasks):
        separation = np.random.default_rng([9, task]).uniform(0.5, 5.0)
        logits, kind = scores(n, separation=separation, seed=task, slope=7.0)
        new, new_kind = scores(40, separation=separation, seed=10_000 + task, slope=7.0)
        found.append(posterior(logits, positive=kind, weights=ONE(2 * n), calibration=None).probability(new))
        truth.append(new_kind)
        if n == 5:
            plain.append(plain_line(logits, kind, new))
    error = calibration_error(np.concatenate(found), np.concatenate(truth)).plain
    assert error <= 0.05
    if n == 5:
        assert error < 0.7 * calibration_error(np.concatenate(plain), np.concatenate(truth)).plain


def plain_line(logits: np.ndarray, kind: np.ndarray, new: np.ndarray) -> np.ndarray:
    """Maximum likelihood (all but unpenalised): what five references make overconfident."""
    from sklearn.linear_model import LogisticRegression

    fitted = LogisticRegression(C=1e4, max_iter=1000).fit(logits[:, None] / 7.0, kind)
    return fitted.predict_proba(new[:, None] / 7.0)[:, 1]


def test_interval_covers_what_the_logit_means():
    """With normal logits the true probability is known; the 90 % interval holds it at least so often."""
    hits = []
    for task in range(200):
        logits, kind = scores(8, separation=2.0, seed=task)
        found = posterior(logits, positive=kind, weights=ONE(16), calibration=None)
        asked = np.array([-2.0, -0.7, 0.0, 0.7, 2.0])
        low, high = found.interval(asked, standard_errors=np.zeros(5), df=7, level=0.9)
        truth = expit(2.0 * asked)
        hits.append((low <= truth) & (truth <= high))
    assert np.mean(hits) > 0.87


def test_stored_line_is_kept_where_references_are_few():
    logits, kind = scores(2, separation=2.0, seed=1)
    line = Calibration.of_line(1.7, 0.4)
    assert (line.slope, line.intercept) == pytest.approx((1.7, 0.4))
    narrow = Calibration(np.log(1.7), 1e-3, -0.4 / 1.7, 1e-3, useless=0.0)
    found = posterior(logits, positive=kind, weights=ONE(4), calibration=narrow)
    np.testing.assert_allclose(found.probability(np.array([1.0])), expit(1.7 + 0.4), rtol=1e-2)


def test_many_references_overrule_a_wrong_stored_line():
    logits, kind = scores(400, separation=2.0, seed=2)
    found = posterior(logits, positive=kind, weights=ONE(800), calibration=Calibration.of_line(0.5, 0.3))
    np.testing.assert_allclose(found.probability(np.array([-1.0, 1.0])), expit([-2.0, 2.0]), atol=0.04)


def test_a_score_that_tells_nothing_is_recognised():
    logits, kind = scores(100, separation=0.0, seed=4)
    found = posterior(logits, positive=kind, weights=ONE(200), calibration=None)
    assert np.abs(found.probability(np.linspace(-2, 2, 9)) - 0.5).max() < 0.1


def test_fit_recovers_a_line_and_the_spread_between_tasks():
    parts, kinds, tasks = [], [], []
    rng = np.random.default_rng(0)
    for task in range(30):
        slope = np.exp(rng.normal(0.5, 0.9))
        logits, kind = scores(60, separation=2.0, seed=task)
        parts.append(2.0 * logits / slope)
        kinds.append(kind)
        tasks.append(np.full(120, f"t{task}"))
    logits, kind, task = np.concatenate(parts), np.concatenate(kinds), np.concatenate(tasks)
    donors = np.array([f"d{k}" for k in range(len(logits))])
    found = fit_calibration(logits, positive=kind, donors=donors, tasks=task)
    assert abs(found.log_slope - 0.5) < 0.5
    assert 0.6 < found.log_slope_sd < 1.3
    assert (found.n_tasks, found.n_donors) == (30, 3600)
    alone = fit_calibration(logits[:120], positive=kind[:120], donors=donors[:120])
    assert alone.n_tasks == 1
    assert found.as_record()["slope"] == found.slope


def test_a_patient_counts_once():
    logits, kind = scores(6, separation=1.5, seed=7)
    donors = np.array([f"d{k}" for k in range(12)])
    once = fit_calibration(logits, positive=kind, donors=donors)
    thrice = fit_calibration(np.tile(logits, 3), positive=np.tile(kind, 3), donors=np.tile(donors, 3))
    assert thrice.log_slope == pytest.approx(once.log_slope, abs=1e-9)
    np.testing.assert_allclose(
        donor_weights(np.array(["a", "a", "b"]), positive=np.array([1, 1, 1], bool)), [0.5, 0.5, 1]
    )


def test_bad_input_is_named():
    with pytest.raises(DataError, match="both kinds"):
        fit_calibration(np.zeros(3), positive=ONE(3, dtype=bool), donors=np.array(["a", "b", "c"]))
    with pytest.raises(DataError, match="missing or infinite"):
        fit_calibration(np.array([np.nan, 1]), positive=np.array([True, False]), donors=np.array(["a", "b"]))
    with pytest.raises(ModelError, match="positive slope"):
        Calibration.of_line(-1.0, 0.0)
