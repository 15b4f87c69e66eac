"""The small parts: words, cells, figures, citations, pseudonyms, discovery of sections."""

from __future__ import annotations

import math
import string
import textwrap
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consilience.report import figures, literature, sections, words
from consilience.report.cells import cell_text, number_text, table_json, tsv_text
from consilience.report.citations import Citation, MethodNote, cited
from consilience.report.elements import Column, Group, Section, SectionMaker, Table, Text, tables_of
from consilience.report.pseudonyms import Pseudonyms
from consilience.report.sections._quality_parts import type_table
from consilience.report.shapes import CellTypes
from consilience.study.cohorts import Cohort

FINITE = st.floats(allow_nan=False, allow_infinity=False, width=32)


@given(FINITE)
def test_shown_numbers_are_close_and_short(value: float) -> None:
    text = number_text(value)
    assert math.isclose(float(text.replace(",", "")), value, rel_tol=6e-3, abs_tol=1e-300)
    assert len(text) <= 20


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (1234567, "1,234,567"), (0.5, "0.5"), (-0.25, "-0.25"), (12.3456, "12.35"), (1234.56, "1,235"),
     (0.000123456, "1.23e-04"), (100.0, "100"), (1e20, "1.00e+20")],
)  # fmt: skip
def test_numbers_as_people_write_them(value: float, text: str) -> None:
    assert number_text(value) == text


@pytest.mark.parametrize(
    ("value", "kind", "text"),
    [(None, "number", "–"), ("", "text", "–"), (True, "text", "yes"), (0.123, "share", "12.3 %"),
     (1_234_567, "bytes", "1.2 MB"), (math.nan, "number", "–"), (math.inf, "number", "–"), ("NA", "text", "NA"),
     (0, "integer", "0"), (75.2, "seconds", "1 min 15 s")],
)  # fmt: skip
def test_cells_by_kind(value: Any, kind: Any, text: str) -> None:
    assert cell_text(value, Column("c", "C", kind)) == text


CELLS = st.one_of(st.none(), st.text(max_size=12), FINITE, st.integers(-(10**9), 10**9), st.booleans())


@given(st.lists(st.tuples(CELLS, CELLS), max_size=8))
def test_tsv_has_one_line_per_row_and_keeps_numbers(rows: list[tuple[Any, Any]]) -> None:
    table = Table("t", "T", (Column("a", "A"), Column("b", "B")), tuple(rows))
    lines = tsv_text(table).split("\n")
    assert lines[0] == "a\tb"
    assert lines[-1] == ""
    assert len(lines) == len(rows) + 2
    for line, row in zip(lines[1:], rows, strict=False):
        cells = line.split("\t")
        assert len(cells) == 2
        for text, value in zip(cells, row, strict=True):
            if isinstance(value, float):
                assert float(text) == value
            elif value is None:
                assert text == ""


def test_long_tables_are_embedded_in_part_and_say_so() -> None:
    table = Table("t", "T", (Column("a", "A", "integer"),), tuple((i,) for i in range(5000)), embedded=3000)
    found = table_json(table)
    assert found["total"] == 5000
    assert len(found["rows"]) == 3000  # type: ignore[arg-type]
    assert tsv_text(table).count("\n") == 5001


def test_histogram_draws_its_thresholds() -> None:
    figure = figures.histogram(
        key="h", title="H", label="counts", edges=[1, 10, 100], counts=[3, 4], low=5, high=None, log=True
    )
    kinds = [mark["type"] for mark in figure.marks]
    assert kinds == ["boxes", "rule"]
    assert figure.marks[1] == {"type": "rule", "axis": "x", "at": 5, "label": "from 5", "shade": "below"}
    assert figure.x.scale == "log"
    assert "7 samples" in figure.alt
    assert (
        figures.histogram(key="h", title="H", label="c", edges=[0, 1], counts=[3], log=True).x.scale
        == "linear"
    )


@given(st.lists(st.one_of(st.none(), st.floats(width=64)), max_size=20))
def test_figure_numbers_are_json(values: list[float | None]) -> None:
    import json

    mark = figures.points(x=values, y=values)
    json.dumps(mark, allow_nan=False)
    for before, after in zip(values, mark["x"], strict=True):
        if before is None or not math.isfinite(before):
            assert after is None
        else:
            assert math.isclose(before, after, rel_tol=1e-4)


def test_all_literature_is_complete() -> None:
    entries = [value for value in vars(literature).values() if isinstance(value, Citation)]
    assert len(entries) >= 15
    assert len({entry.key for entry in entries}) == len(entries)
    for entry in entries:
        assert entry.doi.startswith("10.")
        assert str(entry.year) in entry.key
        assert entry.bibtex().count("{") == entry.bibtex().count("}")


@pytest.mark.parametrize(
    ("authors", "short"),
    [("Wolf, A. and Theis, F. and Angerer, P.", "Wolf et al. 2018"), ("Anders, S. and Huber, W.", "Anders and Huber 2018"),
     ("Wolf, A.", "Wolf 2018"), ("{The Consortium}", "The Consortium 2018")],
)  # fmt: skip
def test_short_citations(authors: str, short: str) -> None:
    assert Citation("k2018", "article", authors, "T", 2018, "V").short == short


def test_method_text_fills_versions_and_citations_once() -> None:
    note = MethodNote(
        "m", "M", "With scanpy {scanpy} [Wolf2018]; [Unknown].", (literature.SCANPY,), ("scanpy",)
    )
    assert note.text({"scanpy": "1.11.5"}) == "With scanpy 1.11.5 (Wolf et al. 2018); [Unknown]."
    assert cited([note, note]) == [literature.SCANPY]


NAMES = st.lists(
    st.text(string.ascii_letters + string.digits + "_.-", min_size=3, max_size=12), min_size=1, max_size=8
)


@given(NAMES, NAMES)
def test_pseudonyms_leave_no_name(samples: list[str], donors: list[str]) -> None:
    names = Pseudonyms.of(samples=samples, donors=donors)
    given_names = {*samples, *donors}
    text = names.text("removed: " + ", ".join([*samples, *donors]) + "; done")
    words_left = text.removeprefix("removed: ").removesuffix("; done").split(", ")
    assert all(word[0] in "SD" and word[1:].isdigit() and len(word) == 4 for word in words_left), (
        text,
        given_names,
    )
    assert [names.sample(name) for name in samples] == [names.samples[name] for name in samples]
    again = Pseudonyms.of(samples=samples[::-1], donors=donors[::-1])
    assert (again.samples, again.donors) == (names.samples, names.donors)


def test_pseudonyms_do_not_touch_longer_words() -> None:
    names = Pseudonyms.of(samples=["S1", "S1_b"], donors=[])
    assert names.text("S1 and S1_b, but S12 and XS1; S1.") == "S001 and S002, but S12 and XS1; S001."
    assert Pseudonyms.off().text("S1") == "S1"


def test_a_file_in_the_sections_folder_is_a_section(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "extra.py").write_text(
        textwrap.dedent("""
        from consilience.report.elements import Section, SectionMaker
        SECTION = SectionMaker(order=25, key="extra", title="Extra", build=lambda results: None)
        """)
    )
    before = [maker.key for maker in sections.section_makers()]
    monkeypatch.setattr(sections, "__path__", [*sections.__path__, str(tmp_path)])
    after = [maker.key for maker in sections.section_makers()]
    assert after.index("extra") == after.index("quality") + 1
    assert [key for key in after if key != "extra"] == before
    stages = ["models", "diagnosis", "markers", "synthetic", "vectors"]
    stages += ["augmentation", "temperature", "utility", "privacy", "robustness"]
    stages += ["twmr", "dml", "concordance"]
    assert before == ["cohorts", "quality", "genes", "pathways", "truth", *stages, "methods", "provenance"]


def test_tables_inside_groups_are_found() -> None:
    table = Table("t", "T", (), ())
    section = Section("s", "S", "", (Text("x"), Group("g", "G", (Group("h", "H", (table,)),))))
    assert tables_of(section) == [table]


def test_table_keys_used_twice_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    from consilience.report import page

    table = Table("same", "T", (), ())
    maker = SectionMaker(1, "s", "S", lambda results: Section("s", "S", "", (table, table)))
    monkeypatch.setattr(page, "section_makers", lambda: [maker])
    with pytest.raises(ValueError, match="used twice: same"):
        page.build_sections(None)  # type: ignore[arg-type]


def test_types_of_cells_come_with_those_not_looked_for() -> None:
    found = CellTypes(
        markers="immune", method="mean of markers", n_unassigned=3, left_out=("NK cell", "mast cell"),
        types=({"cell_type": "B cell", "n": 5, "markers_measured": 4, "markers_listed": 9},),  # type: ignore[arg-type]
    )  # fmt: skip
    table = type_table(found, Cohort("c", "single_cell", "local"))
    assert table.rows == (("B cell", 5, 4, 9), ("unassigned", 3, None, None))
    assert "Not looked for, with too few markers measured: NK cell and mast cell." in table.caption


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.04, "0.0 s"), (9.96, "10.0 s"), (59.4, "59 s"), (61, "1 min 01 s"), (3720, "1 h 02 min")],
)
def test_durations(seconds: float, text: str) -> None:
    assert words.duration(seconds) == text


def test_words() -> None:
    assert words.count(1, "sample") == "1 sample"
    assert words.count(1234, "locus", "loci") == "1,234 loci"
    assert words.listed(["a", "b", "c"]) == "a, b and c"
    assert words.listed([]) == ""
    assert words.percent(1, 3) == "33\u202f%"
    assert words.percent(1, 0) == "0\u202f%"
    assert words.megabytes(999) == "999 B"
