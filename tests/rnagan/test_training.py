"""Training of both presets: resumed to the bit, falling losses, and nothing learned from what is held out."""

from __future__ import annotations

import os
import signal
from dataclasses import replace

import numpy as np
import pytest
import torch

from consilience.foundation.errors import ModelError
from consilience.learning.fit import fit
from consilience.learning.schedule import Schedule
from consilience.learning.stopping import TrainingStopped
from consilience.pathways.wiring import wire
from consilience.rnagan.contrasts import softened
from consilience.rnagan.corpus import CohortTasks, Corpus
from consilience.rnagan.corpus_rows import rows_of_matrix
from consilience.rnagan.corpus_tasks import families_of
from consilience.rnagan.presets import DEFAULT, PUBLISHED, EpisodeSettings, Stage, build_networks
from consilience.rnagan.training import (
    MOST_GROUPS,
    begin_factors,
    begin_from,
    cohorts_of,
    gene_moments,
    players_of,
    train,
)
from consilience.sources.cells.matrix import Labels

GENES = tuple(f"g{k:02d}" for k in range(30))
WIRING = wire(
    {"gene": [GENES[k] for k in range(24)], "pathway": [f"p{k // 6}" for k in range(24)]}, genes=GENES
)
EPISODES = EpisodeSettings(episodes=3, queries=6, reference_sizes=(3, 5))
STAGE = Stage("all", "any", generator=True, epochs=4, steps=3, rate_discriminator=0.01, rate_generator=0.01)
PRESETS = {
    "default": replace(DEFAULT, hidden=(8, 6, 4), episodes=EPISODES, stages=(STAGE,)),
    "published": replace(PUBLISHED, hidden=(8, 6, 4), dropout=0.2, episodes=EPISODES, stages=(STAGE,)),
}


def cohort(name="c", *, cells=False, n=32, seed=0, first=0, shift=1.5, observed=None):
    """Two kinds that differ in six genes from `first` on; 16 donors of two samples each."""
    random = np.random.default_rng(seed)
    kind = np.arange(n) % 2
    counts = random.poisson(
        random.gamma(3, 4, size=(n, 30))
        * np.exp(shift * np.outer(kind, np.abs(np.arange(30) - first - 2.5) < 3))
    )
    values = np.log1p(counts / np.maximum(counts.sum(axis=1, keepdims=True), 1) * 1e4).astype(np.float32)
    seen = np.ones(30, dtype=bool) if observed is None else observed
    labels = {"condition": Labels.from_text([f"k{k}" for k in kind]).compact()}
    families = tuple(families_of(labels, (np.arange(n) // 2).astype(np.int32)))
    return CohortTasks(name, cells, rows_of_matrix(values * seen), seen, families, True)


def corpus_of(*cohorts, seed=5):
    return Corpus(GENES, load=lambda turn: cohorts, seed=seed)


TWO = (cohort("a"), cohort("b", seed=1, first=12, observed=np.arange(30) < 26))


def networks(preset, seed=2):
    return build_networks(preset, GENES, WIRING, seed)


def state(*modules):
    return {f"{number}.{name}": values.clone() for number, module in enumerate(modules)
            for name, values in module.state_dict().items()}  # fmt: skip


def same(one, other):
    return set(one) == set(other) and all(torch.equal(one[name], other[name]) for name in one)


def plain(history):
    return [{name: value for name, value in line.items() if name != "seconds"} for line in history]


@pytest.mark.parametrize("name", PRESETS)
def test_twenty_epochs_are_ten_and_ten_more(name, tmp_path):
    preset, corpus = PRESETS[name], corpus_of(*TWO)

    def run(epochs, folder):
        pair = networks(preset)
        if name == "default":
            begin_from(pair[0], corpus)
        result = fit(
            players=players_of(*pair, preset, STAGE), schedule=Schedule(epochs, 1, clip_norm=5.0), seed=3, folder=folder,
            batches=lambda epoch, step, rng: corpus.batch(epoch=epoch, step=step, settings=preset.episodes),
        )  # fmt: skip
        return state(*pair), result

    whole, told = run(20, None)
    run(10, tmp_path)
    parts, again = run(20, tmp_path)
    assert again.resumed_after == 10
    assert same(parts, whole)
    assert plain(again.history) == plain(told.history)
    assert {"discriminator.loss", "generator.loss"} <= set(told.history[0])


@pytest.mark.parametrize("name", PRESETS)
def test_an_interrupted_training_ends_in_the_same_bits(name, tmp_path):
    preset = PRESETS[name]
    stages = (STAGE, replace(STAGE, name="second", epochs=2))

    def run(folder, corpus):
        pair = networks(preset)
        return train(*pair, preset=preset, corpus=corpus, stages=stages, seed=1, folder=folder), state(*pair)

    class Interrupted(Corpus):
        left = 8

        def batch(self, **options):
            self.left -= 1
            if self.left == 0:
                os.kill(os.getpid(), signal.SIGTERM)
            return super().batch(**options)

    told, whole = run(None, corpus_of(*TWO))
    with pytest.raises(TrainingStopped):
        run(tmp_path, Interrupted(GENES, load=lambda turn: TWO, seed=5))
    again, parts = run(tmp_path, corpus_of(*TWO))
    assert same(parts, whole)
    assert plain(again.history) == plain(told.history)
    assert [line["stage"] for line in told.history] == ["all"] * 4 + ["second"] * 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["1-all", "2-second"]
    assert (
        told.tasks
        == again.tasks
        == ((("a, condition: k0 or k1",), ("b, condition: k0 or k1",)) if name == "default" else ())
    )


def test_another_key_starts_from_the_beginning(tmp_path):
    preset, corpus = PRESETS["default"], corpus_of(*TWO)

    def run(folder, key):
        pair = networks(preset)
        train(*pair, preset=preset, corpus=corpus, stages=(STAGE,), seed=1, folder=folder, key=key)
        return state(*pair)

    first = run(tmp_path, {"data": "x"})
    again = run(tmp_path, {"data": "x"})
    assert same(first, again)
    batches = corpus.batch
    calls = []
    corpus.batch = lambda **options: calls.append(options) or batches(**options)
    run(tmp_path, {"data": "x"})
    assert not calls
    run(tmp_path, {"data": "y"})
    assert len(calls) == STAGE.epochs * STAGE.steps


@pytest.mark.parametrize("name", PRESETS)
def test_the_loss_falls(name):
    preset, corpus = (
        PRESETS[name],
        corpus_of(*(cohort(f"c{k}", seed=k, first=6 * (k % 3), shift=0.5) for k in range(3))),
    )
    stage = replace(STAGE, epochs=12, steps=6, rate_discriminator=0.02)
    pair = networks(preset)
    told = train(*pair, preset=preset, corpus=corpus, stages=(stage,), seed=1).history
    losses = [line["discriminator.loss"] for line in told]
    assert np.mean(losses[-4:]) < np.mean(losses[:4])
    assert not pair[0].training
    assert not pair[1].training


def test_stages_without_their_kind_of_cohort_are_passed_over():
    preset = PRESETS["published"]
    bulk, cells = replace(STAGE, name="bulk", data="bulk"), replace(STAGE, name="cells", data="cells")
    own, idle = replace(STAGE, name="own", data="own"), replace(STAGE, name="idle", epochs=0)
    told = train(
        *networks(preset), preset=preset, corpus=corpus_of(*TWO), stages=(cells, bulk, idle, own), seed=1
    )
    assert list(dict.fromkeys(line["stage"] for line in told.history)) == ["bulk", "own"]
    mixed = corpus_of(TWO[0], cohort("d", cells=True))
    assert [one.name for one in cohorts_of(mixed, cells).cohorts()] == ["d"]
    assert [one.name for one in cohorts_of(mixed, bulk).cohorts()] == ["a"]
    nothing = networks(preset)
    before = state(*nothing)
    train(*nothing, preset=preset, corpus=corpus_of(*TWO), stages=(cells,), seed=1)
    assert same(state(*nothing), before)


@pytest.mark.parametrize("name", PRESETS)
def test_samples_that_no_family_holds_change_nothing(name):
    """What is held out is in no level of any family: its values may be anything."""
    preset, found = PRESETS[name], []
    for value in (0.0, 9.0):
        held = []
        for one in TWO:
            # four rows more than the levels know of
            values = np.vstack(
                [one.rows.dense(np.arange(len(one.rows))), np.full((4, 30), value, dtype=np.float32)]
            )
            held.append(replace(one, rows=rows_of_matrix(values)))
        pair = networks(preset)
        train(*pair, preset=preset, corpus=corpus_of(*held), stages=(STAGE,), seed=1)
        found.append(state(*pair))
    assert same(*found)


# --- what training begins with -----------------------------------------------------------------------------


def test_the_discriminator_begins_with_contrasts_and_moments():
    net, _ = networks(PRESETS["default"])
    before = net.gene_contrasts.detach().clone()
    tasks = begin_from(net, corpus_of(*TWO))
    rows = net.gene_contrasts.detach()
    assert len(tasks) == 2
    assert (rows[2:] == 0).all()
    for row, first in ((0, 0), (1, 12)):
        own = (rows[row, first : first + 6]).square().sum()
        assert own > 0.4  # six of thirty genes; chance is 0.2
    assert (rows[1, 26:] == 0).all()
    own = networks(PRESETS["default"])[0]
    with torch.no_grad():
        own.gene_contrasts.copy_(before)
    begin_from(own, corpus_of(TWO[0]), keep=True)
    torch.testing.assert_close(own.gene_contrasts[0], rows[0])
    assert torch.equal(own.gene_contrasts[1:], before[:-1])
    with pytest.raises(ModelError, match="only the default"):
        begin_from(networks(PRESETS["published"])[0], corpus_of(*TWO))


def test_gene_moments_are_means_over_the_cohorts_that_measured_a_gene():
    mean, variance = gene_moments(TWO, softening=2.0)
    values = [softened(one.rows.dense(np.arange(32)), one.observed, softening=2.0) for one in TWO]
    np.testing.assert_allclose(
        mean[:26], (values[0].mean(axis=0) + values[1].mean(axis=0))[:26] / 2, rtol=1e-5
    )
    np.testing.assert_allclose(mean[26:], values[0].mean(axis=0)[26:], rtol=1e-5)
    np.testing.assert_allclose(variance[26:], values[0].var(axis=0)[26:], rtol=1e-4)


def test_factors_begin_with_variation_within_kinds():
    _, generator = networks(PRESETS["default"])
    before = generator.loadings.detach().clone()
    begin_factors(generator, corpus_of(*TWO))
    assert not torch.equal(generator.loadings, before)
    many = corpus_of(*(cohort(f"c{k}", seed=k) for k in range(MOST_GROUPS)))
    calls = []
    generator.start_from = calls.append
    begin_factors(generator, many)
    assert len(calls[0]) == MOST_GROUPS
    with pytest.raises(ModelError, match="default generator"):
        begin_factors(networks(PRESETS["published"])[1], corpus_of(*TWO))


def test_small_parameters_move_and_large_ones_are_slower():
    pair = networks(PRESETS["default"])
    groups = players_of(*pair, PRESETS["default"], STAGE)[0].optimizer.param_groups
    assert [group["lr"] for group in groups] == [0.01, pytest.approx(0.0001)]
    assert {weight.numel() for weight in groups[1]["params"]} == {6 * 30}
    published = players_of(*networks(PRESETS["published"]), PRESETS["published"], STAGE)
    assert [player.name for player in published] == ["discriminator", "generator"]
    assert {group["lr"] for group in published[0].optimizer.param_groups} == {0.01}
    alone = players_of(*pair, PRESETS["default"], replace(STAGE, generator=False))
    assert [player.name for player in alone] == ["discriminator"]
