"""The latent size of the default VAE at a level of privacy: who chose it, on whom, and what it leaks."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

import consilience.augment.generators.factor_count as factor_count
from consilience.augment.generators.factor_count import LEVELS, Trials, attacked
from consilience.augment.generators.vae import GENERATOR
from consilience.augment.generators.vae_privacy import SIZES, Trial
from consilience.augment.generators.vae_training import Ground, begun, started
from consilience.augment.study_cohort import recipe_of
from consilience.foundation.errors import ConfigError
from consilience.learning.samples import Samples
from consilience.study.sections import AugmentSection
from samplers import Population


def planted(n, seed, *, n_genes=150, first=0):
    """`n` donors of two samples each, of a population with factors that evidence finds."""
    population = Population(n_genes=n_genes, seed=5)
    values, labels = population.draw(n, np.random.default_rng(seed))
    rng = np.random.default_rng(seed + 1000)
    values = np.concatenate([values, values + 0.3 * rng.standard_normal(values.shape)]).astype(np.float32)
    donors = np.array([f"d{first + number:03d}" for number in range(n)])
    return Samples(
        values, tuple(f"g{number}" for number in range(n_genes)),
        np.concatenate([np.char.add(donors, "a"), np.char.add(donors, "b")]),
        np.concatenate([labels, labels]).astype(str), np.concatenate([donors, donors]),
        np.full(2 * n, "one"), "log2",
    )  # fmt: skip


def single(n, seed, n_genes=300):
    """One sample of each donor."""
    population = Population(n_genes=n_genes, seed=seed)
    values, labels = population.draw(n, np.random.default_rng(seed))
    names = np.array([f"s{number:03d}" for number in range(n)])
    return Samples(
        values.astype(np.float32), tuple(f"g{number}" for number in range(n_genes)), names, labels.astype(str),
        names, np.full(n, "one"), "log2",
    )  # fmt: skip


def fitted(samples, level, **more):
    return GENERATOR.fit(samples, seed=0, effort=0.01, options={"privacy": level, **more})


def with_trials(monkeypatch, leaks):
    """Inner trials that find `leaks` by size; the calls that they are asked in are returned."""
    calls = []

    def spy(samples, *, draw, seed, attacks, tried):
        calls.append((samples.names.tolist(), tuple(attacks), tuple(tried)))
        sizes = tuple(size for size in tried if size in leaks)
        return Trials(sizes, np.array([leaks[size] for size in sizes]))

    monkeypatch.setattr(factor_count, "inner_trials", spy)
    return calls


def by_evidence(samples):
    return fitted(samples, "none").story["latent"]


def test_the_size_is_what_trials_allow_and_never_above_that_of_the_evidence(monkeypatch):
    samples = single(60, 3)
    most = by_evidence(samples)
    assert most >= 4
    leaks = {size: 0.12 + 0.02 * abs(size - 2) for size in {*SIZES, most}}  # least at 2, .16 at 4
    calls = with_trials(monkeypatch, leaks)
    found = {level: fitted(samples, level) for level in LEVELS}
    assert [found[level].network.latent for level in LEVELS] == [most, 4, 2]
    assert len(calls) == 2  # none is not tried
    assert all(names == sorted(samples.names.tolist()) for names, *_ in calls)
    assert [attacks for _, attacks, _ in calls] == [
        ("distance", "correlation"), ("distance", "correlation", "profile"),
    ]  # fmt: skip
    assert all(tried[-1] == most and tried == tuple(sorted(tried)) for *_, tried in calls)
    story = found["balanced"].story
    assert (story["level"], story["latent_by_evidence"]) == ("balanced", most)
    assert story["leak_of_sizes"]["4"] == pytest.approx(0.16)


def test_all_of_the_evidence_is_taken_where_nothing_leaks(monkeypatch):
    samples = single(60, 3)
    with_trials(monkeypatch, dict.fromkeys(range(25), 0.05))
    assert fitted(samples, "balanced").network.latent == by_evidence(samples)


def test_a_size_that_is_given_wins_without_trials(monkeypatch):
    calls = with_trials(monkeypatch, {})
    assert fitted(single(40, 3), "strict", latent=5).network.latent == 5
    assert not calls


def test_differential_privacy_asks_no_trials(monkeypatch):
    calls = with_trials(monkeypatch, {})
    fitted(single(30, 1, n_genes=40), "strict", epsilon=10.0)
    assert not calls


def test_too_few_donors_for_trials_leave_one_latent():
    found = fitted(single(10, 1, n_genes=40), "balanced")
    assert (found.network.latent, found.story["leak_of_sizes"]) == (1, {})


def test_trials_learn_of_the_donors_inside_only(monkeypatch):
    """Second way: a trial's start is that of a ground made of its samples, whatever others there are."""
    samples = planted(30, 2)
    seen = []
    whole = Trial.draw

    def spy(self, inside, size, labels, seed):
        drawn = whole(self, inside, size, labels, seed)
        seen.append((self, inside, size, labels, seed, drawn))
        return drawn

    monkeypatch.setattr(Trial, "draw", spy)
    fitted(samples, "balanced")
    names = {frozenset(inside.names.tolist()) for _, inside, *_ in seen}
    assert len(names) == factor_count.N_PARTS
    for inside in names:
        donors = {name[:-1] for name in inside}
        assert inside == {name for name in samples.names.tolist() if name[:-1] in donors}
        assert len(donors) < 30
    trial, inside, size, labels, seed, drawn = seen[-1]
    fresh = Trial(trial.scale, trial.most, trial.dressed)
    np.testing.assert_array_equal(whole(fresh, inside, size, labels, seed).values, drawn.values)


def test_the_start_of_a_trial_is_untrained():
    samples = single(40, 2, n_genes=60)
    codes = np.unique(samples.labels, return_inverse=True)[1]
    ground = Ground.of(samples.values.astype(float), codes, bounded=False, most=3)
    found = started(ground, latent=3, seed=1)
    plain = begun(ground, latent=3, hidden=16, seed=1)
    for name, weight in plain.state_dict().items():
        np.testing.assert_array_equal(weight.numpy(), found.network.state_dict()[name].numpy())
    assert found.latents.shape == (40, 4)


def test_levels_leak_no_more_than_none():
    """Over eight planted populations: strict leaks less, by standard errors of the mean difference; balanced,
    which allows what leaks little beyond the means, not more."""
    leaks = []
    for seed in range(8):
        everyone = single(72, seed)
        train, aside = everyone.take(np.arange(48)), everyone.take(np.arange(48, 72))
        row = []
        for level in LEVELS:
            drawn = fitted(train, level).sample(np.repeat(train.labels, 5), seed=seed)
            row.append(max(attacked(train, aside, drawn, ("distance", "correlation"))))
        leaks.append(row)
    none, balanced, strict = np.array(leaks).T

    def in_errors(away):
        return away.mean() / (away.std(ddof=1) / np.sqrt(len(away)))

    assert in_errors(none - strict) > 2.5, leaks
    assert in_errors(none - balanced) > -2.0, leaks


def test_the_order_of_samples_does_not_choose_the_size():
    samples = single(50, 4)
    order = np.random.default_rng(0).permutation(len(samples))
    first, second = fitted(samples, "balanced"), fitted(samples.take(order), "balanced")
    assert first.story == second.story
    labels = samples.labels[:4]
    np.testing.assert_array_equal(first.sample(labels, seed=1).values, second.sample(labels, seed=1).values)


def test_what_is_kept_makes_the_same_samples_and_tells_whether_it_is_patients():
    samples = single(50, 4)
    for level in ("balanced", "strict"):
        model = fitted(samples, level)
        arrays, description = model.to_arrays()
        assert description["keeps_patients"] is False
        again = GENERATOR.restore(arrays, description)
        labels = samples.labels[:6]
        np.testing.assert_array_equal(
            again.sample(labels, seed=2).values, model.sample(labels, seed=2).values
        )
        assert again.to_arrays()[1] == description


@pytest.mark.parametrize(("options", "kept"), [
    ({"latent": 12}, False), ({"latent": 13}, True), ({"latent": 2, "sampling": "posterior"}, True),
    ({"latent": 2, "sampling": "aggregate"}, False), ({"latent": 13, "epsilon": 5.0}, False),
])  # fmt: skip
def test_many_latents_or_codes_of_patients_count_as_patients(options, kept):
    model = GENERATOR.fit(single(48, 4, n_genes=60), seed=0, effort=0.01, options=options)
    assert model.to_arrays()[1]["keeps_patients"] is kept


@pytest.mark.parametrize(("options", "message"), [
    ({"privacy": "total"}, "balanced"), ({"privacy": True}, "none, balanced, strict"),
    ({"privacy": "strict", "sampling": "posterior"}, "latent codes"),
])  # fmt: skip
def test_wrong_levels_are_told(options, message):
    with pytest.raises(ConfigError, match=message):
        GENERATOR.fit(single(12, 0, n_genes=20), seed=0, options=options)


def test_none_is_what_it_was_without_the_option():
    samples = single(40, 5, n_genes=60)
    first = GENERATOR.fit(samples, seed=0, effort=0.01)
    second = fitted(samples, "none")
    assert dataclasses.asdict(first)["story"] == dataclasses.asdict(second)["story"]
    labels = samples.labels[:3]
    np.testing.assert_array_equal(first.sample(labels, seed=1).values, second.sample(labels, seed=1).values)


@pytest.mark.parametrize("level", LEVELS)
def test_generators_that_know_levels_are_given_the_one_of_the_study(level):
    settings = AugmentSection(privacy=level)
    for key in ("vae", "private_factors"):
        assert recipe_of(key, settings, fold=1.0).options["privacy"] == level
    assert "privacy" not in recipe_of("shrunk_gaussian", settings, fold=1.0).options
