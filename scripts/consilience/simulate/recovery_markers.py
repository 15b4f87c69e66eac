"""Markers against what was planted: the ranking of planted genes and their signs, beside plain tests."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from consilience.rnagan.markers.against_truth import Recovery, recovery
from consilience.simulate.checks import FDR, Check
from consilience.simulate.statistics import auroc, sign_p

if TYPE_CHECKING:
    import pandas as pd

    from consilience.simulate.truth import Truth

OURS = "rnagan"


def marker_checks(path: Path, *, truth: Truth) -> tuple[list[Check], list[dict[str, Any]]]:
    """Checks, and one line a cell type and method for JSON, of a cohort's markers_genes.parquet.

    Methods are ours, ranked by the size of the effect, and every plain test in the table, ranked by its p.
    A cell type in which the disease does not act, and a null study, must show no markers.
    """
    import pandas as pd

    table = pd.read_parquet(path)
    effect = dict(zip(truth.genes["gene"], truth.genes["effect"].fillna(0.0), strict=True))
    active = dict(zip(truth.expression.types, truth.expression.active, strict=True))
    checks: list[Check] = []
    lines: list[dict[str, Any]] = []
    for cell_type, part in table.groupby("cell_type", sort=True):
        name = str(cell_type)
        planted = {gene: value if active.get(name, True) else 0.0 for gene, value in effect.items()}
        known = np.array([planted.get(gene, 0.0) for gene in part["feature"]])
        if not known.any():
            checks.append(_nothing_there(part, name))
            continue
        found = {method: _of(part, method, planted) for method in methods_of(part)}
        lines += [{"cell_type": name, "method": method, **_plain(one)} for method, one in found.items()]
        checks += _found(part, known, found, name)
    return checks, lines


def methods_of(table: pd.DataFrame) -> list[str]:
    """Ours, then the plain tests whose columns the table has."""
    tests = [column.removesuffix("_fdr") for column in table.columns if column.endswith("_fdr")]
    return [OURS, *(name for name in tests if f"{name}_effect" in table and f"{name}_p" in table)]


def _of(part: pd.DataFrame, method: str, planted: dict[str, float]) -> Recovery:
    prefix = "" if method == OURS else f"{method}_"
    effect, fdr = (part[f"{prefix}{name}"].fillna(default).to_numpy(dtype=np.float64)
                   for name, default in (("effect", 0.0), ("fdr", 1.0)))  # fmt: skip
    score = None if method == OURS else -part[f"{prefix}p"].fillna(1.0).to_numpy(dtype=np.float64)
    return recovery(
        features=part["feature"].tolist(), effect=effect, truth=planted, score=score, fdr=fdr, level=FDR
    )


def _found(part: pd.DataFrame, known: Any, found: dict[str, Recovery], cell_type: str) -> list[Check]:
    ours, inside = found[OURS], f" in {cell_type}" if cell_type else ""
    effect = part["effect"].fillna(0.0).to_numpy(dtype=np.float64)
    others = ", ".join(f"{name} {one.auprc:.2f}" for name, one in found.items() if name != OURS)
    right = round(ours.sign_accuracy * ours.n_planted)
    return [
        Check(
            name=f"markers{inside}", planted=f"{ours.n_planted} causal genes",
            found=f"AUPRC {ours.auprc:.2f}", value=ours.auprc, ideal=1.0, chance=ours.chance,
            ok=auroc(score=np.abs(effect), positive=known != 0).beats_chance(),
            text=f"area under precision and recall of the markers: {ours.auprc:.2f} (chance"
            f" {ours.chance:.2f}; plain tests: {others}); {ours.n_called} genes at a false"
            f" discovery rate of {FDR:.0%}",
        ),
        Check(
            name=f"signs of markers{inside}", planted=f"{ours.n_planted} signed effects",
            found=f"{right} right", value=ours.sign_accuracy, ideal=1.0, chance=0.5,
            ok=sign_p(n_right=right, n=ours.n_planted) < FDR,
            text=f"{right} of {ours.n_planted} causal genes speak in the planted direction (chance: half)",
        ),
    ]  # fmt: skip


def _nothing_there(part: pd.DataFrame, cell_type: str) -> Check:
    n, inside = int((part["fdr"] <= FDR).sum()), f" in {cell_type}" if cell_type else ""
    return Check(
        name=f"false markers{inside}", planted="no effect", found=f"{n} genes at FDR {FDR:.0%}",
        value=float(n), ideal=0.0, chance=0.0, ok=n == 0,
        text=f"{n} markers{inside} at a false discovery rate of {FDR:.0%}; there is nothing to find",
    )  # fmt: skip


def _plain(one: Recovery) -> dict[str, Any]:
    """Numbers for JSON; what is not a number becomes null."""
    return {
        name: None if isinstance(value, float) and not np.isfinite(value) else value
        for name, value in asdict(one).items()
    }
