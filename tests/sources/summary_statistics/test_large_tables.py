"""What makes large tables quick gives the same as the slow and obvious way: gzip, names, order, repeats."""

from __future__ import annotations

import gzip
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consilience.foundation.errors import DataError
from consilience.sources.summary_statistics import blocks
from consilience.sources.summary_statistics.columns import (
    Associations,
    gathered,
    in_order,
    table_of,
    without_repeats,
)
from consilience.sources.summary_statistics.findings import Findings
from consilience.sources.summary_statistics.tables import read_batches, read_header
from consilience.sources.summary_statistics.variants import name_hashes

TEXT = b"".join(b"rs%d\t%d\t\xc3\xa9\n" % (k, k * k) for k in range(300))
Row = tuple[str, int, int, float]


def members(text: bytes, *, each: int, padding: bytes = b"") -> bytes:
    parts = [text[start : start + each] for start in range(0, len(text), each)]
    return b"".join(gzip.compress(part, mtime=0) + padding for part in parts)


@pytest.mark.parametrize("packed_block", [1, 7, 64, 1 << 17])
@pytest.mark.parametrize("padding", [b"", b"\0", b"\0" * 100], ids=["none", "one", "hundred"])
@pytest.mark.parametrize("each", [53, 1000, 10**6])
def test_any_members_blocks_and_padding_give_the_text_that_gzip_gives(
    each: int, padding: bytes, packed_block: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blocks, "_PACKED_BLOCK", packed_block)
    path = tmp_path / "t.gz"
    path.write_bytes(members(TEXT, each=each, padding=padding))
    assert gzip.decompress(path.read_bytes()) == TEXT
    found = list(blocks.line_blocks(path, size=200))
    assert b"".join(block for _, block in found) == TEXT
    lines = np.cumsum([1, *(block.count(b"\n") for _, block in found)])
    assert [line for line, _ in found] == lines[:-1].tolist()
    assert all(block.endswith(b"\n") for _, block in found)


def test_a_gzip_file_cut_anywhere_or_with_something_behind_it_is_refused(tmp_path: Path) -> None:
    path, whole = tmp_path / "t.gz", members(TEXT, each=2000)
    ends = set(
        np.cumsum([len(gzip.compress(TEXT[k : k + 2000], mtime=0)) for k in range(0, len(TEXT), 2000)])
    )
    for cut in set(range(2, len(whole), 13)) - ends:
        path.write_bytes(whole[:cut])
        with pytest.raises(DataError, match=r"t\.gz.*damaged or cut"):
            list(blocks.line_blocks(path, size=500))
    path.write_bytes(whole + b"more")
    with pytest.raises(DataError, match="damaged or cut"):
        list(blocks.line_blocks(path, size=500))


@given(st.lists(st.text(st.sampled_from("rs019é\0:"), max_size=30), max_size=40), st.integers(0, 5))
def test_numbers_of_names_are_equal_where_names_are(names: list[str], skipped: int) -> None:
    found = name_hashes(pa.array(["front"] * skipped + names, pa.string()).slice(skipped))
    assert found.dtype == np.uint64
    for k, first in enumerate(names):
        same = [first == second for second in names]
        assert (found == found[k]).tolist() == same
    assert name_hashes(pa.array(names[::-1], pa.string())).tolist() == found[::-1].tolist()


def test_numbers_of_a_million_names_differ() -> None:
    names = pa.array([f"rs{k}" for k in range(500_000)] + [f"1:{k}:A:C" for k in range(500_000)])
    assert len(np.unique(name_hashes(names))) == 1_000_000


def associations(rows: list[Row]) -> Associations:
    name, chromosome, position, beta = (list(column) for column in zip(*rows, strict=True))
    ones = np.ones(len(rows))
    columns = dict.fromkeys(
        ("standard_error", "z", "p_value", "effect_allele_frequency", "n", "n_effective"), ones
    )
    values = {
        "rsid": pa.array(name, pa.string()), "chromosome": np.array(chromosome), "position": np.array(position),
        "beta": np.array(beta), "effect_allele": 0 * ones, "other_allele": ones,
    }  # fmt: skip
    half = len(rows) // 2
    whole = table_of("gwas", values | columns)
    return gathered("gwas", [whole.slice(0, half), whole.slice(half)], "given")


def frame(found: Associations) -> pd.DataFrame:
    return found.table.select(["rsid", "chromosome", "position", "beta"]).to_pandas().reset_index(drop=True)


ROWS = st.lists(
    st.tuples(
        st.sampled_from(["rs1", "rs2", "rs3", "rs10", "1:5:A:C", "a-name-longer-than-sixteen"]),
        st.integers(0, 2), st.integers(-1, 3), st.sampled_from([0.5, 1.0]),
    ), min_size=1, max_size=25,
)  # fmt: skip


@settings(deadline=None)
@given(ROWS)
def test_repeats_go_as_pandas_takes_them_out(rows: list[Row]) -> None:
    findings, before = Findings(), frame(associations(rows))
    found = without_repeats(associations(rows), findings, same="same", several="several")
    once = before.drop_duplicates()
    want = once.drop_duplicates("rsid", keep=False)
    pd.testing.assert_frame_equal(frame(found), want.reset_index(drop=True))
    assert found.keys.tolist() == name_hashes(pa.array(want["rsid"], pa.string())).tolist()
    assert findings.removed["same"] == len(before) - len(once)
    assert findings.removed["several"] == len(once) - len(want)


@settings(deadline=None)
@given(ROWS, st.booleans())
def test_order_is_that_of_sorted(rows: list[Row], ready: bool) -> None:
    if ready:
        rows = sorted(rows, key=lambda row: row[1:3])
    given_ = associations(rows)
    keys = given_.codes("chromosome").astype(np.int64), given_.position
    found, was_sorted = in_order(given_, keys)
    want = sorted(rows, key=lambda row: (row[1], row[2], row[0]))
    assert [row[:3] for row in frame(found).itertuples(index=False, name=None)] == [row[:3] for row in want]
    assert was_sorted == all(a[1:3] <= b[1:3] for a, b in pairwise(rows))
    assert found.keys.tolist() == name_hashes(pa.array([row[0] for row in want])).tolist()


def test_columns_of_few_words_read_the_same_from_text_and_parquet(tmp_path: Path) -> None:
    words = ["A", "", "C", "A", "NA"] * 3
    (tmp_path / "t.tsv").write_text("w\tx\n" + "".join(f"{word}\t{k}\n" for k, word in enumerate(words)))
    pa.parquet.write_table(pa.table({"w": words, "x": np.arange(15.0)}), tmp_path / "t.parquet")
    for name in ("t.tsv", "t.parquet"):
        header = read_header(tmp_path / name)
        assert header is not None
        for asked in ({"words": ("w",)}, {"words": (), "levels": ("w",)}):
            [rows] = read_batches(header, numbers=("x",), **asked)
            level, known = rows.levels("w")
            assert [known[k] for k in level] == words
            assert rows.words("w").tolist() == words
            kept = rows.only(np.arange(15) % 5 == 2)
            level, known = kept.levels("w")
            assert [known[k] for k in level] == ["C"] * 3
