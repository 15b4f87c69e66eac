"""Markers against planted genes: what a check says of right, wrong and empty tables."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from consilience.simulate.recovery_markers import OURS, marker_checks, methods_of

GENES = [f"G{k}" for k in range(200)]
EFFECT = np.where(np.arange(200) < 20, np.where(np.arange(200) % 2, 1.0, -1.0), 0.0)
TRUTH = SimpleNamespace(
    genes=pd.DataFrame({"gene": GENES, "effect": EFFECT}),
    expression=SimpleNamespace(types=("ill", "well"), active=(True, False)),
)


def table(tmp_path, cell_type: str = "", *, sign: float = 1.0, noise: float = 0.1, called: int = 20):
    random = np.random.default_rng(1)
    effect = sign * EFFECT + random.normal(0, noise, 200)
    p = np.where(EFFECT != 0, 1e-6, random.uniform(0.01, 1, 200))
    made = pd.DataFrame({
        "cell_type": cell_type, "feature": GENES, "effect": effect, "fdr": np.where(np.arange(200) < called, 0.01, 0.9),
        "wilcoxon_effect": effect, "wilcoxon_p": p, "wilcoxon_fdr": p * 5,
    })  # fmt: skip
    made.to_parquet(tmp_path / "markers.parquet")
    return tmp_path / "markers.parquet"


def test_right_markers_pass_beside_the_plain_test(tmp_path) -> None:
    checks, lines = marker_checks(table(tmp_path), truth=TRUTH)
    assert [check.ok for check in checks] == [True, True]
    assert checks[0].value == pytest.approx(1.0)
    assert checks[0].chance == pytest.approx(0.1)
    assert [line["method"] for line in lines] == [OURS, "wilcoxon"]
    assert lines[0]["sign_accuracy"] == 1.0
    assert lines[0]["n_called"] == 20
    assert lines[0]["false_share"] == 0.0


def test_wrong_signs_and_chance_do_not_pass(tmp_path) -> None:
    checks, _ = marker_checks(table(tmp_path, sign=-1.0), truth=TRUTH)
    assert [check.ok for check in checks] == [True, False]
    checks, _ = marker_checks(table(tmp_path, sign=0.0), truth=TRUTH)
    assert [check.ok for check in checks] == [False, False]


@pytest.mark.parametrize(("called", "ok"), [(0, True), (3, False)])
def test_where_the_disease_does_not_act_any_marker_is_false(tmp_path, called, ok) -> None:
    checks, lines = marker_checks(table(tmp_path, "well", called=called), truth=TRUTH)
    assert [check.ok for check in checks] == [ok]
    assert checks[0].value == called
    assert lines == []


def test_a_cohort_without_markers_gives_no_checks(tmp_path) -> None:
    pd.DataFrame({"cell_type": []}).to_parquet(tmp_path / "markers.parquet")
    assert marker_checks(tmp_path / "markers.parquet", truth=TRUTH) == ([], [])


def test_methods_are_those_with_all_columns() -> None:
    columns = ["effect", "p", "fdr", "wilcoxon_effect", "wilcoxon_p", "wilcoxon_fdr", "odd_fdr"]
    assert methods_of(pd.DataFrame(columns=columns)) == [OURS, "wilcoxon"]
