"""Simple methods beside the network, and how they are judged."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import optimize, sparse, stats

from consilience.causal.denoising import baselines


def drawn(n=400, genes=12, seed=0):
    rng = np.random.default_rng(seed)
    size, kind = np.exp(rng.normal(0, 0.3, n)), rng.integers(2, size=n)
    rate = np.exp(rng.normal(1, 0.6, (2, genes)))
    mean = rate[kind] * size[:, None]
    return sparse.csr_matrix(rng.poisson(rng.gamma(2.0, mean / 2)).astype(np.float32)), size, kind, rate


def test_means_of_types():
    counts, size, kind, rate = drawn(4_000)
    np.testing.assert_allclose(baselines.type_means(counts, size, kind, 2), rate, rtol=0.12)
    whole = baselines.gene_means(counts, size)
    np.testing.assert_allclose(whole, np.asarray(counts.sum(axis=0)).ravel() / size.sum(), rtol=1e-3)
    empty = baselines.type_means(counts, size, np.zeros(4_000, int), 2)[1]
    np.testing.assert_allclose(empty, whole)  # a type without cells: the mean over all


def test_sizes_are_the_likeliest():
    counts, size, kind, rate = drawn(1_500, genes=4)
    expected, seen = rate[kind] * size[:, None], np.asarray(counts.toarray())
    found = baselines.fitted_sizes(seen, expected)
    for gene in range(4):
        due = optimize.minimize_scalar(
            lambda log_size, gene=gene: -stats.nbinom.logpmf(
                seen[:, gene], np.exp(log_size), 1 / (1 + expected[:, gene] * np.exp(-log_size))
            ).sum(),
            bounds=(-4, 6),
        ).x  # fmt: skip
        assert found[gene] == pytest.approx(due, abs=0.05)
    cost = baselines.cost_of(seen, expected, found)
    due = -stats.nbinom.logpmf(seen, np.exp(found), 1 / (1 + expected * np.exp(-found))).sum()
    assert cost == pytest.approx(due, rel=1e-5)


def test_components_and_neighbours_find_the_types():
    counts, size, kind, rate = drawn(600, genes=80)
    train, test = counts[:500], counts[500:]
    rates, scores = baselines.pca_expected(test, size[500:], train, size[:500], latent=1, seed=0)
    _, known = baselines.pca_expected(train, size[:500], train, size[:500], latent=1, seed=0)
    near = baselines.neighbours_expected(scores, known, train, size[:500])
    mean = np.broadcast_to(rate.mean(axis=0), (100, 80))
    true = rate[kind[500:]]
    for found in (rates, near):
        assert ((found - true) ** 2).mean() < 0.5 * ((mean - true) ** 2).mean()
