"""Many simulated studies through the whole comparison: how often what is claimed, and how well it is covered."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pandas as pd

from causal.concordance.two_sides import TwoSides, two_sides
from consilience.causal.concordance.join import Shared, join
from consilience.causal.concordance.judge import Judged, judge
from consilience.causal.concordance.left_out import left_out_of
from consilience.causal.concordance.tables import cells_side, population_side
from consilience.study.causal import ConcordanceSection

QUICK = ConcordanceSection(permutations=499, top=[20])
TESTS = {"naive": "p_naive", "blocks dealt": "p_permutation", "donors left out": "p_donors", "both": "p"}


def shared_of(study: TwoSides, settings: ConcordanceSection = QUICK) -> Shared:
    return join(
        population_side(study.population, where="population"), cells_side(study.cells, where="cells"),
        block_kb=settings.block_kb, n_strata=settings.strata,
    )  # fmt: skip


def judged_of(
    study: TwoSides, settings: ConcordanceSection = QUICK, *, seed: int = 1, donors: bool = True
) -> Judged:
    shared = shared_of(study, settings)
    left = left_out_of(study.left_out, shared, where="left out") if donors else None
    return judge(shared, settings=settings, seed=seed, left_out=left)


def studies(seeds: Iterable[int], **options: Any) -> pd.DataFrame:
    """Rows of all cell types of all studies, with what was planted."""
    rows = []
    for seed in seeds:
        study = two_sides(seed, **options)
        found = judged_of(study, seed=seed)
        rows += [row | {"study": seed, "planted": row["cell_type"] in study.active, "true_r": study.true_r[row["cell_type"]]} for row in found.rows]  # fmt: skip
    return pd.DataFrame(rows)


def summary(rows: pd.DataFrame) -> dict[str, float]:
    """Type-I error at 0.05 of each test, FDR and power at FDR 0.05, global test, bias and coverage."""
    null, planted = rows[~rows["planted"]], rows[rows["planted"]]
    found = {f"type I, {name}": (null[column] < 0.05).mean() for name, column in TESTS.items()}
    found |= {f"power, {name}": (planted[column] < 0.05).mean() for name, column in TESTS.items()}
    claimed = rows[rows["fdr"] <= 0.05].groupby("study")["planted"].agg(["size", "sum"])
    n_studies = rows["study"].nunique()
    found["FDR"] = float((1 - claimed["sum"] / claimed["size"]).sum()) / n_studies
    found["power at FDR"] = (planted["fdr"] <= 0.05).mean()
    found["global below 0.05"] = (rows.groupby("study")["p_global"].first() < 0.05).mean()
    inside = (rows["low"] <= 0) & (rows["high"] >= 0)
    found["interval of r holds 0, null"] = inside[~rows["planted"]].mean()
    known = planted[np.isfinite(planted["r_corrected"])]
    found["corrected, share given"] = len(known) / max(len(planted), 1)
    found["corrected, null given"] = float(np.isfinite(null["r_corrected"]).mean())
    found |= dict.fromkeys(("true r", "r", "r corrected, median", "corrected, coverage"), float("nan"))
    if len(known):
        found["true r"] = known["true_r"].mean()
        found["r"] = known["r"].mean()
        found["r corrected, median"] = known["r_corrected"].median()
        held = (known["r_corrected_low"] <= known["true_r"]) & (known["r_corrected_high"] >= known["true_r"])
        found["corrected, coverage"] = held.mean()
    found["studies"] = n_studies
    return {name: float(value) for name, value in found.items()}
