"""Attribute inference and shadow models on what would be given out: they see copies and clear strangers."""

import numpy as np
import pytest

from augment.strangers import STRANGER, cohort
from consilience.augment.attacks import attribute_told, shadow_told
from consilience.augment.generators import generator
from consilience.augment.making import Recipe
from consilience.augment.release import released
from consilience.augment.trial import held_out_parts, run_trial
from consilience.augment.units import Units
from consilience.foundation.errors import ConfigError

SAMPLES = cohort(60)
PLAIN = Units(SAMPLES.units, SAMPLES.units)


def recipe_of(key):
    return Recipe(STRANGER if key == "stranger" else generator(key), 2.0)


def trial_of(key):
    return run_trial(held_out_parts(SAMPLES, seed=1), recipe_of(key), units=PLAIN, seed=1)


def test_genes_of_patients_are_given_away_by_copies_only():
    copied, unknown = (
        {one["name"]: one for one in attribute_told(trial_of(key), seed=0)} for key in ("smote", "stranger")
    )
    assert copied["nearest"]["p"] < 0.01
    assert copied["nearest"]["advantage"] > 0.04
    assert unknown["nearest"]["p"] > 0.01


def test_shadow_models_know_who_was_in_of_the_gaussian_and_not_of_the_stranger():
    leaks, clean = (
        shadow_told(SAMPLES, recipe_of(key), n_shadows=8, seed=0) for key in ("shrunk_gaussian", "stranger")
    )
    assert leaks["auc"] > 0.75
    assert clean["auc"] < 0.6
    assert leaks["n_shadows"] == 8


def test_what_cannot_be_attacked_is_left_out():
    assert shadow_told(SAMPLES, recipe_of("stranger"), n_shadows=0, seed=0) is None
    few = SAMPLES.take(
        np.concatenate(
            [np.flatnonzero(SAMPLES.labels == "sick")[:3], np.arange(60)[SAMPLES.labels == "well"]]
        )
    )
    assert shadow_told(few, recipe_of("stranger"), n_shadows=6, seed=0) is None


def test_both_stand_in_the_record_of_a_release():
    made = released(SAMPLES, recipe_of("stranger"), units=PLAIN, level="none", seed=1, shadows=6)
    assert {one["name"] for one in made.privacy["attribute"]} >= {"nearest", "ridge"}
    assert made.privacy["shadow"]["n_shadows"] == 6
    with pytest.raises(ConfigError):
        released(SAMPLES, recipe_of("stranger"), units=PLAIN, level="none", seed=1, shadows=3)
