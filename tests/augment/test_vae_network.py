"""The VAE's network: its densities against references, its bound against a known evidence."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_normal, norm

from consilience.augment.generators.vae_training import Rates, held_out_bound, train
from consilience.augment.networks.vae_network import VaeNetwork, censored_log_likelihood, gaussian_kl


def linear_network(n_genes=12, latent=2, seed=0):
    """No bend, no wobble, orthogonal loadings: a model whose evidence is a multivariate normal."""
    rng = np.random.default_rng(seed)
    network = VaeNetwork(n_genes=n_genes, n_classes=2, latent=latent, hidden=3)
    axes = np.linalg.qr(rng.standard_normal((n_genes, latent)))[0] * [2.0, 1.2]
    given = {
        "class_mean": rng.standard_normal((2, n_genes)),
        "log_noise": 0.3 * rng.standard_normal((2, n_genes)),
        "loadings": axes, "log_wobble": -30.0, "noisy_slope": 0.0, "noisy_log_variance": 0.0,
    }  # fmt: skip
    with torch.no_grad():
        for name, value in given.items():
            getattr(network, name).copy_(torch.as_tensor(np.asarray(value)))
    return network.double()


def population(network, code):
    mean = network.class_mean[code].detach().numpy()
    noise = np.exp(network.log_noise[code].detach().numpy())
    loadings = network.loadings.detach().numpy()
    return multivariate_normal(mean, noise[:, None] * (loadings @ loadings.T + np.eye(len(mean))) * noise)


def rows_of(network, n, seed):
    codes = np.arange(n) % 2
    rng = np.random.default_rng(seed)
    values = np.stack([population(network, code).rvs(random_state=rng) for code in codes])
    evidence = np.array(
        [population(network, code).logpdf(row) for code, row in zip(codes, values, strict=True)]
    )
    return torch.as_tensor(values), torch.as_tensor(codes), evidence


def bound_of(network, values, codes, draws=400):
    with torch.no_grad():
        told, cost = network.evidence(values, codes, noise=torch.Generator().manual_seed(1), draws=draws)
    return (told - cost).numpy()


def test_the_divergence_is_that_of_torch():
    mean, log_variance = (
        torch.randn(5, 3, generator=torch.Generator().manual_seed(0)),
        torch.linspace(-3, 2, 15),
    )
    mine = gaussian_kl(mean, log_variance.reshape(5, 3))
    sd = torch.exp(0.5 * log_variance.reshape(5, 3))
    theirs = torch.distributions.kl_divergence(
        torch.distributions.Normal(mean, sd), torch.distributions.Normal(0.0, 1.0)
    )
    torch.testing.assert_close(mine, theirs)


def test_the_likelihood_is_a_density_above_the_floor_and_a_mass_on_it():
    rng = np.random.default_rng(0)
    mean, log_sd, floor = (
        rng.normal(size=(6, 4)),
        rng.normal(size=(6, 4)) / 2,
        np.array([-0.5, 0.0, 0.3, -9.0]),
    )
    values = np.maximum(mean + rng.normal(size=(6, 4)), floor)
    values[0, :3] = floor[:3]
    mine = censored_log_likelihood(*(torch.as_tensor(one) for one in (values, mean, log_sd, floor))).numpy()
    seen, below = norm.logpdf(values, mean, np.exp(log_sd)), norm.logcdf(floor, mean, np.exp(log_sd))
    assert (values <= floor).sum() >= 3
    np.testing.assert_allclose(mine, np.where(values <= floor, below, seen), rtol=1e-9)


def test_density_and_mass_add_up_to_one():
    grid = torch.linspace(0.2, 12, 40_001, dtype=torch.float64)[:, None]
    mean, log_sd, floor = torch.full_like(grid, 0.7), torch.full_like(grid, 0.1), torch.tensor([0.2]).double()
    told = torch.exp(censored_log_likelihood(grid, mean, log_sd, floor))
    assert float(told[0]) + float(torch.trapezoid(told[1:, 0], grid[1:, 0])) == pytest.approx(1, abs=1e-3)


def test_a_value_on_the_floor_far_below_the_mean_has_a_finite_gradient():
    mean = torch.tensor([[30.0]], requires_grad=True)
    told = censored_log_likelihood(torch.zeros(1, 1), mean, torch.zeros(1, 1), torch.zeros(1))
    told.sum().backward()
    assert torch.isfinite(told).all()
    assert float(mean.grad) == pytest.approx(-30, rel=0.01)


def test_the_exact_posterior_makes_the_bound_the_evidence():
    network = linear_network()
    values, codes, evidence = rows_of(network, 60, seed=2)
    bound = bound_of(network, values, codes)
    assert abs(float((bound - evidence).mean())) < 0.05
    np.testing.assert_allclose(bound, evidence, atol=0.5)


def test_any_other_posterior_lies_below_the_evidence():
    network = linear_network()
    values, codes, evidence = rows_of(network, 60, seed=3)
    with torch.no_grad():
        network.correct_out.weight.normal_(0, 0.6, generator=torch.Generator().manual_seed(0))
        network.correct_out.bias.fill_(0.4)
    assert float((bound_of(network, values, codes) - evidence).mean()) < -0.2


def test_training_from_elsewhere_comes_close_to_the_evidence():
    truth = linear_network()
    values, codes, _ = rows_of(truth, 250, seed=4)
    fresh_values, fresh_codes, evidence = rows_of(truth, 200, seed=5)
    network = linear_network(seed=9).float()
    before = float((bound_of(network, fresh_values.float(), fresh_codes, 50) - evidence).mean())
    train(network, values.numpy(), codes.numpy(), epochs=100, seed=0, device="cpu", rates=Rates(0.01, 0.04))
    after = float((bound_of(network, fresh_values.float(), fresh_codes, 50) - evidence).mean())
    assert before < -5
    assert -1.0 < after < 0.1


def test_best_weights_are_those_that_are_left():
    truth = linear_network()
    values, codes, _ = rows_of(truth, 30, seed=6)
    watched = rows_of(truth, 30, seed=7)[:2]
    network = linear_network(seed=9).float()
    pair = watched[0].numpy(), watched[1].numpy()
    best, history = train(network, values.numpy(), codes.numpy(), epochs=120, seed=0, device="cpu",
                          rates=Rates(0.05, 0.1), watched=pair)  # fmt: skip
    bounds = [line["validation.bound"] for line in history]
    assert 0 < best < len(bounds) - 1  # it got worse again
    assert bounds[best] == max(bounds)
    assert held_out_bound(network, *pair, seed=0) == pytest.approx(max(bounds), abs=1e-6)


def test_where_training_only_harms_the_start_is_left():
    network = linear_network().float()
    values, codes, _ = rows_of(linear_network(), 8, seed=8)
    watched = rows_of(linear_network(), 200, seed=9)[:2]
    before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    best, _ = train(network, values.numpy(), codes.numpy(), epochs=30, seed=0, device="cpu",
                    rates=Rates(0.2, 0.5), watched=(watched[0].numpy(), watched[1].numpy()))  # fmt: skip
    assert best == 0
    assert all(torch.equal(tensor, before[name]) for name, tensor in network.state_dict().items())
