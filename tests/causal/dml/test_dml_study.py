"""Double machine learning of a prepared cohort: tables, record, flags, bad input."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from causal.dml.small_cells import GENES, PLANTED, counts_and_obs, write_cells
from consilience.causal.dml.cells import CellsOfType
from consilience.causal.dml.estimate import estimate
from consilience.causal.dml.rows import FLAGS, LEFT_OUT, MAIN
from consilience.causal.dml.study import write_dml
from consilience.causal.dml.testing import donor_columns, spent_donors
from consilience.causal.dml.variants import OTHERS
from consilience.foundation.errors import DataError
from consilience.study.causal import DmlSection

COUNTS, OBS = counts_and_obs()
SETTINGS = {"others": [], "top": 4, "repeats": 2}


def run(
    folder: Path, counts=COUNTS, obs=OBS, *, seed: int = 1, latent=None, model=None, with_x=True, **settings
):
    folder.mkdir(parents=True, exist_ok=True)
    path = write_cells(folder / "blood.h5ad", counts, obs, with_x=with_x)
    names = {"out": "dml.parquet", "others": "dml_others.parquet", "left_out": "dml_left_out.parquet"}
    write_dml(
        path, latent=latent, record=folder / "dml.json", seed=seed, model=model,
        settings=DmlSection.model_validate(SETTINGS | settings),
        **{key: folder / name for key, name in names.items()},
    )  # fmt: skip
    tables = [pd.read_parquet(folder / name) for name in names.values()]
    return (*tables, json.loads((folder / "dml.json").read_text()))


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    return run(tmp_path_factory.mktemp("dml"))


def test_planted_genes_are_found_in_their_cell_type_alone(found):
    main, _, _, record = found
    called = main[main["fdr"] <= 0.05]
    assert {f"G{one}" for one in PLANTED} <= set(called["gene"][called["cell_type"] == "B"])
    assert (called["cell_type"] == "B").mean() > 0.6
    planted = main[(main["cell_type"] == "B") & main["gene"].isin([f"G{one}" for one in PLANTED])]
    assert (planted["theta"] > 0).all()
    assert (planted["low"] > 0).all()
    assert (planted["high"] > planted["theta"]).all()
    told = {one["cell_type"]: one for one in record["cell_types"]}
    assert told["B"]["n_donors"] == 16
    assert told["B"]["n_cases"] == 8
    assert told["T"]["n_genes"] == main[main["cell_type"] == "T"]["p"].notna().sum()


def test_tables_hold_what_is_promised(found):
    main, others, left_out, record = found
    assert tuple(main.columns) == MAIN
    assert tuple(others.columns) == OTHERS
    assert tuple(left_out.columns) == LEFT_OUT
    assert len(main) == 2 * GENES
    assert len(left_out) == 2 * 16 * main["theta"].notna().sum() // 2
    assert left_out["statistic"].dtype == np.float32
    assert set(others["variant"]) == {"iv_type:ridge", "irm:ridge", "pseudobulk"}
    assert (others.groupby(["cell_type", "variant"]).size() == SETTINGS["top"]).all()
    strongest = main[main["cell_type"] == "B"].nsmallest(SETTINGS["top"], "p")["gene"]
    assert set(others["gene"][others["cell_type"] == "B"]) == set(strongest)
    assert record["cell_types"][0]["overlap"]["genes"] == SETTINGS["top"]
    assert record["covariates_missing"] == []
    assert record["learner"] == "ridge"
    assert np.allclose(
        main["theta_sd"] / main["theta"], np.abs(main["theta_sd"] / main["theta"]), equal_nan=True
    )
    words = {word for flags in [*main["flags"], *others["flags"]] for word in flags.split(";") if word}
    assert words <= set(FLAGS)


def test_statistics_without_a_donor_scatter_around_those_of_all(found):
    main, _, left_out, _ = found
    mean = left_out.groupby(["cell_type", "gene"])["statistic"].mean()
    both = main.set_index(["cell_type", "gene"])["statistic"].dropna()
    assert np.corrcoef(mean.loc[both.index], both)[0, 1] > 0.95


def test_the_result_is_that_of_any_order_and_storage(found, tmp_path):
    main, _, _, record = found
    order = np.random.default_rng(5).permutation(len(OBS))
    again, _, _, other = run(tmp_path, COUNTS[order], OBS.iloc[order], with_x=False)
    for name in ("theta", "se", "p", "r2_outcome", "p_naive"):
        assert again[name].to_numpy() == pytest.approx(main[name].to_numpy(), rel=1e-4, abs=1e-6, nan_ok=True)
    assert (again["flags"] == main["flags"]).all()
    assert [one["confounders"] for one in other["cell_types"]] == [
        one["confounders"] for one in record["cell_types"]
    ]  # fmt: skip


def test_genes_that_cannot_be_estimated_are_rows_that_say_why(tmp_path):
    counts = COUNTS.copy()
    counts[:, 7] = 0
    counts[:, 8] = np.where(OBS["donor"] == "P01", 3, 0)
    counts[:, 9] = 0
    counts[2, 9] = 1
    main, *_ = run(tmp_path, counts, min_expressed=0.02)
    flags = main[main["cell_type"] == "B"].set_index("gene")["flags"]
    assert flags["G7"] == "not_expressed"
    assert flags["G8"] == "few_donors_express"
    assert flags["G9"] in {"rarely_expressed", "not_expressed"}
    lost = main[main["gene"].isin(["G7", "G8", "G9"])]
    assert lost[["theta", "se", "p", "fdr", "p_naive"]].isna().all(axis=None)


def test_disease_that_is_batch_is_told_in_every_row(tmp_path):
    obs = OBS.assign(batch=np.where(OBS["arm"] == "case", "b1", "b0"))
    main, _, _, record = run(tmp_path, COUNTS, obs)
    estimated = main["theta"].notna()
    assert estimated.any()
    assert main.loc[estimated, "flags"].str.contains("aliased_covariate").all()
    assert any("batch" in message for message in record["messages"])
    assert "batch" in record["cell_types"][0]["covariates_dropped"]


def test_a_gene_that_confounders_explain_wholly_is_flagged():
    rng = np.random.default_rng(0)
    donor = np.repeat(np.arange(8), 30)
    x = rng.normal(size=(240, 3))
    expression = np.column_stack([x @ [1.0, 2, 3], rng.normal(size=240)]).astype(np.float32)
    cells = CellsOfType("B", tuple("abcdefgh"), donor, (np.arange(8) % 2).astype(float), x, ("u", "v", "w"),
                        expression, ("G0", "G1"), ("", ""))  # fmt: skip
    found = estimate(cells, seed=1, penalty=1e-3)
    assert found.collinear.tolist() == [True, False]
    assert np.isnan(found.theta[0])
    assert np.isfinite(found.theta[1])


def test_donors_of_both_arms_and_columns_that_are_not_there_are_messages(tmp_path):
    obs = OBS.copy()
    obs.loc[obs.index[np.flatnonzero(obs["donor"] == "P00")[:4]], "arm"] = "case"
    _, _, _, record = run(tmp_path, COUNTS, obs, covariates=["smoking", "sex"])
    assert record["both_arms"] == ["P00"]
    assert record["covariates_missing"] == ["smoking"]
    assert len(record["messages"]) == 2


def test_a_cohort_in_which_nothing_can_be_estimated_has_empty_tables(tmp_path):
    few = OBS["donor"].isin(["P00", "P01", "P02"])
    main, others, left_out, record = run(tmp_path, COUNTS[few], OBS[few])
    assert [len(one) for one in (main, others, left_out)] == [0, 0, 0]
    assert tuple(main.columns) == MAIN
    assert set(record["skipped"]) == {"B", "T"}
    assert any("no cell type" in message for message in record["messages"])


def test_latents_of_a_confounder_take_it_out(tmp_path):
    """A hidden state of cells that cases have more of moves genes; the latents know it."""
    rng = np.random.default_rng(3)
    counts, obs = counts_and_obs(effect=0.0, seed=3)
    state = rng.normal(size=len(obs)) + 1.5 * (obs["arm"] == "case").to_numpy()
    counts[:, :10] += rng.poisson(np.exp(0.8 * state)[:, None], size=(len(obs), 10)).astype(np.int32)
    table = pd.DataFrame({"cell": obs.index, "fold": 0, "l0": state})
    path = tmp_path / "latent.parquet"
    table.to_parquet(path)
    given = {"covariates": ["library_size"], "min_expressed": 0.0}
    without, *_ = run(tmp_path / "a", counts, obs, latents=False, latent=path, **given)
    with_them, *_ = run(tmp_path / "b", counts, obs, latent=path, **given)
    moved = [f"G{one}" for one in range(10)]
    size = [np.abs(one[one["gene"].isin(moved)]["statistic"]).median() for one in (without, with_them)]
    assert size[1] < 0.6 * size[0]


def test_denoised_expression_without_its_network_is_refused(tmp_path):
    with pytest.raises(DataError, match="needs the network"):
        run(tmp_path, expression="denoised")


def test_iv_type_and_irm_as_main_scores(tmp_path):
    for score in ("iv_type", "irm"):
        main, *_ = run(tmp_path / score, score=score, top=0, repeats=1)
        best = main[main["cell_type"] == "B"].nsmallest(2, "p")
        assert set(best["gene"]) & {f"G{one}" for one in PLANTED}
        assert (best["theta"] > 0).any()


def test_other_learners_and_the_bootstrap(tmp_path):
    main, others, _, record = run(tmp_path, others=["lasso"], inference="wild_bootstrap", repeats=1)
    planted = others[(others["cell_type"] == "B") & others["gene"].isin([f"G{one}" for one in PLANTED])]
    assert set(others["variant"]) == {"iv_type:ridge", "irm:ridge", "partialling_out:lasso", "pseudobulk"}
    assert (planted["theta"] > 0).all()
    assert (planted["p"] < 0.1).all()
    assert record["inference"] == "wild_bootstrap"
    assert main["p"].between(0, 1).sum() > 40


def test_confounders_of_donors_are_counted():
    donor = np.repeat(np.arange(6), 4)
    rng = np.random.default_rng(0)
    x = np.column_stack([rng.normal(size=6)[donor], rng.normal(size=24), (np.arange(6) % 2)[donor]])
    cells = CellsOfType("B", tuple("abcdef"), donor, (np.arange(6) // 3).astype(float), x, ("u", "v", "w"),
                        np.zeros((24, 1), dtype=np.float32), ("G0",), ("",))  # fmt: skip
    assert donor_columns(cells) == pytest.approx(x[::4][:, [0, 2]])
    assert spent_donors(cells) == 3


def test_denoised_expression_is_the_treatment_where_the_network_knows_the_gene(tmp_path, monkeypatch):
    """A network that gives back what it sees, twice as large, of all genes but one, in its own order."""
    from consilience.causal.denoising import denoiser

    known = tuple(f"G{one}" for one in reversed(range(GENES)) if one != 3)
    columns = [int(name[1:]) for name in known]
    logged = np.log1p(COUNTS / OBS["size_factor"].to_numpy()[:, None]).astype(np.float32)

    def denoised(model, expression, rows):
        del model, expression
        for places in np.array_split(np.random.default_rng(0).permutation(len(rows)), 3):
            yield places, 2 * logged[rows[places]][:, columns]

    monkeypatch.setattr(denoiser, "load_denoiser", lambda folder: folder)
    monkeypatch.setattr(denoiser, "denoised_genes", lambda model: known)
    monkeypatch.setattr(denoiser, "denoised", denoised)
    given = {"covariates": ["sex"], "top": 2, "repeats": 1}
    plain, *_ = run(tmp_path / "a", **given)
    main, others, *_ = run(tmp_path / "b", expression="denoised", model=tmp_path, **given)
    there = (main["gene"] != "G3") & plain["theta"].notna()
    assert (2 * main["theta"])[there].to_numpy() == pytest.approx(plain["theta"][there].to_numpy(), rel=1e-4)
    assert main["p"][there].to_numpy() == pytest.approx(plain["p"][there].to_numpy(), rel=1e-3)
    assert main["flags"][main["gene"] == "G3"].tolist() == ["not_denoised"] * 2
    assert "pseudobulk" in set(others["variant"])
