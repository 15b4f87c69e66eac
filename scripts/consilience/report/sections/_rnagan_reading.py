"""What all sections of RNAGAN need: which cohorts it ran on, their files, and how things are called."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from consilience.report.elements import Block, Column, Group, Table, Text
from consilience.report.figures import Colour
from consilience.report.results import StudyResults
from consilience.report.shapes import Shape
from consilience.study.cohorts import Cohort

if TYPE_CHECKING:
    import pandas as pd

ShapeType = TypeVar("ShapeType", bound=Shape)
FOLDER = "rnagan"
OURS = "rnagan"
UNADAPTED = "rnagan, not adapted"
UNPRETRAINED = "rnagan, no pretraining"
FOLD_ABOVE = 4
MOST_SHOWN = 24
FEWEST_PEOPLE = 5
"""Figures that stand for fewer people than this are not shown."""
METHOD_WORDS = {
    "rnagan": "RNAGAN",
    "rnagan, not adapted": "RNAGAN, as pretrained",
    "rnagan, no pretraining": "RNAGAN, no pretraining",
}
METHOD_COLOURS: tuple[Colour, ...] = ("c1", "c2", "c3", "c4", "c5", "c6", "c0")


def study_cohorts(results: StudyResults) -> list[Cohort]:
    """Cohorts that have cases and controls, where the stage is asked for."""
    if not results.config.rnagan.enabled:
        return []
    return [
        cohort for cohort in results.expression_cohorts
        if cohort.kind in {"bulk", "single_cell"} and cohort.role in {"study", "both"}
        and cohort.case and cohort.control
    ]  # fmt: skip


def budget(results: StudyResults, most: int, *, total: int) -> int:
    """How much a cohort may put into the page: less where many cohorts share `total`."""
    return max(1, min(most, total // max(1, min(MOST_SHOWN, len(study_cohorts(results))))))


def in_detail(results: StudyResults, cohort: Cohort) -> bool:
    """Whether a cohort has figures and lists of its own: the first ones of the sheet."""
    return cohort in study_cohorts(results)[:MOST_SHOWN]


def shown_words(results: StudyResults) -> list[Block]:
    """Said where not all cohorts have figures of their own."""
    n = len(study_cohorts(results))
    if n <= MOST_SHOWN:
        return []
    return [Text(f"Figures and lists are of the first {MOST_SHOWN} of {n} cohorts; the tables at the end "
                 "and the "
                 "files under rnagan/ have all.", tone="small")]  # fmt: skip


def told(results: StudyResults, cohort: Cohort | None, name: str, shape: type[ShapeType]) -> ShapeType | None:
    """A JSON file of a cohort (None: of the study); None where it is not there."""
    relative = "/".join((FOLDER, *([cohort.name] if cohort else []), name))
    return results.shape(relative, shape) if (results.root / relative).is_file() else None


def told_of_all(results: StudyResults, name: str, shape: type[ShapeType]) -> dict[Cohort, ShapeType]:
    """The same file of all cohorts that have it."""
    found = ((cohort, told(results, cohort, name, shape)) for cohort in study_cohorts(results))
    return {cohort: one for cohort, one in found if one is not None}


def frame(results: StudyResults, cohort: Cohort | None, name: str) -> pd.DataFrame | None:
    """A parquet table of a cohort (None: of the study); None where it is not there."""
    path = results.root.joinpath(FOLDER, *([cohort.name] if cohort else []), name)
    return results.table(path) if path.is_file() else None


def rows_of(table: pd.DataFrame | None, cell_type: str) -> pd.DataFrame | None:
    """The rows of one cell type; None where there are none."""
    if table is None or "cell_type" not in table:
        return None
    part = table[table["cell_type"].fillna("") == cell_type]
    return part if len(part) else None


def task_words(cohort: Cohort, cell_type: str) -> str:
    """A task in as few words as tell it from others."""
    return f"{cohort.name}: {cell_type}" if cell_type else cohort.name


def method_words(name: str) -> str:
    """A method as readers know it."""
    from consilience.learning.baselines import baselines

    if name in METHOD_WORDS:
        return METHOD_WORDS[name]
    known = baselines()
    return _small(known[name].title) if name in known else name.replace("_", " ")


def _small(title: str) -> str:
    """A title inside a sentence: PCA keeps its capitals."""
    return title if title[1:2].isupper() else title[:1].lower() + title[1:]


def is_ours(name: str) -> bool:
    """Whether a method is RNAGAN in one of its forms."""
    return name == OURS or name.startswith(f"{OURS},")


def group_of(key: str, cohort: Cohort, blocks: Iterable[Block], *, folded: bool, title: str = "") -> Group:
    """A cohort's part of a section."""
    return Group(
        key=key, title=title or cohort.label or cohort.name, subtitle=cohort.name, blocks=tuple(blocks),
        folded=folded,
    )  # fmt: skip


def skipped_table(key: str, title: str, rows: Sequence[tuple[str, str, str]]) -> Table:
    """Tasks that could not be done: cohort, cell type, reason."""
    return Table(
        key=key, title=title, rows=tuple(rows), visible=8,
        columns=(Column("cohort", "Cohort", "id"), Column("cell_type", "Cell type"),
                 Column("reason", "Why not", "words")),
    )  # fmt: skip


def number(value: Any) -> float | None:
    """A finite number, or None for what is none (NaN, null)."""
    import math

    if value is None:
        return None
    found = float(value)
    return found if math.isfinite(found) else None


def numbers(values: Iterable[Any]) -> list[float | None]:
    """Finite numbers, None for others."""
    return [number(value) for value in values]


def two(value: float | None) -> str:
    """Two digits, as areas under curves are written."""
    return "–" if value is None else f"{value:.2f}"


def signed(value: float) -> str:
    """Two digits with a sign; a true minus."""
    return "0.00" if abs(value) < 0.005 else f"{value:+.2f}".replace("-", "\N{MINUS SIGN}")
