"""One cohort of cells in every format: the same counts, genes, barcodes and phenotypes come out."""

from __future__ import annotations

import tempfile
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from consilience.foundation.errors import DataError
from sources.cells.cell_files import (
    ONE_FILE,
    SYMBOLS,
    WITH_DONOR,
    Truth,
    counts_of,
    put,
    read,
    same,
    some_cells,
    strings,
    write_h5ad,
    write_loom,
    write_mtx,
    write_table,
    write_tenx_h5,
)


@pytest.mark.parametrize("name", ONE_FILE)
def test_every_format_tells_the_same(tmp_path: Path, name: str) -> None:
    truth = some_cells()
    (tmp_path / "raw").mkdir()
    ONE_FILE[name](tmp_path / "raw", truth)
    matrix = read(tmp_path / "raw")
    assert matrix.genes == truth.genes
    assert tuple(code.decode() for code in matrix.barcodes) == truth.barcodes
    assert same(counts_of(matrix), truth.counts)
    assert same(counts_of(matrix, size=1000), truth.counts)
    if name in WITH_DONOR:
        assert matrix.columns["donor"].text() == truth.donors


@given(st.sampled_from(sorted(ONE_FILE)), st.integers(1, 9), st.integers(0, 99), st.integers(1, 11))
@settings(max_examples=60)
def test_any_small_matrix_in_any_format(name: str, n_cells: int, seed: int, size: int) -> None:
    truth = some_cells(n_cells, seed)
    with tempfile.TemporaryDirectory() as folder:
        raw = Path(folder) / "raw"
        raw.mkdir()
        ONE_FILE[name](raw, truth)
        assert same(counts_of(read(raw), size), truth.counts)


def test_wanted_blocks_of_all_views_are_those_of_the_whole(tmp_path: Path) -> None:
    parts = [some_cells(30, 1), some_cells(11, 2), some_cells(25, 3)]
    raw = tmp_path / "raw"
    raw.mkdir()
    for k, truth in enumerate(parts):
        write_tenx_h5(raw / f"GSM{k}_s_filtered_feature_bc_matrix.h5", truth, extra=1)
    matrix = read(raw)
    assert matrix.samples is not None
    assert matrix.samples.levels == ("GSM0_s", "GSM1_s", "GSM2_s")
    assert matrix.n_cells == 66
    whole = sparse.vstack([truth.counts for truth in parts], format="csr")
    wanted = np.zeros(66, dtype=bool)
    wanted[[3, 35, 60]] = True
    seen = set()
    for start, block in matrix.blocks(8, wanted):
        assert wanted[start : start + block.shape[0]].any()
        assert same(block, whole[start : start + block.shape[0]])
        seen |= set(range(start, start + block.shape[0]))
    assert {3, 35, 60} <= seen


@pytest.mark.parametrize("kind", ["h5", "h5ad", "loom", "csv", "mtx"])
def test_one_file_a_sample_with_different_genes(tmp_path: Path, kind: str) -> None:
    first, second = some_cells(12, 1), some_cells(9, 2)
    fewer = Truth(second.counts[:, ::-1][:, :15].tocsr(), second.barcodes, second.genes[::-1][:15])
    raw = tmp_path / "raw"
    raw.mkdir()
    for name, truth in (("GSM10_ctrl", first), ("GSM9_stim", fewer)):
        if kind == "h5":
            write_tenx_h5(raw / f"{name}.h5", truth)
        elif kind == "h5ad":
            write_h5ad(raw / f"{name}.h5ad", truth)
        elif kind == "loom":
            write_loom(raw / f"{name}.loom", truth)
        elif kind == "csv":
            write_table(raw / f"{name}.csv.gz", truth, genes_in_rows=True)
        else:
            write_mtx(raw, truth, f"{name}_")
    matrix = read(raw)
    common = [gene for gene in SYMBOLS if gene in fewer.genes]
    assert matrix.genes == tuple(common)
    expected = np.vstack([
        first.counts.toarray()[:, [first.genes.index(gene) for gene in common]],
        fewer.counts.toarray()[:, [fewer.genes.index(gene) for gene in common]],
    ])  # fmt: skip
    assert np.array_equal(counts_of(matrix).toarray(), expected)
    assert matrix.samples is not None
    assert matrix.samples.text() == ["GSM10_ctrl"] * 12 + ["GSM9_stim"] * 9
    assert any("5 genes are not listed in every sample" in note for note in matrix.notes)
    if kind in {"h5ad", "loom"}:
        assert matrix.columns["donor"].text() == first.donors + fewer.donors


def test_human_genes_of_a_mixed_reference(tmp_path: Path) -> None:
    truth = some_cells()
    mixed = Truth(
        sparse.hstack([truth.counts, truth.counts], format="csr"), truth.barcodes,
        tuple(f"GRCh38_{gene}" for gene in SYMBOLS) + tuple(f"mm10___{gene.title()}" for gene in SYMBOLS),
    )  # fmt: skip
    (tmp_path / "raw").mkdir()
    write_tenx_h5(tmp_path / "raw" / "a.h5", mixed)
    with h5py.File(tmp_path / "raw" / "a.h5", "r+") as file:
        del file["matrix/features/genome"]
        file["matrix/features/genome"] = np.array([b"GRCh38"] * 20 + [b"mm10"] * 20)
    matrix = read(tmp_path / "raw")
    assert matrix.genes == SYMBOLS
    assert same(counts_of(matrix), truth.counts)
    assert any("other genomes were left out: mm10 (20)" in note for note in matrix.notes)


def test_two_genomes_of_cell_ranger_2(tmp_path: Path) -> None:
    truth, mouse = some_cells(20, 1), some_cells(30, 2)
    (tmp_path / "raw").mkdir()
    write_tenx_h5(tmp_path / "raw" / "a.h5", truth, version=2, genome="GRCh38")
    write_tenx_h5(tmp_path / "m.h5", mouse, version=2, genome="mm10")
    with h5py.File(tmp_path / "raw" / "a.h5", "r+") as file, h5py.File(tmp_path / "m.h5") as other:
        other.copy("mm10", file)
    matrix = read(tmp_path / "raw")
    assert same(counts_of(matrix), truth.counts)
    assert any("mm10 (30 barcodes)" in note for note in matrix.notes)
    with h5py.File(tmp_path / "raw" / "a.h5", "r+") as file:
        file.move("GRCh38", "rn6")
    with pytest.raises(DataError, match=r"no group of human counts.*mm10.*GRCh38"):
        read(tmp_path / "raw")


def test_wells_of_an_aggregated_run_are_a_column(tmp_path: Path) -> None:
    truth = some_cells(12)
    wells = Truth(truth.counts, tuple(f"{c[:-1]}{1 + k % 3}" for k, c in enumerate(truth.barcodes)))
    (tmp_path / "raw").mkdir()
    write_tenx_h5(tmp_path / "raw" / "a.h5", wells)
    assert read(tmp_path / "raw").columns["gem_well"].text() == [str(1 + k % 3) for k in range(12)]


def test_unfiltered_twins_are_left_out(tmp_path: Path) -> None:
    truth = some_cells()
    for name in ("filtered", "raw"):
        write_mtx(tmp_path / "raw" / "S1" / "outs" / f"{name}_feature_bc_matrix", truth)
    matrix = read(tmp_path / "raw")
    assert matrix.samples is not None
    assert matrix.samples.levels == ("S1",)
    assert any("unfiltered files" in note and "raw_feature_bc_matrix" in note for note in matrix.notes)


def test_velocyto_is_named_and_its_matrix_read(tmp_path: Path) -> None:
    truth = some_cells()
    (tmp_path / "raw").mkdir()
    path = write_loom(tmp_path / "raw" / "a.loom", truth, dtype="f4")
    with h5py.File(path, "r+") as file:
        for layer in ("spliced", "unspliced", "ambiguous"):
            file[f"layers/{layer}"] = file["matrix"][()]
        del file["row_attrs/Gene"]
        strings(file["row_attrs"], "Gene", SYMBOLS)
        strings(file["row_attrs"], "Accession", [f"ENSG{k:011d}" for k in range(20)])
    matrix = read(tmp_path / "raw")
    assert same(counts_of(matrix), truth.counts)
    assert matrix.genes[1] == "ENSG00000000001"
    assert matrix.gene_names[1] == "GAPDH"
    assert any("sum of spliced, unspliced and ambiguous" in note for note in matrix.notes)


def test_a_loom_with_wide_chunks_is_turned_round(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("consilience.sources.cells.loom.DENSE_BYTES", 200)
    truth = some_cells(40)
    (tmp_path / "raw").mkdir()
    write_loom(tmp_path / "raw" / "a.loom", truth, chunks=(1, 40))
    matrix = read(tmp_path / "raw")
    assert type(matrix.counts).__name__ == "SparseRows"
    assert same(counts_of(matrix), truth.counts)


@pytest.mark.parametrize("name", ["loom", "h5ad_dense_X", "old_h5ad_dense_raw.X"])
def test_large_dense_counts_are_kept_without_their_zeros(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr("consilience.sources.cells.read.CACHED_ENTRIES", 0)
    truth = some_cells(40)
    (tmp_path / "raw").mkdir()
    ONE_FILE[name](tmp_path / "raw", truth)
    matrix = read(tmp_path / "raw")
    assert matrix.counts.n_entries == truth.counts.nnz
    assert same(counts_of(matrix), truth.counts)


def test_a_large_table_goes_through_the_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("consilience.sources.cells.dense_table.SMALL_FILE", 0)
    monkeypatch.setattr("consilience.sources.cells.dense_table.BLOCK_ENTRIES", 9)
    monkeypatch.setattr("consilience.sources.cells.h5_counts.CACHED_ENTRIES", 0)
    monkeypatch.setattr("consilience.sources.cells.lines.CHUNK", 50)
    truth = some_cells(60)
    for k, genes_in_rows in enumerate((True, False)):
        raw = tmp_path / f"raw{k}"
        raw.mkdir()
        write_table(raw / "a.csv.gz", truth, genes_in_rows=genes_in_rows)
        matrix = read(raw, tmp_path / f"scratch{k}")
        assert same(counts_of(matrix), truth.counts)
        lies = "genes × cells" if genes_in_rows else "cells × genes"
        assert any(lies in note for note in matrix.notes)


def test_counts_written_in_other_ways(tmp_path: Path) -> None:
    (tmp_path / "raw").mkdir()
    text = '# made by hand\n"gene_id","gene_name","c1","c2"\n"ENSG00000075624","ACTB",1e+05,"2"\r\n\n'
    put(tmp_path / "raw" / "a.csv", text + '"ENSG00000111640","GAPDH",3.0,0\n')
    matrix = read(tmp_path / "raw")
    assert matrix.genes == ("ENSG00000075624", "ENSG00000111640")
    assert matrix.gene_names == ("ACTB", "GAPDH")
    assert counts_of(matrix).toarray().tolist() == [[100000, 3], [2, 0]]


HEAD = "gene,AC-1,AG-1\n"
BAD_TABLES = [
    pytest.param(HEAD + "ACTB,1,2\nGAPDH,1.5,2\n", r"a.csv:3: not raw counts: cell 'AC-1', gene 'GAPDH'.*1.5", id="fraction"),
    pytest.param(HEAD + "ACTB,1,-2\n", r"a.csv:2: not raw counts: cell 'AG-1', gene 'ACTB'.*-2", id="negative"),
    pytest.param(HEAD + "ACTB,1,NA\n", r"a.csv:2: not raw counts.*missing", id="missing"),
    pytest.param(HEAD + "ACTB,1,x\n", r"a.csv:2: a field that is no number.*'AG-1'", id="word"),
    pytest.param(HEAD + "ACTB,1,2\nGAPDH,1\n", r"a.csv:3: 2 cells under 3 columns", id="short"),
    pytest.param(HEAD + "ACTB,1,2\nGAPDH,1,2,3\n", r"a.csv:3: 4 cells under 3 columns", id="long"),
    pytest.param(HEAD + "ACTB,1,2\nGAPDH,1,2", r"a.csv:3: the last line has no line end", id="cut"),
    pytest.param(HEAD + "ACTB,1,99999999999\n", r"a.csv:2: not raw counts", id="large"),
    pytest.param(HEAD, r"has no rows of counts", id="header only"),
    pytest.param("gene,c1,c2\nActb,1,2\nGapdh,3,4\n", r"neither the rows nor the columns.*rows Actb, Gapdh", id="mouse"),
    pytest.param("a,b,c,d,e\nACTB,1,2\n", r"3 cells under 5 column names", id="ragged header"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "message"), BAD_TABLES)
def test_a_bad_table_is_refused_by_place(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "raw").mkdir()
    put(tmp_path / "raw" / "a.csv", text)
    with pytest.raises(DataError, match=message):
        read(tmp_path / "raw")


def test_several_formats_and_two_files_for_a_sample_are_refused(tmp_path: Path) -> None:
    truth, raw = some_cells(), tmp_path / "raw"
    write_mtx(raw / "S1", truth)
    write_tenx_h5(raw / "S1.h5", truth)
    with pytest.raises(DataError, match=r"cells in several formats.*S1\.h5.*'files'"):
        read(raw)
    write_tenx_h5(tmp_path / "x.h5", truth)
    (tmp_path / "two" / "a").mkdir(parents=True)
    (tmp_path / "two" / "b").mkdir()
    for folder in ("a", "b"):
        write_tenx_h5(tmp_path / "two" / folder / "S1.h5", truth)
    with pytest.raises(DataError, match=r"two files for sample 'S1'"):
        read(tmp_path / "two")


def test_damaged_10x_parts_are_refused(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    raw.mkdir()
    for name in ("barcodes", "indptr", "indices", "data"):
        write_tenx_h5(raw / "a.h5", some_cells())
        with h5py.File(raw / "a.h5", "r+") as file:
            values = file[f"matrix/{name}"][:-1]
            del file[f"matrix/{name}"]
            file[f"matrix/{name}"] = values
        with pytest.raises(DataError, match=r"a\.h5.*damaged"):
            read(raw)


def test_a_table_of_results_is_no_cells(tmp_path: Path) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    (tmp_path / "raw").mkdir()
    parquet.write_table(pa.table({"perturbation": ["A"], "rank": [1]}), tmp_path / "raw" / "ranks.parquet")
    with pytest.raises(
        DataError, match=r"ranks.parquet: is a table, not counts.*1 rows of perturbation, rank"
    ):
        read(tmp_path / "raw")
