"""Ready TWMR inputs: both layouts, the column of NA, and the three tables that are made of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from consilience.foundation.errors import DataError
from consilience.sources.summary_statistics.twmr import read_twmr, read_twmr_folder
from served_associations import GWAS_LAYOUTS, prepared, study

A, B, C = (f"ENSG{k:011d}" for k in (1, 2, 3))
FILES = {
    f"{A}.matrix": f"GENES {A} {B} BETA_GWAS\nrs1 0.1 0 0.01\nrs2 0 -0.2 -0.02\nrs3 0.3 0.05 0.005\n".encode(),
    f"{A}.ld": b"1 0.1 -0.2\n0.1 1 0.3\n-0.2 0.3 1\n",
    f"{C}.matrix": f"SNPS\t{C}\t{B}\tGWAS\nrs2\t0.15\t-0.2\t-0.02\nrs4\t-0.1\t0\t0.03\n".encode(),
    f"{C}.ld": b"1 0.25 NA\n0.25 1 NA",
}
PEOPLE = {"n_gwas": 10_000.0, "n_eqtl": 400.0}


def write(folder: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


def test_both_layouts_and_the_column_of_na(tmp_path: Path) -> None:
    first, second = read_twmr_folder(write(tmp_path, FILES))
    assert (first.gene, first.genes, first.rsid) == (A, (A, B), ("rs1", "rs2", "rs3"))
    assert first.effects.tolist() == [[0.1, 0], [0, -0.2], [0.3, 0.05]]
    assert first.gwas.tolist() == [0.01, -0.02, 0.005]
    assert first.ld.tolist() == [[1, 0.1, -0.2], [0.1, 1, 0.3], [-0.2, 0.3, 1]]
    assert (second.genes, second.ld.tolist()) == ((C, B), [[1, 0.25], [0.25, 1]])
    assert second.where.endswith(f"{C}.matrix")


def test_the_three_tables_hold_what_the_files_hold(tmp_path: Path) -> None:
    found = prepared(tmp_path, FILES, **PEOPLE)
    assert found.gwas[["rsid", "beta"]].to_numpy().tolist() == [
        ["rs1", 0.01],
        ["rs2", -0.02],
        ["rs3", 0.005],
        ["rs4", 0.03],
    ]
    assert found.gwas["standard_error"].tolist() == [0.01] * 4
    assert found.gwas["z"].to_numpy() == pytest.approx([1, -2, 0.5, 3])
    assert found.gwas["beta_standardised"].to_numpy() == pytest.approx(found.gwas["beta"])
    assert found.gwas[["chromosome", "position", "effect_allele", "other_allele"]].isna().all(axis=None)
    rows = found.eqtl[["ensembl_id", "rsid", "beta"]].to_numpy().tolist()
    assert rows == [
        [A, "rs1", 0.1],
        [A, "rs3", 0.3],
        [B, "rs2", -0.2],
        [B, "rs3", 0.05],
        [C, "rs2", 0.15],
        [C, "rs4", -0.1],
    ]
    assert found.eqtl["z"].to_numpy() == pytest.approx(found.eqtl["beta"] * 20)
    assert found.ld["locus"].tolist() == [A] * 6 + [C] * 3
    assert found.ld.loc[1, ["rsid_1", "rsid_2", "r"]].tolist() == ["rs1", "rs2", 0.1]
    assert not found.said("alarm")
    assert "3 effects of exactly 0" in found.said("note")


def test_a_variant_with_two_gwas_effects_is_named_and_left_out(tmp_path: Path) -> None:
    files = FILES | {f"{C}.matrix": FILES[f"{C}.matrix"].replace(b"-0.02", b"0.02")}
    found = prepared(tmp_path, files, **PEOPLE)
    assert "1 variants have different GWAS effects" in found.said("alarm")
    assert "1 of them with the other sign" in found.said("alarm")
    assert "rs2" not in set(found.gwas["rsid"])
    files = FILES | {f"{C}.matrix": FILES[f"{C}.matrix"].replace(b"-0.2\t", b"-0.25\t")}
    found = prepared(tmp_path, files, **PEOPLE)
    assert "1 pairs of variant and gene have different effects" in found.said("alarm")
    assert (B, "rs2") not in set(zip(found.eqtl["ensembl_id"], found.eqtl["rsid"], strict=True))


def test_people_must_be_known(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"do not say how many people.*set summary_statistics: n_eqtl in"):
        prepared(tmp_path, FILES, n_gwas=10)


def test_other_tables_in_the_same_cohort_are_refused(tmp_path: Path) -> None:
    name, content = GWAS_LAYOUTS["fastgwa"](study().v)
    with pytest.raises(
        DataError, match=r"ready TWMR inputs and other tables in one cohort.*g\.fastGWA.*two cohorts"
    ):
        prepared(tmp_path, FILES | {name: content}, **PEOPLE)


@pytest.mark.parametrize(
    ("name", "old", "new", "words"),
    [
        (f"{A}.matrix", b"GENES", b"GENE", r"\.matrix:1: not the header"),
        (f"{A}.matrix", b"rs1 0.1 0 0.01", b"rs1 0.1 0", r"\.matrix:2: 3 cells under 4"),
        (f"{A}.matrix", b"rs1 0.1", b"rs1 NA", rf"\.matrix:2:{A}: not a finite number; found 'NA'"),
        (f"{A}.matrix", b"rs1 0.1", b"rs1 1_0", r"not a finite number"),
        (f"{A}.matrix", b"\nrs2", b"\nrs1", r"\.matrix:2: the variant is listed twice"),
        (f"{A}.matrix", B.encode(), A.encode(), "different Ensembl ids"),
        (f"{A}.matrix", B.encode(), b"TP53", "different Ensembl ids.*'TP53'"),
        (f"{A}.matrix", f"{A} {B}".encode(), f"{B} {A}".encode(), "not the gene of the file's name"),
        (f"{A}.matrix", b"0.005\n", b"0.005", "no line end"),
        (f"{A}.ld", b"1 0.1 -0.2\n", b"1 0.1\n", r"\.ld:1: 2 numbers in a row for 3"),
        (f"{A}.ld", b"-0.2 0.3 1\n", b"", r"2 rows for 3 variants"),
        (f"{A}.ld", b"0.1 1 0.3", b"0.2 1 0.3", "not symmetric"),
        (f"{C}.ld", b"0.25 1 NA", b"0.25 1", None),
    ],
)  # fmt: skip
def test_damaged_inputs_are_refused_with_their_place(
    name: str, old: bytes, new: bytes, words: str | None, tmp_path: Path
) -> None:
    assert old in FILES[name]
    folder = write(tmp_path, FILES | {name: FILES[name].replace(old, new, 1)})
    path = folder / name.replace(".ld", ".matrix")
    if words is None:
        assert read_twmr(path).ld.tolist() == [[1, 0.25], [0.25, 1]]
        return
    with pytest.raises(DataError, match=words):
        read_twmr(path)


def test_ld_must_be_there_and_so_must_tables(tmp_path: Path) -> None:
    (tmp_path / f"{A}.matrix").write_bytes(FILES[f"{A}.matrix"])
    with pytest.raises(DataError, match=rf"no {A}\.ld beside"):
        read_twmr_folder(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match=r"no <gene>\.matrix"):
        read_twmr_folder(tmp_path / "empty")


def test_effects_are_arrays_of_the_stated_shapes(tmp_path: Path) -> None:
    for one in read_twmr_folder(write(tmp_path, FILES)):
        n, k = len(one.rsid), len(one.genes)
        assert (one.effects.shape, one.gwas.shape, one.ld.shape) == ((n, k), (n,), (n, n))
        assert np.array_equal(one.ld, one.ld.T)
