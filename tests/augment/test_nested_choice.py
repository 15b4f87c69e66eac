"""The choice of a generator is part of its fit, and is made without the patients of the test."""

import numpy as np
import pytest

from consilience.augment.makers import by_name
from consilience.augment.nested_choice import chosen_within
from consilience.augment.utility import utility, utility_splits
from consilience.foundation.errors import DataError, ModelError
from sample_makers import by_class, cohort, nonsense, truth
from samplers import Population, shrunk_gaussian

POPULATION = Population(n_genes=60)
POPULATION.shift = 0.4 * POPULATION.shift
GAUSSIAN = by_class(shrunk_gaussian)


def test_the_better_one_is_chosen_and_drawn_from():
    samples = cohort(60, population=POPULATION)
    made = chosen_within(
        {"nonsense": nonsense, "truth": truth(POPULATION)}, protocol="tstr", classifier="shrinkage_lda"
    )(samples, 3)
    assert made.key == "truth"
    assert made.scores["truth"] > made.scores["nonsense"] + 0.1
    labels = samples.labels[:5]
    alone = truth(POPULATION)(samples, 0)(labels, 9)
    np.testing.assert_array_equal(made(labels, 9).values, alone.values)


def test_of_equals_the_first_is_taken():
    samples = cohort(40, population=POPULATION)
    same = {"b": nonsense, "a": nonsense}
    # the seeds of their draws differ by name, so only a tie in the figures may leave the order to decide
    made = chosen_within(same, classifier="nearest_centroid", n_splits=1)(samples, 0)
    best = max(made.scores.values())
    assert made.key == next(key for key in same if made.scores[key] == best)


def test_neither_the_choice_nor_the_fit_sees_a_patient_of_the_test():
    samples = by_name(cohort(60, population=POPULATION, per_donor=2))
    seen = []

    def spy(train, seed):
        seen.append(set(train.donors.tolist()))
        return GAUSSIAN(train, seed)

    chooser = chosen_within({"g": spy, "n": nonsense}, classifier="nearest_centroid", n_splits=2)
    utility(samples, {"chosen": chooser}, classifiers=("nearest_centroid",), sizes=(), n_splits=2, seed=1)
    splits = utility_splits(samples, n_splits=2, test_share=0.3, seed=1)
    train = [set(samples.donors[split.train].tolist()) for split in splits]
    assert len(seen) >= 4
    for number, donors in enumerate(seen):
        allowed = [one for one in train if donors <= one]
        assert allowed, number
    # inner fits leave somebody out, so the choice is not made on the rows it was fitted to
    assert seen[0] < train[0]


def test_nothing_to_choose_from_is_said():
    def refuses(samples, seed):
        raise DataError("too few patients")

    with pytest.raises(ModelError, match="none of the generators"):
        chosen_within({"no": refuses}, classifier="nearest_centroid")(cohort(30, population=POPULATION), 0)
