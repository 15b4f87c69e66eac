"""The cohort sheet: a hostile corpus is refused with row and reason, or read faithfully."""

import time

import pytest

from consilience.foundation.errors import SheetError
from consilience.study.cohorts import Cohort
from consilience.study.sheet import COLUMNS, check_sheet, read_sheet

BULK = {
    "cohort": "a",
    "kind": "bulk",
    "source": "simulated",
    "location": "geo",
    "condition": "state",
    "case": "ill",
    "control": "well",
}


def write(tmp_path, rows, *, header=tuple(COLUMNS), end="\n", encoding="utf-8"):
    lines = ["\t".join(header)]
    lines += [
        row if isinstance(row, str) else "\t".join(row.get(name, "") for name in header) for row in rows
    ]
    path = tmp_path / "cohorts.tsv"
    path.write_bytes((end.join(lines) + end).encode(encoding))
    return path


def problems_of(tmp_path, *rows, **options):
    checked = check_sheet(write(tmp_path, rows, **options), folder=tmp_path)
    return checked.cohorts, [str(problem) for problem in checked.problems]


def test_a_good_row_is_read_faithfully(tmp_path):
    row = BULK | {
        "cohort": "001",
        "case": "NA|1e5",
        "control": "well",
        "donor": "subject id",
        "role": "both",
        "label": "Gewebe «krank» $(x); 'quoted' \"too\"",
    }
    [cohort] = read_sheet(write(tmp_path, [row]))
    assert cohort == Cohort(
        name="001",
        kind="bulk",
        source="simulated",
        location="geo",
        condition="state",
        case=("NA", "1e5"),
        control=("well",),
        donor="subject id",
        role="both",
        label="Gewebe «krank» $(x); 'quoted' \"too\"",
    )


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_bom_crlf_comments_and_empty_lines(tmp_path, end, encoding):
    path = write(tmp_path, ["# a comment", "", BULK, "\t\t"], end=end, encoding=encoding)
    assert [cohort.name for cohort in read_sheet(path)] == ["a"]


HOSTILE_NAMES = [
    "x$(touch PWNED)", "y;touch PWNED", "`id`", "a|b", "a&b", "a b", "'a'", '"a"', "a'b", "-rf", ".", "..", "../x",
    "/abs", "a/b", "a\\b", "~", "*", "a?", "{wildcards}", "{{7*7}}", "<script>", "", " ", " a", "a ", "\u00a0a",
    "а", "a\u200b", "a\u202e", "ａ", "é", "x" * 65, "x" * 300, "con", "NUL", "com1.txt", "a.", "%00", "a\x00b",
    "a\x07b", "_a", ".hidden", "a:b", "a=b", "a,b", "#a",
]  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE_NAMES)
def test_hostile_names_are_refused_with_row_and_reason(tmp_path, name):
    cohorts, problems = problems_of(tmp_path, BULK | {"cohort": "fine"}, BULK | {"cohort": name})
    refused = name == "#a"  # a comment line: not a cohort, and not an error
    assert [cohort.name for cohort in cohorts] == ["fine"]
    assert refused or any("cohorts.tsv:3:cohort" in problem for problem in problems)
    assert all(problem.isprintable() for problem in problems)


def test_a_newline_at_the_end_of_a_name_is_two_rows(tmp_path):
    _, problems = problems_of(tmp_path, "a\n" + "\t".join(["bulk", "simulated", "geo"]))
    assert any("cohorts.tsv:2: the row has 1 cells but the header has 16" in problem for problem in problems)
    assert any("cohorts.tsv:3: the row has 3 cells" in problem for problem in problems)


def test_case_twins_and_duplicates_name_the_first_row(tmp_path):
    _, problems = problems_of(tmp_path, BULK, BULK | {"cohort": "A"}, BULK)
    assert (
        "cohorts.tsv:3:cohort: the name is already used in line 2 (as 'a'; names differ only in case)"
        in problems[0]
    )
    assert "cohorts.tsv:4:cohort: the name is already used in line 2" in problems[1]


@pytest.mark.parametrize("name", ["NA", "nan", "001", "1e5", "True", "null", "0x1F", "2024-01-01", "a" * 64])
def test_names_that_spreadsheets_mangle_stay_as_they_are(tmp_path, name):
    assert [cohort.name for cohort in read_sheet(write(tmp_path, [BULK | {"cohort": name}]))] == [name]


@pytest.mark.parametrize(
    ("change", "place", "reason"),
    [
        ({"kind": "Bulk"}, "kind", "did you mean 'bulk'?"),
        ({"source": "simulted"}, "source", "did you mean 'simulated'?"),
        ({"role": "trian"}, "role", "allowed: pretrain, study, both"),
        ({"location": "10x"}, "location", "allowed: geo, gdc"),
        ({"source": "geo", "location": "GSM12"}, "location", "GSE55235"),
        ({"source": "url", "location": "ftp://x"}, "location", "http:// or https://"),
        ({"source": "gdc", "location": "kich; rm"}, "location", "TCGA-KICH"),
        ({"source": "local", "location": "no/such"}, "location", "no such file or folder"),
        ({"source": "local", "location": "x" * 5000}, "location", "no such file or folder"),
        ({"source": "local", "location": ""}, "location", "needs the path"),
        ({"condition": ""}, "condition", "needs it"),
        ({"case": ""}, "case", "needs it"),
        ({"case": "ill|"}, "case", "an empty level"),
        ({"case": "ill|ill"}, "case", "the same level twice"),
        ({"case": "well"}, "control", "'well' is both case and control"),
        ({"batch": "state"}, "batch", "one phenotype column serves two purposes"),
        ({"perturbation": "gene"}, "perturbation", "has no meaning for kind 'bulk'"),
        ({"kind": "single_cell", "location": "10x"}, "donor", "needs it"),
        ({"kind": "perturbation", "location": "h5ad"}, "perturbation", "needs it"),
        ({"kind": "summary_statistics", "location": "gwas_ssf"}, "condition", "has no meaning"),
        ({"label": "a\u202eb"}, "label", "invisible characters"),
        ({"label": " a"}, "label", "blanks at the start"),
    ],
)
def test_cells_that_cannot_be_used(tmp_path, change, place, reason):
    cohorts, problems = problems_of(tmp_path, BULK | change)
    assert not cohorts
    assert any(f"cohorts.tsv:2:{place}" in problem and reason in problem for problem in problems), problems


def test_all_problems_of_all_rows_at_once(tmp_path):
    _, problems = problems_of(tmp_path, BULK | {"kind": "x", "role": "y"}, "ragged", BULK | {"cohort": "$"})
    assert len(problems) == 4


@pytest.mark.parametrize(
    ("header", "reason"),
    [
        (("cohort", "kind", "source", "locaton"), "did you mean 'location'?"),
        (("cohort", "kind", "source", "location", "kind"), "the column appears twice"),
        (("cohort", "kind"), r"missing column(s) source, location"),
        (("Cohort", "kind", "source", "location"), "did you mean 'cohort'?"),
    ],
)
def test_bad_headers(tmp_path, header, reason):
    _, problems = problems_of(tmp_path, BULK, header=header)
    assert any("cohorts.tsv:1" in problem and reason in problem for problem in problems), problems


def test_short_sheets_need_only_their_columns(tmp_path):
    header = ("cohort", "kind", "source", "location")
    row = {"cohort": "g", "kind": "summary_statistics", "source": "simulated", "location": "gwas_ssf"}
    assert read_sheet(write(tmp_path, [row], header=header))[0].role == "study"


@pytest.mark.parametrize("content", [b"", b"\n\n", b"# only a comment\n"])
def test_empty_sheets(tmp_path, content):
    (tmp_path / "cohorts.tsv").write_bytes(content)
    with pytest.raises(SheetError, match="the sheet is empty"):
        read_sheet(tmp_path / "cohorts.tsv")


def test_header_only(tmp_path):
    with pytest.raises(SheetError, match="the sheet has no cohort"):
        read_sheet(write(tmp_path, []))


def test_other_encodings_name_the_line(tmp_path):
    path = write(tmp_path, [BULK, BULK | {"cohort": "b", "label": "Müller"}], encoding="latin-1")
    with pytest.raises(SheetError, match=r"cohorts\.tsv:3: not UTF-8 text"):
        read_sheet(path)


def test_missing_sheet_and_folder(tmp_path):
    with pytest.raises(SheetError, match="no such cohort sheet"):
        read_sheet(tmp_path / "absent.tsv")
    with pytest.raises(SheetError, match="cannot be read"):
        read_sheet(tmp_path)


def test_two_thousand_rows_take_moments(tmp_path):
    rows = [BULK | {"cohort": f"c{number}"} for number in range(1_990)]
    rows += [BULK | {"cohort": f"bad {number}"} for number in range(10)]
    path = write(tmp_path, rows)
    started = time.perf_counter()
    checked = check_sheet(path)
    assert (
        time.perf_counter() - started < 20
    )  # 0.5 s on a quiet machine; a check per pair of rows would take minutes
    assert (len(checked.cohorts), len(checked.problems)) == (1_990, 10)
    assert checked.lines["c7"] == 9


def test_params_round_trip(tmp_path):
    [cohort] = read_sheet(write(tmp_path, [BULK | {"case": "a|b"}]))
    assert Cohort.from_params(cohort.to_params()) == cohort
    assert cohort.to_params()["case"] == ["a", "b"]
    assert [cohort.arm(level) for level in ("a", "b", "well", "?")] == ["case", "case", "control", ""]
