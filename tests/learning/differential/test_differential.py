"""Differential expression against second implementations, and its error rates."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consilience.foundation.errors import ConfigError, DataError
from consilience.learning.differential.dispersions import adjusted_likelihood, best_dispersion, fitted_trend
from consilience.learning.differential.donors import donor_units
from consilience.learning.differential.method import benjamini_hochberg, design_matrix
from consilience.learning.differential.moderated_t import fit_prior, inverse_trigamma, moderated_t
from consilience.learning.differential.negative_binomial import fit
from consilience.learning.differential.registry import METHODS, differential_method
from consilience.learning.differential.wilcoxon import wilcoxon


def cohort(n: int = 20, genes: int = 50, *, seed: int = 0, planted: int = 0, batches: int = 1):
    """Counts, log values, kinds and batches; the first `planted` genes have log2 fold changes of ±1.5."""
    rng = np.random.default_rng(seed)
    positive, batch = np.arange(n) < n // 2, np.arange(n) % batches
    mean, alpha = np.exp(rng.normal(5, 1.2, genes)), np.exp(rng.normal(-2, 0.5, genes))
    fold = np.where(np.arange(genes) < planted, np.where(np.arange(genes) % 2 == 0, 1.5, -1.5), 0.0)
    size = np.exp(rng.normal(0, 0.3, n))[:, None]
    depth = size * np.exp(batch[:, None] * rng.normal(0, 0.5, genes))
    mu = depth * mean * 2.0 ** (positive[:, None] * fold)
    counts = rng.negative_binomial(1 / alpha, 1 / (1 + alpha * mu)).astype(float)
    # the true depth: planted genes must not move the others by their share of the reads
    logs = np.log2((counts + 0.5) / size)
    return counts, logs, positive, batch.astype(np.intp)


def values_for(method, counts, logs):
    return counts if method.needs == "counts" else logs


@given(st.integers(0, 100), st.integers(2, 9), st.integers(2, 9))
@settings(max_examples=30)
def test_wilcoxon_is_that_of_scipy(seed: int, n1: int, n2: int) -> None:
    from scipy.stats import mannwhitneyu

    rng = np.random.default_rng(seed)
    values = rng.integers(0, 6, (n1 + n2, 8)).astype(float)
    values[:, :4] += rng.random((n1 + n2, 4))
    values[:, 7] = 3
    positive = np.arange(n1 + n2) < n1
    found = wilcoxon(values=values, positive=positive, batches=np.zeros(n1 + n2, dtype=np.intp))
    theirs = mannwhitneyu(values[:n1, :7], values[n1:, :7], method="asymptotic")
    known = np.isfinite(theirs.pvalue) & (np.ptp(values[:, :7], axis=0) > 0)
    np.testing.assert_allclose(found.p[:7][known], theirs.pvalue[known], rtol=1e-10)
    np.testing.assert_allclose(
        found.effect[:7][known], (2 * theirs.statistic / (n1 * n2) - 1)[known], atol=1e-12
    )
    assert (found.p[7], found.fdr[7], found.effect[7]) == (1, 1, 0)


def test_van_elterens_sum_does_not_see_batches() -> None:
    _, logs, positive, batch = cohort(n=24, batches=3)
    plain = wilcoxon(values=logs, positive=positive, batches=batch)
    moved = wilcoxon(values=logs + 100 * batch[:, None], positive=positive, batches=batch)
    np.testing.assert_allclose(plain.p, moved.p)
    # by hand for one gene
    from scipy.stats import norm, rankdata

    excess = variance = 0.0
    for b in range(3):
        rows, ranks = batch == b, rankdata(logs[batch == b, 7])
        n, n1 = rows.sum(), positive[rows].sum()
        excess += (ranks[positive[rows]].sum() - n1 * (n + 1) / 2) / (n + 1)
        variance += n1 * (n - n1) * (n + 1) / 12 / (n + 1) ** 2
    assert plain.p[7] == pytest.approx(2 * norm.sf(abs(excess) / np.sqrt(variance)))


def test_the_moderated_t_follows_its_formulas() -> None:
    from scipy.special import digamma, polygamma
    from scipy.stats import t as student

    _, logs, positive, batch = cohort(n=12, genes=400, seed=3, planted=20)
    found = moderated_t(values=logs, positive=positive, batches=batch)
    a, b = logs[positive], logs[~positive]
    d = 10
    s2 = (((a - a.mean(0)) ** 2).sum(0) + ((b - b.mean(0)) ** 2).sum(0)) / d
    e = np.log(s2) - digamma(d / 2) + np.log(d / 2)
    target = e.var(ddof=1) - polygamma(1, d / 2)
    grid = np.linspace(0.05, 200, 400_000)
    d0 = 2 * grid[np.abs(polygamma(1, grid) - target).argmin()]
    s0 = np.exp(e.mean() + digamma(d0 / 2) - np.log(d0 / 2))
    shrunk = (d * s2 + d0 * s0) / (d + d0)
    t = (a.mean(0) - b.mean(0)) / np.sqrt(shrunk * (2 / 6))
    np.testing.assert_allclose(found.statistic, t, rtol=2e-3)
    np.testing.assert_allclose(found.p, 2 * student.sf(np.abs(t), d + d0), rtol=2e-2)
    np.testing.assert_allclose(found.effect, a.mean(0) - b.mean(0))


def test_the_prior_of_variances_is_found_again() -> None:
    rng = np.random.default_rng(0)
    d0, s0, d = 6.0, 0.3, 8
    true = d0 * s0 / rng.chisquare(d0, 40_000)
    prior = fit_prior(true * rng.chisquare(d, true.size) / d, freedom=d)
    assert prior.freedom == pytest.approx(d0, rel=0.05)
    assert prior.variance == pytest.approx(s0, rel=0.03)
    equal = fit_prior(0.3 * rng.chisquare(d, 200) / d * 0 + 0.3, freedom=d)
    assert np.isinf(equal.freedom)


@given(st.floats(1e-8, 1e8))
def test_trigamma_is_inverted(value: float) -> None:
    from scipy.special import polygamma

    assert float(polygamma(1, inverse_trigamma(value))) == pytest.approx(value, rel=1e-3)


def test_the_negative_binomial_fit_is_that_of_a_generalised_linear_model() -> None:
    import statsmodels.api as sm

    counts, _, positive, batch = cohort(n=20, genes=6, planted=2, batches=2)
    factors = np.exp(np.random.default_rng(0).normal(0, 0.2, 20))
    design = design_matrix(positive, batch)
    alpha = np.array([0.01, 0.1, 0.5, 1, 0.05, 0.2])
    beta, mu, error = fit(counts=counts, factors=factors, design=design, alpha=alpha)
    for gene in range(6):
        model = sm.GLM(
            counts[:, gene],
            design,
            family=sm.families.NegativeBinomial(alpha=alpha[gene]),
            offset=np.log(factors),
        )
        theirs = model.fit()
        np.testing.assert_allclose(beta[gene], theirs.params, atol=1e-4)
        np.testing.assert_allclose(mu[:, gene], theirs.mu, rtol=1e-4)
        assert error[gene] == pytest.approx(theirs.bse[0], rel=1e-3)


def test_dispersions_maximise_the_likelihood_and_are_found_again() -> None:
    rng = np.random.default_rng(0)
    n, genes = 60, 300
    mu = np.full((n, genes), 80.0)
    alpha = np.exp(rng.normal(-1.5, 0.4, genes))
    counts = rng.negative_binomial(1 / alpha, 1 / (1 + alpha * mu)).astype(float)
    design = design_matrix(np.arange(n) < 30, np.zeros(n, dtype=np.intp))
    found = best_dispersion(counts=counts, mu=mu, design=design)
    at = {
        step: adjusted_likelihood(np.log(found) + step, counts=counts, mu=mu, design=design)
        for step in (-0.02, 0, 0.02)
    }
    assert (at[0] >= at[-0.02] - 1e-9).all()
    assert (at[0] >= at[0.02] - 1e-9).all()
    assert np.median(np.log(found / alpha)) == pytest.approx(0, abs=0.06)
    assert np.corrcoef(np.log(found), np.log(alpha))[0, 1] > 0.8


def test_the_likelihood_is_that_of_scipy() -> None:
    from scipy.stats import nbinom

    rng = np.random.default_rng(0)
    counts, mu = rng.poisson(20, (5, 3)).astype(float), rng.uniform(5, 40, (5, 3))
    design, alpha = np.ones((5, 1)), np.array([0.1, 0.5, 2])
    found = adjusted_likelihood(np.log(alpha), counts=counts, mu=mu, design=design)
    plain = nbinom.logpmf(counts, 1 / alpha, 1 / (1 + alpha * mu)).sum(0)
    weight = (mu / (1 + alpha * mu)).sum(0)
    constant = found - (plain - 0.5 * np.log(weight))
    from scipy.special import gammaln

    np.testing.assert_allclose(constant, gammaln(counts + 1).sum(0))


def test_the_trend_is_found_again() -> None:
    rng = np.random.default_rng(0)
    means = np.exp(rng.normal(4, 2, 3000))
    genewise = (0.05 + 3 / means) * rng.gamma(5, 1 / 5, 3000)
    trend = fitted_trend(genewise, means)
    np.testing.assert_allclose(trend, 0.05 + 3 / means, rtol=0.1)
    assert (fitted_trend(np.full(2, 0.3), np.ones(2)) == 0.3).all()


@pytest.mark.parametrize("name", METHODS)
def test_errors_are_as_frequent_as_promised_and_planted_genes_found(name: str) -> None:
    method, ps, called = METHODS[name], [], []
    for seed in range(3):
        counts, logs, positive, batch = cohort(n=30, genes=1000, planted=100, batches=2, seed=seed)
        found = method.run(values=values_for(method, counts, logs), positive=positive, batches=batch)
        ps.append(found.p[100:])
        called.append(found.fdr <= 0.05)
        assert (np.sign(found.effect[:100]) == np.where(np.arange(100) % 2 == 0, 1, -1)).mean() > 0.97
    p, hits = np.concatenate(ps), np.array(called)
    assert (p < 0.05).mean() == pytest.approx(0.05, abs=0.02)
    assert hits[:, :100].mean() > 0.6
    assert hits[:, 100:].sum() / hits.sum() < 0.09


@pytest.mark.parametrize("name", METHODS)
def test_kinds_swapped_turn_signs_only(name: str) -> None:
    method = METHODS[name]
    counts, logs, positive, batch = cohort(planted=5, batches=2)
    first, second = (
        method.run(values=values_for(method, counts, logs), positive=kind, batches=batch)
        for kind in (positive, ~positive)
    )
    np.testing.assert_allclose(first.p, second.p, rtol=1e-3)
    np.testing.assert_allclose(first.effect, -second.effect, atol=1e-5)


@pytest.mark.parametrize("name", METHODS)
def test_bad_input_is_told(name: str) -> None:
    method = METHODS[name]
    counts, logs, positive, batch = cohort(n=12)
    values = values_for(method, counts, logs)
    values[:, 3] = 0
    assert method.run(values=values, positive=positive, batches=batch).p[3] == 1
    with pytest.raises(DataError, match="too few donors to compare"):
        method.run(values=values, positive=np.arange(12) < 1, batches=batch)
    with pytest.raises(DataError, match="coincide"):
        method.run(values=values, positive=positive, batches=positive.astype(np.intp))
    with pytest.raises(DataError, match="too few donors for so many batches"):
        design_matrix(np.array([True, False, True, False]), np.array([0, 0, 1, 2], dtype=np.intp))
    values[2, 2] = np.nan
    with pytest.raises(DataError, match="not numbers"):
        method.run(values=values, positive=positive, batches=batch)


def test_logs_are_not_taken_for_counts() -> None:
    _, logs, positive, batch = cohort()
    with pytest.raises(DataError, match="not counts"):
        METHODS["negative_binomial"].run(values=logs, positive=positive, batches=batch)
    with pytest.raises(ConfigError, match="did you mean 'wilcoxon'"):
        differential_method("wilcoxn")
    assert differential_method("moderated_t").doi


def test_a_gene_read_in_one_kind_only_has_a_finite_answer() -> None:
    counts, _, positive, batch = cohort(n=20, genes=60)
    counts[:, 4] = np.where(positive, 200, 0)
    found = METHODS["negative_binomial"].run(values=counts, positive=positive, batches=batch)
    assert np.isfinite(found.effect).all()
    assert found.effect[4] > 5
    assert found.fdr[4] < 1e-3


@given(st.lists(st.floats(0, 1), min_size=1, max_size=30))
def test_false_discovery_rates_by_their_definition(p: list[float]) -> None:
    ps = np.array(p)
    found = benjamini_hochberg(ps)
    ordered = np.sort(ps)
    for value, fdr in zip(ps, found, strict=True):
        candidates = [min(1.0, q * len(ps) / k) for k, q in enumerate(ordered, 1) if q >= value]
        assert fdr == pytest.approx(min(candidates))
    some = benjamini_hochberg(np.array([0.01, 0.02, np.nan]), tested=np.array([True, False, True]))
    assert (some[0], some[1], bool(np.isnan(some[2]))) == (0.01, 1, True)


def test_donors_are_the_unit() -> None:
    values = np.arange(12, dtype=float).reshape(6, 2)
    units = donor_units(
        positive=np.array([1, 1, 0, 0, 1, 0], dtype=bool),
        donors=np.array(list("baabba")),
        batches=np.array(list("XXXXXY")),
    )
    assert list(zip(units.donors, units.positive, units.batches, units.size, strict=True)) == [
        ("a", False, "X", 1), ("a", False, "Y", 1), ("a", True, "X", 1), ("b", False, "X", 1), ("b", True, "X", 2),
    ]  # fmt: skip
    np.testing.assert_array_equal(units.means(values)[4], (values[0] + values[4]) / 2)
    np.testing.assert_array_equal(units.sums(values)[4], values[0] + values[4])
    np.testing.assert_array_equal(units.unit, [4, 2, 0, 3, 4, 1])
    assert units.batch_codes.tolist() == [0, 1, 0, 0, 0]


def test_the_negative_binomial_test_agrees_with_the_peer() -> None:
    """Values of pydeseq2 0.5.4 (design ~batch + kind, no refit of outliers, no filters) for simulated counts."""
    table = pd.read_csv(Path(__file__).with_name("pydeseq2.tsv"), sep="\t")
    counts = table[[f"s{k:02d}" for k in range(12)]].to_numpy(float).T
    rows = np.arange(12)
    found = METHODS["negative_binomial"].run(
        values=counts, positive=rows < 6, batches=(rows % 2).astype(np.intp)
    )
    np.testing.assert_allclose(found.effect, table["log2fc"], atol=0.02)
    gap = np.abs(found.statistic - table["z"])
    assert np.median(gap) < 0.02
    assert np.quantile(gap, 0.95) < 0.1
    assert np.corrcoef(found.statistic, table["z"])[0, 1] > 0.999
