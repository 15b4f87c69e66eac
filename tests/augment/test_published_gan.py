"""The published adversarial network: sizes, losses, pace, and what is kept of it."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from augment.published_cohort import cohort, no_row_of
from consilience.augment.generators import published_gan
from consilience.augment.generators.published_gan import GENERATOR, FittedPublishedGan, fit_published_gan
from consilience.augment.generators.unlabelled import row_batches
from consilience.augment.networks.published_gan_network import (
    PublishedGanDiscriminator,
    PublishedGanGenerator,
    discriminator_loss,
    generator_loss,
)
from consilience.foundation.errors import ConfigError, DataError, ModelError


@pytest.fixture(scope="module")
def fitted() -> FittedPublishedGan:
    return fit_published_gan(cohort(40), seed=3, effort=0.003)


def linear(network: torch.nn.Module) -> list[tuple[int, int]]:
    return [
        (one.in_features, one.out_features) for one in network.modules() if isinstance(one, torch.nn.Linear)
    ]


class TestNetworks:
    def test_they_have_the_published_layers(self):
        generator, discriminator = PublishedGanGenerator(20), PublishedGanDiscriminator(20)
        assert linear(generator) == [(64, 256), (256, 512), (512, 20)]
        assert linear(discriminator) == [(20, 512), (512, 256), (256, 1)]
        for network in (generator, discriminator):
            dense = sum(n_in * n_out + n_out for n_in, n_out in linear(network))
            assert sum(one.numel() for one in network.parameters()) == dense
        kinds = [type(one).__name__ for one in (*generator.layers, *discriminator.layers)]
        assert kinds.count("ReLU") == 2
        assert kinds.count("LeakyReLU") == 2
        assert kinds.count("Sigmoid") == 2

    def test_losses_are_cross_entropies(self):
        real, made = torch.tensor([0.9, 0.6, 0.2]), torch.tensor([0.1, 0.4, 0.7])
        called = torch.distributions.Bernoulli(real)
        told = -called.log_prob(torch.ones(3)).mean()
        told = told - torch.distributions.Bernoulli(made).log_prob(torch.zeros(3)).mean()
        assert float(discriminator_loss(real, made)) == pytest.approx(float(told), rel=1e-6)
        assert float(generator_loss(made)) == pytest.approx(float(-made.log().mean()), rel=1e-6)
        # where neither can be told from the other
        half = torch.full((5,), 0.5)
        assert float(discriminator_loss(half, half)) == pytest.approx(2 * np.log(2))

    def test_a_certain_mistake_is_finite(self):
        assert float(generator_loss(torch.zeros(2))) == 100.0


class TestTraining:
    def test_one_epoch_is_that_of_the_published_loop(self):
        """By hand: the discriminator's step, then the generator's against it as it is then."""
        from consilience.learning.training import own_random_numbers, seeded

        shares = np.random.default_rng(1).random((40, 12)).astype(np.float32)
        ours, theirs = (published_gan._networks(12, seed=4) for _ in range(2))
        told = published_gan._train(*ours, shares, epochs=1, seed=4, device="cpu")
        generator, discriminator = theirs
        adams = {
            name: torch.optim.Adam(one.parameters(), lr=2e-4, betas=(0.5, 0.999))
            for name, one in (("discriminator", discriminator), ("generator", generator))
        }
        entropy, losses = torch.nn.BCELoss(), []
        batch = published_gan._batches(torch.from_numpy(shares), row_batches(40, size=32), 1, 4)
        with own_random_numbers("cpu"):
            for step in range(2):
                x = batch(0, step, np.random.default_rng(0))["x"]
                for name in ("discriminator", "generator"):
                    noise = seeded("cpu", 4, "epoch", 0, "step", step, name, "rows", 0)
                    made = generator(torch.randn(len(x), 64, generator=noise))
                    ones, zeros = torch.ones(len(x)), torch.zeros(len(x))
                    if name == "discriminator":
                        loss = entropy(discriminator(x), ones) + entropy(discriminator(made.detach()), zeros)
                    else:
                        loss = entropy(discriminator(made), ones)
                    adams[name].zero_grad()
                    loss.backward()
                    adams[name].step()
                    losses.append(float(loss.detach()))
        assert told["discriminator_loss"] == pytest.approx(np.mean(losses[::2]), rel=1e-5)
        assert told["generator_loss"] == pytest.approx(np.mean(losses[1::2]), rel=1e-5)
        for one, other in zip(ours, theirs, strict=True):
            for name, value in other.state_dict().items():
                assert torch.allclose(one.state_dict()[name], value, atol=1e-6), name

    @pytest.mark.parametrize(("effort", "epochs"), [(0.003, 9), (0.00233, 7), (1e-9, 1)])
    def test_effort_scales_the_epochs(self, effort, epochs, monkeypatch):
        import consilience.learning.fit as loop

        seen = []
        real = loop.fit
        monkeypatch.setattr(loop, "fit", lambda **given: seen.append(given["schedule"]) or real(**given))
        assert fit_published_gan(cohort(40), seed=1, effort=effort).told["epochs"] == epochs
        assert seen[0].epochs * seen[0].steps_per_epoch == epochs * 2
        assert seen[0].rate == "constant"

    def test_taking_epochs_together_changes_nothing(self, monkeypatch):
        samples = cohort(40)
        together = fit_published_gan(samples, seed=1, effort=0.002).network.state_dict()
        rows = [published_gan._batches(torch.arange(80.0).reshape(40, 2), [(0, 32), (32, 40)], size, 9)
                for size in (1, 3)]  # fmt: skip
        plain = [rows[0](epoch, step, np.random.default_rng(0))["x"] for epoch in range(3) for step in (0, 1)]
        joined = [rows[1](0, step, np.random.default_rng(0))["x"] for step in range(6)]
        assert all(torch.equal(one, other) for one, other in zip(plain, joined, strict=True))
        assert sorted(torch.cat(plain[:2])[:, 0].tolist()) == [2.0 * row for row in range(40)]
        assert not torch.equal(plain[0], plain[2])
        monkeypatch.setattr(published_gan, "MOST_TOGETHER", 1)
        apart = fit_published_gan(samples, seed=1, effort=0.002).network.state_dict()
        assert set(together) == set(apart)  # the noise differs, as its numbers are named after the epoch

    def test_training_moves_the_samples_to_where_the_real_ones_are(self):
        random = np.random.default_rng(2)
        centre = np.array([0.8, 0.3, 0.7], dtype=np.float32)
        shares = (centre + 0.05 * random.normal(size=(64, 3))).astype(np.float32)
        generator, discriminator = published_gan._networks(3, seed=1)
        z = torch.from_numpy(random.normal(size=(200, 64)).astype(np.float32))
        gaps = []
        for epochs in (0, 120):
            if epochs:
                published_gan._train(generator, discriminator, shares, epochs=epochs, seed=1, device="cpu")
            with torch.no_grad():
                gaps.append(float(np.abs(generator(z).numpy().mean(axis=0) - centre).max()))
        assert gaps[1] < 0.4 * gaps[0]

    def test_the_seed_decides_and_the_order_of_samples_does_not(self):
        samples = cohort(20)
        turned = samples.take(np.random.default_rng(0).permutation(20))
        one, other, third = (
            fit_published_gan(given, seed=seed, effort=0.001).network.state_dict()
            for given, seed in ((samples, 2), (turned, 2), (samples, 3))
        )
        assert all(torch.equal(one[name], other[name]) for name in one)
        assert any(not torch.equal(one[name], third[name]) for name in one)


class TestSampling:
    def test_temperature_zero_is_one_sample_and_more_is_more(self, fitted):
        labels = np.full(300, "well")
        spread = [
            float(fitted.sample(labels, seed=1, temperature=t).values.std(axis=0).sum())
            for t in (0.0, 0.5, 1)
        ]
        assert spread[0] < 1e-3
        assert spread == sorted(spread)
        assert spread[2] > 0.01
        assert np.array_equal(
            fitted.sample(labels, seed=1).values, fitted.sample(labels, seed=1, temperature=1.0).values
        )

    def test_values_stay_in_the_range_and_labels_are_the_nearest(self, fitted):
        values = cohort(40).values
        found = fitted.sample(np.full(200, "sick"), seed=1, temperature=20.0)
        assert (found.values >= values.min(axis=0) - 1e-5).all()
        assert (found.values <= values.max(axis=0) + 1e-5).all()
        distance = ((found.values[:, None] - fitted.means[None]) ** 2).sum(axis=2)
        assert np.array_equal(found.labels, np.array(fitted.classes)[distance.argmin(axis=1)])

    def test_refusals(self, fitted):
        with pytest.raises(DataError, match="ill"):
            fitted.sample(np.array(["ill"]), seed=1)
        with pytest.raises(ConfigError, match="temperature"):
            fitted.sample(np.array(["sick"]), seed=1, temperature=-1.0)
        with pytest.raises(ConfigError, match="rate"):
            fit_published_gan(cohort(12), seed=1, options={"rate": 1})


class TestKeeping:
    def test_neither_patients_nor_the_discriminator_are_kept(self, fitted):
        arrays, description = fitted.to_arrays()
        no_row_of(arrays, cohort(40))
        assert description["keeps_patients"] is False
        kept = {name for name in arrays if name.startswith("weights/")}
        assert kept == {f"weights/{name}" for name in PublishedGanGenerator(30).state_dict()}

    def test_what_was_kept_samples_the_same(self, fitted):
        arrays, description = fitted.to_arrays()
        again = GENERATOR.restore(arrays, json.loads(json.dumps(description)))
        labels = np.array(["sick", "well", "well"])
        assert np.array_equal(again.sample(labels, seed=2).values, fitted.sample(labels, seed=2).values)
        assert again.told == fitted.told

    def test_damage_is_refused(self, fitted):
        arrays, description = fitted.to_arrays()
        with pytest.raises(ModelError):
            GENERATOR.restore({**arrays, "low": arrays["low"][:-1]}, description)
        with pytest.raises(ModelError):
            GENERATOR.restore({**arrays, "weights/more": arrays["low"]}, description)
        with pytest.raises(ModelError):
            GENERATOR.restore(arrays, {name: value for name, value in description.items() if name != "genes"})
