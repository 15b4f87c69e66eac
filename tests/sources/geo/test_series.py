"""GEO series matrices and their counts, in the shapes that GEO serves."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from consilience.foundation.errors import DataError
from consilience.sources.geo.series import characteristics, join_samples, parse_series_matrix, read_geo
from consilience.sources.raw_folder import RawFolder, raw_folder_of

TITLES = ("tissue 1 (RA_1)", "tissue 2 (RA_2)", "tissue 3 (RA_3)")
GSM = ("GSM1", "GSM2", "GSM3")


def row(name: str, cells: tuple[str, ...]) -> str:
    return name + "".join(f'\t"{cell}"' for cell in cells)


def series_text(*extra: str, table: tuple[str, ...] = (), end: bool = True) -> str:
    lines = [
        row("!Series_title", ("A study",)),
        row("!Series_geo_accession", ("GSE1",)),
        "",
        row("!Sample_title", TITLES),
        row("!Sample_geo_accession", GSM),
        row("!Sample_organism_ch1", ("Homo sapiens",) * 3),
        row("!Sample_characteristics_ch1", ("Sex: F", "Sex: M", "Sex: F")),
        row("!Sample_characteristics_ch1", ("subject id: P1", "age: 44", "subject id: P3")),
        row(
            "!Sample_characteristics_ch1",
            ("disease state: RA: late", "subject id: P2", "disease state: healthy"),
        ),
        row("!Sample_characteristics_ch1", ("", "disease state: healthy", "")),
        *extra,
        "!series_matrix_table_begin",
        row('"ID_REF"', GSM),
        *table,
    ]
    return "\n".join([*lines, *(["!series_matrix_table_end"] if end else [])]) + "\n"


def write(path: Path, *, header: str, counts: str = "", name: str = "GSE1_raw_counts.tsv.gz") -> RawFolder:
    (path / "GSE1_series_matrix.txt.gz").write_bytes(gzip.compress(header.encode(), mtime=0))
    if counts:
        (path / name).write_bytes(gzip.compress(counts.encode(), mtime=0))
    files = tuple(sorted((one.name, one) for one in path.iterdir()))
    return raw_folder_of(path, files)


def test_shifted_characteristics_are_taken_by_key(tmp_path: Path) -> None:
    path = tmp_path / "GSE1_series_matrix.txt"
    path.write_text(series_text())
    series = parse_series_matrix(path)
    assert series.accession == "GSE1"
    assert series.samples == GSM
    assert series.columns["Sex"] == ("F", "M", "F")
    assert series.columns["subject id"] == ("P1", "P2", "P3")
    assert series.columns["disease state"] == ("RA: late", "healthy", "healthy")
    assert series.columns["age"] == ("", "44", "")
    assert series.columns["title"] == TITLES


def test_characteristics_do_not_depend_on_the_order_of_rows() -> None:
    rows = [["a: 1", "b: 2"], ["b: 3", "a: 4"], ["", "c: 5"]]
    assert characteristics(rows) == {
        "a": ("1", "4"),
        "b": ("3", "2"),
        "c": ("", "5"),
    }
    assert dict(sorted(characteristics(rows[::-1]).items())) == dict(sorted(characteristics(rows).items()))
    assert characteristics([["t: x", "word"], ["t: y", ""]]) == {
        "t": ("x; y", ""),
        "characteristics": ("", "word"),
    }


@pytest.mark.parametrize(
    "names", [TITLES, GSM, ("RA_1", "RA_2", "RA_3"), ("RA_3", "RA_1", "RA_2"), ("GSM3", "GSM1")]
)
def test_counts_are_joined_by_title_accession_or_bracket(tmp_path: Path, names: tuple[str, ...]) -> None:
    values = [str(10 * (k + 1)) for k in range(len(names))]
    counts = "\t".join(["", *names]) + "\nTP53\t" + "\t".join(values) + "\n"
    matrix = read_geo(write(tmp_path, header=series_text(), counts=counts))
    subjects = dict(zip([*TITLES, *GSM, "RA_1", "RA_2", "RA_3"], ["P1", "P2", "P3"] * 3, strict=True))
    assert matrix.samples == names
    assert matrix.columns["subject id"] == tuple(subjects[name] for name in names)
    assert matrix.values[:, 0].tolist() == [int(value) for value in values]


def test_a_full_table_of_counts_in_the_series_matrix(tmp_path: Path) -> None:
    table = ('"TP53"\t1\t2\t3', '"XIST"\t0\t5\t0')
    matrix = read_geo(write(tmp_path, header=series_text(table=table)))
    assert matrix.values.tolist() == [[1, 0], [2, 5], [3, 0]]
    assert matrix.genes == ("TP53", "XIST")


@pytest.mark.parametrize(
    ("header", "counts", "words"),
    [
        (series_text(end=False), "", ["table_end", "cut"]),
        (
            series_text(row("!Sample_description", ("a", "b"))),
            "",
            ["!Sample_description has 2 cells for 3", ":11"],
        ),
        (series_text("what is this"), "", [":11", "not a line"]),
        (series_text(), "", ["no counts"]),
        (series_text(), "\tRA_1\tRA_9\nTP53\t1\t2\n", ["1 of 2 columns", "RA_9"]),
        (series_text(table=('"TP53"\t1.5\t2\t3',)), "", ["1.5", "33.3%"]),
        (series_text(table=('"TP53"\t1\t2',)), "", [":13", "3 cells under 4"]),
        (
            series_text().replace("Homo sapiens", "Mus musculus"),
            "\tRA_1\nTp53\t1\n",
            ["not human", "Mus musculus"],
        ),
    ],
)
def test_refused_with_place_and_reason(tmp_path: Path, header: str, counts: str, words: list[str]) -> None:
    folder = write(tmp_path, header=header, counts=counts)
    with pytest.raises(DataError) as caught:
        read_geo(folder)
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_a_title_held_by_two_samples_is_never_guessed() -> None:
    columns = {"title": ("a", "a", "b"), "geo_accession": GSM}
    with pytest.raises(DataError, match="belong to no sample"):
        join_samples(["a", "b"], columns=columns, where="x")
    assert join_samples(["GSM2"], columns=columns, where="x") == ([1], "accession")


def test_two_tables_that_could_be_the_counts(tmp_path: Path) -> None:
    (tmp_path / "GSE1_counts_b.tsv.gz").write_bytes(gzip.compress(b"\tRA_1\nTP53\t1\n"))
    folder = write(tmp_path, header=series_text(), counts="\tRA_1\nTP53\t1\n")
    with pytest.raises(DataError, match="several tables"):
        read_geo(folder)
