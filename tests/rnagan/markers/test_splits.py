"""Cohorts, folds, halves, labels: donors stay together, whatever the order of samples."""

from __future__ import annotations

from itertools import permutations
from math import comb

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consilience.foundation.errors import ConfigError, DataError
from consilience.learning.samples import Samples
from consilience.rnagan.markers.cohort import build_cohort
from consilience.rnagan.markers.contrast import (
    block_of_unit,
    contrast,
    difference,
    neutral_values,
    spread,
    t_statistic,
)
from consilience.rnagan.markers.questions import Model
from consilience.rnagan.markers.relabel import relabellings
from consilience.rnagan.markers.splits import folds, halves, references
from rnagan.markers.scorers import Linear, donors


def samples_of(rows: list[tuple[str, str, str]], *, genes: int = 4, seed: int = 0) -> Samples:
    """Samples from (donor, label, batch)."""
    rng = np.random.default_rng(seed)
    donor, label, batch = (np.array(column) for column in zip(*rows, strict=True))
    return Samples(
        rng.normal(size=(len(rows), genes)).astype(np.float32), tuple(f"G{g}" for g in range(genes)),
        np.array([f"S{k:03d}" for k in range(len(rows))]), label, donor, batch, "log1p",
    )  # fmt: skip


rows = st.lists(
    st.tuples(st.sampled_from("ABCDEFGH"), st.sampled_from(["case", "control"]), st.sampled_from("XY")),
    min_size=4, max_size=30,
)  # fmt: skip


def cohort_or_none(given_rows):
    try:
        return build_cohort(samples_of(given_rows), positive="case")
    except DataError:
        return None


@given(rows, st.integers(2, 6), st.integers(0, 5))
@settings(max_examples=60)
def test_folds_ask_everybody_once_and_never_part_a_donor(given_rows, count, seed) -> None:
    cohort = cohort_or_none(given_rows)
    if cohort is None:
        return
    splits = folds(cohort, cohort.positive, count=count, seed=seed)
    asked = np.concatenate([split.query for split in splits])
    assert sorted(asked.tolist()) == list(range(len(cohort.samples)))
    for split in splits:
        assert not set(cohort.samples.donors[split.query]) & set(cohort.samples.donors[split.reference])
        kinds = cohort.positive[split.reference]
        assert kinds.any()
        assert not kinds.all()


@given(rows, st.integers(0, 5))
@settings(max_examples=40)
def test_halves_keep_donors_apart_and_come_in_pairs(given_rows, seed) -> None:
    cohort = cohort_or_none(given_rows)
    if cohort is None:
        return
    found = halves(cohort, count=3, seed=seed)
    assert len(found) == 6
    for first, second in zip(found[::2], found[1::2], strict=True):
        assert not set(cohort.samples.donors[first.query]) & set(cohort.samples.donors[first.reference])
        np.testing.assert_array_equal(first.query, second.reference)


def test_halves_with_seen_donors_never_ask_them() -> None:
    samples, _ = donors(n=20, genes=5)
    cohort = build_cohort(samples, positive="case")
    seen = sorted(set(samples.donors.tolist()))[:10]
    for split in halves(cohort, count=4, seed=1, seen=seen):
        assert set(cohort.samples.donors[split.reference]) <= set(seen)
        assert not set(cohort.samples.donors[split.query]) & set(seen)


def test_labels_are_dealt_within_batches_and_donors() -> None:
    # two batches of unpaired donors, and two donors with both kinds
    given_rows = [(f"x{k}", "case" if k < 2 else "control", "X") for k in range(5)]
    given_rows += [(f"y{k}", "case" if k < 1 else "control", "Y") for k in range(3)]
    given_rows += [(donor, kind, "X") for donor in ("p", "q") for kind in ("case", "control")]
    cohort = build_cohort(samples_of(given_rows), positive="case")
    possible = comb(5, 2) * comb(3, 1) * 2**2
    every = relabellings(cohort.units, count=possible - 1, seed=0)
    assert every.complete
    assert every.possible == possible
    assert len({labels.tobytes() for labels in every.positive}) == possible - 1
    assert not (every.positive == cohort.units.positive).all(axis=1).any()
    drawn = relabellings(cohort.units, count=50, seed=0)
    assert not drawn.complete
    for labels in np.concatenate([every.positive, drawn.positive]):
        for batch, n in (("X", 2), ("Y", 1)):
            alone = (cohort.units.batches == batch) & ~np.isin(cohort.units.donors, ["p", "q"])
            assert labels[alone].sum() == n
        for donor in ("p", "q"):
            assert labels[cohort.units.donors == donor].sum() == 1


def test_random_labels_are_uniform() -> None:
    given_rows = [(f"x{k}", "case" if k < 3 else "control", "X") for k in range(6)]
    cohort = build_cohort(samples_of(given_rows), positive="case")
    drawn = relabellings(cohort.units, count=19, seed=4)
    assert drawn.complete
    many = np.concatenate([relabellings(cohort.units, count=18, seed=seed).positive for seed in range(100)])
    counts = np.unique(many, axis=0, return_counts=True)[1]
    assert len(counts) == 20
    expected = len(many) / 20
    assert ((counts - expected) ** 2 / expected).sum() < 50  # chi-square with 19 degrees: p = 1e-4


def test_references_are_few_and_of_many_donors() -> None:
    samples, _ = donors(n=8, genes=3, per_donor=5)
    cohort = build_cohort(samples, positive="case")
    chosen = references(cohort, np.arange(len(cohort.samples)), most=8, seed=0)
    assert len(set(cohort.samples.donors[chosen])) == 8
    np.testing.assert_array_equal(references(cohort, np.arange(5), most=8, seed=0), np.arange(5))


def test_the_contrast_is_least_squares_on_kind_and_blocks() -> None:
    rng = np.random.default_rng(2)
    given_rows = [(f"d{k}", "case" if rng.random() < 0.5 else "control", "XYZ"[k % 3]) for k in range(15)]
    given_rows += [(donor, kind, "X") for donor in ("p", "q", "r") for kind in ("case", "control")]
    given_rows += [("only", "case", "W")]
    cohort = build_cohort(samples_of(given_rows), positive="case")
    labels = contrast(cohort.units, cohort.units.positive)
    values = rng.normal(size=(len(labels.positive), 6)) + labels.positive[:, None] * np.arange(6)
    blocks = block_of_unit(cohort.units)
    dummies = (blocks[:, None] == np.unique(blocks)).astype(float)
    t, found, sd = t_statistic(labels, values), difference(labels, values), spread(labels, values)
    for gene in range(6):
        x = np.column_stack([labels.positive, dummies])
        beta = np.linalg.solve(x.T @ x, x.T @ values[:, gene])
        error = ((values[:, gene] - x @ beta) ** 2).sum() / (len(x) - x.shape[1])
        assert found[gene] == pytest.approx(beta[0])
        assert t[gene] == pytest.approx(beta[0] / np.sqrt(error * np.linalg.inv(x.T @ x)[0, 0]))
        assert sd[gene] == pytest.approx(np.sqrt(error))


def test_neutral_lies_halfway_in_each_block() -> None:
    given_rows = [
        ("a", "case", "X"),
        ("b", "control", "X"),
        ("c", "case", "Y"),
        ("d", "control", "Y"),
        ("e", "case", "Z"),
    ]
    cohort = build_cohort(samples_of(given_rows), positive="case")
    labels = contrast(cohort.units, cohort.units.positive)
    values = np.array([[1.0], [3.0], [10.0], [20.0], [7.0]])
    found = neutral_values(labels, values)[:, 0]
    np.testing.assert_allclose(found[:4], [2, 2, 15, 15])
    assert found[4] == pytest.approx((np.mean([1, 10, 7]) + np.mean([3, 20])) / 2)


def test_a_batch_that_holds_one_kind_only_is_no_evidence() -> None:
    given_rows = [(f"a{k}", "case", "X") for k in range(4)] + [(f"b{k}", "control", "Y") for k in range(4)]
    cohort = build_cohort(samples_of(given_rows), positive="case")
    labels = contrast(cohort.units, cohort.units.positive)
    assert not labels.informative
    assert not t_statistic(labels, np.random.default_rng(0).normal(size=(8, 3))).any()
    assert relabellings(cohort.units, count=10, seed=0).possible == 1


def test_samples_in_any_order_are_one_cohort() -> None:
    samples, _ = donors(n=10, genes=6, per_donor=2)
    order = np.random.default_rng(0).permutation(len(samples))
    first, second = (build_cohort(part, positive="case") for part in (samples, samples.take(order)))
    np.testing.assert_array_equal(first.samples.values, second.samples.values)
    np.testing.assert_array_equal(first.units.donors, second.units.donors)


def test_no_donor_has_more_than_its_share() -> None:
    samples, _ = donors(n=6, genes=4, per_donor=9)
    cohort = build_cohort(samples, positive="case", per_unit=4)
    assert (cohort.units.size == 4).all()


def bad(change) -> Samples:
    samples, _ = donors(n=8, genes=5)
    parts = {
        name: getattr(samples, name).copy() for name in ("values", "names", "labels", "donors", "batches")
    }
    parts["genes"] = samples.genes
    change(parts)
    return Samples(units="log2", **parts)


def test_bad_input_is_told() -> None:
    def nan(parts):
        parts["values"][3, 2] = np.nan

    def one_kind(parts):
        parts["labels"][:] = "case"

    def lonely(parts):
        parts["labels"][:] = "control"
        parts["labels"][:3] = "case"
        parts["donors"][:3] = "D0"

    def same_gene(parts):
        parts["genes"] = ("A", "A", "B", "C", "D")

    def same_name(parts):
        parts["names"][1] = parts["names"][0]

    def torn(parts):
        parts["values"][1] = parts["values"][0]

    for change, match in [
        (nan, "sample S003.0, gene G0002"), (one_kind, "only one kind"), (lonely, "too few donors of the positive"),
        (same_gene, "genes are there twice; found 'A'"), (same_name, "samples are there twice"), (torn, "both labels"),
    ]:  # fmt: skip
        with pytest.raises(DataError, match=match):
            build_cohort(bad(change), positive="case")
    with pytest.raises(DataError, match="did you mean 'case'"):
        build_cohort(donors(n=8, genes=5)[0], positive="cases")
    with pytest.raises(DataError, match="no sample has this label"):
        build_cohort(donors(n=8, genes=5)[0], positive="case", negative=["control", "nobody"])
    with pytest.raises(ConfigError, match="neither"):
        Model(None, None, 30, 0)
    with pytest.raises(ConfigError, match="both"):
        Model(Linear(np.ones(2)), lambda s, y: Linear(np.ones(2)), 30, 0)


def test_copies_of_a_patient_are_one_donor() -> None:
    def copy(parts):
        parts["values"][2] = parts["values"][0]

    cohort = build_cohort(bad(copy), positive="case")
    assert cohort.samples.donors[0] == cohort.samples.donors[2]
    assert "S000.0, S002.0" in cohort.notes[0]
    for split in folds(cohort, cohort.positive, count=4, seed=0):
        assert len({0, 2} & set(split.query.tolist())) != 1


def test_all_labellings_of_three_against_three() -> None:
    given_rows = [(f"x{k}", "case" if k < 3 else "control", "X") for k in range(6)]
    cohort = build_cohort(samples_of(given_rows), positive="case")
    every = {labels.tobytes() for labels in relabellings(cohort.units, count=100, seed=0).positive}
    slow = {np.array(order, dtype=bool).tobytes() for order in permutations([1, 1, 1, 0, 0, 0])}
    assert every == slow - {cohort.units.positive.tobytes()}
