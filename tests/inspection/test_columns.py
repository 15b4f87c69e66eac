"""Which column is what: by names and words of levels, with planted tables whose answer is known."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consilience.inspection.columns import (
    choose_batch,
    choose_cell_type,
    choose_condition,
    choose_donor,
    choose_perturbation,
    control_levels,
    see_column,
    see_columns,
)
from consilience.inspection.proposal import cohort_name, propose
from consilience.study.cohorts import NAME_PATTERN
from consilience.study.sheet import COLUMNS, check_sheet

HALF = ["ill"] * 6 + ["healthy control"] * 6


def columns(**values):
    return see_columns({name.replace("_", " "): tuple(column) for name, column in values.items()})


@pytest.mark.parametrize(
    ("values", "shape"),
    [
        (["a"] * 12, "constant"),
        (["a", "b"] * 6, "levels"),
        ([f"s{k}" for k in range(12)], "distinct"),
        ([str(k / 2) for k in range(12)], "numbers"),
        ([str(k % 3) for k in range(12)], "levels"),
        ([f"s{k % 70}" for k in range(140)], "many"),
        (["", "NA", "nan"] * 4, "empty"),
    ],
)
def test_shapes(values, shape):
    assert see_column("x", Counter(values), n=len(values)).shape == shape


@given(st.lists(st.sampled_from(["a", "b", "", "NA", "7"]), min_size=1))
def test_nothing_is_lost(values):
    (seen,) = see_columns({"x": values})
    assert seen.n_empty + sum(n for _, n in seen.levels) == seen.n == len(values)
    assert see_columns({"x": values[::-1]}) == [seen]


@pytest.mark.parametrize(
    "level",
    ["healthy control", "Normal", "ctrl", "non-diseased", "Solid Tissue Normal", "HC", "no", "Baseline",
     "vehicle", "normal_tissue"],
)  # fmt: skip
def test_words_for_controls(level):
    assert control_levels(see_column("x", {level: 3, "rheumatoid arthritis": 4}, n=7)) == [level]


@pytest.mark.parametrize("level", ["abnormal", "uncontrolled", "stim", "paranormal", "tumor", "node"])
def test_words_that_are_no_controls(level):
    assert control_levels(see_column("x", {level: 3}, n=3)) == []


@pytest.mark.parametrize(
    "name", ["disease", "Disease Status", "diagnosis", "group", "sample_type", "time point"]
)
def test_the_condition_is_found_by_name(name):
    found = choose_condition(see_columns({"tissue": HALF, "sex": ["F", "M"] * 6, name: HALF}))
    assert found.name == name
    assert "healthy control" in found.why


def test_a_condition_without_a_known_name_needs_a_control():
    assert choose_condition(columns(cohort_member=HALF)).name == "cohort member"
    assert choose_condition(columns(cohort_member=["x", "y"] * 6)).name == ""


def test_other_candidates_are_named():
    found = choose_condition(columns(disease=HALF, treatment=["drug", "vehicle"] * 6))
    assert (found.name, found.others) == ("disease", ("treatment",))


@pytest.mark.parametrize(
    "name", ["subject id", "Patient", "donor_id", "individual", "case_id", "subject number"]
)
def test_donors(name):
    assert choose_donor(see_columns({"disease": HALF, name: [f"p{k}" for k in range(12)]})).name == name


def test_half_empty_columns_are_left_alone():
    found = see_columns({"donor": ["a"] + [""] * 11, "batch": ["1"] * 12, "cell type": ["T", "B"] * 6})
    assert choose_donor(found).name == ""
    assert choose_batch(found).name == ""
    assert choose_cell_type(found).name == "cell type"


def test_perturbations_need_an_unperturbed_level():
    genes = ["A", "B", "C", "D", "non-targeting", "E"] * 2
    assert choose_perturbation(columns(gene=genes)).name == "gene"
    assert choose_perturbation(columns(gene=["A", "B", "C", "D", "F", "E"] * 2)).name == ""
    assert choose_perturbation(columns(condition=["ctrl", "stim"] * 6)).name == ""


def test_a_bulk_row():
    texts = {"disease": HALF, "patient": [f"p{k}" for k in range(12)], "batch": ["1", "2"] * 6}
    row = propose(kind="bulk", source="local", location="data/my table.counts.tsv.gz", texts=texts,
                  columns=see_columns(texts), units="log2", why_units="largest is 14")  # fmt: skip
    assert dict(row.cells) == {
        "cohort": "my_table", "kind": "bulk", "source": "local", "location": "data/my table.counts.tsv.gz",
        "condition": "disease", "case": "ill", "control": "healthy control", "donor": "patient",
        "batch": "batch", "units": "log2", "role": "study", "label": "",
    }  # fmt: skip
    assert row.decide == ("cohort and label: names of your own",)


def test_a_batch_that_says_the_same_is_left_out():
    texts = {"disease": HALF, "batch": ["1"] * 6 + ["2"] * 6}
    row = propose(kind="bulk", source="geo", location="GSE1", columns=see_columns(texts), texts=texts)
    assert "batch" not in row.cells
    assert any("'batch' was left out, because every batch holds one arm only" in one for one in row.decide)


def test_small_arms_are_said():
    texts = {"disease": ["ill", "ill", "healthy"]}
    row = propose(kind="bulk", source="geo", location="GSE1", columns=see_columns(texts), texts=texts)
    assert any(
        "only 1 samples in the control arm; set study.min_samples_per_arm" in one for one in row.decide
    )


def test_levels_that_a_sheet_cannot_hold_are_not_proposed():
    texts = {"disease": ["\x1b[31mill"] * 6 + ["a|b"] * 6 + ["sick"] * 6 + ["normal"] * 6}
    row = propose(kind="bulk", source="geo", location="GSE1", columns=see_columns(texts), texts=texts)
    assert (row.cells["case"], row.cells["control"]) == ("sick", "normal")
    assert all(cell.isprintable() for cell in row.cells.values())
    assert any("\\x1b[31mill" in one for one in row.decide)


def test_nothing_that_looks_like_a_condition():
    row = propose(kind="bulk", source="geo", location="GSE1", columns=columns(tissue=["a", "b"] * 3))
    assert row.cells["role"] == "pretrain"
    assert "no column looks like a condition" in row.decide[1]


def test_cells_need_donors():
    row = propose(
        kind="single_cell", source="url", location="https://e.org/x.h5ad", columns=columns(disease=HALF)
    )
    assert any(one.startswith("donor: cells need the column that names patients") for one in row.decide)


def test_guides_are_no_genes():
    guides = ["STAT1g1", "STAT1g2", "JAK2g1", "JAK2g2", "control"] * 3
    row = propose(kind="perturbation", source="url", location="x", columns=columns(perturbation=guides))
    assert (row.cells["perturbation"], row.cells["control"]) == ("perturbation", "control")
    assert any("look like guides, not genes" in one for one in row.decide)


@given(st.text(max_size=100))
def test_names_of_cohorts_are_usable(location):
    import re

    assert re.fullmatch(NAME_PATTERN, cohort_name(location))


@given(
    st.dictionaries(st.text(max_size=8), st.lists(st.text(max_size=6), min_size=8, max_size=8), max_size=5),
    st.sampled_from(["bulk", "single_cell", "perturbation"]),
)
def test_any_table_gives_a_row_that_is_not_malformed(tmp_path_factory, texts, kind):
    row = propose(kind=kind, source="geo", location="GSE1", columns=see_columns(texts), texts=texts)
    assert set(row.cells) <= set(COLUMNS)
    header, line = row.lines()
    assert line.count("\t") == header.count("\t")
    assert line.isprintable() or "\t" in line
    path = tmp_path_factory.mktemp("sheet") / "s.tsv"
    path.write_text(f"{header}\n{line}\n", encoding="utf-8")
    for problem in check_sheet(
        path
    ).problems:  # a row may lack what nobody can know; never hold what is wrong
        assert "empty, but a" in problem.what, problem
