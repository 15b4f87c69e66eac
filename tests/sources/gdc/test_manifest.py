"""Manifests: ours read back, gdc-client's read too, and every mistake in one told at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from consilience.foundation.errors import DataError
from consilience.sources.gdc.manifest import CLIENT_COLUMNS, OUR_COLUMNS, manifest_text, read_manifest
from fake_gdc import RELEASE, kich

HEADER = "id\tfilename\tmd5\tsize\tstate"
ROW = "0869efb9-b167-45af-8b2c-67433e39baad\tx.rna_seq.augmented_star_gene_counts.tsv\t1362b5ced69dd2236a7d183880851851\t4219837\treleased"


def write(folder: Path, *rows: str, header: str = HEADER) -> Path:
    path = folder / "gdc_manifest.txt"
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def test_a_manifest_reads_back_as_it_was_written(tmp_path: Path) -> None:
    hits = [hit for hit, _ in kich(4)]
    path = tmp_path / "m.tsv"
    path.write_text(manifest_text(hits, release=RELEASE))
    entries = read_manifest(path)
    assert [(one.id, one.filename, one.md5, one.size) for one in entries] == [
        (hit["file_id"], hit["file_name"], hit["md5sum"], hit["file_size"]) for hit in hits
    ]
    assert entries[1].sample == "TCGA-KL-0001-11A"
    assert entries[1].aliquot == "TCGA-KL-0001-11A-11R-2315-07"
    assert entries[1].case == "TCGA-KL-0001"
    assert path.read_text().split("\n")[0].split("\t") == [*CLIENT_COLUMNS, *OUR_COLUMNS]


def test_a_value_with_tabs_or_line_ends_cannot_break_the_table(tmp_path: Path) -> None:
    hit = dict(kich(1)[0][0], state="re\tleased\nx")
    path = tmp_path / "m.tsv"
    path.write_text(manifest_text([hit], release=RELEASE))
    assert read_manifest(path)[0].state == "re leased x"


def test_a_manifest_of_gdc_client_has_five_columns(tmp_path: Path) -> None:
    (entry,) = read_manifest(write(tmp_path, ROW))
    assert (entry.size, entry.state, entry.sample, entry.release) == (4219837, "released", "", "")


def test_windows_line_ends_and_a_byte_order_mark_are_accepted(tmp_path: Path) -> None:
    path = tmp_path / "m.txt"
    path.write_bytes(b"\xef\xbb\xbf" + f"{HEADER}\r\n{ROW}\r\n".encode())
    assert len(read_manifest(path)) == 1


def test_all_mistakes_are_told_at_once(tmp_path: Path) -> None:
    cells = ROW.split("\t")

    def changed(column: int, value: str) -> str:
        return "\t".join([*cells[:column], value, *cells[column + 1 :]])

    rows = [
        changed(0, "../../etc"),
        changed(1, "../x"),
        changed(2, "12"),
        changed(3, "4,219"),
        "one\ttwo",
        ROW,
    ]
    with pytest.raises(DataError, match="5 problems") as caught:
        read_manifest(write(tmp_path, *rows))
    for words in (":2:id", ":3:filename", ":4:md5", ":5:size", ":6: 2 cells under 5 column names"):
        assert words in str(caught.value)


def test_a_file_that_is_listed_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"already listed \(as entry 1\)"):
        read_manifest(write(tmp_path, ROW, ROW))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"<!doctype html><html></html>", "web page"),
        (b"", "empty"),
        (b"id,filename,md5,size,state\na,b,c,1,x\n", "not a manifest of the GDC"),
        (b"File ID\tFile Name\nx\ty\n", "not a manifest of the GDC"),
        (HEADER.encode() + b"\n", "lists no files"),
        (b"\x89\xff\xfe", "not UTF-8"),
    ],
)
def test_what_is_no_manifest_is_refused(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "m.txt"
    path.write_bytes(content)
    with pytest.raises(DataError, match=words):
        read_manifest(path)
