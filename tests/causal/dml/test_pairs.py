"""Donors sampled as case and as control: effects within them, whatever their own levels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from causal.dml.paired_cells import paired_cells
from causal.dml.small_cells import GENES, PLANTED, counts_and_obs
from causal.dml.test_dml_study import run
from consilience.causal.dml.cells_file import open_cells, plan_types
from consilience.causal.dml.estimate import estimate
from consilience.causal.dml.folds import donor_folds
from consilience.causal.dml.moments import columns_of, moments_in_blocks
from consilience.causal.dml.pairs import deviations, pair_contrast, pair_residuals
from consilience.causal.dml.ridge_scores import ridge_scores
from consilience.causal.dml.testing import donor_columns, spent_donors
from consilience.causal.dml.variants import _pseudobulk_rows


def rng_of(*key):
    return np.random.default_rng(key)


def sums_of(cells):
    ((_, sums),) = moments_in_blocks(
        columns=columns_of(cells.confounders, cells.outcome), expression=cells.expression, donor=cells.unit,
        n_donors=2 * len(cells.donors),
    )  # fmt: skip
    return deviations(sums)


def test_effects_are_those_of_deviations_and_explicit_ridge():
    from sklearn.linear_model import Ridge

    cells = paired_cells(5, rng=rng_of(1))
    folds = donor_folds(cells.donors, disease=cells.disease, folds=5, repeat=0, seed=3)
    found = estimate(cells, seed=3, folds=5, repeats=1, penalty=2.0, cell_errors=True)
    frame = pd.DataFrame(cells.expression.astype(float)).assign(y=cells.arm)
    left = (frame - frame.groupby(cells.donor).transform("mean")).to_numpy()
    residuals = np.empty_like(left)
    for fold in range(5):
        test = folds[cells.donor] == fold
        model = Ridge(2.0).fit(cells.confounders[~test], left[~test])
        residuals[test] = left[test] - model.predict(cells.confounders[test])
    v, u = residuals[:, :-1], residuals[:, -1]
    weights = 1 / np.bincount(folds)[folds][cells.donor]
    assert found.theta == pytest.approx((weights * u) @ v / (weights @ v**2), rel=1e-5)
    scores = v * (u[:, None] - v * ((u @ v) / (v**2).sum(0)))
    assert found.naive[1] == pytest.approx(np.sqrt((scores**2).sum(0)) / (v**2).sum(0), rel=1e-5)
    others = estimate(cells, learner="lasso", seed=3, repeats=1)
    assert others.theta == pytest.approx(found.theta, abs=0.1)


def test_what_donors_are_by_themselves_changes_nothing():
    cells = paired_cells(5, rng=rng_of(2))
    moved = np.repeat(
        rng_of(9).normal(0, 4, (5, cells.expression.shape[1])), np.bincount(cells.donor), axis=0
    )
    other = replace(cells, expression=(cells.expression + moved).astype(np.float32))
    first, second = (estimate(one, seed=1, repeats=2, without_each=True) for one in (cells, other))
    for name in ("p", "se", "df"):
        assert getattr(second.test, name) == pytest.approx(getattr(first.test, name), rel=2e-3)
    assert second.left_out[2].theta == pytest.approx(first.left_out[2].theta, rel=2e-3)


def test_contrasts_are_the_effects_and_know_no_level_of_a_donor():
    cells = paired_cells(6, rng=rng_of(3))
    samples, moments, _ = sums_of(cells)
    folds = donor_folds(cells.donors, disease=cells.disease, folds=3, repeat=0, seed=1)
    one = ridge_scores(moments, folds=folds, penalty=5.0)
    contrast = pair_contrast(samples, divisions=[folds], chosen=[5.0], scores=[one])
    assert contrast.donors.reshape(6, 2, -1).sum(1) == pytest.approx(0, abs=1e-12)
    # a gene that is a level of each sample: Σ w D is the effect's numerator over the denominator of the other gene
    level = rng_of(4).normal(size=12)
    flat = replace(cells, expression=np.repeat(level[cells.unit][:, None], 20, axis=1).astype(np.float32))
    of_level = ridge_scores(sums_of(flat)[1], folds=folds, penalty=5.0)
    numerator = of_level.weights @ of_level.b
    assert level @ contrast.donors * (one.weights @ one.a) == pytest.approx(numerator, rel=1e-4)


def test_levels_and_noise_reach_residuals_as_with_dummies_of_donors():
    cells = paired_cells(4, rng=rng_of(5), cells=12, covariate=True)
    found = pair_residuals(sums_of(cells)[0])
    design = np.column_stack([np.eye(4)[cells.donor], cells.confounders, cells.arm])
    leaves = np.eye(len(cells.donor)) - design @ np.linalg.pinv(design)
    of_sample = (cells.unit[:, None] == np.arange(8)).astype(float)
    average = (of_sample / of_sample.sum(0)).T
    assert found.maker == pytest.approx(average @ leaves @ of_sample, abs=1e-6)
    assert found.noise == pytest.approx(average @ leaves @ average.T, abs=1e-6)
    assert found.means == pytest.approx(average @ leaves @ cells.expression, abs=1e-5)


def test_without_confounders_and_with_equal_samples_it_is_the_paired_t_test():
    from scipy.stats import ttest_rel

    cells = paired_cells(6, rng=rng_of(6), unequal=0.0, cells=400, of_samples=1.0)
    cells = replace(cells, confounders=cells.confounders[:, :0], columns=())
    means = sums_of(cells)
    raw = np.stack([cells.expression[cells.unit == one].mean(0) for one in range(12)]).astype(float)
    test = estimate(cells, seed=1, repeats=1, folds=6).test
    due = ttest_rel(raw[1::2], raw[::2])
    assert test.statistic == pytest.approx(due.statistic, rel=0.02)
    assert test.p == pytest.approx(due.pvalue, rel=0.1)
    assert test.df == pytest.approx(5.0, rel=0.02)
    assert means[0].cells.tolist() == [400] * 12
    bulk = _pseudobulk_rows(cells, cells)
    assert np.corrcoef(bulk["statistic"], due.statistic)[0, 1] > 0.9
    assert (bulk["df"] >= 5).all()


def test_confounders_of_samples_take_degrees_of_freedom():
    plain, covered = (paired_cells(6, rng=rng_of(7), covariate=given) for given in (False, True))
    assert donor_columns(plain).shape == (12, 0)
    assert donor_columns(covered).shape == (12, 1)
    assert (spent_donors(plain), spent_donors(covered)) == (0, 1)
    df = [np.median(estimate(one, seed=1, repeats=1).test.df) for one in (plain, covered)]
    assert df[0] - df[1] == pytest.approx(1.0, abs=0.2)


def test_pulls_are_what_leaving_a_donor_out_moves():
    found = estimate(
        paired_cells(8, rng=rng_of(11), unequal=0.2), seed=1, repeats=1, folds=8, without_each=True
    )
    assert (found.pulls**2).sum(0) == pytest.approx(1.0)
    moved = np.stack([found.theta - one.theta for one in found.left_out])
    same = [np.corrcoef(pull, shift)[0, 1] for pull, shift in zip(found.pulls.T, moved.T, strict=True)]
    assert np.median(same) > 0.9


def shares(pairs, *, studies, **given):
    """Share of p <= 0.05 of genes, and of intervals that hold 0."""
    p, held = [], []
    for number in range(studies):
        test = estimate(paired_cells(pairs, rng=rng_of(pairs, number), **given), seed=number, repeats=1).test
        p.append(test.p)
        held.append((test.low <= 0) & (test.high >= 0))
    return float((np.array(p) <= 0.05).mean()), float(np.mean(held))


def test_nothing_is_rarely_taken_for_something():
    found, held = shares(6, studies=25)
    assert 0.02 < found < 0.08
    assert held == pytest.approx(1 - found)


@pytest.mark.slow
@pytest.mark.parametrize("pairs", [4, 6, 10])
@pytest.mark.parametrize(
    "given", [{"unequal": 0.3, "confounding": 0.0}, {"unequal": 1.0, "confounding": 1.0}, {"covariate": True}]
)
def test_five_percent_are_five_percent(pairs, given):
    found, _ = shares(pairs, studies=60, **given)
    assert 0.025 < found < 0.075


def test_pairs_find_more_than_their_samples_as_donors():
    found = []
    for number in range(6):
        cells = paired_cells(6, rng=rng_of(8, number), effect=1.0, of_donors=4.0)
        apart = replace(cells, arm=None, donor=cells.unit, disease=cells.unit_outcome,
                        donors=tuple(f"s{one}" for one in range(12)))  # fmt: skip
        found.append([(estimate(one, seed=1, repeats=1).test.p <= 0.05).mean() for one in (cells, apart)])
    within, between = np.mean(found, axis=0)
    assert within > 0.5
    assert within > 2 * between


def paired_counts(pairs=6, *, alone=0, cells=24, effect=2.0, seed=0):
    """Counts and cells of `pairs` donors in both arms, and of `alone` donors in each arm; own levels large."""
    counts, obs = counts_and_obs(donors=2 * pairs, cells=cells, effect=effect, seed=seed)
    number = obs["donor"].str[1:].astype(int)
    obs = obs.assign(donor="Q" + (number // 2).astype(str), sex=np.where(number // 2 % 2, "f", "m"))
    level = np.exp(rng_of(seed, 5).normal(0, 0.7, (pairs, GENES)))
    counts = rng_of(seed, 6).poisson(counts * level[number // 2]).astype(np.int32)
    if alone:
        more, others = counts_and_obs(donors=2 * alone, cells=cells, effect=effect, seed=seed + 1)
        others.index = "x" + others.index
        counts, obs = np.concatenate([counts, more]), pd.concat([obs, others])
    obs["library_size"] = counts.sum(1).astype(float)
    obs["size_factor"] = np.maximum(counts.sum(1), 1) / 10_000
    return counts, obs


def test_a_paired_cohort_has_its_tables(tmp_path):
    main, others, left_out, record = run(tmp_path, *paired_counts(), others=["lasso"], top=3)
    assert record["paired"]
    assert [one["paired"] for one in record["cell_types"]] == [True, True]
    assert any("paired design in 2 of 2 cell types: 6 donors" in one for one in record["messages"])
    assert set(record["both_arms"]) == {f"Q{one}" for one in range(6)}
    assert (main[["n_donors", "n_cases"]] == 6).all(axis=None)
    best = main[main["cell_type"] == "B"].nsmallest(2, "p")
    assert set(best["gene"]) == {f"G{one}" for one in PLANTED}
    assert (best["low"] > 0).all()
    assert main["df"].median() < 5.1
    told = record["cell_types"][0]["covariates_dropped"]
    assert "within donors" in told["sex"]
    assert {"iv_type:ridge", "irm:ridge", "partialling_out:lasso", "pseudobulk"} == set(others["variant"])
    planted = others[others["gene"].isin(best["gene"]) & (others["cell_type"] == "B")]
    assert (planted["theta"] > 0).all()
    assert set(left_out["left_out"]) == set(record["both_arms"])
    assert left_out["pull"].between(-1, 1).mean() > 0.9


def test_other_scores_and_the_bootstrap_take_pairs_too(tmp_path):
    counts, obs = paired_counts()
    for name, given in {"boot": {"inference": "wild_bootstrap"}, "irm": {"score": "irm"},
                        "iv": {"score": "iv_type"}}.items():  # fmt: skip
        main, *_ = run(tmp_path / name, counts, obs, top=0, repeats=1, **given)
        best = main[(main["cell_type"] == "B") & main["gene"].isin([f"G{one}" for one in PLANTED])]
        assert (best["theta"] > 0).all()
        assert (best["p"] < 0.05).all()


def test_latents_that_tell_the_arm_are_told(tmp_path):
    counts, obs = paired_counts(4)
    state = (obs["arm"] == "case") + rng_of(1).normal(0, 0.3, len(obs))
    path = tmp_path / "latent.parquet"
    pd.DataFrame({"cell": obs.index, "l0": state}).to_parquet(path)
    *_, record = run(tmp_path / "with", counts, obs, latent=path, top=0)
    assert any("latent numbers of cells among them" in one for one in record["messages"])
    *_, record = run(tmp_path / "without", counts, obs, latent=path, latents=False, top=0)
    assert not any("latent numbers" in one for one in record["messages"])


def test_pairs_do_not_depend_on_the_order_of_cells(tmp_path):
    counts, obs = paired_counts(4)
    order = rng_of(5).permutation(len(obs))
    first, *_ = run(tmp_path / "a", counts, obs, top=0)
    second, *_ = run(tmp_path / "b", counts[order], obs.iloc[order], top=0)
    for name in ("theta", "se", "p", "p_naive"):
        assert second[name].to_numpy() == pytest.approx(
            first[name].to_numpy(), rel=1e-3, abs=1e-8, nan_ok=True
        )


@pytest.mark.parametrize(
    ("pairs", "alone", "paired", "donors"),
    [(6, 3, True, 6), (3, 5, False, 10), (2, 3, False, 6), (5, 5, True, 5)],
)
def test_mixed_cohorts_have_one_design(tmp_path, pairs, alone, paired, donors):
    main, *_, record = run(tmp_path, *paired_counts(pairs, alone=alone), top=0, repeats=1)
    assert record["paired"] == paired
    assert (main["n_donors"] == donors).all()
    left = (
        "donors of one arm alone were left out" if paired else "are both case and control and were left out"
    )
    assert any(left in one for one in record["messages"])
    assert all(one["other_design"] for one in record["cell_types"])


def test_too_few_pairs_are_skipped_with_the_reason(tmp_path):
    main, *_, record = run(tmp_path, *paired_counts(2))
    assert main.empty
    assert not record["paired"]
    assert record["skipped"]["B"] == "2 donors have at least 10 cells as case and as control; 3 are needed"
    assert any("too few to be compared with themselves: Q0, Q1" in one for one in record["messages"])


def test_min_donors_counts_pairs(tmp_path):
    counts, obs = paired_counts(4)
    *_, record = run(tmp_path / "a", counts, obs, min_donors=5)
    assert "5 are needed" in record["skipped"]["B"]
    few = (obs["donor"] == "Q1") & (obs["arm"] == "case") & (obs["cell_type"] == "B")
    kept = ~few | (few.cumsum() <= 4)
    *_, record = run(tmp_path / "b", counts[kept], obs[kept], top=0, repeats=1)
    assert [one["few_cells"] for one in record["cell_types"]] == [["Q1"], []]
    assert [one["n_donors"] for one in record["cell_types"]] == [3, 4]


def test_batches_of_one_arm_are_told_in_pairs_too(tmp_path):
    counts, obs = paired_counts(4)
    main, *_, record = run(
        tmp_path, counts, obs.assign(batch=np.where(obs["arm"] == "case", "b1", "b0")), top=0
    )
    assert "batch" in record["cell_types"][0]["covariates_dropped"]
    assert main.loc[main["theta"].notna(), "flags"].str.contains("aliased_covariate").all()
    each = obs["donor"] + obs["arm"]
    *_, record = run(tmp_path / "each", counts, obs.assign(batch=each), top=0)
    assert "one sample" in record["cell_types"][0]["covariates_dropped"]["batch"]


def test_plans_of_pairs_name_the_arm_of_each_cell(tmp_path):
    from causal.dml.small_cells import write_cells

    counts, obs = paired_counts(4)
    source = open_cells(write_cells(tmp_path / "p.h5ad", counts, obs), covariates=[])
    for one in plan_types(source, min_cells=5, min_donors=3).types:
        cells = obs.iloc[one.rows]
        assert one.arm.tolist() == (cells["arm"] == "case").astype(float).tolist()
        assert np.array(one.donors)[one.donor].tolist() == cells["donor"].tolist()
        assert one.disease.tolist() == [1.0] * 4
