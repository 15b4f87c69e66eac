"""Tables as people save them: read as meant and told, or refused with the place; and the fast and slow parser."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consilience.foundation.errors import DataError
from consilience.sources.bulk.layout import clean_names, find_layout, find_separator
from consilience.sources.bulk.parse import find_decimal, parse_fast, parse_lines
from consilience.sources.bulk.read import read_bulk
from consilience.sources.bulk.tables import CountTable, read_count_table, read_samples_table, read_tables
from consilience.sources.raw_folder import RawFolder, raw_folder_of
from consilience.study.cohorts import Cohort

SAMPLES = "sample\tgroup\nA\till\nB\twell\n"
COHORT = Cohort("c", "bulk", "local")


def folder_of(path: Path) -> RawFolder:
    return raw_folder_of(path, tuple(
        (one.relative_to(path).as_posix(), one) for one in sorted(path.rglob("*")) if one.is_file()
    ))  # fmt: skip


def table(
    tmp_path: Path, text: str | bytes, name: str = "t.tsv", samples: tuple[str, ...] = ()
) -> CountTable:
    (tmp_path / name).write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_count_table(tmp_path / name, samples=samples)


# text, file name, what a note must say
ODD = {
    "semicolons": ("gene;A;B\nTP53;1;2\nXIST;30;4\n", "t.csv", ""),
    "tabs in a csv": ("gene\tA\tB\nTP53\t1\t2\nXIST\t30\t4\n", "t.csv", "t.csv is separated by tabs"),
    "commas in a tsv": ("gene,A,B\nTP53,1,2\nXIST,30,4\n", "t.tsv", "separated by commas"),
    "blanks, as write.table": ('"A" "B"\n"TP53" 1 2\n"XIST" 30 4\n', "t.txt", ""),
    "windows lines and mark": ("\ufeffgene\tA\tB\r\nTP53\t1\t2\r\nXIST\t30\t4\r\n", "t.tsv", ""),
    "separator at line ends": ("gene\tA\tB\t\nTP53\t1\t2\t\nXIST\t30\t4\t\n", "t.tsv", "empty last column"),
    "separator at ends of values": ("gene\tA\tB\nTP53\t1\t2\t\nXIST\t30\t4\t\n", "t.tsv", "empty last column"),
    "no name of row names": ("A\tB\nTP53\t1\t2\nXIST\t30\t4\n", "t.tsv", ""),
    "comments": ("# made by x\n#\n\ngene\tA\tB\nTP53\t1\t2\nXIST\t30\t4\n", "t.tsv", ""),
    "a comment is the header": ("# x\n#gene\tA\tB\nTP53\t1\t2\nXIST\t30\t4\n", "t.tsv", ""),
    "comment among the rows": ("gene\tA\tB\nTP53\t1\t2\n# half\nXIST\t30\t4\n", "t.tsv", ""),
    "a line of groups": ("gene\tA\tB\n\till\twell\nTP53\t1\t2\nXIST\t30\t4\n", "t.tsv", "holds no numbers"),
    "a title line": ("\tone\ttwo\ngene\tA\tB\nTP53\t1\t2\nXIST\t30\t4\n", "t.tsv", "(\u200bone"),
    "HTSeq's last rows": (
        "gene\tA\tB\nTP53\t1\t2\nXIST\t30\t4\n__no_feature\t9\t9\n__ambiguous\t1\t1\n", "t.tsv",
        "2 rows are no genes and were left out: __no_feature, __ambiguous",
    ),
    "totals": ("gene\tA\tB\nTP53\t1\t2\nXIST\t30\t4\nTotal\t31\t6\n", "t.tsv", "1 rows are no genes"),
    "GCT": ("#1.2\n2\t2\nName\tDescription\tA\tB\nTP53\tx\t1\t2\nXIST\ty\t30\t4\n", "t.gct", ""),
    "featureCounts": (
        "# Program:featureCounts\nGeneid\tChr\tStart\tEnd\tStrand\tLength\t/x/A.sorted.bam\t/x/BAligned.sortedByCoord"
        ".out.bam\nTP53\t17;17\t1;5\t2;9\t-;-\t9\t1\t2\nXIST\tX\t1\t9\t-\t9\t30\t4\n", "t.txt",
        "sample names are those of alignment files",
    ),
    "a description at the end": ("gene\tA\tB\tDescription\nTP53\t1\t2\tp53, \nXIST\t30\t4\tx\n", "t.tsv", ""),
    "quoted cells": ('"gene","A","B"\n"TP53","1","2"\n"XIST","30","4"\n', "t.csv", ""),
    "gzip without .gz": (gzip.compress(b"gene\tA\tB\nTP53\t1\t2\nXIST\t30\t4\n", mtime=0), "t.txt", ""),
    "UTF-16": ("gene\tA\tB\r\nTP53\t1\t2\r\nXIST\t30\t4\r\n".encode("utf-16"), "t.txt", "UTF-16"),
}  # fmt: skip


@pytest.mark.parametrize("what", ODD)
def test_odd_but_clear_tables_are_read_as_meant(tmp_path: Path, what: str) -> None:
    text, name, note = ODD[what]
    known = ("A", "B") if what == "a title line" else ()
    found = table(tmp_path, text, name, samples=known)
    assert found.samples == ("A", "B")
    assert found.genes == ("TP53", "XIST")
    assert found.values.tolist() == [[1, 2], [30, 4]]
    said = " ".join(found.notes)
    assert note.replace("(\u200bone", "one two") in said
    assert bool(said) == bool(note)


def test_columns_of_places_never_name_genes(tmp_path: Path) -> None:
    found = table(tmp_path, ODD["featureCounts"][0], "t.txt")
    assert list(found.ids) == ["Geneid", "Chr", "Start", "End", "Strand", "Length"]
    assert found.gene_columns == {}


@pytest.mark.parametrize("separator", ["\t", ";"])
def test_decimal_commas_are_converted_when_nothing_else_is_possible(tmp_path: Path, separator: str) -> None:
    text = "gene\tA\tB\nTP53\t1,5\t2\nXIST\t0,125\t1,234\n".replace("\t", separator)
    found = table(tmp_path, text)
    assert found.values.tolist() == [[1.5, 2], [0.125, 1.234]]
    assert any("decimal commas" in note for note in found.notes)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("gene\tA\tB\nTP53\t1,234\t2\n", ["t.tsv:2:A", "1,234", "decimal or a thousands separator"]),
        ("gene\tA\tB\nTP53\t1\t1,234,567\n", ["t.tsv:2:B", "thousands separators"]),
        ("gene\tA\tB\nTP53\t1,234.5\t2\n", ["t.tsv:2:A", "thousands separators"]),
        ("gene\tA\tB\nTP53\t1,5\t2\nXIST\t2.5\t1\n", ["t.tsv:2:A", "decimal point", "t.tsv:3:A"]),
        ('gene,A,B\nTP53,"1,5",2\n', ["t.tsv:2:A", "thousands separator"]),
        ("gene\tA\tB\nTP53\t1,5\tx\n", ["t.tsv:2:B", "not a number", "'x'"]),
        ("gene\tA\tB\nTP53\t1\t2\nXIST\t3\n", ["t.tsv:3", "2 cells under 3"]),
        ("gene\tA\tB\nTP53\t1\t2\nXIST\t3\t4\t5\n", ["t.tsv:3", "4 cells under 3"]),
        ('gene\tA\tB\nTP53\t1\t2\n"XIST\t3\t4\n', ["t.tsv:3"]),
        ("gene\tA\tA\nTP53\t1\t2\n", ["same name"]),
        ("gene\tA\tB\nTP53\t2\t0x1F\n", ["t.tsv:2:B", "'0x1F'"]),
        ("gene\tA\tB\rTP53\t1\t2\r", ["control character"]),
        (
            "#1.2\n9\t2\nName\tDescription\tA\tB\nTP53\tx\t1\t2\n",
            ["has 1 genes and 2 samples", "says 9 and 2"],
        ),
        (b"\xff\xfegene\tA\tB\n", ["UTF-16"]),
        (b"gene\tA\nTP\xff53\t1\n", ["UTF-8", "t.tsv:2", "save it as UTF-8"]),
    ],
)
def test_unclear_tables_are_refused_at_their_place(
    tmp_path: Path, text: str | bytes, words: list[str]
) -> None:
    with pytest.raises(DataError) as caught:
        table(tmp_path, text)
    assert all(word in str(caught.value) for word in words), str(caught.value)


def test_a_wrong_line_far_below_is_named_by_its_number(tmp_path: Path) -> None:
    rows = [f"G{k}\t{k}\t1" for k in range(5000)]
    rows[4321] = "G4321\t7"
    with pytest.raises(DataError, match=r"t\.tsv:4323: 2 cells under 3"):
        table(tmp_path, "gene\tA\tB\n" + "\n".join(rows) + "\n")


CELLS = st.sampled_from(
    ["0", "7", "-3", "1e3", "2.5", "NA", "", " 4", "1_0", "x", "nan", "+5", "1,5", "٣", ".5", "5."]
)


@given(rows=st.lists(st.lists(CELLS, min_size=2, max_size=3), min_size=1, max_size=6))
def test_fast_and_slow_parser_agree_on_every_table(rows: list[list[str]]) -> None:
    """Whatever the fast one accepts is what the slow one reads; and it accepts nothing that the slow refuses."""
    text = "gene\tA\tB\n" + "".join("\t".join([f"G{k}", *row]) + "\n" for k, row in enumerate(rows))
    layout = find_layout(["gene\tA\tB", "G0\t1\t2"], samples=(), where="t")
    fast = parse_fast(text.encode(), layout, decimal=".")
    numbered = list(enumerate(text.splitlines(), 1))[1:]
    try:
        slow = parse_lines(numbered, layout, decimal=".", where="t")
    except DataError:
        assert fast is None
        return
    if fast is not None:
        assert fast[0] == slow[0]
        np.testing.assert_array_equal(fast[1], slow[1])


@given(st.lists(st.floats(-1e6, 1e6, allow_subnormal=False), min_size=4, max_size=4))
def test_numbers_are_read_to_the_last_bit(values: list[float]) -> None:
    text = f"gene\tA\tB\nG0\t{values[0]!r}\t{values[1]!r}\nG1\t{values[2]!r}\t{values[3]!r}\n"
    layout = find_layout(text.splitlines(), samples=(), where="t")
    fast = parse_fast(text.encode(), layout, decimal=".")
    assert fast is not None
    assert fast[1].ravel().tolist() == values


def test_row_names_that_pandas_puts_last_in_parquet(tmp_path: Path) -> None:
    frame = pd.DataFrame({"A": [1, 30], "B": [2, 4]}, index=pd.Index(["TP53", "XIST"]))
    for name in (None, "gene_id"):
        frame.rename_axis(name).to_parquet(tmp_path / "t.parquet")
        for known in ((), ("A", "B")):
            found = read_count_table(tmp_path / "t.parquet", samples=known)
            assert found.genes == ("TP53", "XIST")
            assert found.samples == ("A", "B")
            assert found.values.tolist() == [[1, 2], [30, 4]]


def test_the_decimal_sign_is_sought_in_value_columns_only() -> None:
    layout = find_layout(["gene\tdescription\tA", "TP53\tp53, a\t1"], samples=(), where="t")
    assert find_decimal([(2, "TP53\tp53, a\t1")], layout, where="t") == "."


def test_names_of_alignments_are_cleaned_only_when_all_are() -> None:
    assert clean_names(["a/S1.bam", "b/S2.bam"], known=())[0] == ("S1", "S2")
    assert clean_names(["a/S1.bam", "b/S1.bam"], known=())[0] == ("a/S1", "b/S1")
    assert clean_names(["a/S1.bam", "S2"], known=())[0] == ("a/S1.bam", "S2")
    assert clean_names(["a/S1.bam"], known={"a/S1.bam"})[0] == ("a/S1.bam",)


def test_separators() -> None:
    assert find_separator("a;b", "c;1,5") == ";"
    assert find_separator("a b\tc", "d\t1") == "\t"
    assert find_separator("A", "g 1") == " "


def test_umlauts_of_a_samples_table_are_decoded_and_told(tmp_path: Path) -> None:
    (tmp_path / "t.tsv").write_text("gene\tA\tB\nTP53\t1\t2\n")
    (tmp_path / "t.samples.tsv").write_bytes("sample\tcity\nA\tKöln\nB\tAarhus\n".encode("cp1252"))
    matrix = read_tables(folder_of(tmp_path))
    assert matrix.columns["city"] == ("Köln", "Aarhus")
    assert any("Windows-1252 (first in line 2: 'Köln')" in note for note in matrix.notes)
    (tmp_path / "t.samples.tsv").write_bytes(b"sample\tcity\nA\tK\x81\nB\tx\n")
    with pytest.raises(DataError, match=r"not UTF-8 text \(byte 0x81\)"):
        read_tables(folder_of(tmp_path))


def test_a_samples_table_with_semicolons(tmp_path: Path) -> None:
    (tmp_path / "s.samples.csv").write_text("sample;group\nA;ill, early\n")
    assert read_samples_table(tmp_path / "s.samples.csv") == {"sample": ("A",), "group": ("ill, early",)}


def test_a_text_named_xls_is_a_table_and_a_workbook_is_refused_with_advice(tmp_path: Path) -> None:
    (tmp_path / "t.samples.tsv").write_text(SAMPLES)
    (tmp_path / "t.xls").write_text("gene\tA\tB\nTP53\t1\t2\n")
    assert read_bulk(folder_of(tmp_path), cohort=COHORT).values.tolist() == [[1], [2]]
    (tmp_path / "t.samples.tsv").unlink()
    (tmp_path / "t.xls").write_bytes(b"\xd0\xcf\x11\xe0" + bytes(600))
    with pytest.raises(DataError, match=r"t\.xls \(spreadsheet\).*tab delimited text.*MARCH1"):
        read_bulk(folder_of(tmp_path), cohort=COHORT)
    (tmp_path / "t.xls").rename(tmp_path / "t.rds")
    with pytest.raises(DataError, match=r"write\.table"):
        read_bulk(folder_of(tmp_path), cohort=COHORT)


def test_claims_of_the_sheet_reach_the_values(tmp_path: Path) -> None:
    (tmp_path / "t.samples.tsv").write_text(SAMPLES)
    (tmp_path / "t.tsv").write_text("gene\tA\tB\nTP53\t1.5\t200\nXIST\t3\t4\n")
    claimed = Cohort("c", "bulk", "local", units="estimated_counts")
    matrix = read_bulk(folder_of(tmp_path), cohort=claimed)
    assert matrix.units == "estimated_counts"
    assert matrix.values.tolist() == [[2, 3], [200, 4]]
    with pytest.raises(DataError, match="not a table of counts"):
        read_bulk(folder_of(tmp_path), cohort=COHORT)
