"""The count model against theory, against scipy, and against itself done slowly."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from consilience.simulate.counts import (
    dispersion_trend,
    draw_counts,
    invert_negative_binomial,
    with_mitochondrial_share,
)

N = 40_000


@pytest.mark.parametrize("mean", [0.003, 0.2, 0.99, 1.01, 5.0, 300.0])
@pytest.mark.parametrize("dispersion", [1e-8, 0.1, 2.0])
def test_draws_have_the_mean_and_variance_of_a_negative_binomial(mean: float, dispersion: float) -> None:
    rng = np.random.default_rng(3)
    x = draw_counts(
        mean=np.full((N, 3), mean, dtype=np.float32), dispersion=np.array([dispersion] * 3), rng=rng
    ).dense(3)
    variance = mean + dispersion * mean**2
    n = x.size
    assert abs(x.mean() - mean) < 4.5 * np.sqrt(variance / n)
    # the variance of a sample variance needs the fourth moment of the distribution itself
    size = 1 / dispersion
    kurtosis = float(stats.nbinom.stats(size, size / (size + mean), moments="k")) + 3
    error = variance * np.sqrt((kurtosis - 1) / n)
    assert abs(x.var() - variance) < 5 * error


@pytest.mark.parametrize(("mean", "dispersion"), [(0.4, 0.3), (0.9, 1.5), (3.0, 0.3), (20.0, 0.2)])
def test_draws_follow_the_whole_distribution(mean: float, dispersion: float) -> None:
    rng = np.random.default_rng(5)
    x = draw_counts(mean=np.full((N, 1), mean, dtype=np.float32), dispersion=np.array([dispersion]), rng=rng)
    size = 1 / dispersion
    law = stats.nbinom(size, size / (size + mean))
    top = int(law.ppf(0.999))
    observed = np.bincount(np.minimum(x.dense(1).ravel(), top), minlength=top + 1)
    expected = np.append(law.pmf(np.arange(top)), law.sf(top - 1)) * N
    kept = expected >= 5
    observed, expected = observed[kept], expected[kept]
    result = stats.chisquare(observed, expected * observed.sum() / expected.sum())
    assert result.pvalue > 1e-4


@settings(deadline=None, max_examples=200)
@given(
    uniform=st.floats(0, 1 - 1e-9), mean=st.floats(1e-6, 5), dispersion=st.floats(1e-3, 5),
)  # fmt: skip
def test_inversion_is_the_quantile_function(uniform: float, mean: float, dispersion: float) -> None:
    found = invert_negative_binomial(
        uniform=np.array([uniform]), mean=np.array([mean]), dispersion=np.array([dispersion])
    )[0]
    law = stats.nbinom(1 / dispersion, 1 / (1 + dispersion * mean))
    assert law.cdf(found) > uniform - 1e-10
    assert found == 0 or law.cdf(found - 1) <= uniform + 1e-10


def test_different_genes_keep_their_own_parameters() -> None:
    rng = np.random.default_rng(1)
    mean = np.tile(np.array([0.0, 0.5, 50.0], dtype=np.float32), (N // 4, 1))
    x = draw_counts(mean=mean, dispersion=np.array([0.1, 0.1, 0.5]), rng=rng).dense(3)
    assert not x[:, 0].any()
    assert x[:, 1].mean() == pytest.approx(0.5, rel=0.08)
    moment = (x[:, 2].var() - x[:, 2].mean()) / x[:, 2].mean() ** 2
    assert moment == pytest.approx(0.5, rel=0.12)


def test_dropout_thins_small_means_most() -> None:
    mean = np.tile(np.array([0.1, 30.0], dtype=np.float32), (N, 1))
    kwargs = {"mean": mean, "dispersion": np.array([0.1, 0.1])}
    full = draw_counts(**kwargs, rng=np.random.default_rng(2)).dense(2).mean(axis=0)
    lost = draw_counts(**kwargs, rng=np.random.default_rng(2), dropout=0.4).dense(2).mean(axis=0)
    assert lost / full == pytest.approx([1 - 0.4 / 1.1, 1 - 0.4 / 31], rel=0.05)


def test_a_block_without_cells_or_counts() -> None:
    empty = draw_counts(
        mean=np.zeros((0, 4), dtype=np.float32), dispersion=np.ones(4), rng=np.random.default_rng(0)
    )
    assert empty.indptr.tolist() == [0]
    nothing = draw_counts(
        mean=np.zeros((3, 4), dtype=np.float32), dispersion=np.ones(4), rng=np.random.default_rng(0)
    )
    assert nothing.indptr.tolist() == [0, 0, 0, 0]


def test_dispersion_falls_with_abundance_to_a_floor() -> None:
    trend = dispersion_trend(abundance=np.array([1.0, 10.0, 1e6]), floor=0.05, extra=2.0)
    assert trend == pytest.approx([2.05, 0.25, 0.05], rel=1e-3)


def test_mitochondrial_share_is_exact_and_leaves_ratios() -> None:
    profile = np.random.default_rng(0).random((3, 6))
    scaled = with_mitochondrial_share(profile=profile, mitochondrial=np.array([1, 4]), share=0.3)
    assert scaled.sum(axis=1) == pytest.approx(1.0)
    assert scaled[:, [1, 4]].sum(axis=1) == pytest.approx(0.3)
    assert scaled[:, 0] / scaled[:, 2] == pytest.approx(profile[:, 0] / profile[:, 2])
    alone = with_mitochondrial_share(profile=profile, mitochondrial=np.array([], dtype=np.intp), share=0.3)
    assert alone.sum(axis=1) == pytest.approx(1.0)
