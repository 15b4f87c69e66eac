"""The likelihood against scipy, a second implementation, and its gradient."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import special, stats

from consilience.causal.denoising import count_losses
from consilience.causal.denoising.count_kernels import digamma


def drawn(seed, n=5, genes=7, largest=2.0):
    rng = np.random.default_rng(seed)
    log_mean, log_size = rng.normal(0, largest, (n, genes)), rng.normal(0, 1.5, genes).clip(-4.5, 6.5)
    counts = rng.poisson(np.exp(rng.normal(0, largest, (n, genes)))).astype(float)
    return log_mean, log_size, counts


def tensors(*arrays):
    return [torch.tensor(array, requires_grad=place < len(arrays) - 1) for place, array in enumerate(arrays)]


@settings(max_examples=25)
@given(st.integers(0, 10_000))
def test_negative_binomial_is_scipys(seed):
    log_mean, log_size, counts = drawn(seed)
    theta, mean = np.exp(log_size), np.exp(log_mean)
    due = stats.nbinom.logpmf(counts, theta, theta / (theta + mean)).sum(axis=1)
    found = count_losses.negative_binomial(*tensors(log_mean, log_size, counts))
    np.testing.assert_allclose(found.detach(), due, rtol=1e-9)


@settings(max_examples=10)
@given(st.integers(0, 10_000))
def test_zero_inflated_is_the_mixture(seed):
    log_mean, log_size, counts = drawn(seed, largest=1.0)
    log_odds = np.random.default_rng(seed + 1).normal(0, 2, log_mean.shape)
    theta, mean, lost = np.exp(log_size), np.exp(log_mean), special.expit(log_odds)
    kept = (1 - lost) * stats.nbinom.pmf(counts, theta, theta / (theta + mean))
    due = np.log(np.where(counts == 0, lost + kept, kept)).sum(axis=1)
    found = count_losses.zero_inflated(*tensors(log_mean, log_size, log_odds, counts))
    np.testing.assert_allclose(found.detach(), due, rtol=1e-8)


def test_gradients_are_those_of_differences():
    log_mean, log_size, counts = drawn(3, largest=1.5)
    a, b, x = tensors(log_mean, log_size, counts)
    assert torch.autograd.gradcheck(lambda one, two: count_losses.negative_binomial(one, two, x), (a, b))
    odds = torch.randn(log_mean.shape, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(
        lambda one, two, three: count_losses.zero_inflated(one, two, three, x), (a, b, odds)
    )


def test_both_ways_to_the_gamma_functions_agree():
    """The compiled loop (CPU) and torch's functions (GPU), also for large counts, in single precision too."""
    counts = torch.tensor([[0.0, 1.0, 11.0, 12.0, 13.0, 4_000.0]], dtype=torch.float64)
    size = torch.tensor([0.01, 0.3, 2.0, 50.0, 1_000.0, 7.0], dtype=torch.float64)

    fast = count_losses._gamma_terms(counts, size)
    single = count_losses._gamma_terms(counts.float(), size.float())
    slow = count_losses.gamma_terms_of_torch(counts, size)
    for one, two, three in zip(fast, slow, single, strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-9, atol=1e-9)
        np.testing.assert_allclose(three, two, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("x", [1e-3, 0.2, 1.0, 3.7, 12.0, 1e5])
def test_digamma(x):
    assert digamma(x) == pytest.approx(special.digamma(x), rel=1e-10, abs=1e-10)


def test_sizes_beyond_the_bounds_change_nothing():
    log_mean, _, counts = drawn(1)
    ends = [torch.full((7,), value, dtype=torch.float64) for value in (7.0, 30.0)]
    found = [
        count_losses.negative_binomial(torch.tensor(log_mean), end, torch.tensor(counts)) for end in ends
    ]
    assert torch.equal(*found)
