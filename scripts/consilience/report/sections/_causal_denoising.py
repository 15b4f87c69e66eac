"""What the denoising network can do, and that it does not know who is ill."""

from __future__ import annotations

from typing import Any

from consilience.report.elements import Block, Cell, Column, Table, Text
from consilience.report.results import StudyResults
from consilience.report.sections._causal_reading import hidden
from consilience.study.cohorts import Cohort

LEFT_OUT = frozenset({"messages", "settings", "skipped", "cohort", "format_version"})
MOST = 60


def denoising_blocks(results: StudyResults, cohort: Cohort) -> list[Block]:
    """Figures of the network; [] where it was not trained."""
    relative = f"causal/cells/{cohort.name}/denoising.json"
    if not (results.root / relative).is_file():
        if results.config.causal.denoising.enabled:
            return []
        return [Text("The network that denoises was switched off (causal.denoising.enabled).", tone="small")]
    found = results.json(relative)
    blocks: list[Block] = []
    if found.get("skipped"):
        blocks.append(Text(f"Not denoised: {hidden(results, found['skipped'])}."))
    rows = _rows(found)[:MOST]
    if rows:
        blocks.append(Table(
            key=f"denoising.{cohort.name}", title="The network behind the latent confounders", rows=tuple(rows),
            visible=12, columns=(Column("figure", "Figure", "words"), Column("value", "Value", "number"),
                                 Column("text", "")),
            caption="Counts of donors that it has not seen; it is never shown who is ill.",
        ))  # fmt: skip
    return blocks


def _rows(found: dict[str, Any], before: str = "") -> list[tuple[Cell, ...]]:
    """Numbers and words of a record, those inside objects under both names."""
    rows: list[tuple[Cell, ...]] = []
    for key, value in found.items():
        if not before and key in LEFT_OUT:
            continue
        words = f"{before}{key.replace('_', ' ')}"
        if isinstance(value, dict):
            rows += _rows(value, f"{words}: ")
        elif isinstance(value, bool):
            rows.append((words, None, "yes" if value else "no"))
        elif isinstance(value, (int, float)):
            rows.append((words, value, ""))
        elif isinstance(value, str) and value:
            rows.append((words, None, value))
    return rows
