"""Markers beside what was planted: whether ranking and signs are right, for RNAGAN and plain comparisons."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from consilience.report.elements import Block, Cell, Column, Figures, Table, Text
from consilience.report.figures import Axis, Colour, Figure, points, segments
from consilience.report.results import StudyResults
from consilience.report.sections._rnagan_reading import METHOD_COLOURS, OURS, is_ours
from consilience.report.sections._rnagan_shapes import MarkersFound, Recovered
from consilience.report.shapes import read_shape
from consilience.report.words import count, listed

FILE = "truth/found.json"
MOST_TASKS = 30


@dataclass(frozen=True)
class Task:
    """A cell type of a cohort in which something was planted, ranked in several ways."""

    words: str
    cohort: str
    cell_type: str
    methods: dict[str, Recovered]


def recovery_blocks(results: StudyResults) -> list[Block]:
    """Nothing where nothing was simulated."""
    if not results.simulated or not (results.root / FILE).is_file():
        return []
    found = _tasks(read_shape(results.root / FILE, MarkersFound))
    if not found:
        return []
    told = "This study is simulated, so the markers can be held against what was planted."
    return [Text(f"{told} {_verdict(found)}"), Figures((_figure(found[:MOST_TASKS]),)), _table(found)]


def _tasks(found: MarkersFound) -> list[Task]:
    tasks = []
    for cohort, part in found.cohorts.items():
        for cell_type in dict.fromkeys(line.cell_type for line in part.markers):
            own = {line.method: line for line in part.markers if line.cell_type == cell_type}
            tasks.append(Task(f"{cohort}: {cell_type}" if cell_type else cohort, cohort, cell_type, own))
    return tasks


def ranking_words(name: str) -> str:
    """A way to rank genes as readers know it."""
    from consilience.learning.differential.registry import METHODS

    if is_ours(name):
        return "RNAGAN" if name == OURS else name.replace("rnagan", "RNAGAN")
    return METHODS[name].label if name in METHODS else name.replace("_", " ")


def _best_other(task: Task) -> Recovered | None:
    others = [one for name, one in task.methods.items() if not is_ours(name) and one.auprc is not None]
    return max(others, key=lambda one: one.auprc or 0.0, default=None)


def _verdict(found: list[Task]) -> str:
    pairs = []
    for task in found:
        ours, best = task.methods.get(OURS), _best_other(task)
        if ours is not None and best is not None and ours.auprc is not None and best.auprc is not None:
            pairs.append(ours.auprc - best.auprc)
    if not pairs:
        return ""
    better, worse = (sum(sign * gap > 0.01 for gap in pairs) for sign in (1, -1))
    return (
        f"Of {count(len(pairs), 'task')}, RNAGAN ranks the planted genes better than the best plain "
        "comparison in "
        f"{better}, worse in {worse}; the others are within 0.01."
    )


def _figure(found: list[Task]) -> Figure:
    labels = tuple(task.words for task in found)
    names = list(dict.fromkeys(name for task in found for name in task.methods))
    places = list(range(len(found)))
    ends = [[one.auprc for one in task.methods.values() if one.auprc is not None] for task in found]
    marks: list[dict[str, Any]] = [
        segments(x0=[min(own, default=0.0) for own in ends], x1=[max(own, default=0.0) for own in ends],
                 y0=places, y1=places),
        points(x=[next(iter(task.methods.values())).chance for task in found], y=places, name="by chance",
               colour="muted", shape="ring"),
    ]  # fmt: skip
    colours = iter(METHOD_COLOURS)
    for name in sorted(names, key=lambda name: not is_ours(name)):
        colour: Colour = "accent" if name == OURS else next(colours, "muted")
        own = [task.methods.get(name, Recovered()) for task in found]
        hover = [f"{label}: {ranking_words(name)}, signs right {_share(one.sign_accuracy)}"
                 for label, one in zip(labels, own, strict=True)]  # fmt: skip
        marks.append(points(x=[one.auprc for one in own], y=places, name=ranking_words(name), colour=colour,
                            labels=hover))  # fmt: skip
    return Figure(
        key="markers-truth", title="Planted genes found again", marks=tuple(marks), wide=True,
        height=max(190, 70 + 26 * len(found)),
        x=Axis(label="area under the precision-recall curve", domain=(-0.02, 1.02)),
        y=Axis(scale="category", categories=labels),
        caption="Genes are ranked by the size of their effect; 1 would put all planted genes first.",
        alt=listed(f"{label} {_share(task.methods.get(OURS, Recovered()).auprc)}"
                   for label, task in zip(labels, found, strict=True)) + ".",
    )  # fmt: skip


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def _table(found: list[Task]) -> Table:
    rows: list[tuple[Cell, ...]] = [
        (task.cohort, task.cell_type, ranking_words(name), one.auprc, one.chance, one.sign_accuracy,
         one.sign_accuracy_top, one.n_planted, one.n_called, one.power, one.false_share)
        for task in found for name, one in task.methods.items()
    ]  # fmt: skip
    return Table(
        key="markers_truth", title="Planted and found, by method", rows=tuple(rows), visible=12,
        columns=(
            Column("cohort", "Cohort", "id"), Column("cell_type", "Cell type"),
            Column("method", "Ranked by", "words"),
            Column("auprc", "AUPRC", "number"), Column("chance", "By chance", "number"),
            Column("sign_accuracy", "Signs right", "share"),
            Column("sign_accuracy_top", "among the top", "share"), Column("planted", "Planted", "integer"),
            Column("called", "Called", "integer"), Column("power", "Power", "share"),
            Column("false_share", "False among called", "share"),
        ),
    )  # fmt: skip
