"""The classical samplers against slow second implementations, and their moments by simulation."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kstest, norm, rankdata
from sklearn.decomposition import PCA
from sklearn.mixture import GaussianMixture

from augment.small_cohort import CONSTANT, LOW, changed, cohort
from consilience.augment.generators import generator
from consilience.augment.generators.classes import Part, checked_options, floor_of, parted
from consilience.augment.generators.copula import normal_scores, ranked
from consilience.augment.generators.factors import principal, standardised
from consilience.augment.generators.pca_mixture import mixture_of
from consilience.augment.generators.shrunk_gaussian import factors_of, shrinkage_of
from consilience.augment.generators.smote import neighbours
from consilience.foundation.errors import ConfigError

NO_FLOOR = float("-inf")
CLASSICAL = ("bootstrap_noise", "copula", "pca_gaussian", "pca_mixture", "shrunk_gaussian", "smote")


def free(n=(30, 20), **more):
    """A cohort on a scale without a floor, without genes that pile up anywhere."""
    samples = cohort(n=n, units="rlog", **more)
    noise = np.random.default_rng(1).standard_normal(samples.values.shape)
    values = samples.values + np.where(np.isin(np.arange(samples.values.shape[1]), CONSTANT), 0, 0.3 * noise)
    values[:, 17] = 1.25
    return changed(samples, values=values.astype(np.float32))


def many(key, samples, label="ill", k=4000, **more):
    options = {"options": more} if more else {}
    found = generator(key).fit(samples, seed=0, **options)
    return found.sample(np.repeat(label, k), seed=1).values.astype(np.float64)


def of(samples, label="ill"):
    return next(part for part in parted(samples) if part.label == label)


def slow_shrinkage(rows):
    """Schäfer & Strimmer 2005, every pair of genes by itself."""
    n, p = rows.shape
    variance = strength = 0.0
    for i in range(p):
        for j in range(p):
            if i != j:
                w = rows[:, i] * rows[:, j]
                variance += n / (n - 1) ** 3 * ((w - w.mean()) ** 2).sum()
                strength += (n / (n - 1) * w.mean()) ** 2
    return min(1.0, variance / strength)


@given(n=st.integers(3, 25), p=st.integers(3, 12), common=st.floats(0, 3), seed=st.integers(0, 99))
@settings(max_examples=40)
def test_shrinkage_is_that_of_all_pairs(n, p, common, seed):
    rng = np.random.default_rng(seed)
    values = rng.standard_normal((n, p)) + common * rng.standard_normal((n, 1))
    values[:, 0] = 1.0  # does not vary
    rows = standardised(Part("x", values))
    assert shrinkage_of(rows) == pytest.approx(slow_shrinkage(rows), rel=1e-6)


def test_shrinkage_is_all_of_noise_and_falls_with_patients():
    rng = np.random.default_rng(0)
    noise = [shrinkage_of(standardised(Part("x", rng.standard_normal((20, 200))))) for _ in range(20)]
    assert np.mean(noise) > 0.9
    loading = rng.standard_normal((3, 200))
    shares = [
        shrinkage_of(standardised(Part("x", rng.standard_normal((n, 3)) @ loading + rng.standard_normal((n, 200)))))
        for n in (8, 30, 200)
    ]  # fmt: skip
    assert shares == sorted(shares, reverse=True)
    assert shares[-1] < 0.05


def test_principal_components_are_those_of_sklearn():
    rows = of(free()).values
    variances, directions = principal(rows - rows.mean(axis=0))
    found = PCA().fit(rows)
    k = len(variances)
    assert k == len(rows) - 1
    np.testing.assert_allclose(variances, found.explained_variance_[:k], rtol=1e-6)
    np.testing.assert_allclose(np.abs((directions * found.components_[:k]).sum(axis=1)), 1, atol=1e-6)


def test_the_gaussian_s_own_covariance_is_the_shrunken_one():
    part = of(free())
    found = factors_of(part, floor=NO_FLOOR)
    share = shrinkage_of(standardised(part))
    target = np.cov(part.values.T)
    target = target * np.where(np.eye(len(target)) > 0, 1, 1 - share)
    made = found.axes.astype(float).T @ found.axes + np.diag(found.own.astype(float) ** 2)
    np.testing.assert_allclose(made, target, atol=2e-5)
    assert 0.02 < share < 0.9


@pytest.mark.parametrize("key", ["shrunk_gaussian", "pca_gaussian", "pca_mixture"])
def test_draws_without_a_floor_have_the_means_and_sds_of_the_patients(key):
    samples = free()
    part, values = of(samples), many(key, samples)
    z = (values.mean(axis=0) - part.mean) / np.maximum(part.sd, 1e-9) * np.sqrt(len(values))
    varied = part.sd > 0
    # a mixture's groups are estimated, so its mean is near that of the patients and no more
    assert np.abs(z[varied]).max() < (5 if key != "pca_mixture" else 8)
    np.testing.assert_allclose(values.std(axis=0, ddof=1)[varied], part.sd[varied], rtol=0.08)


def test_the_gaussian_s_draws_have_the_shrunken_correlations():
    samples = free()
    part, values = of(samples), many("shrunk_gaussian", samples, k=6000)
    varied = part.sd > 0
    asked = (1 - shrinkage_of(standardised(part))) * np.corrcoef(part.values[:, varied].T)
    made = np.corrcoef(values[:, varied].T)
    upper = np.triu_indices(len(made), 1)
    z = (np.arctanh(made[upper]) - np.arctanh(asked[upper])) * np.sqrt(len(values) - 3)
    assert np.abs(z).max() < 5
    assert z.std() == pytest.approx(1, abs=0.15)


def test_principal_components_keep_the_leading_covariance_and_all_of_the_variance():
    samples = free()
    part = of(samples)
    found = generator("pca_gaussian").fit(samples, seed=0, options={"components": 3}).parts[0]
    assert len(found.axes) == 3
    eigen, vectors = np.linalg.eigh(np.cov(part.values.T))
    leading = (vectors[:, -3:] * eigen[-3:]) @ vectors[:, -3:].T
    np.testing.assert_allclose(found.axes.astype(float).T @ found.axes, leading, atol=1e-4)
    total = (found.axes.astype(float) ** 2).sum(axis=0) + found.own.astype(float) ** 2
    np.testing.assert_allclose(total, part.sd**2, atol=1e-4)


def test_components_are_as_many_as_carry_the_share():
    samples = free()
    ratio = PCA().fit(of(samples).values).explained_variance_ratio_
    for share in (0.3, 0.8, 0.95):
        found = generator("pca_gaussian").fit(samples, seed=0, options={"share": share}).parts[0]
        k = len(found.axes)
        assert ratio[:k].sum() >= share - 1e-9
        assert ratio[: k - 1].sum() < share


def test_a_mixture_finds_two_groups_where_there_are_two_and_one_where_there_is_one():
    rng = np.random.default_rng(0)
    one = rng.standard_normal((60, 2))
    two = one + np.where(np.arange(60)[:, None] < 24, 6.0, 0.0)
    for rows, n in ((one, 1), (two, 2)):
        scores = (rows - rows.mean(axis=0)) / rows.std(axis=0)
        found = mixture_of(scores, groups=4, seed=0)
        assert len(found.weights) == n
        drawn = found.draw(20_000, rng)
        np.testing.assert_allclose(drawn.mean(axis=0), 0, atol=0.05)
        np.testing.assert_allclose(drawn.std(axis=0), 1, atol=0.1)
    np.testing.assert_allclose(np.sort(found.weights), [0.4, 0.6], atol=0.05)


def test_the_cost_of_one_group_is_sklearn_s():
    """So that one group and more are compared by the same measure: a tie is no group."""
    scores = np.random.default_rng(3).standard_normal((40, 3))
    scores = (scores - scores.mean(axis=0)) / scores.std(axis=0)
    cost = GaussianMixture(1, covariance_type="diag", reg_covar=0).fit(scores).bic(scores)
    own = float((scores**2).sum()) + scores.size * np.log(2 * np.pi) + 2 * 3 * np.log(40)
    assert own == pytest.approx(cost)


def test_few_patients_get_one_group():
    assert len(mixture_of(np.random.default_rng(0).standard_normal((15, 1)), groups=4, seed=0).weights) == 1


@pytest.mark.parametrize("k", [1, 3, 5])
def test_every_sample_of_smote_lies_between_a_patient_and_one_of_its_neighbours(k):
    samples = cohort()
    rows = of(samples).values
    distance = np.linalg.norm(rows[:, None] - rows[None], axis=2)
    np.fill_diagonal(distance, np.inf)
    near = np.argsort(distance, axis=1)[:, :k]
    np.testing.assert_array_equal(neighbours(rows, k=k), near)
    seen = set()
    for value in many("smote", samples, k=200, neighbours=k):
        fits = []
        for start in range(len(rows)):
            for end in near[start]:
                way = rows[end] - rows[start]
                share = (value - rows[start]) @ way / (way @ way)
                if np.abs(value - rows[start] - share * way).max() < 1e-4 and -1e-6 <= share <= 1 + 1e-6:
                    fits.append((start, int(end)))
        assert fits
        seen.add(fits[0])
    assert len(seen) > len(rows) // 2


def test_smote_s_places_between_two_patients_are_uniform():
    samples = cohort(n=(2, 9))
    first, second = of(samples).values
    way = second - first
    share = (many("smote", samples, k=2000) - first) @ way / (way @ way)
    assert kstest(share, "uniform").pvalue > 1e-3


def test_the_bootstrap_s_noise_is_as_asked_and_zeros_stay():
    samples = cohort()
    part = of(samples)
    values = many("bootstrap_noise", samples, k=3000, noise=0.2)
    found = np.array([np.linalg.norm((part.values - value) / (part.sd + 1e-9) * (part.sd > 0), axis=1).argmin()
                      for value in values])  # fmt: skip
    left = values - part.values[found]
    seen = (part.values > 1.0).all(axis=0) & (part.sd > 0)
    np.testing.assert_allclose(left[:, seen].std(axis=0), 0.2 * part.sd[seen], rtol=0.1)
    assert (values[part.values[found] == 0] == 0).all()
    counts = np.bincount(found, minlength=len(part.values))
    assert ((counts - 3000 / len(part.values)) ** 2 / (3000 / len(part.values))).sum() < 60


def test_normal_scores_are_means_over_equal_values():
    values = np.array([[0.0], [0.0], [0.0], [2.0], [5.0], [5.0], [1.0]])
    places = norm.ppf((np.arange(7) + 0.5) / 7)
    low, high = places[:3].mean(), places[5:].mean()
    expected = [low, low, low, places[4], high, high, places[3]]
    np.testing.assert_allclose(normal_scores(values)[:, 0], expected)
    distinct = np.random.default_rng(0).standard_normal((9, 4))
    np.testing.assert_allclose(normal_scores(distinct), norm.ppf((rankdata(distinct, axis=0) - 0.5) / 9))


def test_the_copula_gives_the_observed_quantiles_and_goes_on_linearly():
    part = of(free())
    found = ranked(part, floor=NO_FLOOR, shrinkage=0.3)
    n = len(part.values)
    at = norm.ppf((np.arange(n) + 0.5) / n)
    seen = found.seen(np.repeat(at[:, None], part.values.shape[1], axis=1), floor=NO_FLOOR)
    np.testing.assert_allclose(seen, np.sort(part.values, axis=0), atol=1e-5)
    far = found.seen(np.array([[4.0] * 60, [5.0] * 60, [-4.0] * 60, [-5.0] * 60]), floor=NO_FLOOR)
    np.testing.assert_allclose(far[1] - far[0], found.slope, atol=1e-5)
    np.testing.assert_allclose(far[2] - far[3], found.slope, atol=1e-5)
    varied = part.sd > 0
    np.testing.assert_allclose(found.slope[varied], part.sd[varied], rtol=0.35)
    assert (found.slope[~varied] == 0).all()


def test_the_copula_grows_with_the_score():
    found = ranked(of(cohort()), floor=0.0, shrinkage=-1.0)
    grid = np.repeat(np.linspace(-5, 5, 801)[:, None], 60, axis=1)
    assert (np.diff(found.seen(grid, floor=0.0), axis=0) >= -1e-6).all()


def test_the_copula_s_genes_are_distributed_as_the_patients_are():
    samples = free(n=(60, 20))
    part, values = of(samples), many("copula", samples, k=4000)
    gaps = [
        kstest(values[:, gene], part.values[:, gene]).statistic for gene in range(60) if part.sd[gene] > 0
    ]
    # the patients' distribution has steps of 1/60
    assert max(gaps) < 1 / 60 + 1.95 / np.sqrt(4000)


def test_the_copula_s_shrinkage_leaves_that_share_of_the_correlation_of_scores():
    part = of(free())
    scores = normal_scores(part.values)
    varied = part.sd > 0
    found = ranked(part, floor=NO_FLOOR, shrinkage=0.25)
    made = (found.axes.astype(float).T @ found.axes)[np.ix_(varied, varied)]
    asked = 0.75 * np.corrcoef(scores[:, varied].T)
    np.testing.assert_allclose(made, asked, atol=1e-4)


@pytest.mark.parametrize("key", CLASSICAL)
def test_genes_on_the_floor_keep_their_zeros_their_mean_and_their_spread(key):
    samples = cohort(n=(60, 20))
    part, values = of(samples), many(key, samples)
    zeros = np.abs((values <= 0).mean(axis=0) - (part.values <= 0).mean(axis=0))
    # what is between a zero and another value of SMOTE is not zero
    assert zeros[LOW].mean() < (0.05 if key != "smote" else 0.25)
    assert values.min() == 0
    assert np.abs(values.mean(axis=0) - part.mean)[LOW].max() < 0.12
    if key != "smote":
        ratio = np.sqrt((values[:, LOW].var(axis=0)).sum() / (part.sd[LOW] ** 2).sum())
        assert ratio == pytest.approx(1, abs=0.06)


@pytest.mark.parametrize("key", ["copula", "pca_gaussian", "shrunk_gaussian"])
def test_temperature_multiplies_the_joint_deviations_alone(key):
    """On a scale without a floor: variance = T² joint + own, gene by gene (in scores, for the copula)."""
    samples = free()
    found = generator(key).fit(samples, seed=0)
    part = found.parts[0]
    labels = np.repeat("ill", 4000)
    joint = (part.axes.astype(float) ** 2).sum(axis=0)
    values = {t: found.sample(labels, seed=0, temperature=t).values.astype(float) for t in (0.0, 1.0, 2.0)}
    if key != "copula":
        assert np.abs(values[2.0].mean(axis=0) - values[1.0].mean(axis=0)).max() < 0.2
        for t, drawn in values.items():
            expected = t**2 * joint + part.own.astype(float) ** 2
            np.testing.assert_allclose(drawn.var(axis=0), expected, rtol=0.12, atol=1e-6)
    # the same random numbers: what is added is joint, of the rank of the axes at most
    added = values[2.0] - values[1.0]
    if key == "pca_gaussian":
        spectrum = np.linalg.svd(added - added.mean(axis=0), compute_uv=False)
        assert spectrum[len(part.axes)] < 1e-3 * spectrum[0]


@pytest.mark.parametrize("key", ["smote", "bootstrap_noise"])
def test_temperature_of_what_is_made_from_patients_is_about_their_mean(key):
    samples = free()
    options = {"options": {"noise": 0.0}} if key == "bootstrap_noise" else {}
    found = generator(key).fit(samples, seed=0, **options)
    mean, labels = of(samples).mean, np.repeat("ill", 50)
    cold, plain, warm = (found.sample(labels, seed=0, temperature=t).values for t in (0.0, 1.0, 3.0))
    np.testing.assert_allclose(cold, np.repeat(mean[None], 50, axis=0), atol=1e-5)
    np.testing.assert_allclose(warm - mean, 3 * (plain - mean), atol=1e-4)


@pytest.mark.parametrize("key", CLASSICAL)
def test_more_samples_of_a_class_and_of_others_leave_the_first_as_they_were(key):
    found = generator(key).fit(cohort(), seed=0)
    alone = found.sample(np.array(["ill", "ill"]), seed=4).values
    more = found.sample(np.array(["well", "ill", "well", "ill"]), seed=4).values[[1, 3]]
    np.testing.assert_allclose(alone, more, atol=1e-6)


@pytest.mark.parametrize("key", CLASSICAL)
def test_twenty_thousand_genes_need_no_matrix_of_genes_by_genes(key):
    samples = cohort(n=(9, 8), n_genes=20_000)
    tracemalloc.start()
    made = generator(key).fit(samples, seed=0).sample(samples.labels, seed=0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert np.isfinite(made.values).all()
    # genes × genes would be 3.2 GB; quadrature of bent genes is the largest part
    assert peak < 6e8


def test_the_floor_is_told_by_units_or_by_values_that_pile_up():
    samples = cohort()
    assert floor_of(samples) == 0.0
    assert floor_of(changed(samples, units="log2")) == 0.0
    assert floor_of(free()) == NO_FLOOR
    assert floor_of(changed(free(), units="log1p_cpm", values=lambda x: x - x.min() + 1)) == 1.0


def test_a_class_in_an_option_s_bounds_only():
    for options in ({"shrinkage": 1.5}, {"shrinkage": -0.5}, {"shrinkage": "all"}, {"shrinkage": True}):
        for key in ("shrunk_gaussian", "copula"):
            with pytest.raises(ConfigError, match="shrinkage"):
                generator(key).fit(cohort(), seed=0, options=options)
    with pytest.raises(ConfigError, match="neighbours"):
        generator("smote").fit(cohort(), seed=0, options={"neighbours": 0})
    assert checked_options({"a": 2}, known={"a": 1, "b": 5}, key="x") == {"a": 2, "b": 5}
