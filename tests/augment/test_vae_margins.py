"""What the default VAE draws near a floor: zeros, means and spreads of the class, whatever the network thinks."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from consilience.augment.generators.vae import GENERATOR
from consilience.augment.generators.vae_margins import UNSEEN, prior_moments, softplus_of, unseen
from consilience.augment.networks.vae_network import VaeNetwork
from consilience.learning.samples import Samples

GENES = 150
CLASSES = ("ill", "well")


def reads(n, seed, *, n_genes=GENES):
    """Log of reads of two classes, with one factor: deep samples, in which many genes lie low and few at 0."""
    fixed = np.random.default_rng(3)
    level, loading = fixed.uniform(-1.0, 11, n_genes), fixed.normal(0, 0.4, n_genes)
    rng = np.random.default_rng(seed)
    codes = np.arange(n) % 2
    log_mean = level + codes[:, None] * (np.arange(n_genes) % 4 == 0) + rng.standard_normal((n, 1)) * loading
    counts = rng.poisson(np.exp(log_mean) * rng.gamma(0.7, 1 / 0.7, (n, n_genes)))
    names = np.array([f"s{number:05d}" for number in range(n)])
    return Samples(
        np.log1p(counts / 20_000).astype(np.float32), tuple(f"g{number}" for number in range(n_genes)), names,
        np.array(CLASSES)[codes], names, np.full(n, "b"), "log1p_cp10k",
    )  # fmt: skip


@pytest.fixture(scope="module")
def fitted():
    samples = reads(84, seed=1)
    return samples, GENERATOR.fit(samples, seed=0, effort=0.02)


def zeros(drawn):
    return np.stack([(drawn.values[drawn.labels == one] <= 0).mean(axis=0) for one in CLASSES])


def test_zeros_are_those_of_the_population(fitted):
    samples, model = fitted
    truth, training = zeros(reads(6000, seed=2)), zeros(samples)
    made = zeros(model.sample(np.repeat(CLASSES, 3000), seed=1))
    assert (truth < 0.05).mean() > 0.3
    assert (truth > 0.5).mean() > 0.02
    assert np.abs(made - truth).mean() < 1.1 * np.abs(training - truth).mean() + 0.005
    for low, high in ((0, 0.05), (0.05, 0.2), (0.2, 0.5), (0.5, 1.01)):
        some = (truth >= low) & (truth < high)
        # a warped normal that is cut at the floor is off by 0.1 in the second of these
        assert abs((made - training)[some].mean()) < 0.02, (low, high)


def test_means_and_spreads_are_those_of_the_patients(fitted):
    samples, model = fitted
    drawn = model.sample(np.repeat(CLASSES, 3000), seed=1)
    for one in CLASSES:
        real, made = (some.values[some.labels == one].astype(float) for some in (samples, drawn))
        error = real.std(axis=0, ddof=1) / np.sqrt(len(real))
        assert (np.abs(made.mean(axis=0) - real.mean(axis=0)) < 4 * error + 0.03).all()
        assert made.var(axis=0).sum() == pytest.approx(real.var(axis=0, ddof=1).sum(), rel=0.06)


def test_a_hotter_draw_varies_more_and_a_cold_one_is_still(fitted):
    _, model = fitted
    labels = np.repeat("ill", 200)
    spreads = [model.sample(labels, seed=0, temperature=heat).values.var(axis=0).sum() for heat in (0, 1, 2)]
    assert spreads[0] < spreads[1] < spreads[2]
    still = dataclasses.replace(model, settings={**model.settings, "noise": False})
    values = still.sample(labels[:3], seed=0, temperature=0.0).values
    np.testing.assert_array_equal(values[0], values[1])


def test_what_is_kept_is_no_patient_and_makes_the_same_samples(fitted):
    samples, model = fitted
    arrays, description = model.to_arrays()
    assert all(np.isfinite(one).all() for one in arrays.values())
    assert not any(len(one) == len(samples) for one in arrays.values() if one.ndim)
    labels = np.array(["ill", "well", "well"])
    again = GENERATOR.restore(arrays, description).sample(labels, seed=2, temperature=1.5)
    np.testing.assert_array_equal(again.values, model.sample(labels, seed=2, temperature=1.5).values)


def test_the_order_of_samples_does_not_matter(fitted):
    samples, model = fitted
    order = np.random.default_rng(0).permutation(len(samples))
    other = GENERATOR.fit(samples.take(order), seed=0, effort=0.02)
    labels = np.array(["ill", "well", "ill"])
    np.testing.assert_array_equal(other.sample(labels, seed=5).values, model.sample(labels, seed=5).values)


def test_genes_that_do_not_vary_stay_as_they_are():
    samples = reads(40, seed=4)
    values = samples.values.copy()
    values[:, 5], values[:, 6] = 0.0, 2.0
    values[samples.labels == "ill", 7] = 0.0
    model = GENERATOR.fit(dataclasses.replace(samples, values=values), seed=0, effort=0.01)
    assert model.seen is not None
    drawn = model.sample(np.repeat(CLASSES, 100), seed=0)
    assert (drawn.values[:, 5] == 0).all()
    np.testing.assert_allclose(drawn.values[:, 6], 2.0, atol=1e-5)
    assert (drawn.values[drawn.labels == "ill", 7] == 0).all()
    assert drawn.values[drawn.labels == "well", 7].std() > 0


def test_differential_privacy_and_scales_without_a_floor_do_not_use_them():
    samples = reads(24, seed=5, n_genes=30)
    private = GENERATOR.fit(samples, seed=0, effort=0.01, options={"epsilon": 10.0, "latent": 2})
    assert private.seen is None
    assert not any(name.startswith("seen.") for name in private.to_arrays()[0])
    shifted = dataclasses.replace(
        samples, values=np.random.default_rng(0).normal(6, 1, samples.values.shape).astype(np.float32),
        units="log2",
    )  # fmt: skip
    assert GENERATOR.fit(shifted, seed=0, effort=0.01).seen is None


def test_softplus_has_the_moments_that_were_asked_for():
    rng = np.random.default_rng(0)
    mean, ratio, place = (
        np.exp(rng.uniform(-6, 0.5, 300)),
        rng.uniform(1.0, 2.5, 300),
        rng.uniform(1, 3.7, 300),
    )
    start, slope = softplus_of(place, mean=mean, sd=mean * ratio)
    assert (slope > 0).mean() > 0.9
    z = np.linspace(-9, 9, 20_001)
    mass = np.exp(-0.5 * z**2) / np.sqrt(2 * np.pi) * (z[1] - z[0])
    for number in np.flatnonzero(slope > 0):
        y = np.log1p(np.exp(start[number] + slope[number] * z)) * (z > -place[number])
        found = (mass * y).sum()
        assert found == pytest.approx(mean[number], rel=0.03)
        spread = np.sqrt((mass * y**2).sum() - found**2)
        assert spread == pytest.approx(mean[number] * ratio[number], rel=0.05)
    # a gene that is on the floor half of the time cannot hardly vary
    assert softplus_of(np.zeros(1), mean=np.ones(1), sd=np.full(1, 0.1))[1] == 0


def test_moments_of_the_prior_are_those_of_draws():
    torch.manual_seed(0)
    network = VaeNetwork(n_genes=20, n_classes=2, latent=3, hidden=4)
    with torch.no_grad():
        for name in ("class_mean", "loadings", "bend"):
            getattr(network, name).normal_()
        network.log_noise.normal_(0, 0.3)
    centre, width = prior_moments(network, seed=0)
    rng = np.random.default_rng(1)
    latents = torch.as_tensor(rng.standard_normal((40_000, 4)), dtype=torch.float32)
    for code in range(2):
        with torch.no_grad():
            mean, log_sd = network.decode(latents, torch.full((40_000,), code))
        draws = mean.numpy() + np.exp(log_sd.numpy()) * rng.standard_normal(mean.shape)
        error = draws.std(axis=0) * np.sqrt(1 / 40_000 + 1 / 20_000)
        assert (np.abs(draws.mean(axis=0) - centre[code]) < 5 * error).all()
        np.testing.assert_allclose(draws.std(axis=0), width[code], rtol=0.04)


def test_zeros_that_were_not_seen_are_supposed_as_rarely_as_single_ones_are():
    assert unseen(np.array([0] * 90 + [1] * 9 + [4]), 20) == pytest.approx(0.1)
    assert unseen(np.array([0] + [1] * 9), 20) == UNSEEN
    assert 0 < unseen(np.zeros(10, dtype=int), 20) < 0.01
