"""Columns of a supplementary table are joined to samples by a rule that fits all of them, or refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consilience.foundation.errors import DataError
from consilience.sources.geo.joining import accession_in, as_r_spells, join_samples
from geo_text import GSM, TITLES

COLUMNS = {"title": TITLES, "geo_accession": GSM, "description": ("lib-7", "lib-8", "lib-9")}
NUMBERED = {"title": ("1-healthy +drug", "2-healthy", "3 ill"), "geo_accession": GSM}


@pytest.mark.parametrize(
    ("names", "rule"),
    [
        pytest.param(TITLES, "title", id="title"),
        pytest.param(GSM, "accession", id="accession"),
        pytest.param(("RA_1", "RA_2", "RA_3"), "the bracket at the end of the title", id="bracket"),
        pytest.param(("lib-7", "lib-8", "lib-9"), "description", id="description"),
        pytest.param(("ra_1", "Ra_2", "RA_3"), "the bracket at the end of the title, without regard", id="case"),
        pytest.param(("lib.7", "lib.8", "lib.9"), "description, as R spells", id="dots"),
        pytest.param(("tissue.1..RA_1.", "tissue.2..RA_2.", "tissue.3..RA_3."), "title, as R spells", id="R"),
        pytest.param(("counts_RA_1.bam", "counts_RA_2.bam", "counts_RA_3.bam"),
                     "title, without the columns' common beginning 'counts_RA_' and ending '.bam'", id="both ends"),
        pytest.param(("s_a_x", "s_b_x", "s_c_x"), "title, without the columns' common ending '_x'", id="end"),
        pytest.param(("run.s_a", "run.s_b", "run.s_c"), "title, without the columns' common beginning", id="start"),
        pytest.param(("x/GSM1_a", "x/GSM2_b", "x/GSM3_c"), "accession, which stands inside", id="inside"),
    ],
)  # fmt: skip
def test_each_rule_joins_all_columns(names: tuple[str, ...], rule: str) -> None:
    titles = {"c": ("1", "2", "3"), "s": ("s_a", "s_b", "s_c"), "r": ("a", "b", "c")}
    columns = COLUMNS | ({"title": titles[names[0][0]]} if "common" in rule else {})
    rows, said = join_samples(names, columns=columns, where="x")
    assert rows == [0, 1, 2]
    assert rule in said


@pytest.mark.parametrize("order", [(2, 0, 1), (1,), (2, 1)])
def test_order_and_subsets_are_free(order: tuple[int, ...]) -> None:
    rows, _ = join_samples([TITLES[k] for k in order], columns=COLUMNS, where="x")
    assert rows == list(order)


def test_names_that_r_changed() -> None:
    names = ("X1.healthy..drug", "X2.healthy", "X3.ill")
    rows, said = join_samples(names, columns=NUMBERED, where="x")
    assert rows == [0, 1, 2]
    assert said == "title, as R spells names"
    assert as_r_spells("A-1 (x)") == "a.1..x."


def test_a_common_beginning_is_cut_at_a_joint_only() -> None:
    columns = {"title": ("ab1", "ab2"), "geo_accession": GSM[:2]}
    rows, said = join_samples(("run_ab1", "run_ab2"), columns=columns, where="x")
    assert rows == [0, 1]
    assert "'run_'" in said


def test_a_title_held_by_two_samples_is_never_guessed() -> None:
    columns = {"title": ("a", "a", "b"), "geo_accession": GSM}
    with pytest.raises(DataError, match="belong to no sample"):
        join_samples(["a", "b"], columns=columns, where="x")
    assert join_samples(["GSM2"], columns=columns, where="x") == ([1], "accession")


def test_two_columns_are_never_joined_to_one_sample() -> None:
    columns = {"title": ("S1", "S2"), "geo_accession": GSM[:2]}
    with pytest.raises(DataError, match="belong to no sample"):
        join_samples(["GSM1_a", "GSM1_b"], columns=columns, where="x")


def test_a_part_is_not_enough() -> None:
    with pytest.raises(DataError, match=r"1 of 3 columns .*: RA_9 .*did you mean 'RA_[123]'"):
        join_samples(("RA_1", "RA_2", "RA_9"), columns=COLUMNS, where="x")


def test_accessions_inside_names() -> None:
    assert accession_in("GSM12_x.txt.gz") == "GSM12"
    assert accession_in("GSM12_GSM13.txt") == ""
    assert accession_in("x.txt") == ""


@given(
    st.lists(
        st.text("abXY01-_. ()", min_size=1, max_size=8), min_size=1, max_size=6, unique_by=as_r_spells
    ).filter(lambda titles: all(map(str.strip, titles)))
)
def test_whatever_r_does_to_distinct_names_is_undone(titles: list[str]) -> None:
    """Planted truth: names as R spells them find their own titles, in any order, or nothing at all."""
    names = [as_r_spells(one) for one in titles][::-1]
    columns = {"title": titles, "geo_accession": [f"GSM{k}" for k in range(len(titles))]}
    rows, _ = join_samples(names, columns=columns, where="x")
    assert [as_r_spells(titles[row]) for row in rows] == names
