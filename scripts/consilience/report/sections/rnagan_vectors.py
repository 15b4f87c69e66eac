"""Patient vectors: what 64 numbers per patient keep, beside principal components."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from consilience.report.citations import MethodNote
from consilience.report.elements import (
    Block,
    Cell,
    Column,
    Fact,
    Facts,
    Figures,
    Group,
    Section,
    SectionMaker,
    Table,
    Text,
)
from consilience.report.figures import SERIES, Axis, Colour, Figure, points
from consilience.report.results import StudyResults
from consilience.report.sections import _rnagan_methods as written
from consilience.report.sections._rnagan_reading import (
    FEWEST_PEOPLE,
    FOLD_ABOVE,
    budget,
    frame,
    group_of,
    in_detail,
    shown_words,
    skipped_table,
    told_of_all,
    two,
)
from consilience.report.sections._rnagan_shapes import Space, VectorsFigures, VectorsRecord
from consilience.report.words import count, percent
from consilience.study.cohorts import Cohort

if TYPE_CHECKING:
    import pandas as pd

MOST_POINTS, ALL_POINTS = 1_500, 20_000
MOST_GROUPS = 6
MEASURES = (
    ("accuracy", "label guessed from neighbours", "accuracy; unseen patients, neighbours of other patients"),
    ("balanced", "the same, arms weighed alike", "balanced accuracy"),
    ("mixing", "mixing of batches", "1: neighbours come from all batches alike"),
    ("overlap_genes", "same neighbours, genes hidden", "share, when a fifth of the genes is hidden"),
    ("distances_genes", "same distances, genes hidden", "correlation, when a fifth of the genes is hidden"),
    (
        "overlap_references",
        "same neighbours, other references",
        "share, when other patients are learned from",
    ),
    ("distances_references", "same distances, other references", "correlation, when others are learned from"),
)
_LEAD = (
    "Each patient becomes 64 numbers. They are judged on patients that the model has not seen, beside 64 "
    "principal components fitted on the same patients: can the arm be guessed from neighbours, do batches "
    "mix, "
    "and do neighbours stay when genes are hidden or other patients are learned from?"
)

_SEEN = (
    "Pictures and nearest patients are of the cohort's own model, which was adapted to these patients and "
    "their "
    "arms: they look better than new patients would. What holds for new patients is in the table of all "
    "figures."
)


def build(results: StudyResults) -> Section | None:
    """One group per cohort, then all figures side by side."""
    found = told_of_all(results, "vectors.json", VectorsRecord)
    if not found:
        return None
    folded, hide = len(found) > FOLD_ABOVE, results.pseudonyms.text
    blocks: list[Block] = [Text(_LEAD, tone="lead"), *shown_words(results)]
    blocks += [_cohort_group(results, cohort, record, folded=folded) for cohort, record in found.items()]
    blocks.append(_table(found))
    skipped = [(cohort.name, task.cell_type, hide(task.skipped)) for cohort, record in found.items()
               for task in record.tasks if task.skipped]  # fmt: skip
    if skipped:
        blocks.append(skipped_table("vectors_skipped", "Not judged", skipped))
    return Section(key="vectors", title="Patient vectors", headline=_headline(found), blocks=tuple(blocks))


def _figures_of(found: dict[Cohort, VectorsRecord]) -> list[VectorsFigures]:
    return [task.figures for record in found.values() for task in record.tasks if task.figures is not None]


def _headline(found: dict[Cohort, VectorsRecord]) -> str:
    pairs = [(one.rnagan.accuracy.mean, one.pca.accuracy.mean) for one in _figures_of(found)]
    known = [(a, b) for a, b in pairs if a is not None and b is not None]
    if not known:
        return "64 numbers for each patient; too few patients to judge them."
    better, worse = sum(a > b for a, b in known), sum(a < b for a, b in known)
    return (f"Neighbours tell the arm better than those of principal components in {better} of "
            f"{count(len(known), 'task')}, worse in {worse}.")  # fmt: skip


def _cohort_group(results: StudyResults, cohort: Cohort, record: VectorsRecord, *, folded: bool) -> Group:
    table = frame(results, cohort, "vectors.parquet")
    blocks: list[Block] = []
    judged = [task for task in record.tasks if task.figures is not None]
    if len(judged) == 1 and judged[0].figures is not None:
        blocks.append(_facts(judged[0].figures))
    if table is not None and len(table):
        blocks.append(Text(_SEEN, tone="small"))
        blocks += _pictures(results, cohort, table) if in_detail(results, cohort) else []
        blocks += _neighbours(cohort, table, frame(results, cohort, "nearest.parquet"))
    return group_of(f"vectors-{cohort.name}", cohort, blocks, folded=folded)


def _facts(one: VectorsFigures) -> Facts:
    def fact(label: str, name: str, chance: float | None = None) -> Fact:
        own, pca = (getattr(space, name).mean for space in (one.rnagan, one.pca))
        by_chance = "" if chance is None else f", chance {two(chance)}"
        return Fact(label, two(own), f"PCA {two(pca)}{by_chance}")

    return Facts((
        fact("label from neighbours", "accuracy", one.chance), fact("mixing of batches", "mixing"),
        fact("neighbours kept, genes hidden", "overlap_genes", one.overlap_chance),
        fact("neighbours kept, other references", "overlap_references", one.overlap_chance),
    ))  # fmt: skip


def _pictures(results: StudyResults, cohort: Cohort, table: pd.DataFrame) -> list[Block]:
    """Two principal components of the vectors, by arm and by batch (or cell type); few people: none."""
    people = table.groupby("arm")["donor"].nunique()
    if len(people) < 2 or int(people.min()) < FEWEST_PEOPLE:
        few = f"an arm has fewer than {FEWEST_PEOPLE} patients, so single patients are not drawn"
        return [Text(f"No picture: {few}.", tone="small")]
    table = _thinned(table, budget(results, MOST_POINTS, total=ALL_POINTS))
    x, y, shares = plane(table)
    names = [results.pseudonyms.sample(str(name)) for name in table["sample"]]
    axes = (Axis(label=f"first component ({percent(shares[0], 1)} of the variance)"),
            Axis(label=f"second ({percent(shares[1], 1)})"))  # fmt: skip
    figures = []
    second = "cell_type" if table["cell_type"].nunique() > 1 else "batch"
    for column, words in (("arm", "arm"), (second, second.replace("_", " "))):
        groups = _groups(table, column)
        if len(set(groups)) < 2 and column != "arm":
            continue
        figures.append(Figure(
            key=f"vectors-{column.replace('_', '-')}-{cohort.name}", title=f"Patients by {words}", height=330,
            marks=tuple(_clouds(x, y, groups, names)), x=axes[0], y=axes[1],
            caption="Two principal components of the 64 numbers.",
            alt=f"{count(len(table), 'sample')} in the plane of their vectors, coloured by {words}.",
        ))  # fmt: skip
    return [Figures(tuple(figures))]


def plane(table: pd.DataFrame) -> tuple[list[float], list[float], tuple[float, float]]:
    """Two principal components of v0 … v63 and their shares of the variance; cases lie to the right."""
    import numpy as np

    columns = [name for name in table.columns if name[:1] == "v" and name[1:].isdigit()]
    values = table[columns].to_numpy(dtype=np.float64)
    values = values - values.mean(axis=0)
    left, size, _ = np.linalg.svd(values, full_matrices=False)
    total = float((size**2).sum()) or 1.0
    scores = left[:, :2] * size[:2]
    case = (table["arm"] == "case").to_numpy()
    scores[:, 0] *= 1.0 if scores[case, 0].mean() >= scores[~case, 0].mean() else -1.0
    scores[:, 1] *= 1.0 if scores[np.argmax(np.abs(scores[:, 1])), 1] >= 0 else -1.0
    x, y = (np.round(scores[:, place], 3).tolist() for place in (0, 1))
    return x, y, (float(size[0] ** 2 / total), float(size[1] ** 2 / total))


def _thinned(table: pd.DataFrame, most: int) -> pd.DataFrame:
    import numpy as np

    return table.iloc[np.unique(np.linspace(0, len(table) - 1, min(most, len(table))).astype(int))]


def _groups(table: pd.DataFrame, column: str) -> list[str]:
    """The group of each sample; those of few people, and beyond the largest, go together."""
    values = table[column].fillna("").astype(str)
    people = table.assign(group=values).groupby("group")["donor"].nunique()
    named = [name for name in people.sort_values(ascending=False, kind="stable").index
             if name and people[name] >= FEWEST_PEOPLE][:MOST_GROUPS]  # fmt: skip
    return [value if value in named else "others" for value in values]


def _clouds(x: list[float], y: list[float], groups: list[str], names: list[str]) -> list[dict[str, Any]]:
    own: dict[str, Colour] = {"case": "case", "control": "control", "others": "muted"}
    order = sorted(set(groups), key=lambda name: (name == "others", name))
    colours = dict(zip([name for name in order if name not in own], SERIES, strict=False))
    marks = []
    for group in order:
        rows = [place for place, name in enumerate(groups) if name == group]
        marks.append(
            points(x=[x[row] for row in rows], y=[y[row] for row in rows], name=group,
                   colour=own.get(group) or colours.get(group, "muted"), labels=[names[row] for row in rows])
        )  # fmt: skip
    return marks


def _neighbours(cohort: Cohort, table: pd.DataFrame, nearest: pd.DataFrame | None) -> list[Block]:
    """How many of the nearest patients are of the same arm; no single patient is named."""
    if nearest is None or not len(nearest):
        return []
    arm = dict(zip(table["sample"], table["arm"], strict=True))
    own = nearest["sample"].map(arm)
    said = []
    for name in sorted(set(table["arm"])):
        rows = (own == name).to_numpy()
        if nearest.loc[rows, "sample"].nunique() >= FEWEST_PEOPLE:
            same = int((nearest.loc[rows, "label"] == name).sum())
            base = percent(float((table["arm"] == name).sum()), len(table))
            said.append(f"{percent(same, int(rows.sum()))} of the patients nearest to a {name} are of that "
                        "arm "
                        f"({base} of all are)")  # fmt: skip
    if not said:
        return []
    file = f"rnagan/{cohort.name}/nearest.parquet"
    return [Text(f"{'; '.join(said)}. The nearest patients of each are in {file}.")]


def _table(found: dict[Cohort, VectorsRecord]) -> Table:
    rows: list[tuple[Cell, ...]] = []
    for cohort, record in found.items():
        for task in record.tasks:
            if task.figures is not None:
                one = task.figures
                rows += [(cohort.name, task.cell_type, words, *_row(one.rnagan, one.pca, name),
                          _chance(one, name), hint) for name, words, hint in MEASURES]  # fmt: skip
    return Table(
        key="vectors", title="RNAGAN's vectors and principal components", rows=tuple(rows), visible=14,
        columns=(
            Column("cohort", "Cohort", "id"), Column("cell_type", "Cell type"), Column("measure", "Measure"),
            Column("rnagan", "RNAGAN", "number"), Column("rnagan_sd", "sd", "number"),
            Column("pca", "PCA", "number"), Column("pca_sd", "sd", "number"),
            Column("chance", "By chance", "number"), Column("meaning", "Meaning", "words"),
        ),
        when_empty="too few patients to hold some out",
    )  # fmt: skip


def _row(own: Space, pca: Space, name: str) -> tuple[Cell, ...]:
    one, other = getattr(own, name), getattr(pca, name)
    return one.mean, one.sd, other.mean, other.sd


def _chance(one: VectorsFigures, name: str) -> float | None:
    if name == "accuracy":
        return one.chance
    return 0.5 if name == "balanced" else one.overlap_chance if name.startswith("overlap") else None


def methods(results: StudyResults) -> Sequence[MethodNote]:
    """How vectors were made and judged."""
    return written.vectors(results) if told_of_all(results, "vectors.json", VectorsRecord) else ()


SECTION = SectionMaker(order=65, key="vectors", title="Patient vectors", build=build, methods=methods)
