"""10x folders: the same counts as a plain parser reads, joined to the right phenotypes, and no cut goes unseen."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from consilience.foundation.errors import DataError
from consilience.sources.cells.mtx import NotSortedError, mtx_blocks
from consilience.sources.cells.read import read_cells
from consilience.sources.raw_folder import raw_folder_of
from consilience.study.cohorts import Cohort

BANNER = "%%MatrixMarket matrix coordinate integer general\n"


def mtx_text(counts: Any, *, order: str = "cell") -> str:
    """`counts` (cells, genes) as a file of genes × cells."""
    cells, genes = np.nonzero(counts)
    if order == "gene":
        place = np.lexsort((cells, genes))
        cells, genes = cells[place], genes[place]
    lines = [f"{g + 1} {c + 1} {counts[c, g]}\n" for c, g in zip(cells, genes, strict=True)]
    return f"{BANNER}%comment\n{counts.shape[1]} {counts.shape[0]} {len(lines)}\n{''.join(lines)}"


def some_counts(n_cells: int = 30, n_genes: int = 12, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).poisson(0.5, (n_cells, n_genes)).astype(np.int64)


def put(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())


def write_sample(
    root: Path, name: str, counts: Any, *, genes: list[str] | None = None, ending: str = ".gz", old: bool = False,
    kinds: list[str] | None = None, order: str = "cell",
) -> None:  # fmt: skip
    genes = genes or [f"ENSG{k:011d}" for k in range(counts.shape[1])]
    kinds = kinds or ["Gene Expression"] * len(genes)
    rows = [
        f"{g}\tN{g[-3:]}\n" if old else f"{g}\tN{g[-3:]}\t{kind}\n"
        for g, kind in zip(genes, kinds, strict=True)
    ]
    put(root / name / f"matrix.mtx{ending}", mtx_text(counts, order=order))
    put(root / name / f"{'genes' if old else 'features'}.tsv{ending}", "".join(rows))
    put(root / name / f"barcodes.tsv{ending}", "".join(f"AC{k:04d}-1\n" for k in range(counts.shape[0])))


def write_table(root: Path, sizes: dict[str, int], extra: str = "") -> None:
    rows = [f"AC{k:04d}-1\t{name}\tD{name}\t001\n" for name, n in sizes.items() for k in range(n)]
    put(root / "cells.tsv.gz", "barcode\tsample\tdonor\tcode\n" + "".join(rows) + extra)


def read(root: Path, scratch: Path | None = None) -> Any:
    files = tuple(
        (path.relative_to(root).as_posix(), path) for path in sorted(root.rglob("*")) if path.is_file()
    )
    cohort = Cohort(name="c", kind="single_cell", source="local")
    return read_cells(raw_folder_of(root, files), cohort=cohort, scratch=scratch or root)


def as_array(matrix: Any, size: int = 7) -> np.ndarray:
    return sparse.vstack([block for _, block in matrix.blocks(size)]).toarray()


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize("ending", [".gz", ""])
def test_two_samples_with_their_phenotypes(tmp_path: Path, ending: str, old: bool) -> None:
    first, second = some_counts(30, seed=1), some_counts(20, seed=2)
    write_sample(tmp_path, "S1", first, ending=ending, old=old)
    write_sample(tmp_path, "S2", second, ending=ending, old=old)
    write_table(tmp_path, {"S2": 20, "S1": 30})
    matrix = read(tmp_path)
    assert np.array_equal(as_array(matrix), np.vstack([first, second]))
    assert matrix.samples.text() == ["S1"] * 30 + ["S2"] * 20
    assert matrix.columns["donor"].text() == ["DS1"] * 30 + ["DS2"] * 20
    assert matrix.columns["code"].levels == ("001",)
    assert matrix.genes[1] == "ENSG00000000001"
    assert matrix.gene_names[1] == "N001"
    assert not matrix.unannotated.any()


def test_the_binary_file_of_a_large_cohort_holds_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = some_counts(300, seed=1), some_counts(200, seed=2)
    raw, scratch = tmp_path / "raw", tmp_path / "scratch"
    scratch.mkdir()
    write_sample(raw, "S1", first)
    write_sample(raw, "S2", second, order="gene")
    monkeypatch.setattr("consilience.sources.cells.tenx.CACHED_ENTRIES", 0)
    monkeypatch.setattr("consilience.sources.cells.tenx.BLOCK_CELLS", 64)
    monkeypatch.setattr("consilience.sources.cells.lines.CHUNK", 97)
    matrix = read(raw, scratch)
    assert (scratch / "counts.h5").is_file()
    assert np.array_equal(as_array(matrix), np.vstack([first, second]))
    assert any("S2 were not sorted by cell" in note for note in matrix.notes)


@given(
    cells=st.integers(1, 12), genes=st.integers(1, 9), seed=st.integers(0, 9999), size=st.integers(1, 13),
    chunk=st.integers(20, 200),
)  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_any_matrix_block_and_chunk(cells: int, genes: int, seed: int, size: int, chunk: int) -> None:
    import tempfile
    from unittest import mock

    counts = some_counts(cells, genes, seed)
    with tempfile.TemporaryDirectory() as folder, mock.patch("consilience.sources.cells.lines.CHUNK", chunk):
        for name, order in (("a.mtx.gz", "cell"), ("b.mtx", "gene")):
            put(Path(folder) / name, mtx_text(counts, order=order))
            blocks = list(mtx_blocks(Path(folder) / name, size=size, in_any_order=order == "gene"))
            assert [start for start, _ in blocks] == list(range(0, cells, size))
            assert np.array_equal(np.vstack([block.toarray() for _, block in blocks]), counts)


def test_blank_lines_carriage_returns_tabs_and_zero_fractions_are_read(tmp_path: Path) -> None:
    text = BANNER.replace("integer", "real") + "2 3 3\r\n1 1 4.0\r\n\r\n2\t1\t1\n  1 3 2.000 \n"
    put(tmp_path / "a.mtx", text)
    ((_, block),) = mtx_blocks(tmp_path / "a.mtx", size=10)
    assert block.toarray().tolist() == [[4, 1], [0, 0], [2, 0]]


def test_members_put_together_are_one_file(tmp_path: Path) -> None:
    counts = some_counts()
    text = mtx_text(counts).encode()
    (tmp_path / "a.mtx.gz").write_bytes(
        b"".join(gzip.compress(text[k : k + 50]) for k in range(0, len(text), 50))
    )
    assert np.array_equal(
        np.vstack([b.toarray() for _, b in mtx_blocks(tmp_path / "a.mtx.gz", size=4)]), counts
    )


HEAD = BANNER + "5 4 3\n"
GOOD = "1 1 2\n2 2 3\n3 4 1\n"
BAD = [
    pytest.param(HEAD + GOOD[:-1], r"a.mtx:5: the last line has no line end", id="cut in the last number"),
    pytest.param(HEAD + "1 1 2\n2 2 3\n", r"a.mtx:2: has 2 entries but announces 3", id="cut between lines"),
    pytest.param(HEAD + GOOD + "4 4 1\n", r"has 4 entries but announces 3", id="too many"),
    pytest.param(
        HEAD + "1 1 2\n6 2 3\n3 4 1\n", r"a.mtx:4: an entry outside.*gene 6, cell 2", id="gene outside"
    ),
    pytest.param(HEAD + "1 1 2\n2 9 3\n3 4 1\n", r"a.mtx:4: an entry outside", id="cell outside"),
    pytest.param(HEAD + "1 1 2\n0 2 3\n3 4 1\n", r"a.mtx:4: an entry outside", id="zero-based"),
    pytest.param(
        HEAD + "1 1 2\n2 2 -3\n3 4 1\n", r"a.mtx:4: a count that is no whole number.*2 2 -3", id="negative"
    ),
    pytest.param(
        HEAD + "1 1 2\n2 2 3.5\n3 4 1\n", r"a.mtx:4: a count that is no whole number", id="fraction"
    ),
    pytest.param(HEAD + "1 1 2\n2 2\n3 4 1\n", r"a.mtx:4: not three fields", id="two fields"),
    pytest.param(HEAD + "1 1 2\n2 2 3 4\n3 4 1\n", r"a.mtx:4: not three fields", id="four fields"),
    pytest.param(HEAD + "1 1 2\n2 x 3\n3 4 1\n", r"a.mtx:4: a field that is no number", id="letter"),
    pytest.param(HEAD + "1 1 2\n2 2 99999999999\n3 4 1\n", r"a.mtx:4: a number beyond", id="too large"),
    pytest.param(HEAD + "1 1 2\n1 1 3\n3 4 1\n", r"same gene is given twice", id="twice"),
    pytest.param(BANNER, r"ends inside its header", id="no sizes"),
    pytest.param(BANNER + "5 4\n", r"a.mtx:2: the line of sizes is damaged", id="two sizes"),
    pytest.param(
        "%%MatrixMarket matrix array real general\n2 2\n", r"a.mtx:1: not a MatrixMarket coord", id="array"
    ),
    pytest.param(
        BANNER.replace("general", "symmetric") + "1 1 0\n", r"a.mtx:1: not a general", id="symmetric"
    ),
    pytest.param("", r"the file is empty", id="empty"),
    pytest.param("<html>not found</html>", r"web page", id="page"),
]


@pytest.mark.parametrize(("text", "message"), BAD)
def test_damage_is_refused_with_file_and_line(tmp_path: Path, text: str, message: str) -> None:
    put(tmp_path / "a.mtx", text)
    with pytest.raises(DataError, match=message):
        list(mtx_blocks(tmp_path / "a.mtx", size=10))


def test_an_unsorted_file_says_so(tmp_path: Path) -> None:
    put(tmp_path / "a.mtx", HEAD + "1 3 2\n2 2 3\n3 4 1\n")
    with pytest.raises(NotSortedError):
        list(mtx_blocks(tmp_path / "a.mtx", size=1))


@pytest.mark.parametrize("keep", [0, 1, 10, 30, 100, 0.5, 0.9, -9, -1])
def test_cut_gzip_is_refused(tmp_path: Path, keep: float) -> None:
    whole = gzip.compress(mtx_text(some_counts(200)).encode(), mtime=0)
    path = tmp_path / "a.mtx.gz"
    path.write_bytes(whole[: int(keep * len(whole)) if 0 < keep < 1 else int(keep)])
    with pytest.raises(DataError, match=r"a\.mtx\.gz"):
        list(mtx_blocks(path, size=10))


def test_lists_that_do_not_belong_to_the_matrix_are_refused(tmp_path: Path) -> None:
    write_sample(tmp_path, "S1", some_counts())
    put(tmp_path / "S1" / "features.tsv.gz", "ENSG00000000001\tA\tGene Expression\n" * 11)
    with pytest.raises(DataError, match=r"S1/features.tsv.gz: lists 11 genes but matrix.mtx.gz announces 12"):
        read(tmp_path)
    write_sample(tmp_path, "S1", some_counts())
    put(tmp_path / "S1" / "barcodes.tsv.gz", "AAA\n" * 30)
    with pytest.raises(DataError, match=r"barcodes.tsv.gz: a barcode is empty or given twice"):
        read(tmp_path)
    (tmp_path / "S1" / "barcodes.tsv.gz").unlink()
    with pytest.raises(DataError, match="'S1' has no barcodes file"):
        read(tmp_path)


def test_antibodies_are_left_out_and_only_common_genes_are_kept(tmp_path: Path) -> None:
    counts = some_counts(30, 12)
    ids = [f"ENSG{k:011d}" for k in range(12)]
    write_sample(tmp_path, "S1", counts, genes=ids, kinds=["Gene Expression"] * 10 + ["Antibody Capture"] * 2)
    write_sample(tmp_path, "S2", counts, genes=ids[::-1])
    matrix = read(tmp_path)
    assert matrix.genes == tuple(ids[:10])
    assert np.array_equal(as_array(matrix), np.vstack([counts[:, :10], counts[:, ::-1][:, :10]]))
    assert any("2 features that are no genes" in note for note in matrix.notes)
    assert any("2 genes are not listed in every sample" in note for note in matrix.notes)


def test_cells_and_rows_without_partner_are_listed(tmp_path: Path) -> None:
    write_sample(tmp_path, "S1", some_counts(30))
    write_table(tmp_path, {"S1": 27}, extra="ZZ-1\tS1\tDS1\t001\n")
    matrix = read(tmp_path)
    assert np.flatnonzero(matrix.unannotated).tolist() == [27, 28, 29]
    assert matrix.columns["donor"].text()[26:28] == ["DS1", ""]
    assert any("3 cells have no row in cells.tsv.gz" in n and "S1/AC0027-1" in n for n in matrix.notes)
    assert any("1 rows of cells.tsv.gz have no cell" in note for note in matrix.notes)


TABLES = [
    pytest.param("barcode\tsample\nAC0001-1\tS1\nAC0002-1\n", r"cells.tsv.gz:3: 1 cells under 2", id="ragged"),
    pytest.param("barcode\tsample\nAC0001-1\tS1\nAC0001-1\tS1\n", r"cells.tsv.gz:3: a barcode has two rows", id="twice"),
    pytest.param("barcode\tdonor\nAC0001-1\tS1\n", r"no column 'sample'", id="no sample column"),
    pytest.param("code\tdonor\nAC0001-1\tS1\n", r"neither a column 'barcode' nor", id="no key"),
    pytest.param("barcode\tsample\nAC0001\tS1\n", r"none of the 60 cells.*S1: AC0000-1", id="no match"),
    pytest.param("barcode\tsample\tsample\nAC0001-1\tS1\tS1\n", r":1: a column name is empty or given twice", id="twins"),
    pytest.param("barcode\tsample\nAC0001-1\tS1", r":2: the last line has no line end", id="cut"),
    pytest.param("", r"holds nothing|empty", id="empty"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "message"), TABLES)
def test_a_bad_table_of_cells_is_refused(tmp_path: Path, text: str, message: str) -> None:
    write_sample(tmp_path, "S1", some_counts())
    write_sample(tmp_path, "S2", some_counts())
    put(tmp_path / "cells.tsv.gz", text)
    with pytest.raises(DataError, match=message):
        read(tmp_path)


def test_a_table_of_samples_serves_all_their_cells(tmp_path: Path) -> None:
    write_sample(tmp_path, "GSM1_S1", some_counts(3))
    write_sample(tmp_path, "GSM2_S2", some_counts(2))
    put(tmp_path / "samples.tsv", "sample\tdonor\nGSM2_S2\tB\nGSM1_S1\tNA\n")
    assert read(tmp_path).columns["donor"].text() == ["NA"] * 3 + ["B"] * 2


def test_prefixed_files_in_one_folder_as_geo_serves_them(tmp_path: Path) -> None:
    counts = some_counts(3)
    write_sample(tmp_path, "x", counts)
    for path in list((tmp_path / "x").iterdir()):
        path.rename(tmp_path / f"GSM7_lung_{path.name}")
    matrix = read(tmp_path)
    assert matrix.samples.levels == ("GSM7_lung",)
    assert np.array_equal(as_array(matrix), counts)
