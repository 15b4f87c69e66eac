"""The default generator: sets of samples as a second draw of patients, and nothing that depends on order."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as runs
from hypothesis import strategies as some

from consilience.foundation.errors import ModelError
from consilience.learning.fit import fit
from consilience.learning.schedule import Schedule
from consilience.pathways.wiring import wire
from consilience.rnagan.episodes import Episode, stack
from consilience.rnagan.generator_losses import energy_score, generator_energy, generator_player
from consilience.rnagan.networks import default_generator_network as network
from consilience.rnagan.networks.default_generator_network import DefaultGenerator, GeneratorSizes
from consilience.rnagan.networks.margins_layer import interpolate, normal_scores

GENES = tuple(f"G{k}" for k in range(60))
ONLY_SPAN = GeneratorSizes(kept=1 - 1e-6, tail=1e-6, prior=1e-6)


def patients(n: int, *, seed: int = 0, genes: int = 60) -> torch.Tensor:
    """Skewed values with zeros, and three factors."""
    rng = np.random.default_rng(seed)
    loadings = np.random.default_rng(99).normal(size=(3, genes))
    level = rng.normal(size=(n, 3)) @ loadings * 0.5 + rng.normal(size=(n, genes)) + np.linspace(-1, 3, genes)
    return torch.from_numpy(np.maximum(level, 0).astype(np.float32))


def made(generator: DefaultGenerator, references: torch.Tensor, n: int, seed: int = 1) -> torch.Tensor:
    with torch.no_grad():
        return generator(references, n, seed)


@runs(max_examples=15)
@given(n=some.integers(2, 25), seed=some.integers(0, 1000))
def test_a_rotation_is_orthogonal_and_keeps_the_mean(n, seed) -> None:
    rotation = network._orthogonal(n, torch.Generator().manual_seed(seed))
    assert torch.allclose(rotation @ rotation.T, torch.eye(n, dtype=torch.float64), atol=1e-9)
    assert torch.allclose(rotation.sum(dim=1), torch.ones(n, dtype=torch.float64), atol=1e-9)


def test_rotations_favour_no_patient() -> None:
    noise = torch.Generator().manual_seed(3)
    weights = torch.stack([network._orthogonal(8, noise) for _ in range(3000)])
    centred = weights - 1 / 8
    # uniform on the space orthogonal to ones: mean 0, second moment (δ − 1/n) / (n − 1)
    assert centred.mean(dim=0).abs().max() < 0.03
    second = torch.einsum("kri,krj->ij", centred, centred) / (3000 * 8)
    assert torch.allclose(second, (torch.eye(8).double() - 1 / 8) / 8, atol=1e-9)
    assert (centred.square().mean(dim=0) - 1 / 8 * (1 - 1 / 8)).abs().max() < 0.01


def test_a_full_round_in_the_span_has_the_scores_covariance() -> None:
    references = patients(12) + 1
    scores = normal_scores(references, torch.Generator().manual_seed(0))
    spectrum = network._Spectrum(scores)
    turned = spectrum.rotated(torch.ones(11), network._orthogonal(12, torch.Generator().manual_seed(5)))
    assert torch.allclose(turned.mean(dim=0), torch.zeros(60), atol=1e-5)
    assert torch.allclose(turned.T @ turned, scores.T @ scores, atol=1e-3)
    assert (turned - scores).norm() > 5
    assert torch.allclose(spectrum.variances(torch.ones(11)), torch.ones(60), atol=1e-4)


def test_scores_are_ranks_with_ties_by_lot_and_constant_genes_are_zero() -> None:
    references = patients(40)
    references[:, 5] = 2.0
    scores = normal_scores(references, torch.Generator().manual_seed(1))
    for gene in range(60):
        if gene == 5:
            assert not scores[:, gene].any()
            continue
        order = np.argsort(scores[:, gene].numpy())
        assert np.all(np.diff(references[order, gene].numpy()) >= 0)
        assert scores[:, gene].mean().abs() < 1e-5
        assert scores[:, gene].var() == pytest.approx(1, abs=1e-4)
    other = normal_scores(references, torch.Generator().manual_seed(2))
    tied = (references[:, 0] == 0).sum() > 3
    assert tied
    assert not torch.equal(scores[:, 0], other[:, 0])


def test_interpolation_is_numpys() -> None:
    knots = torch.tensor([-2.0, -0.5, 0.1, 1.5])
    values = torch.randn(4, 7, generator=torch.Generator().manual_seed(0)).cumsum(dim=0)
    scores = torch.randn(50, 7, generator=torch.Generator().manual_seed(1)) * 2
    found = interpolate(scores, knots, values)
    for gene in range(7):
        expected = np.interp(scores[:, gene].numpy(), knots.numpy(), values[:, gene].numpy())
        np.testing.assert_allclose(found[:, gene].numpy(), expected, atol=1e-5)


@pytest.mark.parametrize("sizes", [GeneratorSizes(), GeneratorSizes(kept=0.1), ONLY_SPAN])
def test_means_sds_and_zeros_are_those_of_the_references(sizes) -> None:
    references = patients(40)
    samples = made(DefaultGenerator(GENES, sizes=sizes), references, 4000)
    assert torch.isfinite(samples).all()
    assert (samples >= 0).all()
    sd = references.std(dim=0)
    assert ((samples.mean(dim=0) - references.mean(dim=0)).abs() / (sd + 0.05)).max() < 0.12
    assert (samples.std(dim=0) / sd).sub(1).abs().median() < 0.06
    zero = (samples == 0).float().mean(dim=0) - (references == 0).float().mean(dim=0)
    assert zero.abs().max() < 0.06


def test_variety_does_not_shrink_with_more_references() -> None:
    generator = DefaultGenerator(GENES)
    ratios = [
        float(made(generator, patients(n), 600).var(dim=0).sum() / patients(n).var(dim=0).sum())
        for n in (6, 60)
    ]
    assert ratios == pytest.approx([1, 1], abs=0.15)


@runs(max_examples=10)
@given(n=some.integers(2, 12), seed=some.integers(0, 99), wanted=some.integers(1, 30))
def test_neither_order_nor_number_asked_matters(n, seed, wanted) -> None:
    references, generator = patients(n, seed=seed), DefaultGenerator(GENES)
    samples = made(generator, references, 30, seed)
    order = torch.from_numpy(np.random.default_rng(seed).permutation(n))
    torch.manual_seed(seed)
    assert torch.equal(made(generator, references[order], 30, seed), samples)
    assert torch.equal(made(generator, references, wanted, seed), samples[:wanted])
    assert not torch.equal(made(generator, references, 30, seed + 1), samples)


def test_the_weights_are_the_whole_generator() -> None:
    first, second = DefaultGenerator(GENES, seed=1), DefaultGenerator(GENES, seed=2)
    assert not torch.equal(made(first, patients(9), 5), made(second, patients(9), 5))
    second.load_state_dict(first.state_dict())
    assert torch.equal(made(first, patients(9), 5), made(second, patients(9), 5))


def test_with_nothing_kept_samples_leave_the_span_and_learned_factors_tie_genes() -> None:
    generator = DefaultGenerator(GENES, sizes=GeneratorSizes(kept=1e-6, strong=1e3, uneven=1e-6))
    with torch.no_grad():
        generator.loadings.zero_()
        generator.loadings[:10, 0] = 3.0
    fresh = generator.fresh(4000, torch.Generator().manual_seed(0), like=patients(2))
    assert fresh.var(dim=0).sub(1).abs().max() < 0.12
    together = np.corrcoef(fresh.detach().numpy().T)
    assert np.abs(together[:10, :10][~np.eye(10, dtype=bool)] - 0.9).max() < 0.03
    assert np.abs(together[10:, :10]).max() < 0.1


def test_pathways_give_their_genes_loadings() -> None:
    edges = [("G1", "A"), ("G2", "A"), ("G2", "B"), ("G7", "B")]
    wiring = wire({"gene": [g for g, _ in edges], "pathway": [p for _, p in edges]}, genes=GENES)
    generator = DefaultGenerator(GENES, wiring=wiring)
    through = (generator.factor_loadings() - generator.loadings).detach()
    of = dict(zip(wiring.pathways, generator.pathway_loadings.detach() * 0.1, strict=True))
    assert torch.allclose(through[1], of["A"], atol=1e-6)
    assert torch.allclose(through[2], of["A"] + of["B"], atol=1e-6)
    assert torch.allclose(through[7], of["B"], atol=1e-6)
    assert not through[[0, *range(8, 60)]].any()


def test_first_loadings_find_the_factors_of_other_cohorts() -> None:
    generator = DefaultGenerator(GENES)
    generator.start_from([patients(80, seed=4) + 2, patients(60, seed=5), patients(3, seed=6)])
    loadings = np.random.default_rng(99).normal(size=(3, 60))
    planted = loadings.T @ loadings * 0.25 + np.eye(60)
    planted /= np.sqrt(np.outer(np.diag(planted), np.diag(planted)))
    found = generator.factor_loadings().detach().numpy()
    found = found @ found.T + np.eye(60)
    found /= np.sqrt(np.outer(np.diag(found), np.diag(found)))
    seen = np.arange(60) >= 25  # genes that are not cut off at zero
    pairs = np.triu_indices(int(seen.sum()), 1)
    assert np.corrcoef(planted[np.ix_(seen, seen)][pairs], found[np.ix_(seen, seen)][pairs])[0, 1] > 0.8
    with pytest.raises(ModelError, match="four samples"):
        generator.start_from([patients(3)])


def test_energy_score_is_the_slow_formula() -> None:
    first, second, real = (torch.randn(k, 5, generator=torch.Generator().manual_seed(k)) for k in (4, 3, 6))
    samples = torch.cat([first, second])
    across = np.mean([[float((x - y).norm()) for y in real] for x in samples])
    between = np.mean([[float((x - y).norm()) for y in second] for x in first])
    assert float(energy_score(first, second, real)) == pytest.approx(across - between / 2, rel=1e-5)


def test_the_energy_score_is_lowest_for_the_right_spread() -> None:
    noise = torch.Generator().manual_seed(1)
    real = torch.randn(2000, 5, generator=noise)
    drawn = [torch.randn(2000, 5, generator=noise) for _ in range(2)]
    scores = {size: float(energy_score(drawn[0] * size, drawn[1] * size, real)) for size in (0.5, 1.0, 2.0)}
    assert min(scores, key=scores.__getitem__) == 1.0


def batches(epoch: int, step: int, rng: np.random.Generator):
    episodes = []
    for _ in range(2):
        values = patients(18, seed=int(rng.integers(10**6))).numpy()
        episodes.append(Episode(
            values[:6], np.ones(6, bool), values[6:], values[:0], np.ones(60, bool), "planted",
            np.zeros(6, bool), int(rng.integers(2**31)),
        ))  # fmt: skip
    return stack(episodes)


def test_training_by_the_common_loop_moves_the_spread_to_the_truth() -> None:
    generator = DefaultGenerator(GENES, sizes=GeneratorSizes(tail=20.0), seed=1)
    wild = generator.settings.detach().clone()
    player = generator_player(generator, rate=0.03, only_shares=True)
    before = generator.loadings.detach().clone()
    result = fit(players=[player], batches=batches, schedule=Schedule(epochs=1, steps_per_epoch=6), seed=1)
    assert {"generator.whole", "generator.direction", "generator.blocks"} <= result.history[0].keys()
    assert torch.equal(generator.loadings, before)
    assert generator.settings[2] < wild[2] - 0.1  # tails of 20 steps are too long


def test_gradients_reach_everything_that_is_trained_and_a_judge_is_asked() -> None:
    edges = [("G1", "A"), ("G2", "A"), ("G7", "B")]
    wiring = wire({"gene": [g for g, _ in edges], "pathway": [p for _, p in edges]}, genes=GENES)
    generator = DefaultGenerator(GENES, wiring=wiring)
    asked = []

    def judge(query: torch.Tensor, positive: torch.Tensor) -> torch.Tensor:
        asked.append(query.shape)
        return query.mean(dim=1) - positive.mean()

    player = generator_player(generator, judge=judge)
    loss = player.loss(batches(0, 0, np.random.default_rng(0)), torch.Generator())
    loss.value.backward()
    assert asked == [(12, 60), (12, 60)]
    for name, parameter in generator.named_parameters():
        if name != "first":  # behind weights that begin at 0
            assert parameter.grad is not None, name
            assert torch.isfinite(parameter.grad).all(), name
            assert parameter.grad.abs().sum() > 0, name


def test_genes_that_are_not_measured_stay_as_they_are() -> None:
    references = patients(10)
    references[:, 20:] = 0
    assert not made(DefaultGenerator(GENES), references, 20)[:, 20:].any()
    scores = generator_energy(
        DefaultGenerator(GENES),
        references=references,
        real=patients(4),
        noise=torch.Generator().manual_seed(0),
    )
    assert all(bool(torch.isfinite(score)) for score in scores.values())


@pytest.mark.parametrize(
    ("references", "n", "message"),
    [
        (patients(1), 5, "one reference"),
        (patients(5)[:, :9], 5, "one group"),
        (patients(5), 0, "one group"),
        (patients(5) * torch.nan, 5, "no numbers"),
    ],
)
def test_what_cannot_be_used_is_refused(references, n, message) -> None:
    with pytest.raises(ModelError, match=message):
        DefaultGenerator(GENES)(references, n, 1)
