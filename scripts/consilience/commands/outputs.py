"""What commands print and write: a few lines or JSON, and a table whose suffix says its form."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from consilience.foundation.errors import DataError
from consilience.inspection.show import safe

if TYPE_CHECKING:
    import pandas as pd

    from consilience.rnagan.alignment import Aligned
    from consilience.rnagan.model import Rnagan

TABLES = (".parquet", ".tsv")


def refuse_suffix(path: Path, allowed: Sequence[str] = TABLES) -> None:
    """Refuse an output that could not be written, before any work is done."""
    if path.suffix not in allowed:
        raise DataError("the suffix says no known form", where="--out", value=path.name,
                        allowed=", ".join(allowed))  # fmt: skip
    if path.is_dir():
        raise DataError("this is a folder", where="--out", value=str(path), allowed="a file name")


def write_table(path: Path, table: pd.DataFrame) -> None:
    """Write as the suffix says."""
    from consilience.foundation.files import write_parquet, write_tsv

    (write_parquet if path.suffix == ".parquet" else write_tsv)(path, table)


def model_line(model: Rnagan) -> str:
    """A model in a line."""
    from consilience.rnagan.scales import WORDS

    return f"model: preset {model.preset.name}, {len(model.genes):,} genes, {WORDS[model.scale]}"


def file_lines(what: str, path: Path, aligned: Aligned) -> list[str]:
    """What was found in a file."""
    total = int(aligned.observed.size)
    lines = [
        f"{what} {path.name}: {len(aligned.samples):,}; genes matched {aligned.n_matched:,}/{total:,}",
        f"  units: {aligned.units} ({aligned.why_units})",
    ]
    return [*lines, *(f"  note: {note}" for note in aligned.notes)]


def say(lines: Sequence[str], summary: Mapping[str, Any], *, as_json: bool) -> None:
    """Print the lines, or the summary as JSON instead."""
    if as_json:
        typer.echo(json.dumps(dict(summary), indent=1, ensure_ascii=False))
        return
    for line in lines:
        typer.echo(safe(line, limit=2000))


def short(value: Any) -> str:
    """A value of a record as people read it."""
    if isinstance(value, dict):
        return ", ".join(f"{key} {short(one)}" for key, one in value.items())
    if isinstance(value, list):
        return ", ".join(map(short, value))
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return f"{value:.4g}" if isinstance(value, float) else "none" if value is None else str(value)
