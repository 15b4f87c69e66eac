"""Episodes: who plays which part, batches as functions of (seed, epoch, step), and their form as tensors."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from consilience.foundation.errors import ConfigError, DataError
from consilience.foundation.seeds import stream
from consilience.learning.samples import Samples
from consilience.rnagan.corpus import samples_corpus
from consilience.rnagan.corpus_rows import rows_of_matrix
from consilience.rnagan.corpus_tasks import REST, Level, companions, draw_parts, draw_task, families_of
from consilience.rnagan.episodes import Episode, draw_episode, stack
from consilience.rnagan.presets import EpisodeSettings
from consilience.sources.cells.matrix import Labels


def make_samples(n=40, *, n_genes=12, n_donors=None, labels=("ill", "well"), seed=0) -> Samples:
    """Gene 0 holds the row's number, gene 1 its label, so that a row can be found again in an episode."""
    rng = np.random.default_rng(seed)
    values = rng.gamma(2, 1, (n, n_genes)).astype(np.float32)
    label = np.arange(n) % len(labels)
    values[:, 0], values[:, 1] = np.arange(n) + 1, label + 1
    donors = [f"d{k // len(labels) % (n_donors or n):03d}" for k in range(n)]
    return Samples(
        values, tuple(f"g{k:02d}" for k in range(n_genes)), np.array([f"s{k:03d}" for k in range(n)]),
        np.array(labels)[label], np.array(donors), np.full(n, ""), "log1p_cp10k",
    )  # fmt: skip


SETTINGS = EpisodeSettings(episodes=6, queries=8, reference_sizes=(5,))


@st.composite
def two_levels(draw):
    """Two levels with two donors each at least, of donors that may have rows of both."""
    levels, first = [], 0
    for name in "ab":
        donors = draw(
            st.lists(st.integers(0, 9), min_size=2, max_size=30).filter(lambda given: len(set(given)) > 1)
        )
        levels.append(
            Level(
                name, np.arange(first, first + len(donors), dtype=np.int32), np.array(donors, dtype=np.int32)
            )
        )
        first += len(donors)
    return levels


@given(two_levels(), st.integers(1, 12), st.integers(2, 9), st.integers(0, 10**6))
def test_no_donor_gives_both_references_and_queries(levels, n_references, n_queries, seed):
    parts = draw_parts(np.random.default_rng(seed), *levels, n_references=n_references, n_queries=n_queries)
    donor_of = dict(
        zip(
            *(
                np.concatenate([getattr(level, name) for level in levels]).tolist()
                for name in ("rows", "donors")
            ),
            strict=True,
        )
    )
    references = {donor_of[row] for row in (*parts.positive.tolist(), *parts.negative.tolist())}
    assert not references & {donor_of[row] for row in parts.query.tolist()}
    assert len(parts.positive) == len(parts.negative) == n_references
    assert parts.labels.sum() == n_queries // 2
    assert len(parts.query) == n_queries
    for rows, level in (
        (parts.positive, 0),
        (parts.negative, 1),
        (parts.query[parts.labels], 0),
        (parts.query[~parts.labels], 1),
    ):
        assert set(rows.tolist()) <= set(levels[level].rows.tolist())


@given(two_levels(), st.integers(1, 12), st.integers(0, 10**6))
def test_rows_repeat_only_when_their_side_is_used_up(levels, n_references, seed):
    parts = draw_parts(np.random.default_rng(seed), *levels, n_references=n_references, n_queries=4)
    for rows, level in ((parts.positive, levels[0]), (parts.negative, levels[1])):
        donors = np.unique(level.donors[np.isin(level.rows, rows)])
        if len(np.unique(rows)) < n_references:
            assert set(rows.tolist()) == set(level.rows[np.isin(level.donors, donors)].tolist())


def test_rows_are_drawn_by_turns_from_donors():
    donors = np.repeat(np.arange(8, dtype=np.int32), [50, 50, 50, 50, 2, 2, 2, 2])
    level = Level("a", np.arange(donors.size, dtype=np.int32), donors)
    other = Level("b", np.arange(1000, 1000 + donors.size, dtype=np.int32), donors)
    for seed in range(20):
        parts = draw_parts(np.random.default_rng(seed), level, other, n_references=8, n_queries=8)
        counts = np.bincount(donors[parts.positive], minlength=8)
        used = counts[counts > 0]
        small = counts[4:][counts[4:] > 0]
        assert (used.max() - small <= 1).all() or (small == 2).all()


def test_every_row_gets_every_part_about_equally_often():
    samples = make_samples(24)
    donors = np.arange(24, dtype=np.int32)
    rows = np.arange(24, dtype=np.int32)
    levels = [
        Level(name, rows[samples.labels == name], donors[samples.labels == name]) for name in ("ill", "well")
    ]
    counts = np.zeros((2, 24))
    for seed in range(2000):
        parts = draw_parts(np.random.default_rng(seed), *levels, n_references=4, n_queries=6)
        counts[0] += np.bincount(np.concatenate([parts.positive, parts.negative]), minlength=24)
        counts[1] += np.bincount(parts.query, minlength=24)
    for got, each in zip(counts, (2000 * 8 / 24, 2000 * 6 / 24), strict=True):
        # binomial with p at most 1/3: five standard deviations
        assert np.abs(got - each).max() < 5 * np.sqrt(each)


def test_families_need_two_donors_and_stay_within_a_cell_type():
    types = Labels.from_text(["T", "T", "T", "T", "B", "B", "B", "B", "NK", "NK"])
    condition = Labels.from_text(["x", "x", "y", "y", "x", "x", "y", "", "x", "y"])
    donors = np.array([0, 1, 0, 1, 0, 1, 0, 0, 2, 2], dtype=np.int32)
    found = families_of({"cell_type": types.compact(), "condition": condition.compact()}, donors)
    assert [(one.column, one.within, [level.name for level in one.levels]) for one in found] == [
        ("cell_type", "", ["B", "T"]), ("condition", "T", ["x", "y"])]  # fmt: skip
    assert found[1].levels[0].rows.tolist() == [0, 1]
    alone = families_of({"condition": condition.compact()}, donors)
    assert [(one.within, [level.rows.tolist() for level in one.levels]) for one in alone] == [
        ("", [[0, 1, 4, 5, 8], [2, 3, 6, 9]])]  # fmt: skip
    told_apart = families_of({"donor": Labels.from_text([f"d{k}" for k in donors])}, donors)
    assert [level.name for level in told_apart[0].levels] == ["d0", "d1", "d2"]


def test_one_against_all_others():
    labels = Labels.from_text(list("abc") * 6)
    family = families_of({"condition": labels}, np.arange(18, dtype=np.int32))[0]
    drawn = [draw_task(np.random.default_rng(seed), family, rest=0.5) for seed in range(400)]
    others = [(positive, negative) for positive, negative in drawn if negative.name == REST]
    assert abs(len(others) - 200) < 5 * 10
    for positive, negative in others:
        assert sorted([*positive.rows, *negative.rows]) == list(range(18))
    assert {positive.name for positive, _ in drawn} == set("abc")
    assert all(
        negative.name != REST
        for _, negative in (draw_task(np.random.default_rng(k), family, rest=0) for k in range(99))
    )


def test_means_over_cells_are_of_one_donor_and_on_the_linear_scale():
    rng = np.random.default_rng(0)
    values = np.log1p(rng.poisson(1, (30, 9))).astype(np.float32)
    rows = rows_of_matrix(values)
    level = Level("a", np.arange(30, dtype=np.int32), np.arange(30, dtype=np.int32) % 3)
    groups = companions(rng, level, np.array([4, 8], dtype=np.int32), 5)
    assert groups.shape == (2, 5)
    assert groups[:, 0].tolist() == [4, 8]
    assert (groups % 3 == np.array([[1], [2]])).all()
    expected = [np.log(np.mean([np.exp(values[row]) - 1 for row in group], axis=0) + 1) for group in groups]
    np.testing.assert_allclose(rows.dense(groups), expected, rtol=1e-6, atol=1e-6)
    np.testing.assert_array_equal(rows.dense(groups[:, :1]), values[[4, 8]])


def test_an_episode_holds_what_it_says():
    samples = make_samples(40, n_donors=10)
    corpus = samples_corpus(samples, seed=3)
    cohort = corpus.cohorts()[0]
    label_of, donor_of = samples.labels, samples.donors
    for seed in range(30):
        episode = draw_episode(stream(seed), family=cohort.families[0], rows=cohort.rows, observed=cohort.observed,
                               settings=SETTINGS, n_references=5)  # fmt: skip
        rows = {
            name: getattr(episode, name)[:, 0].astype(int) - 1 for name in ("query", "positive", "negative")
        }
        for name, row in rows.items():
            np.testing.assert_array_equal(getattr(episode, name), samples.values[row])
        kind = label_of[rows["positive"][0]]
        assert (label_of[rows["positive"]] == kind).all()
        assert (label_of[rows["negative"]] != kind).all()
        assert ((label_of[rows["query"]] == kind) == episode.labels).all()
        assert not set(donor_of[rows["query"]]) & set(donor_of[[*rows["positive"], *rows["negative"]]])
        assert kind in episode.name


def test_hidden_genes_are_zero_and_not_observed():
    corpus = samples_corpus(make_samples(n_genes=500), seed=3)
    settings = replace(SETTINGS, hidden_genes=0.6, episodes=40)
    batch = corpus.batch(epoch=0, step=0, settings=settings)
    hidden = ~batch.observed
    for values in (batch.query, batch.positive, batch.negative):
        assert (values.transpose(1, 2)[hidden] == 0).all()
        assert (values.transpose(1, 2)[batch.observed] != 0).all()
    share = hidden.float().mean(dim=1)
    # uniform between 0 and 0.6: mean 0.3, sd of the mean of 40 is 0.027
    assert abs(float(share.mean()) - 0.3) < 5 * 0.027
    assert float(share.max()) < 0.7


def same(one, other):
    return all(
        torch.equal(getattr(one, name), getattr(other, name))
        for name in ("query", "labels", "positive", "negative", "observed", "chosen", "seeds")
    )


def test_batches_are_functions_of_seed_epoch_and_step():
    samples = make_samples(labels=("a", "b", "c"), n=60)
    corpus, again = samples_corpus(samples, seed=3), samples_corpus(samples, seed=3)
    batches = [
        corpus.batch(epoch=epoch, step=step, settings=SETTINGS) for epoch in range(2) for step in range(3)
    ]
    assert same(again.batch(epoch=1, step=1, settings=SETTINGS), batches[4])
    assert all(not same(one, other) for k, one in enumerate(batches) for other in batches[k + 1 :])
    assert not same(samples_corpus(samples, seed=4).batch(epoch=0, step=0, settings=SETTINGS), batches[0])


def test_several_processes_share_the_same_episodes():
    corpus = samples_corpus(make_samples(), seed=3)
    whole = corpus.batch(epoch=2, step=5, settings=SETTINGS)
    shares = [corpus.batch(epoch=2, step=5, settings=SETTINGS, rank=rank, n_ranks=4) for rank in range(4)]
    assert [len(share) for share in shares] == [2, 2, 1, 1]
    for rank, share in enumerate(shares):
        assert torch.equal(share.query, whole.query[rank::4])
        assert share.names == whole.names[rank::4]
    with pytest.raises(ConfigError, match="more processes than episodes"):
        corpus.batch(epoch=0, step=0, settings=SETTINGS, rank=6, n_ranks=7)


def test_sizes_of_references_and_steps_without_negatives():
    corpus = samples_corpus(make_samples(), seed=3)
    settings = replace(SETTINGS, episodes=1, reference_sizes=(2, 5, 7), positive_only=0.3)
    batches = [corpus.batch(epoch=0, step=step, settings=settings) for step in range(300)]
    sizes = np.bincount([batch.positive.shape[1] for batch in batches], minlength=8)
    assert sizes[[2, 5, 7]].sum() == 300
    assert sizes[[2, 5, 7]].min() > 60
    without = sum(batch.negative is None for batch in batches)
    assert abs(without - 90) < 5 * 8
    assert all(batch.negative is None or batch.negative.shape == batch.positive.shape for batch in batches)


def test_batches_take_apart_and_describe_themselves():
    corpus = samples_corpus(make_samples(), seed=3, name="rare")
    batch = corpus.batch(epoch=0, step=0, settings=SETTINGS)
    assert len(batch) == 6
    part = batch.part(1, 3)
    assert len(part) == 2
    assert torch.equal(part.negative, batch.negative[1:3])
    assert same(batch.to("cpu"), batch)
    assert "6 episodes (8 queries, 5 and 5 references each): rare, condition: " in batch.describe()
    assert batch.describe().endswith("and 1 more")
    assert batch.query.dtype == torch.float32
    assert batch.labels.dtype == batch.observed.dtype == torch.bool
    alone = corpus.batch(epoch=0, step=0, settings=replace(SETTINGS, positive_only=1.0))
    assert alone.part(0, 2).negative is None
    assert alone.to("cpu").negative is None


def test_chosen_groups_and_seeds():
    corpus = samples_corpus(make_samples(), seed=3)
    batches = [corpus.batch(epoch=0, step=step, settings=SETTINGS) for step in range(40)]
    chosen = sum(int(batch.chosen.sum()) for batch in batches)
    # 1,920 queries with probability 0.1: mean 192, sd 13
    assert abs(chosen - 192) < 4 * 13
    assert len({int(seed) for batch in batches for seed in batch.seeds}) == 240
    assert not corpus.batch(epoch=0, step=0, settings=replace(SETTINGS, generated=0.0)).chosen.any()


def test_unequal_episodes_do_not_stack():
    episode = Episode(np.zeros((2, 3), np.float32), np.zeros(2, bool), np.zeros((4, 3), np.float32), np.zeros((0, 3), np.float32),
                      np.ones(3, bool), "one", np.zeros(2, bool), 1)  # fmt: skip
    longer = replace(episode, positive=np.zeros((5, 3), np.float32))
    assert stack([episode, episode]).negative is None
    with pytest.raises(DataError, match="equal numbers"):
        stack([episode, longer])
