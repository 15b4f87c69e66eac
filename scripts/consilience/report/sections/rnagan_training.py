"""Models: what each has learned from, its loss curves, what it remembers, and where it was trained."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from consilience.report.citations import MethodNote
from consilience.report.elements import Block, Cell, Column, Fact, Figures, Section, SectionMaker, Table, Text
from consilience.report.figures import Axis, Colour, Figure, line, points, rule
from consilience.report.results import StudyResults
from consilience.report.sections import _rnagan_methods as written
from consilience.report.sections._rnagan_reading import frame, number, numbers, told, told_of_all
from consilience.report.sections._rnagan_shapes import CohortTraining, Training
from consilience.report.words import count, duration, listed

if TYPE_CHECKING:
    import pandas as pd

    from consilience.study.cohorts import Cohort

MOST_DRAWN = 12
RIGHT = "discriminator.right"
MODEL_WORDS = {
    "pretrained": "pretrained on all",
    "base": "pretrained on the others",
    "model": "adapted",
}
CURVES: tuple[tuple[str, str, Colour], ...] = (
    ("discriminator.loss", "discriminator", "accent"),
    ("generator.loss", "generator", "c1"),
)
_LEAD = (
    "RNAGAN is trained once and used four times: for diagnosis, markers, synthetic samples and patient "
    "vectors. "
    "For each cohort there is a base that has learned from the other cohorts only, so that it can be "
    "judged on "
    "this one, and a model adapted to all of its patients, for use on new data."
)


def build(results: StudyResults) -> Section | None:
    """Every model in one table, curves, contrasts, notes."""
    models = _models(results)
    if not models:
        return None
    blocks: list[Block] = [Text(_LEAD, tone="lead"), _table(results, models)]
    figures = _curves(results, models)
    blocks.append(Figures(tuple(figures)) if figures else Text(
        "No gradient steps were taken: these models hold only what is known in closed form, so there are no "
        "loss curves.", tone="small",
    ))  # fmt: skip
    blocks += [_remembered(models), *_notes(results, models)]
    trained = [record for _, _, record in models if record.steps]
    seconds = sum(record.seconds for _, _, record in models)
    devices = listed(sorted({record.device for *_, record in models if record.device}))
    return Section(
        key="models", title="Models", blocks=tuple(blocks),
        headline=f"{count(len(models), 'model')} on {devices}, {duration(seconds)}; {len(trained)} took "
                 "gradient "
        "steps.",
        first_screen=(Fact("models", f"{len(models)}", f"{devices}, {duration(seconds)}"),),
    )  # fmt: skip


def _models(results: StudyResults) -> list[tuple[Cohort | None, str, Training]]:
    """All models: the one of the study, then base and model of each cohort."""
    found: list[tuple[Cohort | None, str, Training]] = []
    if results.config.rnagan.enabled:
        one = told(results, None, "pretrained.json", Training)
        found += [(None, "pretrained", one)] if one else []
    for cohort, record in told_of_all(results, "training.json", CohortTraining).items():
        found += [(cohort, "base", record.base), (cohort, "model", record.model)]
    return found


def _title(cohort: Cohort | None, name: str) -> str:
    return MODEL_WORDS[name] if cohort is None else f"{cohort.name}: {MODEL_WORDS[name]}"


def _history(results: StudyResults, cohort: Cohort | None, name: str) -> pd.DataFrame | None:
    """One row an epoch of a model; None where it took no steps."""
    table = frame(results, cohort, "pretrained.history.parquet" if cohort is None else "history.parquet")
    part = None if table is None else table[table["model"] == name]
    return part if part is not None and len(part) else None


def _right(results: StudyResults, cohort: Cohort | None, name: str) -> float | None:
    """Share of training questions that the discriminator answered rightly in the last epoch."""
    part = _history(results, cohort, name)
    return None if part is None or RIGHT not in part else number(part[RIGHT].iloc[-1])


def _table(results: StudyResults, models: list[tuple[Cohort | None, str, Training]]) -> Table:
    rows: list[tuple[Cell, ...]] = [
        (cohort.name if cohort else "the study", MODEL_WORDS[name],
         listed(one.name for one in record.cohorts) or "nothing yet", record.steps, record.seconds,
         record.device,
         record.device_reason, _right(results, cohort, name), record.n_genes, record.n_pathways,
         len(record.tasks),
         sum(one.samples for one in record.cohorts), sum(one.donors for one in record.cohorts), record.preset,
         record.scale)
        for cohort, name, record in models
    ]  # fmt: skip
    return Table(
        key="models", title="All models", rows=tuple(rows), visible=15,
        columns=(
            Column("cohort", "For", "id"), Column("model", "Model", "words"),
            Column("learned_from", "Learned from", "words"), Column("steps", "Gradient steps", "integer"),
            Column("seconds", "Time", "seconds"), Column("device", "Device"),
            Column("why", "Why this device", "words"),
            Column("right", "Right at the end", "share", "training questions answered rightly in the last "
                                                         "epoch"),
            Column("genes", "Genes", "integer"),
            Column("pathways", "Pathways", "integer"),
            Column("contrasts", "Contrasts", "integer", "remembered in the last training"),
            Column("samples", "Samples or cells", "integer"), Column("patients", "Patients", "integer"),
            Column("preset", "Preset"), Column("scale", "Scale"),
        ),
    )  # fmt: skip


def _curves(results: StudyResults, models: list[tuple[Cohort | None, str, Training]]) -> list[Figure]:
    figures = []
    for cohort, name, _ in models:
        part = _history(results, cohort, name)
        if part is not None:
            place = cohort.name if cohort else "study"
            figures.append(_curve(part, key=f"loss-{name}-{place}", title=_title(cohort, name)))
    return figures[:MOST_DRAWN]


def _curve(part: pd.DataFrame, *, key: str, title: str) -> Figure:
    """Losses over all steps; stages follow each other."""
    steps, offset, starts = [], 0, []
    for stage, own in part.groupby("stage", sort=False):
        if offset:
            starts.append((offset, str(stage)))
        steps += [offset + int(step) for step in own["steps"]]
        offset = steps[-1]
    marks: list[dict[str, Any]] = []
    said = []
    kept = [curve for curve in CURVES if curve[0] in part and part[curve[0]].notna().any()]
    for column, words, colour in kept:
        y = numbers(part[column])
        marks += [
            line(x=steps, y=y, name=words, colour=colour),
            points(x=steps, y=y, name=words, colour=colour),
        ]
        known = [value for value in y if value is not None]
        said.append(f"the {words}'s loss goes from {known[0]:.3g} to {known[-1]:.3g}")
    marks += [rule(axis="x", at=at, label=stage) for at, stage in starts]
    return Figure(
        key=key, title=title, marks=tuple(marks), height=230,
        x=Axis(label="gradient steps", format="integer", zero=True),
        y=Axis(label=f"loss of the {kept[0][1]}" if len(kept) == 1 else "loss"),
        alt=f"In {count(len(part), 'epoch')} {listed(said)}." if said else "No losses were recorded.",
    )  # fmt: skip


def _remembered(models: list[tuple[Cohort | None, str, Training]]) -> Table:
    rows: list[tuple[Cell, ...]] = [
        (_title(cohort, name), place, "; ".join(task), len(task))
        for cohort, name, record in models for place, task in enumerate(record.tasks, 1)
    ]  # fmt: skip
    return Table(
        key="contrasts", title="What was remembered", rows=tuple(rows), visible=6, embedded=500,
        caption="A contrast is a direction in gene space that told kinds apart in training; like ones are "
                "merged.",
        when_empty="nothing: there was no cohort to learn from",
        columns=(Column("model", "Model", "words"), Column("contrast", "Contrast", "integer"),
                 Column("tells_apart", "Tells apart", "words"),
                 Column("merged", "Questions merged", "integer")),
    )  # fmt: skip


def _notes(results: StudyResults, models: list[tuple[Cohort | None, str, Training]]) -> list[Block]:
    hide = results.pseudonyms.text
    rows = [(_title(cohort, name), hide(note)) for cohort, name, record in models for note in record.notes]
    if not rows:
        return []
    return [Table(key="model_notes", title="Notes of the training", rows=tuple(rows), visible=8,
                  columns=(Column("model", "Model", "words"), Column("note", "Note", "words")))]  # fmt: skip


def methods(results: StudyResults) -> Sequence[MethodNote]:
    """The networks and their training."""
    models = _models(results)
    return written.training(results, [record for *_, record in models]) if models else ()


SECTION = SectionMaker(order=61, key="models", title="Models", build=build, methods=methods)
