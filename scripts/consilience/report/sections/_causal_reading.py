"""What all causal sections need: which cohorts and pairs were gone over, their files, words and flags."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from consilience.report.elements import Cell, Column, Table, Text
from consilience.report.results import StudyResults
from consilience.report.shapes import Shape
from consilience.report.words import NARROW, count
from consilience.study.cohorts import Cohort

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd

    Floats = npt.NDArray[np.float64]

ShapeType = TypeVar("ShapeType", bound=Shape)
FOLDER = "causal"
LEVEL = 0.05
"""False discovery rate, and level of single tests, that the sections call by."""
FOLD_ABOVE = 2
MOST_SHOWN = 6
"""Cohorts and pairs with figures of their own."""
SMALLEST_P = 1e-320


@dataclass(frozen=True, slots=True)
class Pair:
    """Summary statistics and single cells that were compared; `control`: an unrelated trait."""

    population: Cohort
    cells: Cohort
    control: bool

    @property
    def name(self) -> str:
        """For keys of figures and tables."""
        return f"{self.population.name}.{self.cells.name}"

    @property
    def folder(self) -> str:
        """Under the study's folder."""
        return f"{FOLDER}/agreement/{self.population.name}/{self.cells.name}"


def populations(results: StudyResults) -> list[Cohort]:
    """Summary statistics that the stage went over, controls last."""
    found = [one for one in results.summary_cohorts if _there(results, f"{FOLDER}/population/{one.name}")]
    return sorted(found, key=lambda one: is_control(results, one))


def cell_cohorts(results: StudyResults) -> list[Cohort]:
    """Single-cell cohorts that the stage went over."""
    return [one for one in results.expression_cohorts if _there(results, f"{FOLDER}/cells/{one.name}")]


def pairs(results: StudyResults) -> list[Pair]:
    """Pairs that were compared, controls last."""
    found = [
        Pair(population, cells, is_control(results, population))
        for population in results.summary_cohorts for cells in results.expression_cohorts
        if _there(results, f"{FOLDER}/agreement/{population.name}/{cells.name}")
    ]  # fmt: skip
    return sorted(found, key=lambda one: one.control)


def is_control(results: StudyResults, cohort: Cohort) -> bool:
    """Whether a trait is a negative control."""
    return cohort.name in results.config.causal.controls


def _there(results: StudyResults, relative: str) -> bool:
    return results.config.causal.enabled and (results.root / relative).is_dir()


def ran(results: StudyResults) -> bool:
    """Whether the stage left anything."""
    return bool(populations(results) or cell_cohorts(results) or pairs(results))


def told(results: StudyResults, relative: str, shape: type[ShapeType]) -> ShapeType | None:
    """A JSON file under the study's folder; None where it is not there."""
    return results.shape(relative, shape) if (results.root / relative).is_file() else None


def frame(results: StudyResults, relative: str, *, needs: Sequence[str] = ()) -> pd.DataFrame | None:
    """A parquet table; None where it is not there, is empty or lacks a column of `needs`."""
    path = results.root / relative
    table = results.table(path) if path.is_file() else None
    return table if table is not None and len(table) and set(needs) <= set(table.columns) else None


def floats(table: pd.DataFrame, column: str) -> Floats:
    """A column as numbers (n,); NaN where the table has no such column or no number stands there."""
    import pandas as pd

    if column not in table:
        return np.full(len(table), np.nan)
    found = pd.to_numeric(table[column], errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    return np.where(np.isfinite(found), found, np.nan)


def texts(table: pd.DataFrame, column: str) -> list[str]:
    """A column as text; "" where the table has no such column or nothing stands there."""
    if column not in table:
        return [""] * len(table)
    return [str(value) for value in table[column].astype(object).where(table[column].notna(), "")]


def gene_names(table: pd.DataFrame, *, of: str = "gene") -> list[str]:
    """Symbols, and identifiers where there is no symbol."""
    return [symbol or gene for symbol, gene in zip(texts(table, "symbol"), texts(table, of), strict=True)]


def evidence(p: Floats) -> Floats:
    """−log10 p; NaN stays, 0 becomes the largest that can be shown."""
    with np.errstate(invalid="ignore"):
        return -np.log10(np.maximum(p, SMALLEST_P)) + 0.0


def called(table: pd.DataFrame, *, fdr: str = "fdr") -> npt.NDArray[np.bool_]:
    """Rows at most LEVEL false discoveries (n,)."""
    return np.asarray(np.nan_to_num(floats(table, fdr), nan=1.0) <= LEVEL)


def share_below(p: Floats) -> float | None:
    """Share of the known p-values that are at most LEVEL."""
    known = p[np.isfinite(p)]
    return float((known <= LEVEL).mean()) if known.size else None


def median(values: Floats) -> float | None:
    """Median of the finite values; None where there are none."""
    known = values[np.isfinite(values)]
    return float(np.median(known)) if known.size else None


def correlation(x: Floats, y: Floats) -> float | None:
    """Pearson's r of the pairs that are both known; None for fewer than three or without spread."""
    both = np.isfinite(x) & np.isfinite(y)
    if both.sum() < 3 or x[both].std() == 0 or y[both].std() == 0:
        return None
    return float(np.corrcoef(x[both], y[both])[0, 1])


def p_words(p: float | None) -> str:
    """A p-value in a sentence."""
    if p is None or not math.isfinite(p):
        return "unknown"
    return f"{p:.2g}" if p >= 1e-4 else f"{p:.0e}".replace("e-0", "e-").replace("-", "\N{MINUS SIGN}")


def percents(share: float | None) -> str:
    """A share in percent, one digit where it is small."""
    if share is None or not math.isfinite(share):
        return "–"
    return f"{100 * share:.1f}{NARROW}%" if share < 0.0995 else f"{100 * share:.0f}{NARROW}%"


def whole(value: float | None) -> int | None:
    """A count as an integer."""
    return None if value is None or not math.isfinite(value) else round(value)


def cells_of(table: pd.DataFrame, columns: Sequence[Column]) -> list[tuple[Cell, ...]]:
    """Rows of a table as plain cells; columns that it lacks are empty."""
    found: list[list[Cell]] = []
    for column in columns:
        if column.kind in {"number", "share"}:
            found.append([None if math.isnan(one) else float(one) for one in floats(table, column.name)])
        elif column.kind == "integer":
            found.append([whole(float(one)) for one in floats(table, column.name)])
        else:
            found.append(list(texts(table, column.name)))
    return list(zip(*found, strict=True))


def present(table: pd.DataFrame, columns: Sequence[Column]) -> tuple[Column, ...]:
    """The columns that a table has."""
    return tuple(column for column in columns if column.name in table)


def flag_counts(flags: Sequence[str]) -> dict[str, int]:
    """How often each flag stands, the most frequent first."""
    found: dict[str, int] = {}
    for text in flags:
        for flag in filter(None, (part.strip() for part in text.split(";"))):
            found[flag] = found.get(flag, 0) + 1
    return dict(sorted(found.items(), key=lambda pair: (-pair[1], pair[0])))


def flag_words(text: str) -> str:
    """Flags of one row in words, short: as named, so that they can be looked up in the table of flags."""
    return ", ".join(part.strip().replace("_", " ") for part in text.split(";") if part.strip())


def flag_table(
    key: str, title: str, flags: Sequence[str], known: Mapping[str, str], *, noun: str
) -> Table | None:
    """Every flag with how often it stands and what it means; None where nothing is flagged."""
    counts = flag_counts(flags)
    if not counts:
        return None
    total = len(flags)
    flagged = sum(bool(text.strip()) for text in flags)
    return Table(
        key=key, title=title, visible=12,
        caption=f"{count(flagged, noun)} of {total:,} flagged; a flag is a warning, not an exclusion, "
                f"unless its "
                "words say so.",
        columns=(Column("flag", "Flag"), Column("n", "Rows", "integer"), Column("share", "Share", "share"),
                 Column("meaning", "What it means", "words")),
        rows=tuple((flag.replace("_", " "), n, n / total, known.get(flag, "")) for flag, n in counts.items()),
    )  # fmt: skip


def notes_of(results: StudyResults, messages: Sequence[str]) -> list[Text]:
    """What a step wants people to know."""
    said = [results.pseudonyms.text(one).rstrip(".") for one in messages if one]
    return [Text(f"Mind: {'; '.join(said)}.", tone="small")] if said else []


def hidden(results: StudyResults, value: Any) -> str:
    """Free text with names replaced."""
    return results.pseudonyms.text(str(value))
