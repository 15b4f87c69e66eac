"""What was planted against what was found: the statistics, and the comparisons on data whose answer is known."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse, stats

from consilience.foundation.files import write_json, write_parquet
from consilience.simulate.bulk import simulate_bulk
from consilience.simulate.pseudobulk import open_expression, sum_counts
from consilience.simulate.recovery import compare_with_truth
from consilience.simulate.statistics import auroc, n_discoveries, rank_sum_z, sign_p, welch
from consilience.simulate.truth import read_truth, write_truth
from consilience.study.cohorts import Cohort
from consilience.study.sections import SimulationSection

Serve = Callable[..., Path]


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 10_000), st.integers(2, 30), st.integers(2, 30))
def test_auroc_counts_pairs(seed: int, n_positive: int, n_negative: int) -> None:
    rng = np.random.default_rng(seed)
    score = np.round(rng.normal(size=n_positive + n_negative), 1)
    positive = np.arange(score.size) < n_positive
    pairs = [(a > b) + 0.5 * (a == b) for a in score[positive] for b in score[~positive]]
    assert auroc(score=score, positive=positive).value == pytest.approx(np.mean(pairs))


def test_auroc_interval_covers_chance_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    positive = np.arange(400) < 40
    drawn = [auroc(score=rng.normal(size=400), positive=positive) for _ in range(1000)]
    assert np.mean([one.beats_chance() for one in drawn]) == pytest.approx(0.025, abs=0.015)
    assert np.mean([one.is_chance() for one in drawn]) == pytest.approx(0.99, abs=0.01)


def test_nan_scores_are_left_out_and_one_class_is_no_answer() -> None:
    score = np.array([np.nan, 1.0, 2.0, 3.0])
    assert auroc(score=score, positive=np.array([True, False, False, True])).value == 1.0
    alone = auroc(score=score, positive=np.array([True, False, False, False]))
    assert np.isnan(alone.value)
    assert not alone.beats_chance()
    assert not alone.is_chance()


def test_welch_is_scipys() -> None:
    rng = np.random.default_rng(1)
    case, control = rng.normal(0.3, 2, (5, 40)), rng.normal(0, 1, (9, 40))
    ours, theirs = welch(case=case, control=control), stats.ttest_ind(case, control, equal_var=False)
    assert ours.t == pytest.approx(theirs.statistic)
    assert ours.p == pytest.approx(theirs.pvalue)


def test_welch_of_constant_genes_and_single_samples() -> None:
    flat = welch(case=np.ones((3, 2)), control=np.zeros((3, 2)))
    assert np.isnan(flat.t).all()
    single = welch(case=np.ones((1, 2)), control=np.zeros((3, 2)))
    assert np.isnan(single.p).all()
    assert single.difference == pytest.approx([1.0, 1.0])


def test_discoveries_are_benjamini_and_hochbergs() -> None:
    rng = np.random.default_rng(2)
    p = np.concatenate([rng.uniform(size=300), rng.uniform(0, 1e-4, 20), [np.nan]])
    adjusted = stats.false_discovery_control(p[np.isfinite(p)])
    assert n_discoveries(p, level=0.05) == int((adjusted <= 0.05).sum())
    assert n_discoveries(np.array([]), level=0.05) == 0


def test_rank_sum_is_mann_whitneys() -> None:
    rng = np.random.default_rng(3)
    score, rows = rng.normal(size=200), np.arange(0, 60, 2)
    rest = np.delete(score, rows)
    theirs = stats.mannwhitneyu(score[rows], rest, method="asymptotic", use_continuity=False)
    assert 2 * stats.norm.sf(abs(rank_sum_z(score=score, sets=[rows])[0])) == pytest.approx(theirs.pvalue)


def test_sign_p_is_the_binomial_test() -> None:
    assert sign_p(n_right=15, n=20) == pytest.approx(stats.binomtest(15, 20, alternative="greater").pvalue)
    assert sign_p(n_right=0, n=0) == 1.0


def test_sums_in_chunks_are_sums(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(4)
    counts = rng.poisson(0.3, (57, 11))
    group = rng.integers(-1, 4, 57)
    expected = np.stack([counts[group == one].sum(axis=0) for one in range(4)])
    monkeypatch.setattr("consilience.simulate.pseudobulk.CHUNK", 13)
    for matrix in (sparse.csr_matrix(counts), counts):
        data = anndata.AnnData(obs=pd.DataFrame(index=[f"c{k}" for k in range(57)]),
                               var=pd.DataFrame(index=[f"g{k}" for k in range(11)]), layers={"counts": matrix})  # fmt: skip
        data.write_h5ad(tmp_path / "x.h5ad")
        assert np.array_equal(
            sum_counts(open_expression(tmp_path / "x.h5ad"), group=group, n_groups=4), expected
        )


def prepared_bulk(
    folder: Path, name: str, *, settings: SimulationSection, truth_dir: Path, seed: int
) -> None:
    """The plainest preparation: all sound samples, log counts per million."""
    truth = read_truth(truth_dir)
    cohort = Cohort(name, "bulk", "simulated", "geo", "condition", ("diseased",), ("healthy",))
    bulk = simulate_bulk(cohort=cohort, settings=settings, truth=truth)
    sound = ~bulk.facts["outlier"].to_numpy()
    logs = np.log2(bulk.counts / bulk.counts.sum(axis=1, keepdims=True) * 1e6 + 1)[sound]
    obs = pd.DataFrame({"arm": bulk.facts["arm"][sound].to_numpy()}, index=bulk.facts["id"][sound].to_numpy())
    anndata.AnnData(logs.astype(np.float32), obs=obs, var=pd.DataFrame(index=truth.symbols)).write_h5ad(
        folder / f"{name}.h5ad"
    )
    removed = bulk.facts.loc[~sound, ["id", "sample"]].assign(reason="outlier")
    write_parquet(folder / f"{name}.removed.parquet", removed)
    write_json(folder / f"{name}.qc.json", {"kind": "bulk"})
    (truth_dir / "samples").mkdir(exist_ok=True)
    write_parquet(truth_dir / "samples" / f"{name}.parquet", bulk.facts)


def compared(folder: Path, *, effect: float, seed: int = 7) -> dict[str, dict[str, object]]:
    """Checks by name of one bulk cohort of 24 + 24."""
    settings = SimulationSection.model_validate({
        "n_genes": 600, "n_causal_genes": 20, "n_causal_pathways": 2, "effect": effect,
        "bulk": {"n_case": 24, "n_control": 24, "n_outliers": 3},
    })  # fmt: skip
    truth_dir = folder / "truth"
    write_truth(settings=settings, seed=seed, out_dir=truth_dir)
    prepared_bulk(folder, "b", settings=settings, truth_dir=truth_dir, seed=seed)
    table = pd.read_parquet(truth_dir / "genes.parquet")
    mask = table.loc[table["pathway"] != "", ["gene", "pathway"]].assign(collection="x")
    write_parquet(folder / "mask.parquet", mask)
    compare_with_truth(
        expression_paths={"b": folder / "b.h5ad"}, qc_paths={"b": folder / "b.qc.json"}, truth_dir=truth_dir,
        mask_path=folder / "mask.parquet", out=folder / "found.json",
    )  # fmt: skip
    found = json.loads((folder / "found.json").read_text())
    return {
        "headline": found["headline"],
        **{check["name"]: check for check in found["cohorts"]["b"]["checks"]},
    }


def test_planted_effects_are_found_in_bulk(tmp_path: Path) -> None:
    found = compared(tmp_path, effect=1.0)
    assert found["causal genes"]["ok"]
    assert found["causal genes"]["value"] > 0.8
    assert found["signs"]["value"] > 0.9
    assert found["causal pathways"]["ok"]
    assert found["outliers"]["planted"] == "2"  # the third is a sex mismatch, which is reported, not removed
    assert found["outliers"]["ok"]
    assert "false findings" not in found
    assert found["headline"].startswith("20 causal genes in 2 pathways were planted")


def test_a_null_study_claims_nothing(tmp_path: Path) -> None:
    found = compared(tmp_path, effect=0.0)
    assert found["false findings"]["ok"]
    assert found["false findings"]["value"] == 0
    assert not {"causal genes", "signs", "causal pathways"} & set(found)
    assert "No disease effect was planted" in found["headline"]


def test_a_missed_outlier_is_said(tmp_path: Path) -> None:
    compared(tmp_path, effect=1.0)
    removed = pd.read_parquet(tmp_path / "b.removed.parquet")
    write_parquet(tmp_path / "b.removed.parquet", removed.iloc[:0])
    compare_with_truth(
        expression_paths={"b": tmp_path / "b.h5ad"}, qc_paths={"b": tmp_path / "b.qc.json"},
        truth_dir=tmp_path / "truth", mask_path=tmp_path / "mask.parquet", out=tmp_path / "found.json",
    )  # fmt: skip
    checks = {
        check["name"]: check
        for check in json.loads((tmp_path / "found.json").read_text())["cohorts"]["b"]["checks"]
    }
    assert not checks["outliers"]["ok"]
    assert "missed: S" in checks["outliers"]["text"]


@pytest.fixture(scope="module")
def cell_checks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, dict[str, object]]]:
    """Checks of a case-control cohort and a screen, prepared as plainly as can be (bad cells removed by oracle)."""
    from consilience.simulate.cohort import write_cohort

    folder = tmp_path_factory.mktemp("cells")
    settings = SimulationSection.model_validate({
        "n_genes": 600, "n_causal_genes": 20, "n_causal_pathways": 2,
        "single_cell": {"n_case": 5, "n_control": 5, "cells_per_donor": 250},
        "perturbation": {"cell_lines": 2, "n_perturbations": 9, "cells_per_perturbation": 25},
    })  # fmt: skip
    write_truth(settings=settings, seed=3, out_dir=folder / "truth")
    kinds = {"sc": "single_cell", "ps": "perturbation"}
    for name, kind in kinds.items():
        cohort = Cohort(name, kind, "simulated", "h5ad", "" if name == "ps" else "condition", (), ())
        write_cohort(
            cohort=cohort, settings=settings, seed=3, truth_dir=folder / "truth", served_dir=folder / "served" / name,
            samples_path=folder / "truth" / "samples" / f"{name}.parquet", threads=1,
        )  # fmt: skip
        facts = pd.read_parquet(folder / "truth" / "samples" / f"{name}.parquet").set_index("id")
        data = anndata.read_h5ad(folder / "served" / name / f"{name}.h5ad")
        data.layers["counts"] = data.X
        data.obs["doublet_score"] = np.asarray(data.X.sum(axis=1)).ravel()
        data.obs = data.obs.rename(columns={"cell_line": "cell_type", "gene": "perturbation"})
        if name == "sc":
            data.obs["arm"] = facts["arm"].to_numpy()
        bad = facts["outlier"].to_numpy()
        data.obs_names = [f"{name}:{barcode}" for barcode in data.obs_names]
        removed = pd.DataFrame({"id": data.obs_names[bad], "doublet_score": data.obs["doublet_score"][bad]})
        data[~bad].copy().write_h5ad(folder / f"{name}.h5ad")
        write_parquet(folder / f"{name}.removed.parquet", removed)
        write_json(folder / f"{name}.qc.json", {"kind": kind})
    write_parquet(
        folder / "mask.parquet", pd.DataFrame({"gene": ["A"], "pathway": ["P"], "collection": ["x"]})
    )
    compare_with_truth(
        expression_paths={name: folder / f"{name}.h5ad" for name in kinds},
        qc_paths={name: folder / f"{name}.qc.json" for name in kinds}, truth_dir=folder / "truth",
        mask_path=folder / "mask.parquet", out=folder / "found.json",
    )  # fmt: skip
    cohorts = json.loads((folder / "found.json").read_text())["cohorts"]
    return {name: {check["name"]: check for check in cohorts[name]["checks"]} for name in kinds}


def test_effects_are_found_in_active_cell_types_only(
    cell_checks: dict[str, dict[str, dict[str, object]]],
) -> None:
    checks = cell_checks["sc"]
    active = [check for check in checks.values() if check["planted"] == "disease acts here"]
    idle = [check for check in checks.values() if check["planted"] == "disease does not act here"]
    assert len(active) == 2
    assert all(check["ok"] and check["value"] > 0.75 for check in active)
    assert len(idle) >= 4
    assert sum(check["ok"] for check in idle) >= len(idle) - 1
    assert checks["signs in naive CD4 T"]["ok"]


def test_cell_quality_is_scored_by_barcode_whatever_stands_around_it(
    cell_checks: dict[str, dict[str, dict[str, object]]],
) -> None:
    checks = cell_checks["sc"]
    assert checks["dying cells"]["value"] == checks["near-empty droplets"]["value"] == 1.0
    assert checks["healthy cells removed"]["value"] == 0.0
    assert checks["doublets"]["value"] > 0.8  # depth alone tells most doublets
    assert "0% of the doublets were removed" in checks["doublets"]["text"]


def test_knock_downs_and_programs_are_found(cell_checks: dict[str, dict[str, dict[str, object]]]) -> None:
    checks = cell_checks["ps"]
    assert checks["knock-down"]["ok"]
    assert checks["knock-down"]["value"] == pytest.approx(checks["knock-down"]["ideal"], abs=0.5)
    assert checks["response programs"]["ok"]
    assert checks["response programs"]["value"] > 0.2 + checks["response programs"]["chance"]
