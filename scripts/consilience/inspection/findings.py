"""What an inspection found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from consilience.inspection.columns import ColumnSeen
from consilience.study.sheet import COLUMNS


@dataclass(frozen=True, slots=True)
class FileSeen:
    """One file: its `name`, `bytes` where known, `what` it is, `url` where it is not here."""

    name: str
    bytes: int | None
    what: str
    url: str = ""


@dataclass(frozen=True, slots=True)
class Proposal:
    """A row of the cohort sheet: `cells` by column, `reasons` for them, and what a person must `decide`."""

    cells: Mapping[str, str]
    reasons: tuple[str, ...]
    decide: tuple[str, ...]

    def lines(self) -> tuple[str, str]:
        """Header and row as they stand in a sheet."""
        return "\t".join(COLUMNS), "\t".join(self.cells.get(column, "") for column in COLUMNS)


@dataclass(frozen=True, slots=True)
class Inspection:
    """All that was found about a `target`: files, `facts` by name, columns, a proposed row, `notes`.

    `unit` says what the rows of the columns are ("samples" or "cells").
    """

    target: str
    kind: str
    files: tuple[FileSeen, ...]
    facts: Mapping[str, str] = field(default_factory=dict)
    columns: tuple[ColumnSeen, ...] = ()
    unit: str = "samples"
    proposal: Proposal | None = None
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Everything, as plain values."""
        row = self.proposal
        return {
            "target": self.target,
            "kind": self.kind,
            "files": [
                {"name": one.name, "bytes": one.bytes, "what": one.what, "url": one.url} for one in self.files
            ],
            "facts": dict(self.facts),
            "unit": self.unit,
            "columns": [
                {
                    "name": one.name, "n": one.n, "n_empty": one.n_empty, "shape": one.shape,
                    "n_levels": len(one.levels), "levels": [list(pair) for pair in one.levels[:100]],
                }
                for one in self.columns
            ],
            "row": row and {column: row.cells.get(column, "") for column in COLUMNS},
            "reasons": list(row.reasons) if row else [],
            "decide": list(row.decide) if row else [],
            "notes": list(self.notes),
        }  # fmt: skip
