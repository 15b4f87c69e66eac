"""What every generator in the registry must do, whoever wrote it."""

from __future__ import annotations

import json
from functools import cache

import numpy as np
import pytest

from augment.small_cohort import CONSTANT, changed, cohort
from consilience.augment.generators import generator, generators
from consilience.foundation.errors import ConfigError, DataError

KEYS = sorted(generators())
TINY = 0.02
"""Effort of neural generators: enough to be fitted, not to be good."""
GOOD = 0.1
ASKED = np.array(["well", "ill", "ill", "well", "ill"])


def usable(key):
    one = generators()[key]
    if one.wants:
        pytest.skip(f"{key} wants a {one.wants}")
    return one


def with_temperature(key):
    one = usable(key)
    if not one.temperature:
        pytest.skip(f"{key} has no temperature")
    return one


def enough(one):
    """Effort at which samples are like the real ones; what is published is tested for itself."""
    return GOOD if one.neural and one.kind == "ours" else TINY


@cache
def fitted(key, seed=1, effort=TINY):
    return generators()[key].fit(cohort(), seed=seed, effort=effort)


every = pytest.mark.parametrize("key", KEYS)


@every
def test_samples_have_the_genes_the_classes_and_the_shape_that_were_asked_for(key):
    one, samples = usable(key), cohort()
    drawn = fitted(key).sample(ASKED, seed=0)
    assert fitted(key).genes == samples.genes
    assert tuple(fitted(key).classes) == ("ill", "well")
    assert drawn.values.shape == (5, len(samples.genes))
    assert drawn.values.dtype == np.float32
    assert np.isfinite(drawn.values).all()
    assert drawn.values.min() >= samples.values.min()
    assert drawn.labels.shape == (5,)
    if one.classes:
        assert drawn.labels.tolist() == ASKED.tolist()


@every
def test_one_sample_and_none_can_be_asked_for(key):
    usable(key)
    assert fitted(key).sample(ASKED[:1], seed=0).values.shape == (1, 60)
    assert fitted(key).sample(ASKED[:0], seed=0).values.shape == (0, 60)


@every
def test_the_seed_of_the_draw_decides_the_samples(key):
    usable(key)
    first, same, other = (fitted(key).sample(ASKED, seed=seed).values for seed in (5, 5, 6))
    np.testing.assert_array_equal(first, same)
    assert not np.array_equal(first, other)


@every
def test_the_same_seed_of_the_fit_gives_the_same_generator_in_any_order_of_samples(key):
    one, samples = usable(key), cohort()
    order = np.random.default_rng(3).permutation(len(samples))
    again = one.fit(samples.take(order), seed=1, effort=TINY)
    np.testing.assert_allclose(
        again.sample(ASKED, seed=2).values, fitted(key).sample(ASKED, seed=2).values, atol=2e-5
    )


@every
def test_what_is_kept_gives_the_same_samples(key):
    one = usable(key)
    arrays, description = fitted(key).to_arrays()
    assert all(isinstance(array, np.ndarray) and array.dtype != object for array in arrays.values())
    again = one.restore(
        {name: array.copy() for name, array in arrays.items()}, json.loads(json.dumps(description))
    )
    assert tuple(again.genes) == tuple(fitted(key).genes)
    assert tuple(again.classes) == tuple(fitted(key).classes)
    for temperature in (None, 2.0) if one.temperature else (None,):
        before = fitted(key).sample(ASKED, seed=3, temperature=temperature)
        after = again.sample(ASKED, seed=3, temperature=temperature)
        np.testing.assert_array_equal(before.values, after.values)
        np.testing.assert_array_equal(before.labels, after.labels)


@every
def test_nothing_global_is_drawn_from_or_seeded(key):
    usable(key)
    np.random.seed(0)  # noqa: NPY002
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    fitted(key).sample(ASKED, seed=0)
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # noqa: NPY002


@every
def test_genes_that_never_vary_stay_as_they_are(key):
    one = usable(key)
    if one.kind == "published" and one.neural:
        pytest.skip("as published: a squashed scale, which the network need not hit")
    values = fitted(key, effort=enough(one)).sample(np.repeat(ASKED, 4), seed=0).values
    near = 0.3 if one.neural else 0.0
    for gene, value in zip(CONSTANT, (2.5, 0.0), strict=True):
        assert np.abs(values[:, gene] - value).max() <= near


@every
def test_classes_that_were_asked_for_differ_as_the_real_ones_do(key):
    one, samples = usable(key), cohort()
    if not one.classes:
        pytest.skip(f"{key} cannot be asked for a class")
    drawn = fitted(key, effort=enough(one)).sample(np.repeat(["ill", "well"], 200), seed=0)
    real, made = (
        part.values[part.labels == "ill"].mean(axis=0) - part.values[part.labels == "well"].mean(axis=0)
        for part in (samples, drawn)
    )
    assert np.corrcoef(real, made)[0, 1] > (0.5 if one.neural else 0.95)


@every
def test_more_temperature_is_more_spread(key):
    one = with_temperature(key)
    known, labels = fitted(key, effort=enough(one)), np.repeat("ill", 300)
    spread = [
        float(known.sample(labels, seed=0, temperature=t).values.var(axis=0).sum())
        for t in (0.0, 0.5, 1.0, 2.0)
    ]
    assert spread[0] < 0.9 * spread[2]
    if one.kind != "published":  # those squash what they make, so that more can be less
        assert spread == sorted(spread)
        assert spread[3] > 1.1 * spread[2]


@every
@pytest.mark.parametrize("temperature", [-1.0, float("nan"), float("inf")])
def test_an_impossible_temperature_is_refused(key, temperature):
    with_temperature(key)
    with pytest.raises((ConfigError, DataError), match="temperature"):
        fitted(key).sample(ASKED, seed=0, temperature=temperature)


@every
def test_a_class_that_was_never_seen_is_refused(key):
    one = usable(key)
    if not one.classes:
        pytest.skip(f"{key} cannot be asked for a class")
    with pytest.raises((ConfigError, DataError), match="weird"):
        fitted(key).sample(np.array(["weird"]), seed=0)


@every
def test_an_unknown_option_is_refused(key):
    one = usable(key)
    with pytest.raises(ConfigError, match="no_such_option"):
        one.fit(cohort(), seed=0, effort=TINY, options={"no_such_option": 1})


BAD = {
    "a missing value": {"values": lambda x: np.where(np.arange(x.size).reshape(x.shape) == 70, np.nan, x)},
    "an infinite value": {"values": lambda x: np.where(np.arange(x.size).reshape(x.shape) == 70, np.inf, x)},
    "a value below zero": {"values": lambda x: x - 1},
    "counts where logarithms are told": {"values": lambda x: np.expm1(x) * 100},
    "a class with one patient": {"labels": lambda x: np.where(np.arange(len(x)) == 0, "rare", x)},
    "a missing label": {"labels": lambda x: np.where(np.arange(len(x)) == 0, "", x)},
    "two samples of one name": {"names": lambda x: np.where(np.arange(len(x)) == 0, x[1], x)},
    "no gene that varies": {"values": lambda x: np.ones_like(x)},
}


@every
@pytest.mark.parametrize("fault", sorted(BAD))
def test_what_cannot_be_learned_from_is_refused_in_words(key, fault):
    one = usable(key)
    with pytest.raises(DataError) as found:
        one.fit(changed(cohort(), **BAD[fault]), seed=0, effort=TINY)
    assert all(problem.mend for problem in found.value.problems)


@every
def test_more_genes_than_samples_by_far(key):
    one = usable(key)
    made = one.fit(cohort(n=(9, 8), n_genes=600), seed=0, effort=TINY).sample(ASKED, seed=0)
    assert made.values.shape == (5, 600)
    assert np.isfinite(made.values).all()


@every
def test_two_patients_of_a_class_are_enough_to_try(key):
    one = usable(key)
    made = one.fit(cohort(n=(9, 2)), seed=0, effort=TINY).sample(ASKED, seed=0)
    assert np.isfinite(made.values).all()


@every
def test_the_description_tells_a_reader_what_it_is(key):
    one = generators()[key]
    assert generator(key) is one
    assert one.key == key
    assert all((one.title, one.reference, one.assumes, one.limits))
    assert not one.wants or isinstance(one.wants, str)


def test_an_unknown_generator_is_refused_with_the_nearest_name():
    with pytest.raises(ConfigError, match="smote"):
        generator("smotte")
