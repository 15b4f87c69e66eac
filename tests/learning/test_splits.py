"""Splits never part a patient, follow names alone, and hold out what they say."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consilience.foundation.errors import DataError
from consilience.learning.splits import (
    ReferenceDraw,
    cohort_splits,
    donor_folds,
    donor_splits,
    reference_draws,
    reference_sizes,
)


@st.composite
def cohort(draw: st.DrawFn, *, least_donors: int = 2) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Names, donors and labels of 2–12 donors with 1–4 samples each, in any order."""
    n_donors = draw(st.integers(least_donors, 12))
    donors = [f"D{number:02d}" for number in range(n_donors) for _ in range(draw(st.integers(1, 4)))]
    labels = draw(st.lists(st.sampled_from(["case", "control"]), min_size=len(donors), max_size=len(donors)))
    names = [f"S{number:03d}" for number in range(len(donors))]
    order = draw(st.permutations(range(len(donors))))
    return tuple(np.array(text)[list(order)] for text in (names, donors, labels))  # type: ignore[return-value]


def apart(donors: np.ndarray, train: np.ndarray, test: np.ndarray) -> bool:
    return not set(donors[train]) & set(donors[test])


@given(cohort(), st.floats(0.05, 0.95), st.integers(0, 3))
def test_no_donor_on_both_sides(case: tuple[np.ndarray, ...], share: float, seed: int) -> None:
    _, donors, labels = case
    splits = list(donor_splits(donors, labels=labels, n_splits=3, test_share=share, seed=seed))
    assert [split.name for split in splits] == ["split 0", "split 1", "split 2"]
    for split in splits:
        assert apart(donors, split.train, split.test)
        assert len(split.train) > 0
        assert len(split.test) > 0
        np.testing.assert_array_equal(
            np.sort(np.concatenate([split.train, split.test])), np.arange(len(donors))
        )


@given(cohort(), st.integers(2, 5))
def test_folds_hold_each_donor_out_once(case: tuple[np.ndarray, ...], n_folds: int) -> None:
    _, donors, labels = case
    n_folds = min(n_folds, len(set(donors)))
    folds = list(donor_folds(donors, labels=labels, n_folds=n_folds, seed=1))
    assert all(apart(donors, fold.train, fold.test) for fold in folds)
    np.testing.assert_array_equal(
        np.sort(np.concatenate([fold.test for fold in folds])), np.arange(len(donors))
    )
    sizes = [len(set(donors[fold.test])) for fold in folds]
    assert max(sizes) - min(sizes) <= 1


@given(cohort(), st.randoms(use_true_random=False))
def test_order_of_samples_does_not_matter(case: tuple[np.ndarray, ...], random: object) -> None:
    names, donors, labels = case
    order = np.argsort(names)

    def held(rows: np.ndarray) -> list[set[str]]:
        splits = donor_splits(donors[rows], labels=labels[rows], n_splits=2, test_share=0.4, seed=3)
        folds = donor_folds(donors[rows], labels=labels[rows], n_folds=2, seed=3)
        return [set(names[rows][split.test]) for split in (*splits, *folds)]

    assert held(np.arange(len(names))) == held(order)


def test_strata_keep_their_share() -> None:
    donors = np.array([f"D{number:03d}" for number in range(100)])
    labels = np.where(np.arange(100) < 20, "rare", "common")
    shares = []
    for split in donor_splits(donors, labels=labels, n_splits=200, test_share=0.25, seed=0):
        rare = int((labels[split.test] == "rare").sum())
        assert (rare, len(split.test)) == (5, 25)
        shares.append(split.test)
    # and over splits every donor comes up about as often
    counts = np.bincount(np.concatenate(shares), minlength=100)
    assert counts.mean() == 50
    assert counts.min() > 25
    assert counts.max() < 80


def test_small_strata_are_held_out_at_times() -> None:
    donors = np.array(["A", "B", "C", "D", "E"])
    labels = np.array(["case", "control", "control", "control", "control"])
    held = [
        0 in split.test for split in donor_splits(donors, labels=labels, n_splits=400, test_share=0.3, seed=0)
    ]
    assert 0.2 < np.mean(held) < 0.4


def test_a_cohort_is_left_out_whole() -> None:
    cohorts = np.array(["a", "a", "b", "b", "c"])
    donors = np.array(["1", "2", "2", "3", "4"])
    splits = {split.name: split for split in cohort_splits(cohorts, donors=donors)}
    assert sorted(splits) == ["a", "b", "c"]
    np.testing.assert_array_equal(splits["a"].test, [0, 1])
    # donor 2 is in b as well
    np.testing.assert_array_equal(splits["a"].train, [3, 4])
    np.testing.assert_array_equal(splits["c"].train, [0, 1, 2, 3])


def both_kinds(case: tuple[np.ndarray, ...]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    names, donors, labels = case
    # ten donors of their own on each side make every draw possible
    more = np.array([f"X{number:02d}" for number in range(20)])
    return (
        np.concatenate([names, more]),
        np.concatenate([donors, more]),
        np.concatenate([labels == "case", np.arange(20) < 10]),
    )


@given(cohort(), st.integers(1, 40), st.integers(0, 3))
def test_references_and_tests_are_of_other_donors(case: tuple[np.ndarray, ...], n: int, seed: int) -> None:
    names, donors, positive = both_kinds(case)
    for draw in reference_draws(positive, names=names, donors=donors, n_references=n, n_draws=2, seed=seed):
        references = np.concatenate([draw.positive, draw.negative])
        assert apart(donors, references, draw.test)
        assert positive[draw.positive].all()
        assert not positive[draw.negative].any()
        assert len(set(references.tolist())) == len(references)
        assert 1 <= len(draw.positive) <= n
        assert 1 <= len(draw.negative) <= n
        assert min(positive[draw.test].sum(), (~positive[draw.test]).sum()) >= 4
        # all samples of all other donors are test
        assert set(donors[draw.test]) | set(donors[references]) == set(donors)


@given(cohort(), st.integers(1, 8))
def test_draws_follow_names_and_not_rows(case: tuple[np.ndarray, ...], n: int) -> None:
    names, donors, positive = both_kinds(case)

    def drawn(rows: np.ndarray) -> list[tuple[list[str], list[str]]]:
        draws = reference_draws(
            positive[rows], names=names[rows], donors=donors[rows], n_references=n, n_draws=2, seed=0
        )
        mine = names[rows]
        return [(mine[draw.positive].tolist(), mine[draw.negative].tolist()) for draw in draws]

    assert drawn(np.arange(len(names))) == drawn(np.argsort(names))


def plain_draws(n_draws: int, **changes: object) -> list[ReferenceDraw]:
    names = np.array([f"S{number:02d}" for number in range(40)])
    arguments = {"names": names, "donors": names, "n_references": 5, "n_draws": n_draws, "seed": 0} | changes
    return list(reference_draws(np.arange(40) < 20, **arguments))  # type: ignore[arg-type]


def test_draws_differ_by_number_seed_and_key_and_are_fair() -> None:
    draws = plain_draws(400)
    assert [draw.positive.tolist() for draw in draws[:3]] == [
        draw.positive.tolist() for draw in plain_draws(3)
    ]
    assert draws[0].positive.tolist() != draws[1].positive.tolist()
    assert draws[0].positive.tolist() != plain_draws(1, seed=1)[0].positive.tolist()
    assert draws[0].positive.tolist() != plain_draws(1, key="other task")[0].positive.tolist()
    counts = np.bincount(np.concatenate([draw.positive for draw in draws]), minlength=20)[:20]
    # 400 draws of 5 of 20: 100 each, standard deviation 8.7
    assert counts.sum() == 2000
    assert counts.min() > 65
    assert counts.max() < 135


def test_paired_donors_are_used_together() -> None:
    # ten patients before and after: five references of each kind cost five patients, not ten
    names = np.array([f"{when}{number}" for number in range(10) for when in ("pre", "post")])
    donors = np.repeat(np.array([f"P{number}" for number in range(10)]), 2)
    positive = np.char.startswith(names, "pre")
    (draw,) = reference_draws(positive, names=names, donors=donors, n_references=5, n_draws=1, seed=0)
    assert set(donors[draw.positive]) == set(donors[draw.negative])
    assert len(draw.test) == 10


def test_references_come_from_where_they_may() -> None:
    names = np.array([f"S{number:02d}" for number in range(40)])
    donors = np.where(np.arange(40) % 2 == 0, "here", "there")
    positive = np.arange(40) < 20
    here = donors == "here"
    (draw,) = reference_draws(
        positive, names=names, donors=donors, n_references=30, n_draws=1, seed=0, references=here, test=~here
    )
    # all ten of each kind: nothing need be left, the test is elsewhere
    assert (len(draw.positive), len(draw.negative), len(draw.test)) == (10, 10, 20)
    assert set(donors[draw.test]) == {"there"}
    assert reference_sizes(positive, references=here, test=~here) == {True: 10, False: 10}
    assert reference_sizes(positive) == {True: 16, False: 16}


def test_bad_input_is_explained() -> None:
    two = np.array(["a", "b"])
    with pytest.raises(DataError, match="share"):
        list(donor_splits(two, labels=two, n_splits=1, test_share=1.0, seed=0))
    with pytest.raises(DataError, match="two donors"):
        list(donor_splits(two[:1], labels=two[:1], n_splits=1, test_share=0.5, seed=0))
    with pytest.raises(DataError, match="folds"):
        list(donor_folds(two, labels=two, n_folds=3, seed=0))
    with pytest.raises(DataError, match="one cohort only"):
        list(cohort_splits(np.array(["a", "a"]), donors=two))
    with pytest.raises(DataError, match="every donor"):
        list(cohort_splits(two, donors=np.array(["x", "x"])))
    with pytest.raises(DataError, match="too few samples"):
        plain_draws(1, references=np.arange(40) < 20)
    with pytest.raises(DataError, match="distinct"):
        plain_draws(1, names=np.full(40, "same"))
    with pytest.raises(DataError, match="at least one reference"):
        plain_draws(1, n_references=0)
    with pytest.raises(DataError, match="different donors"):
        plain_draws(1, donors=np.full(40, "one"))
