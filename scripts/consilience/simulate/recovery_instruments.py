"""Summary statistics: how strong the instruments are; effects are left to the causal stage."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from consilience.simulate.checks import Check

EQTL_P = 1.83e-5
STRONG_F = 10.0


def instrument_checks(path: Path, *, facts: Any, n_tests: int) -> list[Check]:
    """Share of regulated genes that have an instrument, and the strength of the best one of each gene.

    `n_tests` are the rows of the eQTL study, of which the table may hold only those with a small p.
    """
    import pandas as pd

    eqtl = pd.read_parquet(path, columns=["gene", "z", "neg_log10_p"])
    planted = facts.loc[facts["gene"] != "", "gene"].nunique()
    significant = eqtl[eqtl["neg_log10_p"] > -np.log10(EQTL_P)]
    strength = (significant["z"] ** 2).groupby(significant["gene"]).max()
    mean = float(strength.mean()) if len(strength) else 0.0
    share = len(strength) / max(planted, 1)
    return [
        Check(
            name="instruments",
            planted=f"{planted} genes with eQTLs, a quarter of them weak",
            found=f"{len(strength)} genes with an eQTL at p < {EQTL_P:g}",
            value=share,
            ideal=1.0,
            chance=EQTL_P * n_tests / max(planted, 1),
            ok=share > 0.5,
            text=f"{len(strength)} of {planted} regulated genes have an instrument",
        ),
        Check(
            name="instrument strength",
            planted="F statistics far above 10 for most genes",
            found=f"mean F {mean:.0f}, median {float(strength.median()) if len(strength) else 0:.0f}",
            value=mean,
            ideal=None,
            chance=1.0,
            ok=mean > STRONG_F,
            text=f"the best eQTL of each gene has F = {mean:.0f} on average (F below 10 is weak)",
        ),
    ]
