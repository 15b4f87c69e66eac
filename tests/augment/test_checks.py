from __future__ import annotations

import numpy as np
import pytest

from augment.small_cohort import changed, cohort
from consilience.augment.checks import aliased, checked, patients, refuse
from consilience.foundation.errors import DataError


def noted(samples, words):
    return [note for note in checked(samples).notes if words in note]


def refused(samples):
    with pytest.raises(DataError) as found:
        refuse(samples)
    return found.value.problems


def only_first(value):
    return lambda old: np.where(np.arange(len(old)) == 0, value, old)


def test_a_good_cohort_is_given_back_as_it_is_with_its_constant_genes_noted():
    samples = cohort()
    found = checked(samples)
    assert found.samples is samples
    assert found.notes == ("2 of 60 genes are the same in all samples, and stay so",)


def test_what_is_missing_infinite_or_below_zero_is_named_by_sample_and_gene():
    samples = cohort()
    for value, words in (
        (np.nan, "missing or infinite"),
        (-np.inf, "missing or infinite"),
        (-0.5, "below zero"),
    ):
        values = samples.values.copy()
        values[2, 5] = value
        (problem,) = refused(changed(samples, values=values))
        assert words in problem.what
        assert f"sample {samples.names[2]}, gene G5" in problem.value


def test_values_below_zero_are_fine_where_the_scale_has_them():
    refuse(changed(cohort(units="rlog"), values=lambda x: x - 1))
    refuse(changed(cohort(units="log2"), values=lambda x: x - 1))


def test_counts_that_are_told_to_be_logarithms_are_found():
    (problem,) = refused(changed(cohort(), values=lambda x: np.round(np.expm1(x) * 100)))
    assert "not logarithms" in problem.what
    assert "log1p of counts per million" in problem.what


def test_small_counts_that_are_told_to_be_logarithms_are_found():
    (problem,) = refused(changed(cohort(), values=lambda x: np.round(x)))
    assert problem.value == "whole numbers only"


@pytest.mark.parametrize("missing", ["", " ", "nan", "NA", "None"])
@pytest.mark.parametrize("what", ["labels", "donors"])
def test_a_missing_label_or_donor_is_found(what, missing):
    (problem,) = refused(changed(cohort(), **{what: only_first(missing)}))
    assert problem.what == f"{what} are missing"
    assert "1 of 36 samples: S000" in problem.value


def test_all_faults_of_names_are_told_at_once():
    samples = changed(cohort(), labels=only_first(""), names=only_first("S005"), donors=only_first(""))
    assert len(refused(samples)) == 3


def test_a_class_needs_two_patients_not_two_samples():
    rare = changed(cohort(), labels=lambda x: np.where(np.arange(len(x)) < 2, "rare", x))
    refuse(rare)
    assert patients(rare)["rare"] == 2
    (problem,) = refused(changed(rare, donors=lambda x: np.where(np.arange(len(x)) == 1, x[0], x)))
    assert problem.where == "rare"
    assert "1 (samples: 2)" in problem.value


def test_fewer_than_eight_patients_are_noted_by_class():
    assert noted(cohort(n=(8, 8)), "fewer than 8") == []
    (note,) = noted(cohort(n=(8, 7)), "fewer than 8 patients")
    assert "well (7)" in note
    assert "ill" not in note.partition(";")[0]


def test_one_class_is_noted():
    assert noted(changed(cohort(), labels=np.full(36, "ill")), "one class only")


def test_no_varying_gene_and_nothing_at_all_are_refused():
    assert "no gene varies" in refused(changed(cohort(), values=lambda x: np.ones_like(x)))[0].what
    assert "nothing to learn from" in refused(cohort().take(np.arange(0)))[0].what


def test_a_patient_under_two_names_is_joined_and_noted():
    samples = cohort()
    values = samples.values.copy()
    twin = np.flatnonzero(samples.labels == samples.labels[0])[1]
    values[twin] = values[0]
    found = checked(changed(samples, values=values))
    assert found.samples.donors[0] == found.samples.donors[twin]
    assert len(np.unique(found.samples.donors)) == 35
    assert f"{samples.names[0]} and {samples.names[twin]}" in found.notes[0]


def test_a_class_of_one_patient_under_two_names_is_refused():
    samples = changed(cohort(), labels=lambda x: np.where(np.arange(len(x)) < 2, "rare", x))
    values = samples.values.copy()
    values[1] = values[0]
    with pytest.raises(DataError, match="too few patients"):
        checked(changed(samples, values=values))


def test_samples_of_one_donor_that_are_copies_are_no_news():
    samples = changed(cohort(), donors=lambda x: np.where(np.arange(len(x)) == 1, x[0], x))
    values = samples.values.copy()
    values[1] = values[0]
    notes = checked(changed(samples, values=values)).notes
    assert not any("two names" in note for note in notes)
    assert any("36 samples of 35 patients" in note for note in notes)


def test_batches_that_are_classes_are_noted_and_batches_that_are_not_are_not():
    samples = cohort()
    assert aliased(samples) == ""
    assert "ill | well" in aliased(changed(samples, batches=samples.labels))
    mixed = changed(samples, batches=np.where(np.arange(36) % 2 == 0, "a", "b"))
    assert aliased(mixed) == ""


def test_classes_linked_over_other_classes_can_be_compared():
    labels = np.repeat(["a", "b", "c", "d"], 9)
    chain = np.where(np.arange(36) < 14, "one", np.where(np.arange(36) < 23, "two", "three"))
    samples = changed(cohort(), labels=labels, batches=chain)
    # one: a, b; two: b, c; three: c, d
    assert aliased(samples) == ""
    apart = changed(samples, batches=np.where(np.arange(36) < 18, "one", "two"))
    assert "a, b | c, d" in aliased(apart)


def test_sixty_thousand_genes_are_no_problem():
    samples = cohort(n=(9, 8), n_genes=60_000)
    assert checked(samples).samples.values.shape == (17, 60_000)
