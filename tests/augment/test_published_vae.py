"""The published autoencoder: its sizes, loss, pace, which weights are kept, and what temperature does."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as runs
from hypothesis import strategies as some

from augment.published_cohort import cohort, no_row_of
from consilience.augment.generators import published_vae_training as training
from consilience.augment.generators.published_vae import GENERATOR, FittedPublishedVae, fit_published_vae
from consilience.augment.generators.unlabelled import GeneRange, prepare, row_batches
from consilience.augment.networks.published_vae_network import EXTERNAL, MAIN, PublishedVae, vae_loss
from consilience.foundation.errors import ConfigError, DataError, ModelError

SHORT = 0.02


@pytest.fixture(scope="module")
def fitted() -> FittedPublishedVae:
    return fit_published_vae(cohort(40), seed=3, effort=0.05)


def weights(found: FittedPublishedVae) -> dict[str, np.ndarray]:
    return {name: value.numpy().copy() for name, value in found.network.state_dict().items()}


def same(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> bool:
    return all(np.array_equal(one[name], other[name]) for name in one)


class TestNetwork:
    @pytest.mark.parametrize(("sizes", "wide", "narrow"), [(MAIN, 512, 256), (EXTERNAL, 256, 128)])
    def test_it_has_the_published_layers(self, sizes, wide, narrow):
        p = 20
        network = PublishedVae(p, sizes)
        linear = [
            (one.in_features, one.out_features)
            for one in network.modules()
            if isinstance(one, torch.nn.Linear)
        ]
        assert linear == [(p, wide), (wide, narrow), (narrow, 64), (narrow, 64), (64, narrow), (narrow, wide),
                          (wide, p)]  # fmt: skip
        dense = sum(n_in * n_out + n_out for n_in, n_out in linear)
        assert sum(one.numel() for one in network.parameters()) == dense + 2 * (2 * wide + 2 * narrow)
        kinds = [type(one).__name__ for one in network.modules()]
        assert kinds.count("BatchNorm1d") == 4
        assert kinds.count("Dropout") == (2 if sizes is EXTERNAL else 0)
        assert kinds.count("LeakyReLU") == (4 if sizes is EXTERNAL else 0)
        assert kinds.count("ReLU") == (0 if sizes is EXTERNAL else 4)
        drops = [one.p for one in network.modules() if isinstance(one, torch.nn.Dropout)]
        slopes = [one.negative_slope for one in network.modules() if isinstance(one, torch.nn.LeakyReLU)]
        assert set(drops) <= {0.2}
        assert set(slopes) <= {0.2}

    def test_the_published_main_network_has_this_many_weights(self):
        """By hand, for the 20,000 genes: 2 · 20,000 · 512 and what is between."""
        between = (512 + 1024) + (131_072 + 256 + 512) + 2 * (16_384 + 64)
        back = (16_384 + 256 + 512) + (131_072 + 512 + 1024) + 20_000
        expected = 2 * 20_000 * 512 + between + back
        with torch.device("meta"):
            network = PublishedVae(20_000, MAIN)
        assert sum(one.numel() for one in network.parameters()) == expected

    def test_the_loss_is_squared_error_and_the_divergence_of_torch(self):
        random = torch.Generator().manual_seed(1)
        made, x = torch.rand(7, 11, generator=random), torch.rand(7, 11, generator=random)
        mean, log_variance = torch.randn(7, 5, generator=random), torch.randn(7, 5, generator=random)
        posterior = torch.distributions.Normal(mean, torch.exp(0.5 * log_variance))
        prior = torch.distributions.Normal(torch.zeros(5), torch.ones(5))
        divergence = torch.distributions.kl_divergence(posterior, prior).sum(dim=1)
        # the squared error is the Gaussian's log probability up to its constant
        likelihood = torch.distributions.Normal(made, 0.5**0.5)
        error = -(likelihood.log_prob(x) + 0.5 * np.log(np.pi)).sum(dim=1)
        assert torch.allclose(
            vae_loss(made, x, mean, log_variance, kl_weight=0.005), error + 0.005 * divergence, rtol=1e-5
        )
        # without weight of the divergence nothing but the error, and 0 for what is met
        assert torch.equal(vae_loss(x, x, mean, log_variance, kl_weight=0.0), torch.zeros(7))

    def test_the_divergence_is_its_monte_carlo_mean(self):
        mean, log_variance = torch.tensor([[0.7, -0.3]]), torch.tensor([[-1.0, 0.4]])
        posterior = torch.distributions.Normal(mean, torch.exp(0.5 * log_variance))
        prior = torch.distributions.Normal(torch.zeros(2), torch.ones(2))
        torch.manual_seed(0)
        z = posterior.sample((200_000,))
        estimate = (posterior.log_prob(z) - prior.log_prob(z)).sum(dim=-1).mean()
        zero = torch.zeros(1, 1)
        assert float(vae_loss(zero, zero, mean, log_variance, kl_weight=1.0)) == pytest.approx(
            float(estimate), abs=0.01
        )

    def test_the_bound_stays_below_the_evidence_of_a_linear_model(self):
        """x = w·z + noise of variance ½: log p(x) is known, and no posterior may claim more."""
        w, noise = torch.tensor([1.3, -0.4, 0.8]), 0.5
        random = torch.Generator().manual_seed(4)
        x = torch.randn(1, 3, generator=random)
        covariance = torch.outer(w, w) + noise * torch.eye(3)
        evidence = torch.distributions.MultivariateNormal(torch.zeros(3), covariance).log_prob(x)
        precision = 1 + (w @ w) / noise
        right = ((x @ w) / noise / precision, torch.log(1 / precision))
        bounds = []
        for mean, log_variance in (right, (right[0] + 0.4, right[1]), (right[0], right[1] + 1.0)):
            z = mean + torch.exp(0.5 * log_variance) * torch.randn(100_000, 1, generator=random)[:, 0]
            loss = vae_loss(
                z[:, None] * w, x.expand(100_000, 3), mean.expand(100_000)[:, None],
                log_variance.expand(100_000)[:, None], kl_weight=1.0,
            )  # fmt: skip
            # squared errors are log probabilities of variance ½
            bounds.append(float(-loss.mean() - 1.5 * np.log(np.pi)))
        assert bounds[0] == pytest.approx(float(evidence), abs=0.02)
        assert max(bounds[1:]) < float(evidence) - 0.05


class TestRanges:
    def test_shares_lie_between_zero_and_one_and_turn_back(self):
        samples = cohort()
        values = samples.values.copy()
        values[:, 4] = 2.5
        ranges = GeneRange.of(values)
        shares = ranges.scaled(values)
        assert shares.min() == 0
        assert shares.max() == 1
        assert np.allclose(ranges.restored(shares), values, atol=1e-5)
        assert (ranges.restored(np.full_like(shares, 0.3))[:, 4] == 2.5).all()

    def test_scikit_learn_scales_the_same(self):
        from sklearn.preprocessing import MinMaxScaler

        values = cohort().values
        assert np.allclose(
            GeneRange.of(values).scaled(values), MinMaxScaler().fit_transform(values), atol=1e-6
        )

    @runs(max_examples=200)
    @given(n=some.integers(2, 300), size=some.integers(2, 40))
    def test_batches_hold_each_row_once_and_never_one_alone(self, n, size):
        bounds = row_batches(n, size=size)
        rows = [row for start, stop in bounds for row in range(start, stop)]
        assert rows == list(range(n))
        assert min(stop - start for start, stop in bounds) >= 2
        assert max(stop - start for start, stop in bounds) <= size + 1


class TestTraining:
    def test_validation_parts_no_donor_and_is_a_fifth(self):
        made = prepare(cohort(60))
        seen, validation = training._parted(made, training.RECIPES["main"], 5)
        assert len(seen) + len(validation) == 60
        assert 8 <= len(validation) <= 16
        of_row = {row.tobytes(): donor for row, donor in zip(made.shares, made.donors, strict=True)}
        donors = [{of_row[row.numpy().tobytes()] for row in part} for part in (seen, validation)]
        assert not donors[0] & donors[1]

    def test_one_step_is_that_of_the_published_loop(self):
        """The first epoch by hand: summed loss, Adam at 1e-4, rows of 32, the same noise and order."""
        made = prepare(cohort(70, twins=False))
        recipe = replace(training.RECIPES["main"], epochs=1)
        from consilience.augment.generators.published_vae import _network
        from consilience.learning.training import own_random_numbers, seeded

        ours, theirs = (_network(30, "main", seed=8) for _ in range(2))
        training.train(ours, made, recipe, epochs=1, keep="last", seed=8, device="cpu")
        seen, _ = training._parted(made, recipe, 8)
        bounds = row_batches(len(seen), size=32)
        batches = training._batches(seen, bounds, 8)
        adam = torch.optim.Adam(theirs.parameters(), lr=1e-4)
        theirs.train()
        with own_random_numbers("cpu"):
            for step in range(len(bounds)):
                x = batches(0, step, np.random.default_rng(0))["x"]
                noise = seeded("cpu", 8, "epoch", 0, "step", step, "vae", "rows", 0)
                mean, log_variance = theirs.encode(x)
                eps = torch.randn(mean.shape, generator=noise)
                again = theirs.decode(mean + eps * torch.exp(log_variance / 2))
                error = torch.nn.functional.mse_loss(again, x, reduction="sum")
                divergence = -0.5 * torch.sum(1 + log_variance - mean**2 - log_variance.exp())
                adam.zero_grad()
                (error + 0.005 * divergence).backward()
                adam.step()
        assert len(bounds) == 2
        for name, value in theirs.state_dict().items():
            # batch normalisation takes away what these add: their gradient is rounding, and Adam takes
            # full steps by its sign
            idle = name.endswith("running_mean") or name in {
                f"{part}.{layer}.bias" for part in ("encoder", "decoder") for layer in (0, 3)
            }
            gap = float((ours.state_dict()[name].double() - value.double()).abs().max())
            assert gap < (5e-4 if idle else 1e-5), name

    @pytest.mark.parametrize("variant", ["main", "external"])
    def test_last_and_best_weights_are_what_they_say(self, variant, monkeypatch):
        """Where the watched loss is best at epoch 2 of 6, the best weights are those of training twice."""
        values = iter([3.0, 1.0, 2.0, 2.5, 2.6, 2.7, 3.0, 1.0])
        monkeypatch.setattr(training, "_validation_loss", lambda *_, **__: next(values))
        recipe = replace(training.RECIPES["main"], validated=True, batch=16 if variant == "external" else 32)
        monkeypatch.setattr(training, "RECIPES", {variant: recipe})
        from consilience.augment.generators.published_vae import _network

        made = prepare(cohort(30))

        def after(epochs: int, keep: str) -> dict[str, torch.Tensor]:
            network = _network(30, variant, seed=1)
            told = training.train(network, made, recipe, epochs=epochs, keep=keep, seed=1, device="cpu")
            assert told["weights"] == keep
            assert not network.training
            return network.state_dict()

        best = after(6, "best")
        values = iter([3.0, 1.0])
        twice = after(2, "last")
        values = iter([3.0, 1.0, 2.0, 2.5, 2.6, 2.7])
        last = after(6, "last")
        assert all(torch.equal(best[name], twice[name]) for name in best)
        assert any(not torch.equal(best[name], last[name]) for name in best)

    def test_it_stops_fifty_epochs_after_the_best_and_halves_its_rate(self, monkeypatch):
        rates = []
        real = training._schedule
        monkeypatch.setattr(training, "_schedule", lambda *a, **k: rates.append(real(*a, **k)) or rates[-1])
        count = iter(range(10_000))
        monkeypatch.setattr(training, "_validation_loss", lambda *_, **__: float(next(count)))
        found = fit_published_vae(cohort(12, genes=5), seed=1)
        assert found.told["epochs"] == 51
        assert found.told["best_epoch"] == 1
        assert found.told["stopped_early"]
        assert (rates[0].epochs, rates[0].patience, rates[0].monitor) == (1000, 50, "validation.loss")
        # torch's scheduler with patience 30 halves after 31 epochs that were no better
        scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(
            torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0), factor=0.5, patience=30
        )
        halved = [epoch for epoch in range(51) if (scheduler.step(epoch), scheduler.get_last_lr()[0])[1] < 1]
        from consilience.learning.schedule import count_plateaus

        history = [{"validation.loss": float(epoch)} for epoch in range(51)]
        ours = [e for e in range(51) if count_plateaus(rates[0], history[: e + 1])]
        assert ours == halved

    def test_the_external_recipe_watches_its_training_loss(self):
        found = fit_published_vae(cohort(20), seed=1, effort=SHORT, options={"variant": "external"})
        assert found.told["watched"] == "vae.loss"
        assert found.told["trained_on"] == 20
        assert found.told["validated_on"] == 0
        assert found.told["weights"] == "best"
        assert found.told["epochs"] == 10
        assert found.network.sizes == EXTERNAL
        last = fit_published_vae(
            cohort(20), seed=1, effort=SHORT, options={"variant": "external", "weights": "last"}
        )
        assert last.told["weights"] == "last"

    def test_effort_scales_the_epochs(self):
        assert fit_published_vae(cohort(12), seed=1, effort=0.004).told["epochs"] == 4
        assert fit_published_vae(cohort(12), seed=1, effort=1e-9).told["epochs"] == 1

    def test_training_learns(self, fitted):
        assert fitted.told["best_loss"] < 0.8 * fitted.told["first_loss"]

    def test_the_seed_decides_and_the_order_of_samples_does_not(self):
        samples = cohort(20)
        turned = samples.take(np.random.default_rng(0).permutation(20))
        torch.manual_seed(1)
        one = fit_published_vae(samples, seed=2, effort=0.003)
        torch.manual_seed(2)
        other = fit_published_vae(turned, seed=2, effort=0.003)
        assert same(weights(one), weights(other))
        assert np.array_equal(one.ranges.low, other.ranges.low)
        assert np.allclose(one.means, other.means)
        assert not same(weights(one), weights(fit_published_vae(samples, seed=3, effort=0.003)))

    def test_a_last_batch_of_one_row_is_no_trouble(self):
        # of 41 donors 8 are set aside, so that 33 are left
        found = [
            fit_published_vae(cohort(n, twins=False), seed=1, effort=0.001).told["trained_on"]
            for n in (40, 41, 42)
        ]
        assert 33 in found

    def test_torch_keeps_its_random_numbers(self):
        torch.manual_seed(7)
        before = torch.random.get_rng_state()
        fit_published_vae(cohort(12), seed=1, effort=0.001)
        assert torch.equal(before, torch.random.get_rng_state())


class TestSampling:
    def test_at_temperature_zero_all_are_the_decoders_mean(self, fitted):
        labels = np.array(["sick", "well"] * 10)
        found = fitted.sample(labels, seed=1, temperature=0.0).values
        with torch.no_grad():
            centre = fitted.network.decode(torch.zeros(1, 64)).numpy()
        assert np.allclose(found, fitted.ranges.restored(centre), atol=1e-6)

    def test_spread_grows_with_temperature(self, fitted):
        labels = np.full(400, "sick")
        spread = [
            float(fitted.sample(labels, seed=1, temperature=t).values.std(axis=0).sum())
            for t in (0.0, 0.5, 1.0, 2.0, 4.0)
        ]
        assert spread == sorted(spread)
        assert spread[-1] > 1.5 * spread[2]

    def test_two_is_the_published_temperature(self, fitted):
        labels = np.full(10, "well")
        default = fitted.sample(labels, seed=4)
        assert np.array_equal(default.values, fitted.sample(labels, seed=4, temperature=2.0).values)
        assert not np.array_equal(default.values, fitted.sample(labels, seed=4, temperature=1.0).values)
        other = fit_published_vae(cohort(12), seed=1, effort=0.001, options={"temperature": 3})
        assert np.array_equal(
            other.sample(labels, seed=4).values, other.sample(labels, seed=4, temperature=3.0).values
        )

    def test_values_stay_in_the_range_of_the_training_patients(self, fitted):
        values = cohort(40).values
        found = fitted.sample(np.full(300, "sick"), seed=1, temperature=50.0).values
        assert (found >= values.min(axis=0) - 1e-5).all()
        assert (found <= values.max(axis=0) + 1e-5).all()

    def test_labels_are_those_of_the_nearest_class_whatever_is_asked(self, fitted):
        found = fitted.sample(np.full(200, "sick"), seed=1, temperature=3.0)
        distance = ((found.values[:, None] - fitted.means[None]) ** 2).sum(axis=2)
        assert np.array_equal(found.labels, np.array(fitted.classes)[distance.argmin(axis=1)])
        other = fitted.sample(np.full(200, "well"), seed=1, temperature=3.0)
        assert np.array_equal(found.values, other.values)
        assert not GENERATOR.classes

    def test_more_samples_begin_with_the_same(self, fitted):
        few, many = (fitted.sample(np.full(n, "sick"), seed=6).values for n in (5, 50))
        assert np.allclose(few, many[:5], atol=1e-5)
        assert not np.allclose(few, fitted.sample(np.full(5, "sick"), seed=7).values)

    def test_the_posterior_of_a_patient_of_the_class(self):
        samples = cohort(30)
        found = fit_published_vae(samples, seed=1, effort=SHORT, options={"sampling": "posterior"})
        labels = np.array(["sick"] * 60 + ["well"] * 40)
        drawn = found.sample(labels, seed=1, temperature=0.0)
        assert np.array_equal(drawn.labels, labels)
        shares = torch.from_numpy(found.ranges.scaled(samples.values))
        with torch.no_grad():
            centres = found.ranges.restored(found.network.decode(found.network.encode(shares)[0]).numpy())
        for label in ("sick", "well"):
            mine = centres[samples.labels == label]
            gap = np.abs(drawn.values[labels == label][:, None] - mine[None]).max(axis=2)
            assert gap.min(axis=1).max() < 1e-4
            # no patient is left out for long
            assert len(np.unique(gap.argmin(axis=1))) > 0.7 * len(mine)
        # the deviations are the posterior's own: with none, temperature does nothing
        sure = replace(found.posterior, log_variance=np.full_like(found.posterior.log_variance, -60.0))
        still = replace(found, posterior=sure).sample(labels, seed=1, temperature=3.0).values
        assert np.allclose(still, drawn.values, atol=1e-5)
        wide = found.sample(labels, seed=1, temperature=3.0).values
        assert wide.std(axis=0).sum() > drawn.values.std(axis=0).sum()


class TestKeeping:
    def test_no_patient_is_in_the_arrays_but_extremes_of_genes(self, fitted):
        samples = cohort(40)
        arrays, description = fitted.to_arrays()
        no_row_of(arrays, samples)
        assert description["keeps_patients"] is False
        text = json.dumps(description)
        assert not any(str(name) in text for name in [*samples.names, *samples.donors])
        assert np.array_equal(arrays["low"], samples.values.min(axis=0))

    @pytest.mark.parametrize("sampling", ["prior", "posterior"])
    def test_what_was_kept_samples_the_same(self, sampling):
        found = fit_published_vae(cohort(20), seed=1, effort=SHORT, options={"sampling": sampling})
        arrays, description = found.to_arrays()
        assert description["keeps_patients"] is (sampling == "posterior")
        again = GENERATOR.restore(arrays, json.loads(json.dumps(description)))
        labels = np.array(["sick", "well"] * 5)
        one, other = found.sample(labels, seed=1), again.sample(labels, seed=1)
        assert np.array_equal(one.values, other.values)
        assert np.array_equal(one.labels, other.labels)
        assert (again.genes, again.classes) == (found.genes, found.classes)
        if sampling == "posterior":
            assert set(description["posterior_labels"]) == {"sick", "well"}
            assert arrays["posterior_mean"].shape == (20, 64)

    def test_damage_is_refused(self, fitted):
        arrays, description = fitted.to_arrays()
        for broken in (
            {name: array for name, array in arrays.items() if name != "low"},
            {**arrays, "means": arrays["means"][:, :-1]},
            {**arrays, "width": np.full_like(arrays["width"], np.nan)},
            {name: array for name, array in arrays.items() if name != "weights/mean.bias"},
        ):
            with pytest.raises(ModelError):
                GENERATOR.restore(broken, description)
        for wrong in ({"variant": "other"}, {"genes": None}):
            with pytest.raises(ModelError):
                GENERATOR.restore(arrays, {**description, **wrong})


class TestRefusals:
    @pytest.mark.parametrize(
        "options",
        [{"variant": "third"}, {"weights": "worst"}, {"sampling": "both"}, {"temperatuer": 1},
         {"temperature": -1}, {"temperature": "warm"}, {"temperature": float("nan")}],
    )  # fmt: skip
    def test_options(self, options):
        with pytest.raises(ConfigError, match=next(iter(options))):
            fit_published_vae(cohort(12), seed=1, effort=SHORT, options=options)

    @pytest.mark.parametrize("effort", [0.0, -1.0, float("nan")])
    def test_effort(self, effort):
        with pytest.raises(ConfigError, match="effort"):
            fit_published_vae(cohort(12), seed=1, effort=effort)

    def test_samples(self):
        samples = cohort(12)
        missing = samples.values.copy()
        missing[2, 3] = np.nan
        with pytest.raises(DataError, match="missing"):
            fit_published_vae(replace(samples, values=missing), seed=1)
        lonely = samples.labels.copy()
        lonely[:] = "well"
        lonely[4] = "rare"
        with pytest.raises(DataError, match="too few"):
            fit_published_vae(replace(samples, labels=lonely), seed=1)
        with pytest.raises(DataError, match="too few"):
            fit_published_vae(samples.take(np.array([1, 3])), seed=1)

    def test_a_class_and_a_temperature_that_there_are_not(self, fitted):
        with pytest.raises(DataError, match="sicker"):
            fitted.sample(np.array(["sicker"]), seed=1)
        for temperature in (-0.1, float("inf")):
            with pytest.raises(ConfigError, match="temperature"):
                fitted.sample(np.array(["sick"]), seed=1, temperature=temperature)
