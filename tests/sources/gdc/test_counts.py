"""The quick reader of STAR tables against the slow and obvious one, on whole and on damaged files."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consilience.foundation.errors import DataError
from consilience.foundation.seeds import stream
from consilience.sources.gdc.counts import CountFile, join_counts
from consilience.sources.gdc.star_counts import parse_star_counts
from consilience.sources.gdc.star_kernels import COMPLETE, parse_counts
from fake_gdc import GENES, HEADER, UNASSIGNED, star_text

EXPECTED = np.frombuffer("".join(f"{one}\n" for one in (*UNASSIGNED, *GENES)).encode(), dtype=np.uint8)


def files(folder: Path, *texts: str | bytes) -> list[CountFile]:
    paths = [folder / f"f{k}.rna_seq.augmented_star_gene_counts.tsv" for k in range(len(texts))]
    for path, text in zip(paths, texts, strict=True):
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return [CountFile(path) for path in paths]


def quick(text: bytes) -> tuple[int, list[int]]:
    """Code and counts of the kernel on the rows below the header."""
    start = text.index(b"\n", text.index(b"gene_id")) + 1
    counts = np.zeros(len(UNASSIGNED) + len(GENES), dtype=np.int64)
    code = parse_counts(
        np.frombuffer(text, dtype=np.uint8), start, len(HEADER.split("\t")), 0, 3, EXPECTED, counts
    )
    return code, counts.tolist()


def test_many_files_are_what_csv_reads_from_each(tmp_path: Path) -> None:
    rng = stream(3, "files")
    texts = [
        star_text(rng.integers(0, 10**6, 3).tolist(), unassigned=rng.integers(0, 99, 4).tolist())
        for _ in range(7)
    ]
    joined = join_counts(files(tmp_path, *texts))
    for row, text in enumerate(texts):
        table = list(csv.DictReader(io.StringIO(text.split("\n", 1)[1]), delimiter="\t"))
        genes = {
            one["gene_id"]: int(one["unstranded"]) for one in table if not one["gene_id"].startswith("N_")
        }
        assert dict(zip(joined.genes, joined.values[row].tolist(), strict=True)) == genes
        kinds = {one["gene_id"]: int(one["unstranded"]) for one in table if one["gene_id"].startswith("N_")}
        assert {kind: int(values[row]) for kind, values in joined.unassigned.items()} == kinds
    assert joined.values.dtype == np.int32


@given(st.lists(st.integers(0, 10**12), min_size=7, max_size=7))
def test_the_kernel_reads_what_was_written(numbers: list[int]) -> None:
    text = star_text(numbers[4:], unassigned=numbers[:4]).encode()
    assert quick(text) == (COMPLETE, numbers)


@given(st.integers(0, 10_000), st.integers(0, 255), st.booleans())
def test_one_changed_byte_or_a_cut_never_reads_other_than_the_slow_reader(
    place: int, byte: int, cut: bool
) -> None:
    whole = star_text((600, 20, 1)).encode()
    body = whole.index(b"\n", whole.index(b"gene_id")) + 1
    place = body + place % (len(whole) - body)
    text = whole[:place] if cut else whole[:place] + bytes([byte]) + whole[place + 1 :]
    code, counts = quick(text)
    try:
        slow = parse_star_counts(text, Path("f.tsv"))
    except DataError:
        assert code != COMPLETE, (place, byte)
    else:
        if code == COMPLETE:
            assert slow.ids == (*UNASSIGNED, *GENES)
            assert slow.counts.tolist() == counts
        elif slow.ids == (*UNASSIGNED, *GENES):
            # the quick reader may be stricter (it hands such a file on), never looser
            assert any(value > 126 or value < 32 for value in text[body:] if value not in b"\t\n")


def test_other_line_ends_comments_and_column_orders_give_the_same_counts(tmp_path: Path) -> None:
    plain = star_text((600, 200, 5))
    windows = plain.replace("\n", "\r\n")
    rows = [line.split("\t") for line in plain.split("\n")[1:-1]]
    turned = "\n".join("\t".join(row[::-1]) for row in rows) + "\n"
    commented = "# another\n# comment\n" + plain
    joined = join_counts(files(tmp_path, plain, windows, turned, commented, b"\xef\xbb\xbf" + plain.encode()))
    assert joined.values.tolist() == [[600, 200, 5]] * 5
    assert joined.unassigned["N_multimapping"].tolist() == [50] * 5


def test_the_first_file_may_be_the_odd_one(tmp_path: Path) -> None:
    plain = star_text((600, 200, 5))
    joined = join_counts(files(tmp_path, plain.replace("\n", "\r\n"), plain))
    assert joined.values.tolist() == [[600, 200, 5]] * 2


def test_reads_in_no_gene_may_stand_in_another_order(tmp_path: Path) -> None:
    lines = star_text((1, 2, 3)).split("\n")
    other = "\n".join([*lines[:2], *lines[6:9], *lines[2:6][::-1], ""])
    joined = join_counts(files(tmp_path, star_text((1, 2, 3)), other))
    assert joined.values.tolist() == [[1, 2, 3]] * 2
    assert joined.unassigned["N_unmapped"].tolist() == [100, 100]


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("\t600\t", "\t6e2\t", ":7:unstranded"),
        ("\t600\t", "\t\t", ":7:unstranded"),
        ("\t600\t", "\t" + "9" * 18 + "\t", ":7:unstranded"),
        ("\t1.5\n", "\n", ":7: 8 cells under 9"),
        (GENES[1] + "\t", "ENSG00000000001.1\t", "gene 2 differs"),
    ],
)
def test_an_odd_second_file_is_refused_with_its_line(tmp_path: Path, old: str, new: str, words: str) -> None:
    good, bad = star_text((600, 200, 5)), star_text((600, 200, 5)).replace(old, new, 1)
    with pytest.raises(DataError) as caught:
        join_counts(files(tmp_path, good, bad))
    assert words in str(caught.value)
    assert "f1.rna_seq" in str(caught.value)


def test_all_damaged_files_are_told_at_once(tmp_path: Path) -> None:
    found = files(tmp_path, *[star_text((k, 2, 3)) for k in range(4)])
    listed = [CountFile(found[0].path, 1, ""), CountFile(found[1].path, None, "0" * 32), *found[2:],
              CountFile(tmp_path / "gone.tsv")]  # fmt: skip
    with pytest.raises(DataError, match="3 problems") as caught:
        join_counts(listed)
    for words in ("f0.rna_seq", "the GDC says 1", "f1.rna_seq", "its md5 is not", "gone.tsv"):
        assert words in str(caught.value)


def test_no_files_are_refused() -> None:
    with pytest.raises(DataError, match="no count files"):
        join_counts([])
