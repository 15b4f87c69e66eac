"""The commands of causal evidence, typed as people type them: through real files, and never a traceback."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from causal.twmr.files import write_folder
from causal.twmr.simulated import Scenario, simulate
from consilience import cli
from consilience.causal.inputs_file import from_twmr, write_inputs
from consilience.sources.summary_statistics.twmr import read_twmr_folder

TWMR = [
    "gene", "alpha", "se", "p", "alpha_published", "se_published", "p_published", "q", "q_p", "n_snps",
    "n_genes", "condition", "flags",
]  # fmt: skip
PEOPLE = ["--n-gwas", "240000", "--n-eqtl", "32000"]


def run(capsys, *arguments: object) -> tuple[int, str, str]:
    code, before = 0, sys.argv
    sys.argv = ["consilience", *map(str, arguments)]
    try:
        cli.main()
    except SystemExit as stop:
        code = int(stop.code or 0)
    finally:
        sys.argv = before
    said = capsys.readouterr()
    return code, said.out, said.err


@pytest.fixture
def genes(tmp_path: Path) -> Path:
    return write_folder(tmp_path / "genes", simulate(Scenario(n=6, k=2, focal=0.2), genes=5, seed=1))


def test_twmr_of_a_folder_of_text(capsys, genes: Path, tmp_path: Path) -> None:
    out = tmp_path / "twmr.tsv"
    code, said, _ = run(capsys, "twmr", "--inputs", genes, *PEOPLE, "--out", out)
    assert code == 0
    assert "genes: 5; estimated: 5" in said
    assert "written:" in said
    table = pd.read_csv(out, sep="\t")
    assert table.columns.tolist()[: len(TWMR)] == TWMR
    assert table["gene"].tolist() == [f"ENSG{100 * place:011d}" for place in range(5)]
    assert table["alpha"].mean() == pytest.approx(0.2, abs=0.06)
    assert (table["alpha_published"].abs() < table["alpha"].abs()).all()


def test_twmr_of_a_study_is_that_of_its_text(capsys, genes: Path, tmp_path: Path) -> None:
    cohort = tmp_path / "cohort"
    write_inputs(
        cohort / "inputs.parquet",
        [from_twmr(one, n_gwas=240_000, n_eqtl=32_000) for one in read_twmr_folder(genes)],
    )
    out = [tmp_path / "text.parquet", tmp_path / "study.parquet"]
    assert run(capsys, "twmr", "--inputs", genes, *PEOPLE, "--out", out[0])[0] == 0
    code, said, _ = run(capsys, "twmr", "--inputs", cohort, "--out", out[1], "--json")
    assert code == 0
    summary = json.loads(said)
    assert (summary["genes"], summary["estimated"]) == (5, 5)
    pd.testing.assert_frame_equal(pd.read_parquet(out[0]), pd.read_parquet(out[1]))


def test_twmr_flags_what_it_cannot_estimate(capsys, genes: Path, tmp_path: Path) -> None:
    (genes / "ENSG00000000000.ld").write_text("\n".join([" ".join(["1"] * 6)] * 6) + "\n")
    out = tmp_path / "twmr.parquet"
    code, said, _ = run(capsys, "twmr", "--inputs", genes, *PEOPLE, "--out", out)
    assert code == 0
    assert "estimated: 4" in said
    assert "flag ld_singular (1)" in said
    row = pd.read_parquet(out).iloc[0]
    assert row["flags"].startswith("ld_singular")
    assert np.isnan(row[["alpha", "se", "p", "alpha_published"]].astype(float)).all()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--n-gwas", "1000"], "--n-eqtl: needed"),
        (["--n-eqtl", "1000"], "--n-gwas: needed"),
        (["--n-gwas", "0", "--n-eqtl", "1000"], "--n-gwas: not a number of people"),
        (["--n-gwas", "nan", "--n-eqtl", "1000"], "--n-gwas: not a number of people"),
        (["--n-gwas", "1000", "--n-eqtl", "-5"], "--n-eqtl: not a number of people"),
    ],
)
def test_twmr_needs_numbers_of_people(capsys, genes: Path, tmp_path: Path, options, said) -> None:
    code, _, error = run(capsys, "twmr", "--inputs", genes, *options, "--out", tmp_path / "t.tsv")
    assert code == 1
    assert said in error
    assert not (tmp_path / "t.tsv").exists()


def test_twmr_says_what_is_wrong_with_its_input(capsys, genes: Path, tmp_path: Path) -> None:
    def error_of(inputs: object, *more: str, out: str = "t.tsv") -> str:
        code, _, error = run(capsys, "twmr", "--inputs", inputs, *more, "--out", tmp_path / out)
        assert code != 0
        assert "Traceback" not in error
        return error

    assert "no such folder" in error_of(tmp_path / "absent", *PEOPLE)
    assert "not a folder" in error_of(genes / "ENSG00000000000.ld", *PEOPLE)
    assert "neither <gene>.matrix nor inputs.parquet" in error_of(tmp_path, *PEOPLE)
    assert "suffix" in error_of(genes, *PEOPLE, out="t.xlsx")
    cohort = tmp_path / "cohort"
    cohort.mkdir()
    (cohort / "inputs.parquet").write_text("no parquet")
    assert "not a readable parquet" in error_of(cohort)
    assert "leave the option out" in error_of(cohort, "--n-gwas", "1000")
    (genes / "ENSG00000000100.matrix").write_text("GENES ENSG00000000100 BETA_GWAS\nrs0 0.1 x\n")
    assert "ENSG00000000100.matrix:2" in error_of(genes, *PEOPLE)
    assert "--n-gwas" in error_of(genes, "--n-gwas", "many", "--n-eqtl", "5")
