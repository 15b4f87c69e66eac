"""Causal estimates against planted effects: what a check says of right, wrong and empty tables."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from consilience.simulate.recovery_causal import agreement_checks, twmr_checks

GENES = [f"G{k}" for k in range(100)]
ALPHA = np.where(np.arange(100) < 20, np.where(np.arange(100) % 2, 0.05, -0.05), 0.0)
FACTS = pd.DataFrame({"gene": [*GENES, ""], "alpha": [*ALPHA, 0.0]})
TRUTH = SimpleNamespace(
    genes=pd.DataFrame({"gene": GENES, "causal": ALPHA != 0}),
    expression=SimpleNamespace(types=("ill", "well"), active=(True, False)),
)


def estimates(tmp_path, *, scale: float = 1.0, called: int = 20):
    random = np.random.default_rng(3)
    alpha = scale * ALPHA + random.normal(0, 0.01, 100)
    table = pd.DataFrame({"symbol": GENES, "alpha": alpha, "se": 0.01})
    table["p"] = np.where(np.abs(table["alpha"]) > 0.03, 1e-5, random.uniform(0.01, 1, 100))
    table["fdr"] = np.where(np.arange(100) < called, 0.01, 0.9)
    table.loc[99, ["alpha", "se", "p", "fdr"]] = np.nan
    table.to_parquet(tmp_path / "twmr.parquet")
    return tmp_path / "twmr.parquet"


def agreement(tmp_path, *, ill: float, well: float):
    table = pd.DataFrame(
        {"cell_type": ["ill", "well", "rare"], "r": [0.4, 0.0, np.nan], "fdr": [ill, well, np.nan]}
    )
    table.to_parquet(tmp_path / "concordance.parquet")
    return tmp_path / "concordance.parquet"


def test_right_estimates_pass(tmp_path) -> None:
    checks = twmr_checks(estimates(tmp_path), facts=FACTS)
    assert [check.ok for check in checks] == [True, True, True]
    assert checks[0].value == pytest.approx(1.0, abs=0.05)
    assert checks[2].value == 0.0
    assert "9" in checks[0].text.split("%")[1]


def test_wrong_signs_and_false_claims_do_not_pass(tmp_path) -> None:
    checks = twmr_checks(estimates(tmp_path, scale=-1.0), facts=FACTS)
    assert [check.ok for check in checks] == [True, False, True]
    checks = twmr_checks(estimates(tmp_path, called=40), facts=FACTS)
    assert not checks[2].ok
    assert checks[2].value == 20.0


def test_a_null_study_has_nothing_but_false_claims(tmp_path) -> None:
    checks = twmr_checks(estimates(tmp_path, scale=0.0, called=0), facts=FACTS.assign(alpha=0.0))
    assert [(check.ok, check.value) for check in checks] == [(True, 0.0)]


@pytest.mark.parametrize(
    ("ill", "well", "related", "ok"),
    [
        (0.01, 0.9, True, [True, True]),
        (0.9, 0.01, True, [False, False]),
        (0.01, 0.9, False, [False]),
        (0.9, 0.9, False, [True]),
    ],
)
def test_agreement_where_it_was_planted_and_nowhere_else(tmp_path, ill, well, related, ok) -> None:
    checks = agreement_checks(agreement(tmp_path, ill=ill, well=well), truth=TRUTH, related=related)
    assert [check.ok for check in checks] == ok
