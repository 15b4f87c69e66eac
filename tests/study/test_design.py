"""Designs that can answer the question, and those that cannot."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats.contingency import association

from consilience.study.cohorts import Cohort
from consilience.study.design import cramers_v, design_notes, design_problems

COHORT = Cohort(
    "c", "bulk", "local", condition="state", case=("ill",), control=("well",), donor="who", batch="run"
)


def columns(state: str, who: str, run: str) -> dict[str, list[str]]:
    words = {"i": "ill", "w": "well", "o": "other"}
    return {"state": [words[one] for one in state], "who": list(who), "run": list(run)}


def problems(table: dict[str, list[str]], least: int = 2, cohort: Cohort = COHORT) -> list[str]:
    return [str(one) for one in design_problems(cohort=cohort, columns=table, min_samples_per_arm=least)]


def test_a_balanced_design_has_neither_problems_nor_notes() -> None:
    table = columns("iiww", "abcd", "xyxy")
    assert problems(table) == []
    assert design_notes(cohort=COHORT, columns=table) == []


def test_donors_are_the_unit_of_arms() -> None:
    assert problems(columns("iiww", "aacd", "xyxy")) != []
    assert "only 1 donors in the case arm" in problems(columns("iiww", "aacd", "xyxy"))[0]
    assert (
        problems(
            columns("iiww", "aacd", "xyxy"), cohort=Cohort.from_params(COHORT.to_params() | {"donor": ""})
        )
        == []
    )


def test_a_paired_design_is_fine_and_noted() -> None:
    table = columns("iwiw", "aabb", "xxyy")
    assert problems(table) == []
    assert any("2 donors are in both arms" in note for note in design_notes(cohort=COHORT, columns=table))


def test_samples_without_donor_count_as_their_own() -> None:
    table = columns("iiww", "abcd", "xyxy") | {"who": ["", "", "c", "d"]}
    assert problems(table) == []
    assert any("2 samples name no donor" in note for note in design_notes(cohort=COHORT, columns=table))


@pytest.mark.parametrize("run", ["xxyy", "wxyz", "xxyz"])
def test_a_batch_that_tells_the_arm_is_aliased(run: str) -> None:
    found = problems(columns("iiww", "abcd", run))
    assert len(found) == 1
    assert "cannot be told apart" in found[0]


def test_other_samples_do_not_save_an_aliased_batch() -> None:
    assert len(problems(columns("iiwwoo", "abcdef", "xxyyxy"))) == 1


def test_one_mixed_batch_makes_it_a_note() -> None:
    n = 40
    table = columns(
        "i" * n + "w" * n, "".join(chr(200 + k) for k in range(2 * n)), "x" * n + "x" + "y" * (n - 1)
    )
    assert problems(table) == []
    assert any("Cramér's V 0.98" in note for note in design_notes(cohort=COHORT, columns=table))


def test_a_single_batch_is_no_alias() -> None:
    assert problems(columns("iiww", "abcd", "xxxx")) == []


def test_all_missing_columns_are_named_at_once() -> None:
    found = problems({"State": ["ill"], "id": ["1"]})
    assert len(found) == 3
    assert "did you mean 'State'" in found[0]


def test_perturbation_cohorts_need_their_control_level_only() -> None:
    cohort = Cohort(
        "p", "perturbation", "local", perturbation="gene", control=("non-targeting",), batch="run"
    )
    assert problems({"gene": ["A", "non-targeting"], "run": ["1", "2"]}, cohort=cohort) == []
    found = problems({"gene": ["A", "non_targeting"], "run": ["1", "2"]}, cohort=cohort)
    assert "did you mean 'non_targeting'" in found[0]


def test_cell_types_of_a_single_cell_cohort_may_come_later() -> None:
    cohort = Cohort.from_params(COHORT.to_params() | {"kind": "single_cell", "cell_type": "type"})
    assert problems(columns("iiww", "abcd", "xyxy"), cohort=cohort) == []


@given(st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("xyz")), min_size=2, max_size=60))
def test_cramers_v_is_scipys(pairs: list[tuple[str, str]]) -> None:
    first, second = (list(one) for one in zip(*pairs, strict=True))
    if len(set(first)) < 2 or len(set(second)) < 2:
        assert cramers_v(first, second) == 0
        return
    table = np.array([[pairs.count((a, b)) for b in sorted(set(second))] for a in sorted(set(first))])
    assert cramers_v(first, second) == pytest.approx(association(table, method="cramer"), abs=1e-12)
