"""The comparison as a whole: what it does not depend on, what it says of bad input, and its donors' test."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from causal.concordance.calibrating import QUICK, judged_of, shared_of
from causal.concordance.two_sides import TwoSides, two_sides
from consilience.causal.concordance.controls import against_controls
from consilience.causal.concordance.donors import donor_test
from consilience.causal.concordance.examples import worked_examples
from consilience.causal.concordance.left_out import left_out_of, null_scale
from consilience.causal.concordance.scores import statistics_of
from consilience.causal.concordance.tables import cells_side, population_side
from consilience.causal.concordance.verdict import verdict

STUDY = two_sides(3, n_genes=150, n_types=3, n_active=1, n_donors=16, effect=1.5)
FAST = QUICK.model_copy(update={"permutations": 99, "top": [10]})


def table_of(study: TwoSides, **options: object) -> pd.DataFrame:
    return pd.DataFrame(judged_of(study, FAST, **options).rows).set_index("cell_type")


WHOLE = table_of(STUDY)
FIGURES = WHOLE.select_dtypes(float).columns


@given(st.integers(0, 1000))
@settings(max_examples=5)
def test_order_of_genes_donors_and_types_does_not_matter(seed: int) -> None:
    mixed = replace(STUDY, **{name: getattr(STUDY, name).sample(frac=1, random_state=seed) for name in ("population", "cells", "left_out")})  # fmt: skip
    np.random.seed(seed)  # noqa: NPY002 (nothing may depend on it)
    pd.testing.assert_frame_equal(table_of(mixed), WHOLE)


def test_another_cell_type_changes_no_figure_of_the_others() -> None:
    fewer = replace(
        STUDY,
        **{name: getattr(STUDY, name).query("cell_type != 'NK'") for name in ("cells", "left_out")},
    )
    # strata of expression are those of all types together, so dealt genes may fall otherwise
    dealt = ("fdr", "p_global", "p_permutation", "p", "overlap_10_p")
    names = [name for name in FIGURES if name not in dealt]
    pd.testing.assert_frame_equal(table_of(fewer)[names], WHOLE.loc[["B", "T"], names])


def test_turning_both_sides_round_changes_nothing_and_one_side_the_sign() -> None:
    left, right, without = STUDY.population.copy(), STUDY.cells.copy(), STUDY.left_out.copy()
    left[["alpha", "z"]] *= -1
    right[["theta", "statistic", "theta_sd"]] *= -1
    without["statistic"] *= -1
    both = table_of(replace(STUDY, population=left, cells=right, left_out=without))
    pd.testing.assert_frame_equal(both[FIGURES], WHOLE[FIGURES])
    one = table_of(replace(STUDY, population=left))
    for name in ("r", "spearman", "deming_slope"):
        assert one[name].to_numpy() == pytest.approx(-WHOLE[name].to_numpy(), rel=1e-6)
    assert one["low"].to_numpy() == pytest.approx(-WHOLE["high"].to_numpy())
    for name in ("p_permutation", "p_donors", "sign_p", "overlap_10"):
        assert one[name].to_numpy() == pytest.approx(WHOLE[name].to_numpy())


def test_units_of_effects_change_the_slope_alone() -> None:
    left = STUDY.population.copy()
    left[["alpha", "se"]] *= 7.0
    scaled = table_of(replace(STUDY, population=left))
    slopes = ["deming_slope", "deming_low", "deming_high"]
    assert scaled["deming_slope"].to_numpy() == pytest.approx(WHOLE["deming_slope"].to_numpy() / 7, rel=1e-6)
    rest = [name for name in FIGURES if name not in slopes]
    pd.testing.assert_frame_equal(scaled[rest], WHOLE[rest])


def test_the_planted_type_is_found_and_said() -> None:
    assert WHOLE.loc["T", "fdr"] <= 0.05
    assert (WHOLE.loc[["B", "NK"], "fdr"] > 0.05).all()
    found = judged_of(STUDY, FAST)
    said = verdict(found.rows, p_global=found.p_global, control=False)
    assert "In 1 of 3 cell types gene effects agree" in said
    assert "T (r = 0." in said
    assert {row["kind"] for row in found.stability} == {"chromosome", "donor"}
    row = WHOLE.loc["T"]
    assert row["loo_donor_min"] <= row["loo_donor_max"]
    assert row["low"] < row["r"] < row["high"]


def test_without_donors_the_flag_and_the_verdict_say_so() -> None:
    rows = judged_of(STUDY, FAST, donors=False).rows
    assert all("donors_unknown" in row["flags"] and np.isnan(row["p_donors"]) for row in rows)
    assert all(row["p"] == row["p_permutation"] for row in rows)
    assert "few donors" in verdict(rows, p_global=0.5, control=False)


def test_types_that_cannot_be_judged_are_rows_with_a_reason() -> None:
    right = STUDY.cells.copy()
    few = right.query("cell_type == 'B'").index[15:]
    right.loc[few, ["theta", "statistic"]] = np.nan
    constant = right["cell_type"] == "NK"
    right.loc[constant, ["theta", "statistic"]] = 1.0
    right.loc[constant, "se"] = 1.0
    found = table_of(replace(STUDY, cells=right))
    assert found.loc["B", "flags"] == "few_genes"
    assert found.loc["NK", "flags"] == "constant"
    assert found.loc[["B", "NK"], ["r", "p", "fdr", "overlap_10"]].isna().all().all()
    assert found.loc["T", "fdr"] == pytest.approx(found.loc["T", "p"])
    nothing = judged_of(replace(STUDY, cells=right.query("cell_type != 'T'")), FAST)
    assert "Nothing could be compared" in verdict(nothing.rows, p_global=nothing.p_global, control=False)
    assert np.isnan(nothing.p_global)


def test_genes_without_places_or_expression_are_flagged() -> None:
    bare = replace(
        STUDY, population=STUDY.population.drop(columns=["chromosome", "position"]),
        cells=STUDY.cells.drop(columns="mean_expression"),
    )  # fmt: skip
    shared = shared_of(bare, FAST)
    assert len(set(shared.block.tolist())) == len(shared.x)
    assert table_of(bare)["flags"].str.contains("no_positions;no_expression").all()


def test_opposite_effects_are_called_so() -> None:
    study = two_sides(3, n_genes=150, n_types=2, n_active=1, n_donors=16, effect=1.5, sign=-1.0)
    rows = judged_of(study, FAST).rows
    first = next(row for row in rows if row["cell_type"] == "T")
    assert "opposite" in first["flags"]
    assert "opposite directions in T" in verdict(rows, p_global=0.01, control=False)


def test_donors_test_is_a_t_test_where_one_gene_counts() -> None:
    """With x all in one gene, and linear estimates, it is the t of that gene's jackknife."""
    rng = np.random.default_rng(1)
    scores = rng.normal(size=(10, 30))
    y, left_out = scores.mean(axis=0), np.stack([np.delete(scores, d, 0).mean(axis=0) for d in range(10)])
    x = np.zeros(30)
    x[4] = 1.0
    found = donor_test(x=x, y=y, left_out=left_out, block=np.arange(30))
    assert found is not None
    contrast = scores[:, 4] - scores.mean(axis=1)
    t = contrast.mean() / (contrast.std(ddof=1) / np.sqrt(10))
    assert found.p == pytest.approx(2 * stats.t.sf(abs(t), 7))
    assert len(found.r) == 10
    assert donor_test(x=x, y=y, left_out=left_out[:4], block=np.arange(30)) is None
    assert donor_test(x=np.ones(30), y=y, left_out=left_out, block=np.arange(30)) is None


def test_parts_of_donors_give_the_t_test_of_a_sum_of_genes() -> None:
    study = two_sides(5, n_genes=60, n_types=1, n_active=0, n_donors=10)
    shared = shared_of(study)
    left = left_out_of(study.left_out, shared, where="left out")["T"]
    assert left.score is not None
    assert left.parts is not None
    assert (left.parts**2).sum(0) == pytest.approx(null_scale(statistics_of(shared.y[0], shared.df[0]), shared.df[0]) ** 2)  # fmt: skip
    x = np.zeros(len(shared.x))
    x[7] = 1.0
    # genes but one hardly count: the t test of that one, with a degree of freedom less
    found = donor_test(x=x, y=shared.y[0], left_out=left.z, block=shared.block, score=left.score,
                       parts=left.parts, df=8.0)  # fmt: skip
    assert found is not None
    centred = x - x.mean()
    t = centred @ left.score / np.sqrt(((left.parts @ centred) ** 2).sum())
    assert found.p == pytest.approx(2 * stats.t.sf(abs(t), 7))
    without = left_out_of(study.left_out.drop(columns="pull"), shared, where="left out")["T"]
    assert without.score is None
    jackknife = donor_test(x=x, y=shared.y[0], left_out=without.z, block=shared.block, df=8.0)
    assert jackknife is not None
    assert jackknife.p != found.p
    back = statistics_of(shared.y[0], shared.df[0])
    assert np.sort(back) == pytest.approx(np.sort(study.cells["statistic"]))


def test_examples_say_what_each_side_says() -> None:
    sides = population_side(STUDY.population, where="p"), cells_side(STUDY.cells, where="c")
    first, second = worked_examples(*sides, asked=["G3", "SLC40A1"])
    assert len(first["cells"]) == 3
    assert first["population"][0]["effect"] == pytest.approx(STUDY.population["alpha"][3])
    assert first["text"].startswith("G3: population genetics")
    assert second["text"] == "SLC40A1: on neither side."


def test_controls_that_agree_take_the_finding_back() -> None:
    disease = WHOLE.reset_index()
    silent = disease.assign(r=0.01, p=0.9, fdr=0.9)
    found = against_controls(disease, {"height": silent}).set_index("cell_type")
    assert found["stands_out"].to_dict() == {"B": False, "NK": False, "T": True}
    both = against_controls(disease, {"height": silent, "again": disease}).set_index("cell_type")
    assert not both["stands_out"].any()
    assert both.loc["T", "n_controls_agreeing"] == 1
    assert not against_controls(disease, {})["stands_out"].any()
    said = verdict(judged_of(STUDY, FAST).rows, p_global=0.01, control=True)
    assert "negative control, and yet there is agreement" in said
