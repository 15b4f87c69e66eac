"""What is known of cells from tables beside their matrices and from their GEO series."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from consilience.sources.cells.annotation import is_annotation, rows_of_cells
from consilience.sources.cells.file_names import accession_of, is_unfiltered, sample_of
from consilience.sources.cells.matrix import Labels
from sources.cells.cell_files import (
    Truth,
    put,
    read,
    some_cells,
    write_h5ad,
    write_mtx,
    write_table,
    write_tenx_h5,
)

NAMES = [
    ("GSM123_name_filtered_feature_bc_matrix.h5", "GSM123_name"),
    ("GSM123_name_raw_gene_bc_matrices_h5.h5", "GSM123_name"),
    ("GSM123_x.h5ad", "GSM123_x"),
    ("GSM123_x.csv.gz", "GSM123_x"),
    ("GSM5_counts.txt.gz", "GSM5"),
    ("S1/outs/filtered_feature_bc_matrix.h5", "S1"),
    ("S1/filtered_gene_bc_matrices/GRCh38/matrix.mtx.gz", "S1"),
    ("matrix.mtx", "all"),
    ("GSM1_T_cells.dge.txt.gz", "GSM1_T_cells"),
    ("blood_raw_counts_matrix.tsv", "blood"),
]


@pytest.mark.parametrize(("name", "sample"), NAMES)
def test_the_sample_of_a_file(name: str, sample: str) -> None:
    assert sample_of(name) == sample


def test_names_that_say_something() -> None:
    assert accession_of("GSM123_x") == "GSM123"
    assert accession_of("x_GSM123") == ""
    assert is_unfiltered("S1/raw_feature_bc_matrix/matrix.mtx.gz")
    assert is_unfiltered("GSM1_raw_gene_bc_matrices_h5.h5")
    assert not is_unfiltered("GSM1_raw_counts.csv")
    assert is_annotation("GSE1_cell_metadata.csv.gz")
    assert is_annotation("GSE1_annotation.txt")
    assert not is_annotation("GSE1_counts.csv.gz")


STYLES = [
    pytest.param(lambda s, b: b, id="plain"),
    pytest.param(lambda s, b: b.removesuffix("-1"), id="without well"),
    pytest.param(lambda s, b: f"{s}_{b}", id="sample before"),
    pytest.param(lambda s, b: f"{b}_{s}", id="sample behind"),
    pytest.param(lambda s, b: f"{s.partition('_')[2]}:{b.removesuffix('-1')}", id="without accession"),
    pytest.param(lambda s, b: f"{s.partition('_')[0]}.{b}", id="accession"),
]


@pytest.mark.parametrize("style", STYLES)
def test_barcodes_as_authors_write_them(style) -> None:
    one, other = some_cells(40, 1), some_cells(40, 2)
    other = Truth(other.counts, one.barcodes[:5] + other.barcodes[5:])
    told = [("GSM1_ctrl", code) for code in one.barcodes] + [("GSM2_stim", code) for code in other.barcodes]
    barcodes = np.array([code.encode() for _, code in told])
    samples = Labels.from_text([sample for sample, _ in told])
    order = np.random.default_rng(0).permutation(80)
    values = np.array([style(*told[k]).encode() for k in order])
    rows = rows_of_cells(values, barcodes=barcodes, samples=samples)
    told_apart = np.argsort(order)
    if style("s", "b") == "b":  # barcodes alone cannot tell cells of two samples apart
        assert (rows == -1).all()
    else:
        assert np.array_equal(rows, told_apart)
    one_sample = rows_of_cells(
        values[order < 40], barcodes=barcodes[:40], samples=samples.take(np.arange(40))
    )
    first = np.flatnonzero(order < 40)
    expected = np.array([int(np.flatnonzero(order[first] == cell)[0]) for cell in range(40)])
    assert np.array_equal(one_sample, expected)


def metadata(path: Path, truth: Truth, n: int, *, style=lambda code: code, separator: str = ",") -> None:
    rows = [
        f"{style(code)}{separator}D{k % 2}{separator}T{k % 4}" for k, code in enumerate(truth.barcodes[:n])
    ]
    put(path, separator.join(["", "donor", "cell_type"]) + "\n" + "\n".join(rows) + "\n")


@pytest.mark.parametrize("write", ["mtx", "h5", "csv", "h5ad"])
def test_a_table_of_cells_is_recognised_by_its_barcodes(tmp_path: Path, write: str) -> None:
    truth, raw = some_cells(), tmp_path / "raw"
    raw.mkdir()
    if write == "mtx":
        write_mtx(raw, truth, "GSM1_x_")
    elif write == "h5":
        write_tenx_h5(raw / "GSM1_x.h5", truth)
    elif write == "h5ad":
        write_h5ad(raw / "GSM1_x.h5ad", truth)
    else:
        write_table(raw / "GSM1_x.csv.gz", truth, genes_in_rows=True)
    metadata(raw / "GSE1_cell_metadata.csv.gz", truth, 27)
    matrix = read(raw)
    assert matrix.columns["cell_type"].text() == [f"T{k % 4}" for k in range(27)] + [""] * 3
    assert matrix.columns["donor"].text()[:4] == ["D0", "D1", "D0", "D1"]
    assert matrix.unannotated is not None
    assert np.flatnonzero(matrix.unannotated).tolist() == [27, 28, 29]
    assert any("describes 27 of 30 cells: 100% of its column 'row'" in note for note in matrix.notes)


def test_tables_of_single_samples_are_put_together(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    raw.mkdir()
    parts = [some_cells(20, 1), some_cells(15, 2)]
    for k, truth in enumerate(parts, 1):
        write_mtx(raw, truth, f"GSM{k}_s_")
        metadata(raw / f"GSM{k}_s_annotation.tsv", truth, len(truth.barcodes), separator="\t")
    matrix = read(raw)
    assert matrix.columns["cell_type"].text() == [f"T{k % 4}" for k in range(20)] + [
        f"T{k % 4}" for k in range(15)
    ]
    assert matrix.unannotated is not None
    assert not matrix.unannotated.any()


def test_a_table_of_something_else_is_left_out_and_named(tmp_path: Path) -> None:
    truth, raw = some_cells(), tmp_path / "raw"
    raw.mkdir()
    write_mtx(raw, truth, "GSM1_x_")
    put(raw / "GSE1_clusters.csv", "cluster,size\n1,20\n2,10\n")
    matrix = read(raw)
    assert set(matrix.columns) == {"sample"}
    assert any("GSE1_clusters.csv was left out: only 0%" in note for note in matrix.notes)


SERIES = """!Series_title\t"t"
!Series_geo_accession\t"GSE1"
!Sample_title\t"one"\t"two"
!Sample_geo_accession\t"GSM1"\t"GSM2"
!Sample_characteristics_ch1\t"disease: RA"\t"disease: OA"
!Sample_characteristics_ch1\t"age: 61"\t"age: 55"
!series_matrix_table_begin
"ID_REF"\t"GSM1"\t"GSM2"
!series_matrix_table_end
"""


def test_phenotypes_of_the_series_go_to_the_cells_of_its_samples(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    raw.mkdir()
    for name, seed in (("GSM2_b", 1), ("GSM1_a", 2), ("other", 3)):
        write_mtx(raw, some_cells(4, seed), f"{name}_")
    put(raw / "GSE1_series_matrix.txt.gz", SERIES)
    matrix = read(raw)
    assert matrix.columns["disease"].text() == ["RA"] * 4 + ["OA"] * 4 + [""] * 4
    assert matrix.columns["sample"].text()[::4] == ["GSM1_a", "GSM2_b", "other"]
    assert any("phenotypes of 2 samples are from the series GSE1" in note for note in matrix.notes)
    assert any("no accession of GSE1 have no phenotype from GEO: other" in note for note in matrix.notes)


def test_a_table_of_samples_by_accession(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    raw.mkdir()
    for name in ("GSM2_b", "GSM1_a"):
        write_tenx_h5(raw / f"{name}.h5", some_cells(4))
    put(raw / "samples.tsv", "sample\tdonor\nGSM1\tA\nGSM2\tB\n")
    assert read(raw).columns["donor"].text() == ["A"] * 4 + ["B"] * 4


def test_primary_data_and_assays_of_cellxgene_are_noted(tmp_path: Path) -> None:
    import anndata
    import pandas as pd

    truth = some_cells()
    obs = pd.DataFrame({
        "donor_id": pd.Categorical(truth.donors), "is_primary_data": np.arange(30) % 3 != 0,
        "assay": pd.Categorical(["10x 3' v3", "10x 5' v1"] * 15),
    }, index=list(truth.barcodes))  # fmt: skip
    var = pd.DataFrame(
        {
            "feature_name": pd.Categorical(truth.genes),
            "feature_is_filtered": [False] * 20,
            "feature_biotype": "gene",
        },
        index=[f"ENSG{k:011d}" for k in range(20)],
    )
    data = anndata.AnnData(truth.counts.astype(np.float32), obs=obs, var=var)
    data.raw = data.copy()
    data.X = data.X.log1p()
    (tmp_path / "raw").mkdir()
    data.write_h5ad(tmp_path / "raw" / "a.h5ad")
    matrix = read(tmp_path / "raw")
    assert matrix.genes[3] == "ENSG00000000003"
    assert matrix.gene_names == truth.genes
    notes = " | ".join(matrix.notes)
    assert "counts are read from raw/X" in notes
    assert "10 of 30 cells are not primary data" in notes
    assert "cells of 2 kinds of assay" in notes
    assert matrix.columns["is_primary_data"].compact().levels == ("False", "True")
