"""The published evaluation of synthetic samples, and its mended forms, beside the paper's own figures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from consilience.report.elements import Cell, Column, Table
from consilience.report.results import StudyResults
from consilience.report.sections._augment_reading import (
    frame,
    generator_words,
    listed_values,
    over,
    rows_of,
)
from consilience.report.sections._rnagan_reading import number
from consilience.study.cohorts import Cohort

PAPER = {"accuracy": 0.9931, "f1": 0.9932, "auc": 0.9899, "mean_r2": 0.9988, "sd_r2": 0.9378,
         "sd_slope": 0.45, "correlation_published": 0.9092}  # fmt: skip
"""RareDisease-Transcriptome-VAE on GSE134900, T = 2: means of five seeds; spread and correlation of one."""
WORDS = {"accuracy": "Accuracy", "f1": "F1", "auc": "AUC", "mean_r2": "Means, R²", "sd_r2": "Spreads, R²",
         "sd_slope": "Spreads, slope", "correlation_published": "Correlation"}  # fmt: skip
JUDGED = ("mean_r2", "sd_r2", "sd_slope", "correlation_published")
"""Figures that the comparison of generators has, against patients never seen."""
RUNGS = {
    "published": "as published", "unseen_rows": "patients never seen", "true_labels": "true labels",
    "honest": "both",
}  # fmt: skip
MOST_ROWS = 16


def published_table(
    results: StudyResults, cohort: Cohort, told: Sequence[dict[str, Any]], *, chosen: str
) -> Table | None:
    """One row for each generator and step; None where nothing was evaluated."""
    rows = _rows(results, cohort, told)
    names = [name for name in PAPER if any(_number(row.get(name)) is not None for row in rows)]
    if not names:
        return None
    order = list(RUNGS)
    rows = sorted(rows, key=lambda row: (_key(row) != chosen, _key(row), order.index(_rung(row))))
    cells: list[tuple[Cell, ...]] = [
        ("the paper (GSE134900)", "as published", *(PAPER[name] for name in names))
    ]
    cells += [(generator_words(_key(row)), RUNGS[_rung(row)], *(_number(row.get(name)) for name in names))
              for row in rows]  # fmt: skip
    return Table(
        key=f"published.{cohort.name}", title="The published evaluation", visible=MOST_ROWS,
        rows=tuple(cells),
        caption="As published, labels are clusters found in all samples and the generator has seen the test "
                "rows. The steps below take these short cuts away, one at a time and both.",
        columns=(Column("generator", "Generator"), Column("evaluation", "Evaluated with"),
                 *(Column(name, WORDS[name], "number") for name in names)),
    )  # fmt: skip


def _rows(results: StudyResults, cohort: Cohort, told: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Means over splits, from published.parquet or what utility.json tells."""
    steps = frame(results, cohort, "published.parquet", needs=("generator", "protocol"))
    rows: list[dict[str, Any]] = [dict(row) for row in told]
    if steps is not None:
        rows = [
            {"generator": key, "protocol": rung}
            | {name: over(rows_of(steps, generator=key, protocol=rung), name).mean for name in PAPER}
            for key in listed_values(steps, "generator") for rung in listed_values(steps, "protocol")
        ]  # fmt: skip
    rows = [row for row in rows if _rung(row) in RUNGS]
    judged = frame(results, cohort, "generators.parquet", needs=("generator",))
    for row in rows:
        own = None if judged is None or _rung(row) != "honest" else rows_of(judged, generator=_key(row))
        for name in JUDGED:
            if own is not None and len(own) and _number(row.get(name)) is None:
                row[name] = over(own, name).mean
    return rows


def _key(row: dict[str, Any]) -> str:
    return str(row.get("generator") or "")


def _rung(row: dict[str, Any]) -> str:
    return str(row.get("protocol") or row.get("rung") or "published")


def _number(value: object) -> float | None:
    return number(value) if isinstance(value, int | float) and not isinstance(value, bool) else None
