"""Differential privacy of the VAE: what a patient can change, and what that costs."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import norm

from consilience.augment.generators.vae import GENERATOR
from consilience.augment.generators.vae_private import (
    MIDDLE,
    REACH,
    budget,
    clipped_sum,
    gaussian_delta,
    gaussian_epsilon,
    private_mean,
)
from consilience.augment.networks.vae_network import VaeNetwork
from consilience.learning.players import Rows
from consilience.learning.samples import Samples


def hockey_stick(epsilon, mu):
    """∫ max(0, p − eᵋ q) of N(mu, 1) and N(0, 1): what δ is by definition."""
    start = epsilon / mu + mu / 2
    return quad(lambda x: norm.pdf(x, mu) - math.exp(epsilon) * norm.pdf(x), start, start + 40, limit=200)[0]


@pytest.mark.parametrize(("epsilon", "mu"), [(0.5, 0.3), (1.0, 0.8), (3.0, 1.5), (8.0, 2.5)])
def test_delta_is_that_of_the_definition(epsilon, mu):
    assert gaussian_delta(epsilon, mu) == pytest.approx(hockey_stick(epsilon, mu), rel=1e-6)


def test_the_published_noise_of_one_release():
    # Balle & Wang's calibration for sensitivity 1, ε = 1, δ = 1e-5
    assert 1 / budget(1.0, 1e-5).mu == pytest.approx(3.730632, abs=1e-5)


@pytest.mark.parametrize(
    ("noise", "steps", "delta", "prv", "rdp"),
    # Opacus 1.6.0, sample rate 1: PRVAccountant (eps_error .001, an upper bound) and RDPAccountant (looser)
    [(2.0, 20, 1e-2, 7.0265, 8.0745), (5.0, 20, 1e-2, 1.99711, 2.38242), (10.0, 50, 1e-5, 2.94439, 3.18899)],
)
def test_steps_add_up_as_in_a_known_accountant(noise, steps, delta, prv, rdp):
    mine = gaussian_epsilon(math.sqrt(steps) / noise, delta)
    assert prv - 0.003 < mine < prv < rdp


@given(epsilon=st.floats(0.05, 50), delta=st.floats(1e-8, 0.2), steps=st.integers(1, 200))
def test_mean_and_steps_together_spend_the_budget_and_no_more(epsilon, delta, steps):
    found = budget(epsilon, delta)
    together = math.sqrt(found.of_mean**2 + steps / found.noise_multiplier(steps) ** 2)
    assert gaussian_delta(epsilon, together * (1 - 1e-9)) <= delta * (1 + 1e-6)
    assert gaussian_epsilon(together, delta) == pytest.approx(epsilon, rel=1e-4, abs=1e-6)


def small_batch(seed=0):
    rng = np.random.default_rng(seed)
    values = rng.normal(0, 3, (9, 15)) * rng.choice([0.01, 1, 100], (9, 1))
    return Rows({"values": torch.as_tensor(values, dtype=torch.float32),
                 "codes": torch.as_tensor(np.arange(9) % 2),
                 "donors": torch.as_tensor([0, 0, 0, 1, 2, 2, 3, 4, 4])})  # fmt: skip


@pytest.mark.parametrize("donor", range(5))
@pytest.mark.parametrize("length", [0.1, 3.0, 1e4])
def test_no_donor_moves_the_sum_by_more_than_the_length(donor, length):
    network = VaeNetwork(n_genes=15, n_classes=2, latent=2, hidden=1)
    with torch.no_grad():
        network.loadings.normal_(0, 0.3, generator=torch.Generator().manual_seed(1))
    parameters = [network.class_mean, network.log_noise, network.loadings]
    batch = small_batch()
    only = batch["donors"] == donor
    mine = Rows({name: tensor[only] for name, tensor in batch.tensors.items()})
    parts = clipped_sum(network, mine, parameters, length=length, noise=torch.Generator().manual_seed(0))
    norm_of = math.sqrt(sum(float((part.double() ** 2).sum()) for part in parts))
    assert 0 < norm_of <= length * (1 + 1e-5)


def test_gradients_shorter_than_the_length_are_left_as_they_are():
    network = VaeNetwork(n_genes=15, n_classes=2, latent=2, hidden=1)
    parameters = [network.class_mean, network.log_noise]
    batch = small_batch()
    # loadings are 0 here, so that no latent matters and all noise of the encoder is without effect but w's
    network.log_wobble.data.fill_(-30.0)
    mine = clipped_sum(network, batch, parameters, length=1e9, noise=torch.Generator().manual_seed(0))
    told, cost = network.evidence(batch["values"], batch["codes"], noise=torch.Generator().manual_seed(5))
    plain = torch.autograd.grad((cost - told).sum(), parameters)
    for one, other in zip(mine, plain, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-2)


def test_the_mean_profile_moves_by_no_more_than_its_length_and_has_its_noise():
    rng = np.random.default_rng(0)
    values, donors = rng.normal(4, 2, (12, 400)), np.repeat(np.arange(6), 2)
    other = values.copy()
    other[donors == 3] = 1e6
    loud = [private_mean(one, donors, mu=1e9, rng=np.random.default_rng(1)) for one in (values, other)]
    length = REACH * math.sqrt(400)
    assert np.linalg.norm(6 * (loud[1] - loud[0])) <= 2 * length
    np.testing.assert_allclose(loud[0], values.mean(axis=0), atol=1e-5)
    noisy = private_mean(values, donors, mu=0.5, rng=np.random.default_rng(2))
    assert (noisy - loud[0]).std() == pytest.approx(length / 0.5 / 6, rel=0.15)
    assert (
        np.linalg.norm(6 * (private_mean(np.full((12, 400), MIDDLE), donors, mu=1e9, rng=rng) - MIDDLE)) < 1
    )


def cohort(shift=0.0):
    rng = np.random.default_rng(0)
    values = np.maximum(rng.normal(4, 2, (20, 30)), 0).astype(np.float32)
    values[19] = values[19] + shift
    names = np.array([f"s{number:02d}" for number in range(20)])
    return Samples(values, tuple(f"g{number}" for number in range(30)), names,
                   np.array(["a", "b"] * 10), names, np.full(20, "b"), "log1p of counts")  # fmt: skip


def test_a_private_fit_says_what_it_spent_and_keeps_the_floor():
    model = GENERATOR.fit(cohort(), seed=0, effort=0.2, options={"epsilon": 2.0})
    assert model.story["epsilon"] == 2.0
    assert model.story["delta"] == pytest.approx(20**-1.1)
    drawn = model.sample(np.array(["a", "b", "b"]), seed=0)
    assert drawn.values.min() >= 0
    again = GENERATOR.restore(*model.to_arrays())
    np.testing.assert_array_equal(again.sample(np.array(["a", "b", "b"]), seed=0).values, drawn.values)


def test_everything_learned_privately_changes_by_little_with_one_patient():
    # the same noise, one patient changed as far as can be: what is released moves within its sensitivity
    models = [
        GENERATOR.fit(cohort(shift), seed=0, effort=0.05, options={"epsilon": 1.0}) for shift in (0, 20)
    ]
    centres = [model.scale.centre for model in models]
    assert 0 < np.linalg.norm(centres[1] - centres[0]) <= 2 * REACH * math.sqrt(30) / 20
    assert models[0].scale.offset == models[1].scale.offset
    assert models[0].scale.floor == models[1].scale.floor
    np.testing.assert_array_equal(models[0].scale.width, models[1].scale.width)


def test_more_budget_comes_closer():
    samples, errors = cohort(), []
    for epsilon in (0.5, 5, 500):
        model = GENERATOR.fit(samples, seed=1, effort=0.05, options={"epsilon": epsilon, "delta": 1e-3})
        errors.append(float(np.abs(model.scale.centre - samples.values.mean(axis=0)).mean()))
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] < 0.2
