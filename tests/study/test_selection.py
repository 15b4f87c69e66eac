"""The sheet's column `select`: what it means, and what is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consilience.foundation.errors import DataError, SheetError
from consilience.study.selection import parse_selection, selected_rows, selection_problems
from consilience.study.sheet import read_sheet

COLUMNS = {"type": ("tumour", "normal", "tumour", "relapse"), "sex": ("f", "m", "m", "f")}


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("", [0, 1, 2, 3]),
        ("type=tumour", [0, 2]),
        ("type=tumour|relapse", [0, 2, 3]),
        ("type = tumour ; sex = m", [2]),
    ],
)
def test_rows_that_have_a_wanted_level_in_every_column(text, rows):
    assert selected_rows(text, COLUMNS, where="w") == rows


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("typ=tumour", "no such phenotype column.*did you mean 'type'"),
        ("type=tumor", "no sample has this level of 'type'.*did you mean 'tumour'"),
        ("type=normal; sex=f", "no sample is left"),
    ],
)
def test_what_is_misspelt_is_refused(text, message):
    with pytest.raises(DataError, match=message):
        selected_rows(text, COLUMNS, where="w")


@pytest.mark.parametrize("text", ["type", "=x", "type=", "a=x;;b=y", "a=x|", "a=x; a=y"])
def test_what_is_no_selection_is_said(text):
    assert selection_problems(text)


words = st.text(alphabet="abc xyz", min_size=1, max_size=5).map(str.strip).filter(bool)


@given(st.dictionaries(words, st.lists(words, min_size=1, max_size=3, unique=True), min_size=1, max_size=3))
def test_what_is_written_is_what_is_read(wanted):
    text = "; ".join(f"{column}={'|'.join(levels)}" for column, levels in wanted.items())
    assert not selection_problems(text)
    assert parse_selection(text) == {column: tuple(levels) for column, levels in wanted.items()}


HEAD = "cohort\tkind\tsource\tlocation\tcondition\tcase\tcontrol\tdonor\tfiles\tselect\tunits\n"


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("a\tbulk\tgeo\tGSE1\tc\tx\ty\t\ta||b\t\t\n", r":files: .*empty pattern"),
        ("a\tbulk\tgeo\tGSE1\tc\tx\ty\t\t\ttype\t\n", r":select: .*is not a column"),
        ("a\tbulk\tgeo\tGSE1\tc\tx\ty\t\t\t\tlog\n", r":units: unknown units.*log2"),
        (
            "a\tsingle_cell\tgeo\tGSE1\tc\tx\ty\td\t\t\ttpm\n",
            r":units: a single_cell cohort is always counts",
        ),
        ("a\tbulk\tsimulated\tgeo\tc\tx\ty\t\t*.gz\t\t\n", r":files: has no meaning for a simulated"),
        ("a\tbulk\tgdc\tTCGA-KICH|KIRC\tc\tx\ty\t\t\t\t\n", r":location: not an address for source 'gdc'"),
        ("a\tbulk\tgeo\tgse55235\tc\tx\ty\t\t\t\t\n", r":location: .*did you mean 'GSE55235'"),
        ("a\tbulk\tgdc\tmy/manifest.tsv\tc\tx\ty\t\t\t\t\n", r":location: no such manifest"),
        ("a\tbulk\turl\thttps://x.org/a||https://x.org/b\tc\tx\ty\t\t\t\t\n", r":location: not an address"),
    ],
)
def test_sheet_refuses_by_column(tmp_path, row, message):
    path = tmp_path / "s.tsv"
    path.write_text(HEAD + row)
    with pytest.raises(SheetError, match=message):
        read_sheet(path, folder=tmp_path)


def test_sheet_reads_the_three_columns(tmp_path):
    path = tmp_path / "s.tsv"
    path.write_text(
        HEAD + "a\tbulk\tgdc\tTCGA-KICH|TCGA-KIRC\tc\tx\ty\t\t*.tsv|*.gz\ttype=a|b\testimated_counts\n"
    )
    (cohort,) = read_sheet(path, folder=tmp_path)
    assert cohort.files == ("*.tsv", "*.gz")
    assert cohort.select == "type=a|b"
    assert cohort.units == "estimated_counts"
    assert type(cohort).from_params(cohort.to_params()) == cohort
