"""Table cells as text: for people (a few digits) and for TSV files (all of them). tables.js says the same."""

from __future__ import annotations

import math
from decimal import ROUND_HALF_UP, Decimal

from consilience.report.elements import Cell, Column, Table
from consilience.report.words import duration, megabytes

MISSING = "–"
RIGHT_ALIGNED = frozenset({"integer", "number", "share", "bytes", "seconds"})


def cell_text(value: Cell, column: Column) -> str:
    """A cell as shown on the page."""
    if value is None or value == "":
        return MISSING
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, str):
        return value
    if isinstance(value, float) and not math.isfinite(value):
        return MISSING
    if column.kind == "bytes":
        return megabytes(round(value))
    if column.kind == "seconds":
        return duration(value)
    if column.kind == "share":
        return f"{_fixed(100 * value, 1)} %"
    return number_text(value)


def number_text(value: float) -> str:
    """Four significant digits; thousands separated; scientific only where nothing else is readable."""
    size = abs(value)
    if size >= 1e15:
        return f"{value:.2e}"
    if float(value).is_integer():
        return f"{int(value):,}"
    if size >= 1000:
        return _fixed(value, 0)
    if size < 1e-3:
        return f"{value:.2e}"
    digits = max(0, 3 - math.floor(math.log10(size)))
    text = _fixed(value, digits)
    return text.rstrip("0").rstrip(".") if "." in text else text


def _fixed(value: float, digits: int) -> str:
    """Fixed digits with halves rounded away from zero, as JavaScript's toFixed does."""
    return f"{Decimal(value).quantize(Decimal(1).scaleb(-digits), ROUND_HALF_UP):,}"


def tsv_text(table: Table) -> str:
    """The whole table as tab-separated text; tabs and line breaks inside cells become spaces."""
    lines = ["\t".join(_tsv_cell(column.name) for column in table.columns)]
    lines += ["\t".join(_tsv_cell(value) for value in row) for row in table.rows]
    return "\n".join(lines) + "\n"


def _tsv_cell(value: Cell) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return "" if math.isnan(value) else repr(value)
    return " ".join(value.splitlines()).replace("\t", " ") if isinstance(value, str) else str(value)


def table_json(table: Table) -> dict[str, object]:
    """Rows for sorting, filtering and download inside the page."""
    return {
        "key": table.key,
        "columns": [{"name": column.name, "kind": column.kind} for column in table.columns],
        "rows": [[_json_cell(value) for value in row] for row in table.rows[: table.embedded]],
        "total": len(table.rows),
        "visible": table.visible,
    }


def _json_cell(value: Cell) -> Cell:
    return None if isinstance(value, float) and not math.isfinite(value) else value
