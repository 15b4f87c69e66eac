"""Plain tables: read faithfully, or refused with file, row and column."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from consilience.foundation.errors import DataError
from consilience.sources.bulk.matrix import whole_counts
from consilience.sources.bulk.tables import read_count_table, read_samples_table, read_tables
from consilience.sources.formats import samples_table_of
from consilience.sources.raw_folder import RawFolder, raw_folder_of

COUNTS = "gene\tA\tB\tC\nTP53\t1\t0\t3\nXIST\t10\t20\t30\n"
SAMPLES = "sample\tgroup\tcode\nA\tcase\t001\nB\tcontrol\tNA\nC\tcase\t1e5\n"


def folder_of(path: Path) -> RawFolder:
    files = tuple(sorted((one.name, one) for one in path.iterdir()))
    return raw_folder_of(path, files)


def write(path: Path, counts: str | bytes = COUNTS, samples: str = SAMPLES, name: str = "study.tsv") -> Path:
    content = counts if isinstance(counts, bytes) else counts.encode()
    (path / name).write_bytes(gzip.compress(content, mtime=0) if name.endswith(".gz") else content)
    (path / f"{name.split('.')[0]}.samples.tsv").write_text(samples)
    return path


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("study.tsv", COUNTS),
        ("study.tsv.gz", COUNTS),
        ("study.csv", COUNTS.replace("\t", ",")),
        ("study.tsv", COUNTS.replace("\n", "\r\n")),
        ("study.tsv", "\ufeff" + COUNTS),
        ("study.tsv", COUNTS.replace("gene\t", "", 1)),  # as R writes row names
        ("study.tsv", COUNTS.replace("gene\t", "\t", 1)),
        ("study.tsv", "# made by a tool\n" + COUNTS),
        ("study.csv", '"gene","A","B","C"\n"TP53",1,0,3\n"XIST",10,20,30\n'),
    ],
)
def test_the_same_table_in_every_dialect(tmp_path: Path, name: str, counts: str) -> None:
    matrix = read_tables(folder_of(write(tmp_path, counts, name=name)))
    assert matrix.values.tolist() == [[1, 10], [0, 20], [3, 30]]
    assert matrix.samples == ("A", "B", "C")
    assert matrix.genes == ("TP53", "XIST")
    assert matrix.columns["code"] == ("001", "NA", "1e5")


def test_parquet_with_two_id_columns(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {"Hugo_Symbol": ["TP53", "XIST"], "Entrez_Gene_Id": [7157, 7503], "B": [0, 20], "A": [1, 10]}
    )
    frame.to_parquet(tmp_path / "s.counts.parquet")
    (tmp_path / "s.samples.tsv").write_text(SAMPLES)
    matrix = read_tables(folder_of(tmp_path))
    assert matrix.samples == ("B", "A")
    assert matrix.columns["group"] == ("control", "case")
    assert matrix.gene_columns["Entrez_Gene_Id"] == ("7157", "7503")
    assert matrix.values.tolist() == [[0, 20], [1, 10]]
    assert "1 samples" in matrix.notes[0]
    assert "C" in matrix.notes[0]


def test_an_annotation_column_of_text_is_an_id_column(tmp_path: Path) -> None:
    (tmp_path / "c.tsv").write_text("gene_id\tgene_name\tbiotype\tA\nENSG1\tTP53\tcoding\t4\n")
    table = read_count_table(tmp_path / "c.tsv")
    assert table.samples == ("A",)
    assert list(table.ids) == ["gene_id", "gene_name", "biotype"]


@pytest.mark.parametrize(
    ("counts", "words"),
    [
        ("gene\tA\tB\tC\nTP53\t1\t0\t3\nXIST\t10\t20", ["study.tsv:3", "cut"]),
        ("gene\tA\tB\tC\nTP53\t1\t0\t3\nXIST\t10\t20\t3", ["study.tsv:3", "line end"]),
        ("gene\tA\tB\tC\nTP53\t1\t0\nXIST\t10\t20\t30\n", ["3 cells under 4", "study.tsv:2"]),
        ("gene\tA\tB\tC\nTP53\t1\t0\t3\nXIST\t10\t20\t30\t4\n", ["5 cells under 4", "study.tsv:3"]),
        ("gene\tA\tB\tC\nTP53\t1\tx\t3\n", ["study.tsv:2:B", "'x'", "TP53"]),
        ("gene\tA\tB\tC\nTP53\t1\t1_0\t3\n", ["study.tsv:2:B", "'1_0'"]),
        ("gene\tA\tB\tC\nTP53\t1\t\u0661\t3\n", ["study.tsv:2:B"]),
        ("gene\tA\tB\tC\nTP53\t1\t\t3\n", ["33.3 %", "missing", "'TP53'", "'B'"]),
        ("gene\tA\tB\tC\nTP53\t1\tNA\t3\n", ["missing"]),
        ("gene\tA\tB\tC\nTP53\t1\tinf\t3\n", ["inf"]),
        ("gene\tA\tB\tC\nTP53\t1\t-2\t3\n", ["-2", "'B'"]),
        ("gene\tA\tB\tC\nTP53\t1\t2.5\t3\n", ["2.5", "whole"]),
        ("gene\tA\tB\tB\nTP53\t1\t2\t3\n", ["column 3 has the same name"]),
        ("gene\tA\tB\tb\nTP53\t1\t2\t3\n", ["column 3 has the same name"]),
        ("gene\tA\tB\tX1\nTP53\t1\t2\t3\n", ["1 of 3 samples have no row", "X1"]),
        ("gene\tA\tB\tC\n", ["no genes"]),
        ("gene\tA\tB\tC\nTP53\t1\0\t2\t3\n", ["control character", "study.tsv:2"]),
        ("<!DOCTYPE html>\n<html><body>403</body></html>\n", ["web page"]),
        ("", ["empty"]),
        (b"gene\tA\tB\tC\nTP\xff53\t1\t2\t3\n", ["UTF-8", "study.tsv:2"]),
    ],
)
def test_refused_with_place_and_value(tmp_path: Path, counts: str | bytes, words: list[str]) -> None:
    write(tmp_path, counts)
    with pytest.raises(DataError) as caught:
        read_tables(folder_of(tmp_path))
    assert all(word in str(caught.value) for word in words), str(caught.value)


@pytest.mark.parametrize(
    ("samples", "words"),
    [
        ("sample\tgroup\nA\tcase\nB\nC\tcase\n", ["1 cells under 2", ":3"]),
        ("sample\tgroup\nA\tcase\na\tcase\n", ["same name"]),
        ("sample\tgroup\tgroup\nA\tcase\tx\n", ["column 3", "same name"]),
        ("sample\tgroup\n", ["no rows"]),
    ],
)
def test_a_bad_samples_table_is_refused(tmp_path: Path, samples: str, words: list[str]) -> None:
    path = tmp_path / "study.samples.tsv"
    path.write_text(samples)
    with pytest.raises(DataError) as caught:
        read_samples_table(path)
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_all_ragged_rows_are_reported_at_once(tmp_path: Path) -> None:
    path = tmp_path / "x.samples.tsv"
    path.write_text("sample\tgroup\nA\nB\tcase\nC\n")
    with pytest.raises(DataError) as caught:
        read_samples_table(path)
    assert len(caught.value.problems) == 2


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    values=st.integers(1, 6).flatmap(
        lambda n: st.lists(st.lists(st.integers(0, 2**40), min_size=n, max_size=n), min_size=1, max_size=8)
    ),
    data=st.data(),
)
def test_written_by_pandas_read_back_the_same_and_any_cut_is_refused_or_whole_lines(
    tmp_path: Path, values: list[list[int]], data: st.DataObject
) -> None:
    sums = [sum(column) for column in zip(*values, strict=True)]
    assume(len(sums) < 3 or not all(0.9e6 < one < 1.1e6 for one in sums))  # these are no counts
    frame = pd.DataFrame(values, columns=[f"S{k}" for k in range(len(values[0]))])
    frame.insert(0, "gene", [f"G{k}" for k in range(len(values))])
    path = tmp_path / "c.tsv"
    text = frame.to_csv(sep="\t", index=False)
    path.write_text(text)
    assert read_count_table(path).counts().T.tolist() == values
    cut = data.draw(st.integers(1, len(text) - 1))
    path.write_text(text[:cut])
    try:
        read = read_count_table(path).counts().T.tolist()
    except DataError as error:
        assert "c.tsv" in str(error)  # noqa: PT017
    else:
        assert text[cut - 1] == "\n"
        assert read == values[: len(read)]


def test_the_share_of_fractions_and_the_first_of_them() -> None:
    values = np.array([[1.0, 2.0], [3.5, np.nan]])
    with pytest.raises(DataError, match=r"50\.0% of its 4 values.*gene 'g2', sample 's1'.*3\.5"):
        whole_counts(values, genes=["g1", "g2"], samples=["s1", "s2"], where="x")


def test_the_samples_table_beside_a_counts_table(tmp_path: Path) -> None:
    for name in ("kich.counts.parquet", "kich.samples.tsv"):
        (tmp_path / name).touch()
    assert samples_table_of(tmp_path / "kich.counts.parquet") == tmp_path / "kich.samples.tsv"
