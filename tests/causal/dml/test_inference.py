"""Tests of donors' score sums against literal formulas and statsmodels; the bootstrap against a loop."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm
from scipy import stats

from consilience.causal.dml.bootstrap import WEBB, wild_bootstrap, wild_weights
from consilience.causal.dml.inference import score_test
from consilience.causal.dml.naive import design_effect, naive_test
from consilience.foundation.errors import ConfigError, DataError


def residuals(m=9, genes=4, seed=0, level=0.0):
    rng = np.random.default_rng(seed)
    donor = np.repeat(np.arange(m), rng.integers(5, 15, m))
    u = ((np.arange(m) % 2) - 0.5)[donor] + 0.1 * rng.standard_normal(donor.size)
    v = rng.standard_normal((donor.size, genes)) + level * rng.standard_normal((m, genes))[donor]
    return donor, u, v


def sums(donor, values):
    return np.stack([values[donor == one].sum(0) for one in range(donor.max() + 1)])


def test_clustered_errors_are_those_of_statsmodels():
    donor, u, v = residuals()
    b, a = sums(donor, v * u[:, None]), sums(donor, v**2)
    found, m = score_test(b=b, a=a, rule="cr1"), 9
    plain = score_test(b=b, a=a, rule="cr0")
    for gene in range(4):
        fit = sm.OLS(u, v[:, gene]).fit(
            cov_type="cluster", cov_kwds={"groups": donor, "use_correction": False}
        )
        assert plain.se[gene] == pytest.approx(fit.bse[0], rel=1e-10)
        assert plain.p[gene] == pytest.approx(fit.pvalues[0], rel=1e-8)
        n = len(u)
        fit = sm.OLS(u, v[:, gene]).fit(
            cov_type="cluster", cov_kwds={"groups": donor, "use_correction": True}, use_t=True
        )
        # statsmodels also multiplies by (n - 1) / (n - 1 column)
        assert found.se[gene] == pytest.approx(fit.bse[0] * np.sqrt((n - 1) / (n - 1)), rel=1e-10)
        assert found.p[gene] == pytest.approx(2 * stats.t.sf(abs(fit.tvalues[0]), m - 1), rel=1e-8)


def test_the_jackknife_refits_without_each_donor():
    donor, u, v = residuals(level=0.5)
    found = score_test(b=sums(donor, v * u[:, None]), a=sums(donor, v**2), rule="jackknife")
    for gene in range(4):
        whole = np.linalg.lstsq(v[:, [gene]], u, rcond=None)[0][0]
        without = [
            np.linalg.lstsq(v[donor != one][:, [gene]], u[donor != one], rcond=None)[0][0] for one in range(9)
        ]
        literal = np.sqrt(8 / 9 * ((np.array(without) - whole) ** 2).sum())
        assert found.se[gene] == pytest.approx(literal, rel=1e-9)


def test_the_restricted_rule_is_the_one_sample_t_where_weights_are_equal():
    b = np.random.default_rng(1).standard_normal((7, 3)) + 0.4
    found = score_test(b=b, a=np.ones_like(b), spent=0)
    expected = stats.ttest_1samp(b, 0)
    np.testing.assert_allclose(found.statistic, expected.statistic)
    np.testing.assert_allclose(found.p, expected.pvalue)
    fewer = score_test(b=b, a=np.ones_like(b), spent=1)
    assert (fewer.p > found.p).all()
    assert (fewer.df == 5).all()


@pytest.mark.parametrize("rule", ["restricted", "cr0", "cr1", "cr1_counted", "jackknife"])
def test_genes_without_variation_and_too_few_donors_are_flagged(rule):
    b, a = np.ones((6, 3)), np.ones((6, 3))
    b[:, 0] = a[:, 0] = 0
    b[2, 1] = np.nan
    b[:, 2] = np.arange(6)
    found = score_test(b=b, a=a, rule=rule)
    assert list(found.trouble) == ["no_variation", "no_variation", ""]
    assert np.isnan(found.p[:2]).all()
    assert np.isfinite(found.p[2])
    few = score_test(b=b[:3, 2:], a=a[:3, 2:], rule=rule)
    assert few.trouble[0] == "too_few_donors"
    assert np.isnan(few.p[0])


def test_bad_requests_are_named():
    with pytest.raises(ConfigError, match="restricted"):
        score_test(b=np.ones((6, 1)), a=np.ones((6, 1)), rule="restrictd")
    with pytest.raises(DataError):
        score_test(b=np.ones((6, 1)), a=np.ones((6, 2)))
    with pytest.raises(DataError):
        wild_bootstrap(b=np.ones((2, 1)), a=np.ones((2, 1)), donors=["a", "a"], seed=1)


def test_the_bootstrap_is_the_loop():
    donor, u, v = residuals(m=7, level=0.4)
    b, a = sums(donor, v * u[:, None]), sums(donor, v**2)
    names = [f"d{one}" for one in range(7)]
    found = wild_bootstrap(b=b, a=a, donors=names, seed=3)

    def t(b, a):
        theta = b.sum() / a.sum()
        return theta / (np.sqrt(((b - theta * a) ** 2).sum()) / a.sum())

    for gene in range(4):
        own, more = abs(t(b[:, gene], a[:, gene])), 0
        for signs in range(2**7):
            factor = np.array([1.0 if signs >> place & 1 else -1.0 for place in range(7)])
            more += abs(t(factor * b[:, gene], a[:, gene])) >= own * (1 - 1e-9)
        assert found.p[gene] == pytest.approx(more / 2**7)


def test_bootstrap_draws_go_with_donors_names():
    rng = np.random.default_rng(0)
    b, a = rng.standard_normal((14, 5)) + 0.3, rng.uniform(1, 2, (14, 5))
    names = [f"d{one}" for one in range(14)]
    found = wild_bootstrap(b=b, a=a, donors=names, seed=3, draws=199)
    order, genes = rng.permutation(14), rng.permutation(5)
    other = wild_bootstrap(
        b=b[order][:, genes], a=a[order][:, genes], donors=[names[one] for one in order], seed=3, draws=199
    )
    np.testing.assert_allclose(other.p, found.p[genes])
    np.testing.assert_allclose(other.low, found.low[genes])
    weights = wild_weights([f"d{one}" for one in range(11)], draws=4_000, seed=1)
    assert set(np.round(weights.ravel(), 9)) == set(np.round(WEBB, 9))
    assert abs(weights.mean()) < 0.02
    assert abs((weights**2).mean() - 1) < 0.02


def test_cells_taken_for_independent_find_what_is_not_there():
    p, corrected = [], []
    for seed in range(30):
        donor, u, v = residuals(m=12, genes=20, seed=seed, level=0.6)
        donor, u, v = (np.repeat(part, 8, axis=0) for part in (donor, u, v))
        v = v + np.random.default_rng(seed).standard_normal(v.shape)
        p.append((naive_test(outcome=u, treatment=v).p < 0.05).mean())
        corrected.append((score_test(b=sums(donor, v * u[:, None]), a=sums(donor, v**2)).p < 0.05).mean())
    assert np.mean(p) > 0.5
    assert np.mean(corrected) < 0.08


def test_the_naive_error_is_whites():
    _, u, v = residuals()
    found = naive_test(outcome=u, treatment=v)
    for gene in range(4):
        fit = sm.OLS(u, v[:, gene]).fit(cov_type="HC0")
        assert (found.se[gene], found.p[gene]) == (
            pytest.approx(fit.bse[0], rel=1e-10), pytest.approx(fit.pvalues[0], rel=1e-8)
        )  # fmt: skip
    flat = naive_test(outcome=u, treatment=np.zeros((len(u), 1)))
    assert flat.trouble[0] == "no_variation"
    assert np.isnan(flat.p[0])
    assert design_effect(between=np.array([0.1]), within=np.array([0.9]), cells=np.full(4, 101))[
        0
    ] == pytest.approx(11)
