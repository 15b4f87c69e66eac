"""The series matrix: phenotypes by key, and every way in which the file can be cut or odd."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consilience.foundation.errors import DataError
from consilience.sources.geo.series import Series, characteristics, join_series, parse_series_matrix
from geo_text import GSM, TITLES, matrix_text, row, series_text


def parse(
    folder: Path, text: str | bytes, *, values: bool = True, name: str = "GSE1_series_matrix.txt"
) -> Series:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return parse_series_matrix(path, values=values)


def test_shifted_characteristics_are_taken_by_key(tmp_path: Path) -> None:
    series = parse(tmp_path, series_text())
    assert series.accession == "GSE1"
    assert series.samples == GSM
    assert series.columns["Sex"] == ("F", "M", "F")
    assert series.columns["subject id"] == ("P1", "P2", "P3")
    assert series.columns["disease state"] == ("RA: late", "healthy", "healthy")
    assert series.columns["age"] == ("", "44", "")
    assert series.columns["title"] == TITLES
    assert series.tables == ()


def test_characteristics_do_not_depend_on_the_order_of_rows() -> None:
    rows = [["a: 1", "b: 2"], ["b: 3", "a: 4"], ["", "c: 5"]]
    assert characteristics(rows) == {"a": ("1", "4"), "b": ("3", "2"), "c": ("", "5")}
    assert dict(sorted(characteristics(rows[::-1]).items())) == dict(sorted(characteristics(rows).items()))
    assert characteristics([["t: x", "word"], ["t: y", ""]]) == {
        "t": ("x; y", ""),
        "characteristics": ("", "word"),
    }


KEYS = st.sampled_from(["age", "sex", "disease state", "tissue"])
PEOPLE = st.lists(
    st.dictionaries(KEYS, st.text("abc ", min_size=1).map(str.strip).filter(bool)), min_size=1, max_size=5
)


@given(people=PEOPLE, order=st.randoms(use_true_random=False))
def test_any_shift_of_the_rows_gives_the_same_columns(people: list[dict[str, str]], order: object) -> None:
    """Second implementation: each sample's own dictionary, whatever row its cells were put in."""
    cells = [[f"{key}: {value}" for key, value in one.items()] for one in people]
    height = max(map(len, cells))
    for column in cells:
        column += [""] * (height - len(column))
        order.shuffle(column)  # type: ignore[attr-defined]
    found = characteristics([list(line) for line in zip(*cells, strict=True)])
    for key in {key for one in people for key in one}:
        assert found[key] == tuple(one.get(key, "") for one in people)


def test_values_missing_ones_and_facts(tmp_path: Path) -> None:
    text = matrix_text(
        GSM,
        values={"p1": [1.5, "", "null"], "p2": ["1e2", "NA", -3]},
        facts=[("relation", "SubSeries of: GSE9")],
    )
    series = parse(tmp_path, text)
    np.testing.assert_array_equal(series.tables[0].values, [[1.5, np.nan, np.nan], [100, np.nan, -3]])
    assert series.tables[0].ids == ("p1", "p2")
    assert series.facts["relation"] == ("SubSeries of: GSE9",)
    assert series.fields["type"] == ("RNA",) * 3


def test_the_header_alone_is_read_without_the_table(tmp_path: Path) -> None:
    cut = matrix_text(GSM, values={"p1": [1, 2, 3]}).rpartition("!series_matrix_table_end")[0] + '"p2"\t1'
    assert parse(tmp_path, cut, values=False).samples == GSM
    with pytest.raises(DataError, match="2 cells under 4"):
        parse(tmp_path, cut)


def test_a_characteristic_may_bear_the_name_of_a_row_of_geo(tmp_path: Path) -> None:
    series = parse(
        tmp_path, matrix_text(GSM, fields={"characteristics_ch1": ["title: Dr", "title: Mr", "title: Ms"]})
    )
    assert series.columns["title"] == ("Dr", "Mr", "Ms")
    assert series.fields["title"][0] == "title of GSM1"


def test_rows_that_come_twice_and_two_organisms_of_one_sample(tmp_path: Path) -> None:
    extra = [
        row("!Sample_description", ("a", "b", "c")), row("!Sample_description", ("x", "y", "z")),
        row("!Sample_organism_ch1", ("Mus musculus", "", "Homo sapiens")),
    ]  # fmt: skip
    series = parse(tmp_path, series_text(*extra))
    assert series.columns["description"] == ("a", "b", "c")
    assert series.columns["description.1"] == ("x", "y", "z")
    assert series.columns["organism_ch1"] == ("Homo sapiens; Mus musculus", "Homo sapiens", "Homo sapiens")


def test_latin_1_in_a_description_quotes_and_carriage_returns(tmp_path: Path) -> None:
    text = series_text(row("!Sample_description", ("5 µl", 'the ""best""', "x"))).encode("latin-1")
    series = parse(tmp_path, text.replace(b"5 ", b"5\r ").replace(b"\n", b"\r\n"))
    assert series.columns["description"] == ("5  µl", 'the "best"', "x")
    bad = matrix_text(GSM, values={"pµ": [1, 2, 3]}).encode("latin-1")
    with pytest.raises(DataError, match=r"GSE1_series_matrix.txt:\d+: not UTF-8 text \(byte 0xb5\)"):
        parse(tmp_path, bad)


def test_gzip_under_the_name_of_a_text(tmp_path: Path) -> None:
    packed = gzip.compress(series_text().encode(), mtime=0)
    assert parse(tmp_path, packed).samples == GSM
    for left in (40, 8, 1):
        with pytest.raises(DataError, match="damaged or cut"):
            parse(tmp_path, packed[:-left])
    with pytest.raises(DataError, match="content is not gzip"):
        parse(tmp_path, series_text(), name="GSE1_series_matrix.txt.gz")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param(series_text(end=False), ["table_end", "cut"], id="no end"),
        pytest.param(series_text().partition("!series_matrix")[0], ["cut"], id="no table"),
        pytest.param(series_text(row("!Sample_description", ("a", "b"))), ["has 2 cells for 3", ":11"], id="ragged"),
        pytest.param(series_text("what is this"), [":11", "not a line"], id="stranger"),
        pytest.param(series_text() + "\nmore", ["not a line", "'more'"], id="after the end"),
        pytest.param(series_text(table=['"p"\t1\t2']), [":13", "3 cells under 4"], id="short row"),
        pytest.param(series_text(table=['"p"\t1\tx\t2']), [":13:GSM2", "not a number", "'x'"], id="word"),
        pytest.param(series_text(table=['"p"\t1\t1_0\t2']), [":13:GSM2", "not a number"], id="underscore"),
        pytest.param(series_text(table=['"p"\t1\t2\t3'] * 2), ["two rows", "'p'"], id="id twice"),
        pytest.param(series_text().replace('"GSM3"', '"GSM1"'), ["same name"], id="sample twice"),
        pytest.param(series_text().replace('"ID_REF"\t"GSM1"', '"ID_REF"\t"GSM9"'), ["header does not"], id="header"),
        pytest.param(series_text().replace("Sample_geo_acc", "Sample_no_acc"), ["geo_accession"], id="no accession"),
        pytest.param("<!DOCTYPE html><html></html>", ["web page"], id="page"),
        pytest.param("", ["empty"], id="empty"),
        pytest.param(series_text().replace("tissue 1", "tissue\0"), ["control character"], id="NUL"),
    ],
)  # fmt: skip
def test_refused_with_place_and_reason(tmp_path: Path, text: str, words: list[str]) -> None:
    with pytest.raises(DataError) as caught:
        parse(tmp_path, text)
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_platforms_are_joined_and_columns_of_one_of_them_stay_empty_for_the_other(tmp_path: Path) -> None:
    one = parse(tmp_path, matrix_text(GSM[:2], values={"a": [1, 2]}), name="GSE1-GPL96_series_matrix.txt")
    text = matrix_text(
        GSM[2:], platform="GPL97", values={"b": [3]}, fields={"characteristics_ch1": ["stage: II"]}
    )
    two = parse(tmp_path, text, name="GSE1-GPL97_series_matrix.txt")
    series = join_series([one, two])
    assert series.samples == GSM
    assert series.columns["stage"] == ("", "", "II")
    assert series.columns["state"] == ("well", "ill", "")
    assert series.columns["platform_id"] == ("GPL96", "GPL96", "GPL97")
    assert [table.samples for table in series.tables] == [GSM[:2], GSM[2:]]
    with pytest.raises(DataError, match="same name"):
        join_series([one, one])
    other = parse(tmp_path, matrix_text(GSM[2:], accession="GSE2"))
    with pytest.raises(DataError, match=r"several series lie together.*GSE1 GSE2"):
        join_series([one, other])
