"""With effects switched off nothing differs between the arms: p-values are uniform, in bulk and between donors."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats

from consilience.simulate.bulk import simulate_bulk
from consilience.simulate.truth import Truth, read_truth, write_truth
from consilience.study.cohorts import Cohort
from consilience.study.sections import SimulationSection

COHORT = Cohort("null", "bulk", "simulated", "geo", "condition", ("diseased",), ("healthy",))


def settings_of(effect: float, *, n_per_arm: int, n_genes: int = 800) -> SimulationSection:
    return SimulationSection.model_validate({
        "n_genes": n_genes, "effect": effect, "n_causal_genes": 40, "n_causal_pathways": 4,
        "bulk": {"n_case": n_per_arm, "n_control": n_per_arm, "n_outliers": 0},
    })  # fmt: skip


def p_values(truth: Truth, settings: SimulationSection) -> npt.NDArray[np.float64]:
    """p of the arm (genes,) in least squares with batch and sex, genes with fewer than 5 counts left out."""
    bulk = simulate_bulk(cohort=COHORT, settings=settings, truth=truth)
    logs = np.log2(bulk.counts / bulk.counts.sum(axis=1, keepdims=True) * 1e6 + 1)
    design = np.stack([
        np.ones(len(bulk.planned)),
        [one.arm == "case" for one in bulk.planned],
        [one.batch == "batch2" for one in bulk.planned],
        [one.sex == "male" for one in bulk.planned],
    ], axis=1).astype(float)  # fmt: skip
    kept = bulk.counts.mean(axis=0) >= 5
    inverse = np.linalg.inv(design.T @ design)
    beta = inverse @ design.T @ logs[:, kept]
    residual = logs[:, kept] - design @ beta
    freedom = len(design) - design.shape[1]
    error = np.sqrt(inverse[1, 1] * (residual**2).sum(axis=0) / freedom)
    return np.asarray(2 * stats.t.sf(np.abs(beta[1] / error), freedom))


def test_p_values_of_a_null_bulk_cohort_are_uniform(tmp_path: Path) -> None:
    """Genes of one sample share programs, so the rates of single studies scatter; their mean does not."""
    settings = settings_of(0.0, n_per_arm=20)
    rates, medians = [], []
    for seed in range(8):
        write_truth(settings=settings, seed=seed, out_dir=tmp_path / str(seed))
        p = p_values(read_truth(tmp_path / str(seed)), settings)
        rates.append((p < 0.05).mean())
        medians.append(np.median(p))
    assert np.mean(rates) == pytest.approx(0.05, abs=0.012)
    assert np.mean(medians) == pytest.approx(0.5, abs=0.04)


def test_kolmogorov_smirnov_over_many_independent_genes(tmp_path: Path) -> None:
    settings = settings_of(0.0, n_per_arm=25, n_genes=2000)
    write_truth(settings=settings, seed=11, out_dir=tmp_path)
    truth = read_truth(tmp_path)
    free = np.ones(len(truth.genes), dtype=bool)
    for rows in truth.programs.rows:
        free[rows] = False
    bulk = simulate_bulk(cohort=COHORT, settings=settings, truth=truth)
    kept = np.flatnonzero(bulk.counts.mean(axis=0) >= 5)
    p = p_values(truth, settings)[free[kept]]
    assert p.size > 800
    assert stats.kstest(p, "uniform").pvalue > 1e-3


def test_the_same_study_with_effects_does_find_them(tmp_path: Path) -> None:
    settings = settings_of(1.0, n_per_arm=20)
    write_truth(settings=settings, seed=0, out_dir=tmp_path)
    truth = read_truth(tmp_path)
    bulk = simulate_bulk(cohort=COHORT, settings=settings, truth=truth)
    kept = np.flatnonzero(bulk.counts.mean(axis=0) >= 5)
    causal = truth.genes["causal"].to_numpy()[kept]
    p = p_values(truth, settings)
    assert (p[causal] < 0.05).mean() > 0.6
    assert (p[~causal] < 0.05).mean() < 0.12


def test_bulk_shows_the_planted_effect_diluted_by_inactive_cell_types(tmp_path: Path) -> None:
    """log2 fold change in a mixture: log2(1 + share (2^effect - 1)), share by abundance in the active types."""
    settings = settings_of(1.0, n_per_arm=150)
    write_truth(settings=settings, seed=2, out_dir=tmp_path)
    truth = read_truth(tmp_path)
    bulk = simulate_bulk(cohort=COHORT, settings=settings, truth=truth)
    rate = bulk.counts / bulk.counts.sum(axis=1, keepdims=True)
    logs, case = np.log2(rate + 1e-7), np.array([one.arm == "case" for one in bulk.planned])
    rows = np.flatnonzero(truth.genes["causal"].to_numpy())
    measured = logs[case][:, rows].mean(axis=0) - logs[~case][:, rows].mean(axis=0)
    model = truth.expression
    parts = model.tissue_shares[:, None] * np.exp(model.base + model.by_type)[:, rows]
    share = parts[model.active].sum(axis=0) / parts.sum(axis=0)
    expected = np.log2(1 + share * (2 ** truth.disease.effect[rows] - 1))
    slope = np.polyfit(expected, measured, 1)
    assert slope[0] == pytest.approx(1.0, abs=0.12)
    assert np.corrcoef(expected, measured)[0, 1] > 0.95


@pytest.mark.slow
def test_type_one_error_over_many_null_studies(tmp_path: Path) -> None:
    settings = settings_of(0.0, n_per_arm=10)
    rates = []
    for seed in range(60):
        write_truth(settings=settings, seed=seed, out_dir=tmp_path / str(seed))
        rates.append((p_values(read_truth(tmp_path / str(seed)), settings) < 0.05).mean())
    assert np.mean(rates) == pytest.approx(0.05, abs=0.006)
