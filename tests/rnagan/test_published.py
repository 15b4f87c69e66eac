"""The published networks and losses against a second, slow implementation, and their invariances."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from consilience.foundation.errors import ModelError
from consilience.pathways.wiring import wire
from consilience.rnagan.networks.pooling_layer import max_and_mean
from consilience.rnagan.networks.published_generator_network import at_level_of
from consilience.rnagan.presets import PUBLISHED, build_networks
from consilience.rnagan.published_losses import discriminator_loss, generator_loss, log_of_mean

GENES = [f"g{number:02d}" for number in range(20)]
MEMBERS = {"a": range(8), "b": range(5, 15), "c": [2, 9, 17]}
MASK = {
    "gene": [GENES[k] for members in MEMBERS.values() for k in members],
    "pathway": [name for name, members in MEMBERS.items() for _ in members],
}
SMALL = replace(PUBLISHED, hidden=(12, 7, 4), dropout=0.0)
MODES = ["none", "fixed", "learned", "free"]
EXACT = {"rtol": 1e-9, "atol": 1e-9}
"""Both sides compute in float64; sums are taken in another order."""


def networks(pathways="learned", *, seed=3, double=True, **options):
    preset = replace(SMALL, pathways=pathways, **options)
    pair = build_networks(preset, GENES, wire(MASK, genes=GENES), seed)
    for network in pair:
        network.double() if double else network
        stir(network, seed)
    return pair


def stir(network, seed=0):
    """Give biases and batch normalisations values that would show if they were left out."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, values in [*network.named_parameters(), *network.named_buffers()]:
            if values.is_floating_point() and ("norm" in name or name.endswith("bias")):
                values.copy_(0.5 + torch.rand(values.shape, generator=generator))
    return network


def samples(*shape, seed=1, dtype=torch.float64):
    generator = torch.Generator().manual_seed(seed)
    values = 4 * torch.rand(*shape, len(GENES), generator=generator, dtype=torch.float64)
    return (values * (torch.rand(values.shape, generator=generator) < 0.8)).to(dtype)


# --- the second implementation: plain numpy, one row, one unit at a time -----------------------------------


class ByHand:
    """The networks as the paper describes them, from the weights alone."""

    def __init__(self, network, *, training):
        self.w = {name: values.detach().numpy() for name, values in network.state_dict().items()}
        self.network, self.training = network, training

    def features(self, sample):
        """[W x; x] of one sample on the log scale."""
        x = np.array([np.exp(value) - 1 for value in sample])
        scores = []
        for number, name in enumerate(self.network.inputs.pathways):
            if "inputs.layer.weight" in self.w and self.w["inputs.layer.weight"].ndim == 2:
                weights = dict(enumerate(self.w["inputs.layer.weight"][number]))
            else:
                start = self.network.wiring.start[number]
                values = self.w["inputs.layer.weight"][start : start + len(MEMBERS[name])]
                weights = dict(zip(sorted(MEMBERS[name]), values, strict=True))
            scores.append(sum(weight * x[gene] for gene, weight in weights.items()))
        return np.array([*scores, *x])

    def lrelu_norm(self, rows, name):
        rows = np.where(rows > 0, rows, 0.01 * rows)
        if self.training:
            mean, variance = rows.mean(axis=0), rows.var(axis=0)
        else:
            mean, variance = self.w[f"{name}.norm.running_mean"], self.w[f"{name}.norm.running_var"]
        scaled = (rows - mean) / np.sqrt(variance + 1e-5)
        return scaled * self.w[f"{name}.norm.weight"] + self.w[f"{name}.norm.bias"]

    def dense(self, rows, name):
        return rows @ self.w[f"{name}.weight"].T + self.w[f"{name}.bias"]

    def block(self, rows, name):
        return self.lrelu_norm(self.dense(rows, f"{name}.dense"), f"{name}.normalised")

    def logits(self, queries, sets, pairs):
        """`queries` (Q, G), `sets` list of (R, G), `pairs` list of (query, set)."""
        rows = [self.features(row) for row in queries] + [self.features(row) for part in sets for row in part]
        rows = self.lrelu_norm(np.array(rows), "normalised")
        bounds = np.cumsum([len(queries), *map(len, sets)])
        parts = [rows[a:b] for a, b in pairwise(bounds)]
        first = np.array([
            np.concatenate([rows[query], parts[group].max(axis=0), parts[group].mean(axis=0)])
            for query, group in pairs
        ])  # fmt: skip
        self.vector = self.block(self.block(first, "wide"), "vector")
        return self.dense(self.block(self.vector, "narrow"), "out")[:, 0]

    def generated(self, sets):
        """One sample for each set (R, G)."""
        rows = self.lrelu_norm(np.array([self.features(row) for part in sets for row in part]), "normalised")
        bounds = np.cumsum([0, *map(len, sets)])
        pooled = np.array([
            np.concatenate([rows[a:b].max(axis=0), rows[a:b].mean(axis=0)])
            for a, b in pairwise(bounds)
        ])  # fmt: skip
        wide = self.block(pooled, "wide_in")
        vector = self.block(wide, "vector_in")
        self.group = self.block(self.block(vector, "latent"), "vector_out")
        up = self.block(np.hstack([self.group, vector]), "wide_out")
        factor = np.maximum(self.dense(np.hstack([up, wide]), "out"), 0)
        means = np.array([(np.exp(part) - 1).mean(axis=0) for part in sets])
        return np.log(factor * means + 1)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("pathways", MODES)
def test_discriminator_is_the_published_one(pathways, training):
    discriminator = networks(pathways)[0].train(training)
    hand = ByHand(discriminator, training=training)
    query, positive, negative = samples(2, 5), samples(2, 6, seed=2), samples(2, 3, seed=3)
    found = discriminator(query, positive, negative).detach().numpy()
    sets = [*positive.numpy(), *negative.numpy()]
    pairs = [(row, row // 5) for row in range(10)] + [(row, 2 + row // 5) for row in range(10)]
    logits = hand.logits(query.reshape(10, -1).numpy(), sets, pairs)
    np.testing.assert_allclose(found, (logits[:10] - logits[10:]).reshape(2, 5), **EXACT)
    alone = discriminator(query, positive).detach().numpy()
    expected = ByHand(discriminator, training=training)
    logits = expected.logits(query.reshape(10, -1).numpy(), list(positive.numpy()), pairs[:10])
    np.testing.assert_allclose(alone, logits.reshape(2, 5), **EXACT)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("pathways", MODES)
def test_generator_is_the_published_one(pathways, training):
    generator = networks(pathways)[1].train(training)
    hand = ByHand(generator, training=training)
    references = samples(4, 6)
    np.testing.assert_allclose(
        generator.generate(references).detach(), hand.generated(references.numpy()), **EXACT
    )
    np.testing.assert_allclose(generator.group_vector(references).detach(), hand.group, **EXACT)


def test_vectors_are_the_second_layer_with_the_sample_as_its_own_reference():
    discriminator = networks()[0].eval()
    query, references = samples(4), samples(6, seed=2)
    hand = ByHand(discriminator, training=False)
    hand.logits(query.numpy(), [row[None] for row in query.numpy()], [(k, k) for k in range(4)])
    np.testing.assert_allclose(discriminator.vectors(query).detach(), hand.vector, **EXACT)
    hand.logits(query.numpy(), [references.numpy()], [(k, 0) for k in range(4)])
    np.testing.assert_allclose(discriminator.vectors(query, references).detach(), hand.vector, **EXACT)
    assert discriminator.vectors(samples(2, 3)).shape == (2, 3, 7)
    group = discriminator.group_vector(references)
    np.testing.assert_allclose(
        group.detach(), discriminator.group_vector(references.flip(0)).detach(), **EXACT
    )


def test_base_two_gives_the_same_numbers():
    natural, base2 = networks()[0].eval(), networks(scale="log2")[0].eval()
    query, references = samples(4), samples(6, seed=2)
    other = base2(query / np.log(2), references / np.log(2))
    np.testing.assert_allclose(natural(query, references).detach(), other.detach(), **EXACT)


# --- invariances -------------------------------------------------------------------------------------------


@settings(max_examples=25)
@given(st.permutations(range(7)), st.permutations(range(4)), st.booleans())
def test_order_of_references_is_no_matter(order, other, training):
    discriminator, generator = networks(double=False)
    single = torch.float32
    query, positive, negative = (
        samples(3, dtype=single),
        samples(7, seed=2, dtype=single),
        samples(4, seed=3, dtype=single),
    )
    discriminator.train(training)
    before, after = (
        discriminator(query, positive, negative),
        discriminator(query, positive[order], negative[other]),
    )
    torch.testing.assert_close(before, after, rtol=1e-5, atol=1e-5)
    generator.eval()
    assert torch.equal(generator(positive, 3, 1), generator(positive[order], 3, 1))
    torch.testing.assert_close(
        generator.group_vector(positive), generator.group_vector(positive[order]), rtol=1e-5, atol=1e-5
    )


@pytest.mark.parametrize("n_references", [1, 2, 5, 31])
def test_any_number_of_references(n_references):
    discriminator, generator = (network.eval() for network in networks())
    query, references = samples(3), samples(n_references, seed=2)
    assert discriminator(query, references, samples(4, seed=5)).shape == (3,)
    assert torch.isfinite(generator(references, 4, 1)).all()
    twice = references.repeat(2, 1)
    torch.testing.assert_close(discriminator(query, references), discriminator(query, twice))


def test_each_task_of_a_batch_is_by_itself():
    discriminator = networks()[0].eval()
    query, positive, negative = samples(2, 3, 4), samples(2, 3, 5, seed=2), samples(2, 3, 6, seed=3)
    together = discriminator(query, positive, negative)
    assert together.shape == (2, 3, 4)
    for a, b in np.ndindex(2, 3):
        torch.testing.assert_close(together[a, b], discriminator(query[a, b], positive[a, b], negative[a, b]))
    swapped = discriminator(query, negative, positive)
    torch.testing.assert_close(together, -swapped)


def test_unobserved_genes_are_zero_and_have_no_gradient():
    discriminator = networks()[0].eval()
    observed = torch.ones(len(GENES), dtype=torch.bool)
    observed[[3, 9]] = False
    query, references = samples(3), samples(5, seed=2)
    found = discriminator(query, references, observed=observed)
    torch.testing.assert_close(found, discriminator(query * observed, references * observed))
    query.requires_grad_()
    discriminator(query, references, observed=observed).sum().backward()
    assert (query.grad[:, ~observed] == 0).all()
    assert (query.grad[:, observed] != 0).any()
    each = observed.repeat(2, 1)
    pair = discriminator(query.detach().repeat(2, 1, 1), references.repeat(2, 1, 1), observed=each)
    torch.testing.assert_close(pair, found.detach().repeat(2, 1))


@pytest.mark.parametrize(
    ("pathways", "steps"),
    [("fixed", 20), ("learned", 60), pytest.param("learned", 1000, marks=pytest.mark.slow)],
)
def test_weights_outside_the_mask_do_not_exist_after_many_steps(pathways, steps):
    discriminator, generator = networks(pathways, double=False)
    truth = np.zeros((3, 20), dtype=bool)
    for row, members in enumerate(MEMBERS.values()):
        truth[row, list(members)] = True
    before = discriminator.inputs.layer.weight.detach().clone()
    parameters = [*discriminator.parameters(), *generator.parameters()]
    optimiser = torch.optim.Adam([one for one in parameters if one.requires_grad], lr=0.01)
    query, positive = samples(4, 2, dtype=torch.float32), samples(4, 3, seed=2, dtype=torch.float32)
    labels = torch.tensor([[True, False]] * 4)
    for _ in range(steps):
        optimiser.zero_grad()
        loss = discriminator_loss(
            discriminator, query=query, labels=labels, positive=positive, negative=positive.flip(0)
        )
        (loss + generator_loss(discriminator, generator, positive=positive)).backward()
        optimiser.step()
    for network in (discriminator, generator):
        dense = network.inputs.layer.to_dense().detach().numpy()
        assert (dense[~truth] == 0).all()
        assert (dense[truth] != 0).all()
    assert len(discriminator.inputs.layer.weight) == truth.sum()
    moved = not torch.equal(before, discriminator.inputs.layer.weight)
    assert moved == (pathways == "learned")
    x = samples(1, dtype=torch.float32).requires_grad_()
    jacobian = torch.autograd.functional.jacobian(lambda row: discriminator.pathway_scores(row)[0], x)[:, 0]
    assert (jacobian.numpy()[~truth] == 0).all()


def test_features_are_pathways_then_genes():
    discriminator = networks()[0].eval()
    query, positive, negative = samples(3), samples(5, seed=2), samples(5, seed=4)
    features = discriminator.features(query)
    assert discriminator.feature_names == ("a", "b", "c", *GENES)
    torch.testing.assert_close(features[:, :3], discriminator.pathway_scores(query))
    torch.testing.assert_close(features[:, 3:], torch.expm1(query))
    whole = discriminator.of_features(
        features, discriminator.features(positive), discriminator.features(negative)
    )
    torch.testing.assert_close(whole, discriminator(query, positive, negative))
    assert networks("none")[0].pathway_scores(query).shape == (3, 0)


def test_generator_draws():
    generator = networks()[1].eval()
    references = samples(6)
    references[:, 4] = 0
    made = generator(references, 8, 5)
    assert (made[:, 4] == 0).all()
    assert (made >= 0).all()
    torch.testing.assert_close(made[:3], generator(references, 3, 5))
    assert not torch.equal(made, generator(references, 8, 6))
    assert made.std(dim=0).max() > 0
    state = torch.random.get_rng_state()
    generator(references, 2, 1)
    assert torch.equal(state, torch.random.get_rng_state())


def test_generated_samples_are_at_the_level_of_their_references():
    references, made = samples(3, 5), samples(3, seed=9) + 0.1
    shifted = at_level_of(made, references)
    for row, group, was in zip(shifted.numpy(), references.numpy(), made.numpy(), strict=True):
        difference = np.sort(group.mean(axis=0) - was)[(len(GENES) - 1) // 2]
        np.testing.assert_allclose(row, np.maximum(was + difference, 0), **EXACT)


# --- losses ------------------------------------------------------------------------------------------------


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def test_discriminator_loss_by_hand():
    discriminator, generator = networks()
    query, positive, negative = samples(3, 4), samples(3, 5, seed=2), samples(3, 6, seed=3)
    labels = torch.tensor([[True, False, False, True], [True, True, False, False], [False, True, True, True]])
    made = [
        *generator.eval().generate(positive).detach().numpy(),
        *generator.generate(negative).detach().numpy(),
    ]
    chosen = torch.tensor(np.random.default_rng(7).random((3, 4)) < 0.4)
    drawn = chosen.flatten().tolist()
    assert 0 < sum(drawn) < 12
    queries, pairs, wanted = list(query.reshape(12, -1).numpy()), [], []
    for row, true in enumerate(labels.flatten().tolist()):
        task = row // 4
        pairs += [(row, task if true else task + 3), (row, task + 3 if true else task)]
        wanted += [True, False]
        if drawn[row]:
            own = task if true else task + 3
            queries.append(made[own])
            pairs.append((len(queries) - 1, own))
            wanted.append(False)
    logits = ByHand(discriminator, training=True).logits(
        np.array(queries), [*positive.numpy(), *negative.numpy()], pairs
    )
    score = np.where(wanted, sigmoid(logits), 1 - sigmoid(logits))
    found = discriminator_loss(
        discriminator, query=query, labels=labels, positive=positive, negative=negative, generator=generator, chosen=chosen,
    )  # fmt: skip
    np.testing.assert_allclose(found.item(), -np.log(score.mean()), **EXACT)
    found.backward()
    assert all(one.grad is None for one in generator.parameters())


def test_discriminator_loss_without_negative_references():
    discriminator = networks()[0].eval()
    query, positive = samples(2, 3), samples(2, 5, seed=2)
    labels = torch.tensor([[True, False, True], [False, False, True]])
    logits = discriminator(query, positive).detach().numpy()
    score = np.where(labels.numpy(), sigmoid(logits), 1 - sigmoid(logits)).mean()
    found = discriminator_loss(discriminator, query=query, labels=labels, positive=positive)
    np.testing.assert_allclose(found.item(), -np.log(score), **EXACT)


def test_generator_loss_by_hand():
    discriminator, generator = networks()
    discriminator.eval()
    generator.eval()
    positive, negative = samples(2, 5), samples(2, 4, seed=2)
    scores = [
        sigmoid(discriminator(generator.generate(part)[:, None], part).detach().numpy())
        for part in (positive, negative)
    ]
    found = generator_loss(discriminator, generator, positive=positive, negative=negative)
    np.testing.assert_allclose(found.item(), -np.log(np.mean(scores)), **EXACT)
    found.backward()
    assert any((one.grad != 0).any() for one in generator.parameters() if one.grad is not None)


def test_generated_queries_of_a_batch_of_one_kind():
    discriminator, generator = networks()
    positive = samples(3, 5, seed=2)
    labels = torch.tensor([[True, False, True]] * 3)
    given = {"query": samples(3, 3), "labels": labels, "positive": positive, "generator": generator}
    nobody = discriminator_loss(discriminator, **given, chosen=torch.zeros(3, 3, dtype=torch.bool))
    # a query that is not of the kind has no group of its own, so it cannot add a generated one
    wrong = discriminator_loss(discriminator, **given, chosen=~labels)
    torch.testing.assert_close(nobody, wrong)
    assert not torch.isclose(nobody, discriminator_loss(discriminator, **given, chosen=labels))


def test_a_single_episode_can_be_trained_on():
    discriminator, generator = networks()
    positive, negative, labels = samples(1, 5), samples(1, 5, seed=2), torch.tensor([[True, False]])
    loss = discriminator_loss(
        discriminator, query=samples(1, 2), labels=labels, positive=positive, negative=negative,
        observed=torch.ones(1, len(GENES), dtype=torch.bool), generator=generator, chosen=labels,
    )  # fmt: skip
    (loss + generator_loss(discriminator, generator, positive=positive, negative=negative)).backward()
    assert torch.isfinite(loss)


@given(st.lists(st.floats(-300, 300), min_size=1, max_size=9))
def test_log_of_mean_is_exact_for_tiny_scores(logits):
    with np.errstate(over="ignore"):
        expected = np.log(len(logits)) - np.logaddexp.reduce(-np.logaddexp(0, -np.array(logits)))
    np.testing.assert_allclose(
        log_of_mean(torch.tensor(logits, dtype=torch.float64)).item(), expected, rtol=1e-9, atol=1e-12
    )


def test_the_loss_falls_when_the_discriminator_learns():
    discriminator = networks(double=False)[0]
    optimiser = torch.optim.Adam(discriminator.parameters(), lr=0.01)
    shift = torch.zeros(len(GENES))
    shift[:6] = 1.5
    losses = []
    for step in range(150):
        positive, negative = samples(8, 6, seed=step) + shift, samples(8, 6, seed=1000 + step)
        query = torch.cat([samples(8, 1, seed=2000 + step) + shift, samples(8, 1, seed=3000 + step)], dim=1)
        labels = torch.tensor([[True, False]] * 8)
        optimiser.zero_grad()
        loss = discriminator_loss(
            discriminator,
            query=query.float(),
            labels=labels,
            positive=positive.float(),
            negative=negative.float(),
        )
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert np.mean(losses[-10:]) < 0.5 * np.mean(losses[:10])


# --- bad input ---------------------------------------------------------------------------------------------


def test_wrong_sizes_are_said():
    discriminator, generator = networks()
    with pytest.raises(ModelError, match="wrong number of genes"):
        discriminator(samples(3)[:, :5], samples(4))
    with pytest.raises(ModelError, match="no references"):
        discriminator(samples(3), samples(0))
    with pytest.raises(ModelError, match="leading sizes"):
        discriminator(samples(2, 3), samples(4))
    with pytest.raises(ModelError, match="single row"):
        generator.train().generate(samples(4))
    with pytest.raises(ModelError, match="one group of references"):
        generator.eval()(samples(2, 4), 3, 1)
    with pytest.raises(ModelError, match="no references"):
        max_and_mean(torch.zeros(0, 3))
