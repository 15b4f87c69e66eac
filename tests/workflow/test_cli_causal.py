"""The commands of causal evidence, typed as people type them: through real files, and never a traceback."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from causal.concordance.two_sides import two_sides
from causal.dml.small_cells import PLANTED, counts_and_obs, write_cells
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


DML = ["cell_type", "gene", "theta", "se", "p", "fdr", "n_cells", "n_donors", "flags"]
COUNTS, OBS = counts_and_obs()


def own_file(path: Path, *, what: str = "counts") -> Path:
    """Somebody's own cells: other names of columns; counts, their logarithms, or scaled values in X."""
    import anndata

    obs = OBS[["donor", "arm", "cell_type", "batch"]].set_axis(["who", "state", "kind", "lane"], axis=1)
    values = COUNTS.astype(np.float32)
    if what != "counts":
        values = np.log1p(1e4 * values / values.sum(1, keepdims=True))
    if what == "scaled":
        values = (values - values.mean(0)) / values.std(0)
    var = pd.DataFrame(index=[f"G{one}" for one in range(values.shape[1])])
    anndata.AnnData(values.astype(np.float32), obs=obs, var=var).write_h5ad(path)
    return path


def dml_of(path: Path, out: Path, *more: object) -> list[object]:
    columns = ["--outcome", "state", "--donor", "who", "--cell-type", "kind"]
    return ["dml", "--input", path, *columns, "--case", "case", "--out", out, *more]


def test_dml_of_own_counts_and_of_their_logarithms(capsys, tmp_path: Path) -> None:
    tables = []
    for what in ("counts", "logs"):
        path, out = own_file(tmp_path / f"{what}.h5ad", what=what), tmp_path / f"{what}.parquet"
        code, said, _ = run(capsys, *dml_of(path, out, "--covariates", "lane"))
        assert code == 0
        assert ("counts, taken as log1p" in said) == (what == "counts")
        assert "8 cases and 8 controls" in said
        tables.append(pd.read_parquet(out))
        assert tables[-1].columns.tolist()[: len(DML)] == DML
    pd.testing.assert_frame_equal(*tables, rtol=1e-3, atol=1e-5)
    best = tables[0][tables[0]["fdr"] <= 0.05]
    assert {f"G{one}" for one in PLANTED} <= set(best["gene"][best["cell_type"] == "B"])


def test_dml_of_a_prepared_file_as_json(capsys, tmp_path: Path) -> None:
    path = write_cells(tmp_path / "prepared.h5ad", COUNTS, OBS, with_x=False)
    out = tmp_path / "dml.tsv"
    code, said, _ = run(
        capsys, "dml", "--input", path, "--outcome", "arm", "--case", "case", "--control", "control",
        "--donor", "donor", "--cell-type", "cell_type", "--covariates", "batch,age,library_size",
        "--out", out, "--json",
    )  # fmt: skip
    assert code == 0
    summary = json.loads(said)
    assert summary["cell_types"][0]["covariates_used"] == ["batch", "age", "library_size"]
    table = pd.read_csv(out, sep="\t")
    assert table["ensembl_id"].str.startswith("ENSG").all()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"--outcome": "stat"}, "did you mean 'state'"),
        ({"--donor": "nobody"}, "(--donor): has no such column"),
        ({"--case": "ill"}, "allowed: case, control"),
        ({"--learner": "rigde"}, "did you mean 'ridge'"),
        ({"--score": "ate"}, "partialling_out, iv_type, irm"),
        ({"--covariates": "lane,smoking"}, "smoking"),
        ({"--control": "case"}, "both case and control"),
        ({"--min-donors": "9"}, "no cell type can be estimated"),
        ({"--out": "dml.csv"}, "known form"),
        ({"--input": "absent.h5ad"}, "no such file"),
    ],
)
def test_dml_mistakes_are_one_line(capsys, tmp_path: Path, change: dict[str, str], words: str) -> None:
    given = dml_of(own_file(tmp_path / "own.h5ad"), tmp_path / "dml.tsv")
    for option, value in change.items():
        place = given.index(option) + 1 if option in given else len(given) + 1
        given[place - 1 : place + 1] = [option, value]
    code, said, err = run(capsys, *given)
    assert code != 0
    assert words in said + err
    assert "Traceback" not in said + err


def test_dml_refuses_scaled_values(capsys, tmp_path: Path) -> None:
    path = own_file(tmp_path / "scaled.h5ad", what="scaled")
    code, _, err = run(capsys, *dml_of(path, tmp_path / "dml.tsv"))
    assert code == 1
    assert "neither counts nor their logarithms" in err


CONCORDANCE = ["cell_type", "r", "r_corrected", "p_permutation", "fdr", "sign_agreement", "n_genes"]


@pytest.fixture
def two_tables(tmp_path: Path) -> list[object]:
    study = two_sides(3, n_genes=120, n_types=2, n_active=1, n_donors=16, effect=1.5)
    study.population.to_parquet(tmp_path / "twmr.parquet")
    study.cells.to_csv(tmp_path / "dml.tsv", sep="\t", index=False)
    study.left_out.to_parquet(tmp_path / "left.parquet")
    return [
        "concordance", "--population", tmp_path / "twmr.parquet", "--cells", tmp_path / "dml.tsv", "--permutations", "199",
    ]  # fmt: skip


def test_concordance_of_two_tables(capsys, two_tables, tmp_path: Path) -> None:
    out = tmp_path / "agree.tsv"
    code, said, _ = run(
        capsys, *two_tables, "--left-out", tmp_path / "left.parquet", "--gene", "G3", "--out", out
    )
    assert code == 0
    for words in ("genes that both sides have: 120; cell types: 2", "In 1 of 2 cell types", "G3: population", "written:"):  # fmt: skip
        assert words in said
    table = pd.read_csv(out, sep="\t").set_index("cell_type", drop=False)
    assert table.columns.tolist()[: len(CONCORDANCE)] == CONCORDANCE
    assert table["fdr"]["T"] <= 0.05 < table["fdr"]["B"]


def test_concordance_of_the_least_columns(capsys, two_tables, tmp_path: Path) -> None:
    study = two_sides(3, n_genes=120, n_types=2, n_active=1, n_donors=16, effect=1.5)
    study.population[["symbol", "alpha", "se"]].rename(columns={"symbol": "gene"}).to_csv(tmp_path / "p.csv", index=False)  # fmt: skip
    names = study.cells["gene"].map(
        dict(zip(study.population["gene"], study.population["symbol"], strict=True))
    )
    study.cells.assign(gene=names)[["cell_type", "gene", "theta", "se"]].to_parquet(tmp_path / "c.parquet")
    given = ["concordance", "--population", tmp_path / "p.csv", "--cells", tmp_path / "c.parquet", "--out", tmp_path / "t.parquet", "--json"]  # fmt: skip
    code, said, _ = run(capsys, *given)
    assert code == 0
    assert json.loads(said)["n_shared"] == 120
    flags = pd.read_parquet(tmp_path / "t.parquet")["flags"]
    assert flags.str.contains("donors_unknown;no_positions;no_expression").all()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (["--cell-type", "t"], "allowed: B, T"),
        (["--out", "agree.xlsx"], "known form"),
        (["--population", "absent.parquet"], "there is no such table"),
        (["--cells", "{population}"], "cell_type, theta"),
        (["--left-out", "{population}"], "columns are missing"),
        (["--permutations", "5"], "--permutations"),
        (["--correction", "bonferroni"], "--correction"),
    ],
)
def test_concordance_mistakes_are_one_line(capsys, two_tables, tmp_path: Path, change, words: str) -> None:
    change = [one.format(population=tmp_path / "twmr.parquet") for one in change]
    code, said, err = run(capsys, *two_tables, "--out", tmp_path / "agree.tsv", *change)
    assert code != 0
    assert words in said + err
    assert "Traceback" not in said + err
    assert not (tmp_path / "agree.tsv").exists()
