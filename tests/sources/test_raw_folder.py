"""Raw folders: verified against what was fetched, and told apart by content."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from consilience.foundation.errors import DataError
from consilience.foundation.files import sha256_of
from consilience.sources.formats import file_kind, kind_by_name
from consilience.sources.raw_folder import open_raw_folder, unreadable, verify_raw_folder
from consilience.sources.text import read_bytes, read_lines, shown


def record(folder: Path, **changes: Any) -> None:
    files = [
        {
            "name": path.relative_to(folder).as_posix(),
            "bytes": path.stat().st_size,
            "sha256": sha256_of(path),
            "url": "",
        }
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    ]
    (folder / "provenance.json").write_text(json.dumps({"cohort": "c", "files": files} | changes))


def test_whole_folders_pass_and_strangers_are_not_listed(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text("gene\tA\nTP53\t1\n")
    (tmp_path / "a.samples.tsv").write_text("sample\nA\n")
    record(tmp_path)
    (tmp_path / "stray.h5ad").write_bytes(b"\x89HDF\r\n\x1a\n")
    folder = open_raw_folder(tmp_path)
    assert "table" in folder.kinds
    assert [name for name, _ in folder.files] == ["a.samples.tsv", "a.tsv"]


def test_all_damaged_files_are_named_at_once(tmp_path: Path) -> None:
    for name in ("a.tsv", "b.tsv", "c.tsv", "d.tsv"):
        (tmp_path / name).write_text("gene\tA\nTP53\t1\n")
    record(tmp_path)
    (tmp_path / "a.tsv").write_text("gene\tA\nTP53\t2\n")
    (tmp_path / "b.tsv").write_text("gene\tA\n")
    (tmp_path / "c.tsv").unlink()
    with pytest.raises(DataError) as caught:
        verify_raw_folder(tmp_path)
    reported = [str(problem) for problem in caught.value.problems]
    assert len(reported) == 3
    assert "a.tsv" in reported[0]
    assert "sha256" in reported[0]
    assert "b.tsv" in reported[1]
    assert "7 bytes but 14" in reported[1]
    assert "c.tsv" in reported[2]
    assert "no longer there" in reported[2]
    assert all("run again" in one for one in reported)


@pytest.mark.parametrize(
    "files",
    [
        None, [], [{}], [{"name": "../x", "bytes": 1, "sha256": "0" * 64}],
        [{"name": "/etc/passwd", "bytes": 1, "sha256": "0" * 64}], [{"name": "x", "bytes": "1", "sha256": "0" * 64}],
        [{"name": "x", "bytes": 1, "sha256": "0"}], ["x"], {"name": "x"},
    ],
)  # fmt: skip
def test_a_damaged_record_is_refused(tmp_path: Path, files: object) -> None:
    (tmp_path / "provenance.json").write_text(json.dumps({"files": files}))
    with pytest.raises(DataError, match=r"provenance\.json"):
        verify_raw_folder(tmp_path)


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "\ufffd"])
def test_a_record_that_is_no_record_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "provenance.json").write_text(text)
    with pytest.raises(DataError, match=r"provenance\.json"):
        verify_raw_folder(tmp_path)


def test_a_folder_without_record_was_not_fetched_whole(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="was not fetched whole"):
        open_raw_folder(tmp_path)


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("GSE1_series_matrix.txt.gz", b"!Series_title\n", "series_matrix"),
        ("GSE1-GPL2_series_matrix.txt", b"!Series_title\n", "series_matrix"),
        ("renamed.txt", b"!Series_title\n", "series_matrix"),
        ("GSE1_family.soft.gz", b"^DATABASE = Geo\n", "soft"),
        ("GSM1.txt", b"^SAMPLE = GSM1\n", "soft"),
        ("GPL96.annot.gz", b"^Annotation\n", "platform"),
        ("GPL96_probe_to_symbol.tsv.gz", b"ID_REF\tGene symbol\n", "platform"),
        ("probes_to_symbols.csv", b"probe,symbol\n", "platform"),
        ("GSE1-GPL96_counts.txt", b"gene\tA\n", "table"),
        ("files.json", b"{}", "gdc_answer"),
        ("a/x.rna_seq.augmented_star_gene_counts.tsv", b"# gene-model\n", "star_counts"),
        ("a/annotations.txt", b"id\n", "other"),
        ("S1/matrix.mtx.gz", b"%%MatrixMarket\n", "mtx"),
        ("GSM1_S1_matrix.mtx.gz", b"%%MatrixMarket\n", "mtx"),
        ("GSM1_S1_barcodes.tsv.gz", b"A\n", "barcodes"),
        ("S1/features.tsv.gz", b"A\n", "features"),
        ("cells.tsv.gz", b"b\n", "cell_table"),
        ("renamed.bin", b"\x89HDF\r\n\x1a\n", "hdf5"),
        ("ld/l1.ld.gz", b"1\n", "ld_matrix"),
        ("ENSG1.matrix", b"GENES\n", "twmr_matrix"),
        ("panel.bed", b"\x6c\x1b\x01", "plink"),
        ("genes.bed", b"chr1\t1\t2\n", "table"),
        ("s.h.tsv.gz-meta.yaml", b"a: 1\n", "metadata"),
        ("a.parquet", b"PAR1", "parquet"),
        ("a.csv.gz", b"g,s\n", "table"),
        ("GSE1_RAW.tar", b"\0" * 257 + b"ustar", "archive"),
        ("GSE1_RAW.tar.gz", b"\0" * 257 + b"ustar", "archive"),
        ("a.zip", b"PK\x03\x04", "archive"),
        ("a.xlsx", b"PK\x03\x04", "spreadsheet"),
        ("a.rds", b"X\n\0\0", "r_object"),
        ("a.pdf", b"%PDF\0", "other"),
    ],
)
def test_kinds_of_files_are_told_apart(tmp_path: Path, name: str, content: bytes, expected: str) -> None:
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(gzip.compress(content, mtime=0) if name.endswith(".gz") else content)
    assert file_kind(name, path) == expected


def test_a_folder_without_readable_files_names_what_is_in_it(tmp_path: Path) -> None:
    (tmp_path / "a.pdf").write_bytes(b"%PDF\0")
    record(tmp_path)
    with pytest.raises(DataError, match=r"a\.pdf \(other\)"):
        raise unreadable(open_raw_folder(tmp_path), wanted="tables")


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.tsv", b"\n <!DOCTYPE HTML><html>", "web page"),
        ("a.h5ad", b"<html><body>", "web page"),
        ("a.tsv.gz", gzip.compress(b"<html>", mtime=0), "web page"),
        ("a.tsv", b"", "empty"),
        ("a.tsv.gz", b"\x1f\x8b\x08\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff", "damaged"),
    ],
)
def test_what_is_no_data_is_named(tmp_path: Path, name: str, content: bytes, words: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=words) as caught:
        file_kind(name, tmp_path / name)
    assert name in str(caught.value)


def test_gzip_cut_anywhere_or_flipped_anywhere_is_refused_or_the_same(tmp_path: Path) -> None:
    text = "".join(f"G{k}\t{k * 7919 % 1000}\n" for k in range(400)).encode()
    whole, path = gzip.compress(text, mtime=0), tmp_path / "x.tsv.gz"
    for cut in range(1, len(whole), 37):
        path.write_bytes(whole[:cut])
        with pytest.raises(DataError, match=r"x\.tsv\.gz"):
            read_bytes(path)
    outcomes = set()
    for place in range(0, len(whole), 11):
        damaged = bytearray(whole)
        damaged[place] ^= 0x41
        path.write_bytes(damaged)
        try:
            assert read_bytes(path) == text
            outcomes.add("same")
        except DataError as error:
            assert "x.tsv.gz" in str(error)  # noqa: PT017
            outcomes.add("refused")
    assert "refused" in outcomes


def test_gzip_named_so_must_be_gzip(tmp_path: Path) -> None:
    (tmp_path / "x.gz").write_bytes(b"gene\tA\n")
    with pytest.raises(DataError, match="not gzip"):
        read_bytes(tmp_path / "x.gz")


def test_lines_are_numbered_as_an_editor_numbers_them(tmp_path: Path) -> None:
    path = tmp_path / "x.tsv"
    path.write_bytes(b"\xef\xbb\xbfa\r\nb\r\n\r\nc")
    assert read_lines(path) == ["a", "b", "", "c"]
    with pytest.raises(DataError, match=r"x\.tsv:4.*line end"):
        read_lines(path, whole_last_line=True)


def test_a_manifest_of_the_gdc_by_any_name(tmp_path: Path) -> None:
    (tmp_path / "kich.tsv").write_text("id\tfilename\tmd5\tsize\tstate\n")
    assert file_kind("kich.tsv", tmp_path / "kich.tsv") == "gdc_manifest"


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("x.h5ad", "h5ad"),
        ("x.counts.csv.gz", "table"),
        ("matrix.mtx.gz", "mtx"),
        ("x.h5", None),
        ("35773219", None),
    ],
)
def test_what_a_name_alone_says(name: str, kind: str | None) -> None:
    assert kind_by_name(name) == kind


def test_places_in_messages_are_short(tmp_path: Path) -> None:
    assert shown(Path("/data")) == "data"
    assert shown(Path("/a/b/c/d.tsv")) == "b/c/d.tsv"
