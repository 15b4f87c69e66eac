"""Donors' means, sensitivity to what was not measured, and overlap, against reference values and definitions."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from consilience.causal.dml.overlap import out_of_fold_r2, overlap, trimmed
from consilience.causal.dml.pseudobulk import donor_means, donor_scale, pseudobulk
from consilience.causal.dml.sensitivity import adjusted_effect, robustness_value
from consilience.foundation.errors import ConfigError, DataError

RNG = np.random.default_rng(0)
MEANS, AGE = RNG.standard_normal((14, 30)), RNG.standard_normal((14, 2))
DISEASE = (np.arange(14) % 2).astype(float)


def test_means_of_sparse_and_dense_cells():
    donor = np.array([0, 1, 1, 2, 2, 2])
    cells = RNG.poisson(0.7, (6, 5)).astype(np.float32)
    expected = np.stack([cells[donor == one].mean(0) for one in range(3)])
    np.testing.assert_allclose(donor_means(sparse.csr_matrix(cells), donor, 3), expected, rtol=1e-6)
    np.testing.assert_allclose(donor_means(cells, donor, 3), expected, rtol=1e-6)
    with pytest.raises(DataError):
        donor_means(cells, donor, 4)


def test_the_effect_and_its_t_are_those_of_least_squares_of_disease_on_expression():
    theta, test = pseudobulk(means=MEANS, disease=DISEASE, covariates=AGE, method="t")
    for gene in range(5):
        fit = sm.OLS(DISEASE, np.column_stack([MEANS[:, gene], np.ones(14), AGE])).fit()
        assert theta[gene] == pytest.approx(fit.params[0])
        assert test.statistic[gene] == pytest.approx(fit.tvalues[0])
        assert (test.p[gene], test.df[gene]) == (pytest.approx(fit.pvalues[0]), 10)
        assert test.se[gene] == pytest.approx(fit.bse[0])


def test_moderation_shares_variance_and_adds_freedom():
    _, plain = pseudobulk(means=MEANS, disease=DISEASE, method="t")
    _, shared = pseudobulk(means=MEANS, disease=DISEASE)
    assert (shared.df > plain.df).all()
    assert np.ptp(np.log(shared.se / np.abs(plain.se))) > 0
    np.testing.assert_array_equal(np.sign(shared.statistic), np.sign(plain.statistic))


def test_too_many_covariates_aliases_and_flat_genes_are_flagged():
    many = RNG.standard_normal((14, 13))
    _, test = pseudobulk(means=MEANS, disease=DISEASE, covariates=many)
    assert set(test.trouble) == {"covariates_exceed_donors"}
    assert np.isnan(test.p).all()
    _, test = pseudobulk(means=MEANS, disease=DISEASE, covariates=DISEASE[:, None] * 2 + 1)
    assert set(test.trouble) == {"aliased"}
    assert np.isnan(test.p).all()
    flat = MEANS.copy()
    flat[:, 3] = 1.5
    theta, test = pseudobulk(means=flat, disease=DISEASE)
    assert test.trouble[3] == "no_variation"
    assert np.isnan(theta[3])
    assert np.isfinite(test.p[:3]).all()


def test_cells_effects_are_weaker_by_the_share_of_variance_between_donors():
    rng = np.random.default_rng(1)
    level = rng.standard_normal(400) * 0.6
    disease = (level + rng.standard_normal(400) > 0).astype(float)
    donor = np.repeat(np.arange(400), 50)
    cells = level[donor] + rng.standard_normal(donor.size)

    def slope(x, y):
        return np.cov(x, y)[0, 1] / x.var(ddof=1)

    of_cells, of_donors = slope(cells, disease[donor]), slope(level, disease)
    assert of_cells < 0.4 * of_donors
    found = donor_scale(
        theta=np.array([of_cells, 1.0]), between=np.array([level.var(), 0.0]), within=np.ones(2)
    )
    assert found[0] == pytest.approx(of_donors, rel=0.1)
    assert np.isnan(found[1])


def test_robustness_values_of_the_darfur_study():
    """Cinelli & Hazlett 2020, table 1: t = 4.18, 783 degrees: RV 13.9 %, 7.6 % for significance."""
    t, df = np.array([4.18445]), np.array([783.0])
    assert robustness_value(statistic=t, df=df)[0] == pytest.approx(0.1388, abs=2e-4)
    assert robustness_value(statistic=t, df=df, level=0.05)[0] == pytest.approx(0.0763, abs=2e-4)


@given(st.floats(-30, 30), st.floats(1.5, 200))
def test_a_confounder_as_strong_as_the_robustness_value_leaves_nothing(t, df):
    value = robustness_value(statistic=np.array([t]), df=np.array([df]))[0]
    assert 0 <= value < 1
    left = adjusted_effect(theta=np.array([t]), se=np.ones(1), df=np.array([df]), r2_outcome=value,
                           r2_treatment=value)  # fmt: skip
    assert abs(left[0]) < 1e-6 * max(1, abs(t)) * 10
    less = robustness_value(statistic=np.array([t]), df=np.array([df]), level=0.05)[0]
    assert less <= value + 1e-12


def test_unknown_statistics_stay_unknown_and_bad_shares_are_named():
    found = robustness_value(statistic=np.array([np.nan, 2.0]), df=np.array([5.0, np.nan]))
    assert np.isnan(found).all()
    with pytest.raises(ConfigError):
        robustness_value(statistic=np.ones(1), df=np.ones(1), level=0)
    with pytest.raises(ConfigError):
        adjusted_effect(theta=np.ones(1), se=np.ones(1), df=np.ones(1), r2_outcome=0.1, r2_treatment=1.0)


def test_overlap_tells_randomised_from_separated():
    rng = np.random.default_rng(0)
    treated = rng.random(2_000) < 0.4
    even = overlap(propensity=np.full(2_000, 0.4), treated=treated)
    assert (even.trimmed, even.effective, even.auc, even.flag) == (0, pytest.approx(1), 0.5, "")
    apart = overlap(propensity=np.where(treated, 0.999, 0.001), treated=treated)
    assert (apart.trimmed, apart.auc, apart.flag) == (1, 1, "poor_overlap")
    assert set(apart.record()) == {"least", "low", "middle", "high", "most", "trimmed", "effective", "auc"}
    np.testing.assert_array_equal(trimmed(np.array([0, 0.5, 1, np.nan])), [0.01, 0.5, 0.99, np.nan])
    with pytest.raises(ConfigError):
        trimmed(np.ones(1), threshold=0.5)


def test_r2_out_of_fold():
    values = np.array([[1.0, 2.0], [2.0, 2.0], [3.0, 2.0]])
    found = out_of_fold_r2(values, np.array([[1.0, 2.0], [2.0, 2.0], [2.0, 2.0]]))
    assert found[0] == pytest.approx(0.5)
    assert np.isnan(found[1])
