"""Each measure against a second, slow implementation or a known answer."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import optimize, stats

from consilience.causal.concordance.attenuation import corrected
from consilience.causal.concordance.correlations import moments, pearson, spearman
from consilience.causal.concordance.deming import deming
from consilience.causal.concordance.overlap import top_overlaps
from consilience.causal.concordance.rates import false_discovery_rates, simes
from consilience.causal.concordance.resampling import block_draws, correlation_interval, interval
from consilience.causal.concordance.scores import normal_scores, scores_of_p
from consilience.causal.concordance.signs import sign_agreement
from consilience.causal.concordance.stability import without_each_chromosome


def test_a_t_statistic_becomes_the_z_of_its_p() -> None:
    t, df = np.array([5.0, -2.0, 0.0, 80.0, np.nan]), np.array([4.0, 10.0, 7.0, 60.0, 3.0])
    found = normal_scores(t, df)
    p = 2 * stats.t.sf(np.abs(t[:3]), df[:3])
    assert found[:3] == pytest.approx(np.sign(t[:3]) * stats.norm.isf(p / 2))
    assert 10 < found[3] < 20
    assert np.isnan(found[4])
    assert normal_scores(np.array([2.5]), np.array([np.nan]))[0] == 2.5
    assert scores_of_p(p, t[:3]) == pytest.approx(found[:3])
    assert scores_of_p(np.array([0.0]), np.array([-1.0]))[0] == -37.0


def test_correlations_are_those_of_scipy() -> None:
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=(2, 60))
    y[:10] = 0.0
    assert pearson(x, y) == pytest.approx(stats.pearsonr(x, y).statistic)
    assert spearman(x, y) == pytest.approx(stats.spearmanr(x, y).statistic)
    weights = rng.integers(0, 3, size=(4, 60)).astype(float)
    for row, r in zip(weights, moments(x, y, weights).r, strict=True):
        times = row.astype(int)
        assert r == pytest.approx(stats.pearsonr(np.repeat(x, times), np.repeat(y, times)).statistic)
    assert np.isnan(pearson(x, np.full(60, 3.3)))
    assert np.isnan(moments(x, np.full(60, 3.3), weights).r).all()


def test_correction_undoes_noise_and_refuses_noise_alone() -> None:
    rng = np.random.default_rng(2)
    n = 4000
    true = rng.multivariate_normal([0, 0], [[2, 0.6 * 2], [0.6 * 2, 2]], size=n)
    x, y = true[:, 0] + rng.normal(size=n), 0.3 * (true[:, 1] + rng.normal(size=n))
    block = np.arange(n)
    draws = block_draws(n_blocks=n, seed=1, n=200)
    found = corrected(x=x, y=y, se_y=np.full(n, 0.3), block=block, draws=draws)
    assert pearson(x, y) == pytest.approx(0.4, abs=0.04)
    assert found.r == pytest.approx(0.6, abs=0.05)
    assert found.low < 0.6 < found.high
    assert (found.reliability_x, found.reliability_y) == pytest.approx((2 / 3, 2 / 3), abs=0.03)
    noise = corrected(x=x, y=rng.normal(size=n), se_y=np.ones(n), block=block, draws=draws)
    assert noise.refused == ("cells",)
    assert np.isnan(noise.r)
    both = corrected(x=rng.normal(size=n), y=0.1 * x, se_y=np.ones(n), block=block, draws=draws)
    assert both.refused == ("population", "cells")


def brute_line(x, y, sx, sy) -> tuple[float, float]:
    def distance(parameters):
        a, b = parameters
        return ((y - a - b * x) ** 2 / (sy**2 + b**2 * sx**2)).sum()

    starts = [optimize.minimize(distance, (0.0, b), method="Nelder-Mead", options={"xatol": 1e-10, "fatol": 1e-12, "maxiter": 4000}) for b in (-3.0, -0.3, 0.3, 3.0)]  # fmt: skip
    a, b = min(starts, key=lambda one: one.fun).x
    return a, b


@given(seed=st.integers(0, 1000), slope=st.sampled_from([-2.0, -0.5, 0.7, 4.0]))
@settings(max_examples=8)
def test_the_line_is_the_one_of_least_distance(seed: int, slope: float) -> None:
    rng = np.random.default_rng(seed)
    n = 50
    true = rng.normal(size=n)
    sx, sy = rng.uniform(0.1, 0.4, n), rng.uniform(0.1, 0.6, n)
    x, y = true + sx * rng.normal(size=n), 0.3 + slope * true + sy * rng.normal(size=n)
    draws = block_draws(n_blocks=n, seed=1, n=100)
    found = deming(x=x, y=y, se_x=sx, se_y=sy, block=np.arange(n), draws=draws)
    a, b = brute_line(x, y, sx, sy)
    assert (found.slope, found.intercept) == pytest.approx((b, a), rel=2e-3, abs=2e-3)
    assert found.low < found.slope < found.high
    # other units change the numbers and nothing else; axes turned round turn the line round
    scaled = deming(x=10 * x, y=-y, se_x=10 * sx, se_y=sy, block=np.arange(n), draws=draws)
    assert scaled.slope == pytest.approx(-found.slope / 10, rel=1e-3)
    turned = deming(x=y, y=x, se_x=sy, se_y=sx, block=np.arange(n), draws=draws)
    assert turned.slope == pytest.approx(1 / found.slope, rel=1e-2)


def test_the_line_with_equal_errors_is_demings_closed_form() -> None:
    rng = np.random.default_rng(3)
    x = rng.normal(size=80)
    y = 0.8 * x + 0.3 * rng.normal(size=80)
    x = x + 0.5 * rng.normal(size=80)
    ratio = (0.3 / 0.5) ** 2
    (sxx, sxy), (_, syy) = np.cov(x, y)
    closed = (syy - ratio * sxx + np.sqrt((syy - ratio * sxx) ** 2 + 4 * ratio * sxy**2)) / (2 * sxy)
    found = deming(x=x, y=y, se_x=np.full(80, 0.5), se_y=np.full(80, 0.3), block=np.arange(80), draws=block_draws(n_blocks=80, seed=1, n=50))  # fmt: skip
    assert found.slope == pytest.approx(closed, rel=1e-3)
    flat = deming(x=np.ones(80), y=y, se_x=np.ones(80), se_y=np.ones(80), block=np.arange(80), draws=np.ones((5, 80)))  # fmt: skip
    assert np.isnan(flat.slope)


def test_a_cloud_without_direction_has_no_slope() -> None:
    rng = np.random.default_rng(4)
    x, y = rng.normal(size=(2, 200))
    found = deming(x=x, y=y, se_x=np.ones(200), se_y=np.ones(200), block=np.arange(200), draws=block_draws(n_blocks=200, seed=1, n=300))  # fmt: skip
    assert (found.low, found.high) == (-np.inf, np.inf)


def test_overlap_by_dealt_genes_is_hypergeometric_without_blocks() -> None:
    rng = np.random.default_rng(5)
    n, k = 60, 15
    x, y = rng.normal(size=(2, n))
    dealt = np.stack([rng.permutation(x) for _ in range(4000)])
    found = top_overlaps(x=x, y=y, sizes=[k, 60], dealt=dealt)
    sets = [set(np.argsort(-np.abs(z))[:k].tolist()) for z in (x, y)]
    assert found[0].count == len(sets[0] & sets[1])
    assert found[0].expected == pytest.approx(k * k / n)
    assert found[0].p == pytest.approx(stats.hypergeom.sf(found[0].count - 1, n, k, k), abs=0.03)
    assert np.isnan(found[1].p)


def test_signs_are_counted_and_blocks_turned_as_wholes() -> None:
    x = np.array([1.0, 2, -1, 3, 0, 1, 1, 1])
    y = np.array([2.0, 1, -1, -1, 5, 1, 1, 1])
    alone = sign_agreement(x=x, y=y, block=np.arange(8), seed=1)
    assert (alone.share, alone.n) == (pytest.approx(6 / 7), 7)
    assert alone.p == pytest.approx(stats.binomtest(6, 7).pvalue)
    together = sign_agreement(x=x, y=y, block=np.array([0, 0, 0, 1, 1, 2, 2, 2]), seed=1)
    assert together.p > alone.p
    many = sign_agreement(x=np.ones(400), y=np.ones(400), block=np.arange(400), seed=1)
    assert many.p == pytest.approx(1 / 5001)
    assert np.isnan(sign_agreement(x=np.zeros(3), y=np.ones(3), block=np.arange(3), seed=1).p)


def test_rates_over_cell_types() -> None:
    p = np.array([0.001, 0.02, np.nan, 0.4])
    bh = false_discovery_rates(p, correction="bh")
    by = false_discovery_rates(p, correction="by")
    assert bh[[0, 1, 3]] == pytest.approx(stats.false_discovery_control(p[[0, 1, 3]]))
    assert by[[0, 1, 3]] == pytest.approx(stats.false_discovery_control(p[[0, 1, 3]], method="by"))
    assert np.isnan(bh[2])
    assert simes(p) == pytest.approx(0.003)
    assert np.isnan(simes(np.array([np.nan])))


def test_intervals_stretch_and_stay_correlations() -> None:
    draws = np.linspace(-1, 1, 1001)
    assert interval(0.0, draws) == pytest.approx((-0.95, 0.95))
    assert interval(0.0, draws, widening=2.0) == pytest.approx((-1.9, 1.9))
    low, high = correlation_interval(0.9, np.clip(0.9 + 0.05 * draws, -1, 1), widening=10.0)
    assert -1 < low < 0.9 < high < 1
    assert np.isnan(interval(0.0, np.where(draws > 0.5, np.nan, draws))).all()
    assert np.isnan(correlation_interval(np.nan, draws)).all()


def test_one_chromosome_at_a_time() -> None:
    rng = np.random.default_rng(6)
    x, y = rng.normal(size=(2, 40))
    names = ["1"] * 20 + ["X"] * 15 + [""] * 5
    found = without_each_chromosome(x=x, y=y, chromosome=names)
    kept = np.array(names) != "X"
    assert list(found) == ["1", "X"]
    assert found["X"] == pytest.approx(stats.pearsonr(x[kept], y[kept]).statistic)
    assert without_each_chromosome(x=x, y=y, chromosome=["1"] * 40) == {}
