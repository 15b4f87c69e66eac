"""The default VAE as a generator: what it recovers, what it keeps, what it must not have seen."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from consilience.augment.generators.generator import nearest_labels
from consilience.augment.generators.vae import GENERATOR, OPTIONS
from consilience.augment.generators.vae_scale import Scale, choose_warp, unwarp, warp
from consilience.augment.generators.vae_start import moments, shrunk
from consilience.augment.generators.vae_training import Ground, inner_folds
from consilience.foundation.errors import ConfigError, DataError
from consilience.learning.samples import Samples

GENES = 60


def planted(n, seed, *, floor=None, n_genes=GENES):
    """Two classes, two strong factors, noise by gene; the truth: means (2, G) and covariance (G, G)."""
    fixed = np.random.default_rng(7)
    level = fixed.uniform(3, 8, n_genes) if floor is None else fixed.uniform(-0.5, 3, n_genes)
    means = np.stack([level, level + np.where(np.arange(n_genes) % 3 == 0, 2.0, 0.0)])
    loadings = fixed.standard_normal((n_genes, 2)) * [1.0, 0.7]
    noise = fixed.uniform(0.4, 0.9, n_genes)
    rng = np.random.default_rng(seed)
    codes = np.arange(n) % 2
    values = (
        means[codes] + rng.standard_normal((n, 2)) @ loadings.T + rng.standard_normal((n, n_genes)) * noise
    )
    if floor is not None:
        values = np.maximum(values, floor)
    names = np.array([f"s{number:04d}" for number in range(n)])
    samples = Samples(
        values.astype(np.float32), tuple(f"g{number}" for number in range(n_genes)), names,
        np.array(["ill", "well"])[codes], np.array([f"d{number // 3}" for number in range(n)]),
        np.full(n, "b"), "log2" if floor is None else "log1p of counts",
    )  # fmt: skip
    return samples, means, loadings @ loadings.T + np.diag(noise**2)


@pytest.fixture(scope="module")
def fitted():
    samples, *_ = planted(72, seed=1)
    return samples, GENERATOR.fit(samples, seed=3, effort=0.1)


def within(drawn):
    values = drawn.values.astype(float)
    return np.concatenate([values[drawn.labels == one] - values[drawn.labels == one].mean(axis=0)
                           for one in np.unique(drawn.labels)])  # fmt: skip


def test_a_planted_population_is_recovered():
    samples, means, covariance = planted(300, seed=2)
    drawn = GENERATOR.fit(samples, seed=0, effort=0.05).sample(np.repeat(["ill", "well"], 3000), seed=1)
    made = np.stack([drawn.values[drawn.labels == one].mean(axis=0) for one in ("ill", "well")])
    error = np.sqrt(np.diag(covariance) * (1 / 150 + 1 / 3000))  # of 150 patients and 3,000 draws
    assert (np.abs(made - means) < 5 * error).all()
    found = np.cov(within(drawn).T)
    upper = np.triu_indices(GENES, 1)
    assert np.corrcoef(found[upper], covariance[upper])[0, 1] > 0.98
    assert np.polyfit(covariance[upper], found[upper], 1)[0] == pytest.approx(1, abs=0.12)
    np.testing.assert_allclose(np.diag(found) / np.diag(covariance), 1, atol=0.45)
    assert np.trace(found) / np.trace(covariance) == pytest.approx(1, abs=0.1)


def test_zeros_come_out_right():
    samples, *_ = planted(120, seed=3, floor=0.0)
    fresh, *_ = planted(4000, seed=4, floor=0.0)
    drawn = GENERATOR.fit(samples, seed=0, effort=0.05).sample(fresh.labels, seed=1)
    assert drawn.values.min() == 0
    real, mine = (fresh.values <= 0).mean(axis=0), (drawn.values <= 0).mean(axis=0)
    training = (samples.values <= 0).mean(axis=0)
    assert real.max() > 0.4
    assert np.abs(mine - real).mean() < 1.2 * np.abs(training - real).mean() + 0.005


def test_without_temperature_and_noise_there_is_one_sample_for_a_class(fitted):
    _, model = fitted
    still = dataclasses.replace(model, settings={**model.settings, "noise": False})
    values = still.sample(np.array(["ill", "ill", "well"]), seed=0, temperature=0.0).values
    centre = model.scale.back(model.network.class_mean.detach().numpy().astype(float))
    np.testing.assert_array_equal(values[0], values[1])
    np.testing.assert_allclose(values[[0, 2]], centre, rtol=1e-5)


def test_spread_grows_with_temperature(fitted):
    _, model = fitted
    labels = np.repeat(["ill", "well"], 100)
    spreads = [within(model.sample(labels, seed=0, temperature=heat)).std() for heat in (0, 0.5, 1, 2, 3)]
    assert np.all(np.diff(spreads) > 0)


def test_the_class_asked_for_is_drawn(fitted):
    _, model = fitted
    labels = np.array(["well", "ill", "ill", "well"] * 20)
    drawn = model.sample(labels, seed=0)
    _, means, _ = planted(2, seed=0)
    assert (drawn.labels == labels).all()
    assert (nearest_labels(drawn.values, means=means, classes=("ill", "well")) == labels).mean() > 0.95
    with pytest.raises(DataError, match="does not know this class"):
        model.sample(np.array(["dead"]), seed=0)


def test_the_order_of_samples_does_not_matter(fitted):
    samples, model = fitted
    other = GENERATOR.fit(samples.take(np.random.default_rng(0).permutation(72)), seed=3, effort=0.1)
    labels = np.array(["ill", "well", "ill"])
    np.testing.assert_array_equal(other.sample(labels, seed=5).values, model.sample(labels, seed=5).values)


def test_seeds_are_what_draws_depend_on(fitted):
    _, model = fitted
    labels = np.array(["ill", "well"] * 4)
    first, again, other = (model.sample(labels, seed=seed).values for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.isclose(first, other).all(axis=1).any()


@pytest.mark.parametrize("sampling", ["prior", "aggregate", "posterior"])
def test_what_is_kept_makes_the_same_samples(sampling):
    samples, *_ = planted(48, seed=5, floor=0.0)
    model = GENERATOR.fit(samples, seed=0, effort=0.02, options={"sampling": sampling, "latent": 2})
    again = GENERATOR.restore(*model.to_arrays())
    labels = np.array(["ill", "well", "well"])
    np.testing.assert_array_equal(
        again.sample(labels, seed=2, temperature=1.5).values,
        model.sample(labels, seed=2, temperature=1.5).values,
    )
    arrays, _ = model.to_arrays()
    assert all(np.isfinite(one).all() for one in arrays.values())
    kept = any(len(one) == len(samples) for one in arrays.values() if one.ndim)  # 48: no other size here
    assert kept == (sampling == "posterior")


def test_draws_of_a_class_have_its_mean_without_the_error_of_drawing(fitted):
    _, model = fitted
    labels = np.repeat("ill", 30)
    loose = dataclasses.replace(model, settings={**model.settings, "balanced": False})
    centre = model.scale.back(model.network.class_mean.detach().numpy().astype(float))[0]
    errors = [
        np.abs(one.sample(labels, seed=1).values.mean(axis=0) - centre).mean() for one in (model, loose)
    ]
    assert errors[0] < 0.4 * errors[1]


def test_inner_splits_part_no_donor_and_learn_nothing_of_who_is_left_out():
    samples, *_ = planted(60, seed=6)
    codes = np.unique(samples.labels, return_inverse=True)[1]
    scale = Ground.of(samples.values.astype(float), codes, bounded=False).scale
    folds = inner_folds(samples, codes, scale, seed=1, most=4)
    assert len(folds) == 3
    from consilience.learning.splits import donor_folds

    splits = donor_folds(samples.donors, labels=samples.labels, n_folds=3, seed=1)
    for fold, split in zip(folds, splits, strict=True):
        assert not set(samples.donors[split.train]) & set(samples.donors[split.test])
        values = samples.values.copy()
        values[split.test] = 99.0  # whatever they are
        other = next(
            one for one, part in zip(
                inner_folds(dataclasses.replace(samples, values=values), codes, scale, seed=1, most=4),
                donor_folds(samples.donors, labels=samples.labels, n_folds=3, seed=1), strict=True,
            ) if part.name == split.name
        )  # fmt: skip
        np.testing.assert_array_equal(other.ground.inner, fold.ground.inner)
        np.testing.assert_array_equal(other.ground.along.loadings, fold.ground.along.loadings)
        assert not np.array_equal(other.test, fold.test)


@pytest.mark.parametrize(("options", "message"), [
    ({"latnt": 2}, "latent"), ({"latent": -1}, "from 0 on"), ({"latent": 2.5}, "whole number"),
    ({"sampling": "prio"}, "prior"), ({"noise": 1}, "true, false"), ({"sampling": 3}, "prior"),
    ({"epsilon": float("nan")}, "from 0 on"), ({"epsilon": 1, "sampling": "posterior"}, "prior"),
    ({"epsilon": 1, "delta": 2}, "delta between"),
])  # fmt: skip
def test_wrong_options_are_told(options, message):
    samples, *_ = planted(12, seed=0)
    with pytest.raises(ConfigError, match=message):
        GENERATOR.fit(samples, seed=0, options=options)


def test_few_patients_one_class_and_constant_genes_still_give_a_model():
    samples, *_ = planted(8, seed=0)
    values = samples.values.copy()
    values[:, 3] = 5.0
    for one in (dataclasses.replace(samples, values=values),
                dataclasses.replace(samples, values=values, labels=np.full(8, "ill"))):  # fmt: skip
        drawn = GENERATOR.fit(one, seed=0, effort=0.02).sample(one.labels, seed=0)
        assert np.isfinite(drawn.values).all()
        np.testing.assert_allclose(drawn.values[:, 3], 5.0, atol=0.05)


@pytest.mark.parametrize("offset", [0.0, 0.3, 0.01])
def test_scale_and_back(offset):
    values = np.random.default_rng(0).uniform(0, 9, (5, 4))
    np.testing.assert_allclose(unwarp(warp(values, offset, 0.0), offset, 0.0), values, atol=1e-9)
    scale = Scale(offset, 0.0, True, np.full(4, 2.0), np.full(4, 3.0))
    np.testing.assert_allclose(scale.back(scale.forward(values)), values, atol=1e-9)
    assert (scale.back(np.tile(scale.inner_floor, (2, 1)) - 1) == 0).all()


def test_the_warp_of_the_truth_is_chosen():
    rng = np.random.default_rng(1)
    codes = np.arange(80) % 2
    inner = rng.normal(0, 1.2, (80, 200)) + rng.uniform(-2, 3, 200)
    values = unwarp(inner, 0.03, 0.0)
    assert choose_warp(values, codes, floor=0.0, bounded=True) in {0.1, 0.03, 0.01}
    assert choose_warp(rng.normal(6, 1, (80, 200)), codes, floor=0.0, bounded=True) == 0.0


def test_censored_moments_see_through_the_floor():
    rng = np.random.default_rng(2)
    codes = np.arange(600) % 2
    true = rng.uniform(0.0, 1.5, (2, 40))
    values = np.maximum(true[codes] + rng.normal(0, 1.0, (600, 40)), 0)
    found = moments(values, codes, floor=0.0)
    error = 1.6 / np.sqrt(300)  # half of the values say only "below": a little more than for all
    assert (np.abs(found.means - true) < 4.5 * error).all()
    np.testing.assert_allclose(found.spreads.mean(), 1.0, atol=0.03)
    naive = values[codes == 0].mean(axis=0)
    assert np.abs(naive - true[0]).mean() > 3 * np.abs(found.means[0] - true[0]).mean()


def test_shrinkage_takes_noise_away_and_leaves_what_is_strong():
    rng = np.random.default_rng(3)
    true = np.where(np.arange(4000) % 20 == 0, rng.normal(0, 5, 4000), 0.0)
    seen = true + rng.standard_normal(4000)
    found = shrunk(seen, np.ones(4000))
    assert ((found - true) ** 2).mean() < 0.4 * ((seen - true) ** 2).mean()
    strong = np.abs(true) > 8
    np.testing.assert_allclose(found[strong], seen[strong], rtol=0.12)
    np.testing.assert_allclose(shrunk(-seen, np.ones(4000)), -found, atol=1e-12)


def test_metadata_names_its_options():
    assert dict(GENERATOR.options) == dict(OPTIONS)
    assert GENERATOR.neural
