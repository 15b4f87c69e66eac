"""Robustness of augmentation: how much is luck, and whether synthetic samples show the same markers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from consilience.report.citations import MethodNote
from consilience.report.elements import (
    Block,
    Cell,
    Column,
    Figures,
    Group,
    Notice,
    Section,
    SectionMaker,
    Table,
    Text,
)
from consilience.report.figures import Axis, Colour, Figure, boxes, line, points
from consilience.report.results import StudyResults
from consilience.report.sections import _augment_methods as written
from consilience.report.sections._augment_frontier import SHORT_WORDS
from consilience.report.sections._augment_reading import (
    FOLD_ABOVE,
    REAL_TRAIN,
    augmented_cohorts,
    budget,
    figure_words,
    frame,
    generator_words,
    in_detail,
    rows_of,
    shown_words,
    told,
)
from consilience.report.sections._augment_shapes import Overlap, RobustnessRecord
from consilience.report.sections._augment_truth import planted_effects, truth_rows
from consilience.report.sections._rnagan_reading import group_of, number, numbers, two
from consilience.report.words import count, listed
from consilience.study.cohorts import Cohort

if TYPE_CHECKING:
    import pandas as pd

SOURCES: tuple[tuple[str, str, Colour], ...] = (
    ("split", "which patients", "c1"),
    ("init", "start of training", "c2"),
    ("sampling", "drawing", "c3"),
)
SAME = {"data split": "split", "split": "split", "init": "init", "sampling": "sampling", "draw": "sampling"}
SHOWN = tuple(name for name in SHORT_WORDS if name != "near_copies")
MOST_GENES, ALL_GENES = 1_000, 12_000
_LEAD = (
    "The generator is fitted again and again, with other patients left out, other starts of training and "
    "other draws, and the spread of every figure is split by where it comes from. Then the genes that mark "
    "the classes are looked for in synthetic samples and in patients. P-values of synthetic samples are no "
    "evidence: samples can be drawn without end, patients cannot."
)


def build(results: StudyResults) -> Section | None:
    """Variance components and markers of each cohort."""
    groups, notices, parts = list[Block](), list[Notice](), list[tuple[Cell, ...]]()
    overlaps, truths = list[tuple[Cell, ...]](), list[tuple[Cell, ...]]()
    cohorts = [cohort for cohort in augmented_cohorts(results) if _is_there(results, cohort)]
    for cohort in cohorts:
        record = told(results, cohort, "robustness.json", RobustnessRecord) or RobustnessRecord()
        said = _notices(results, cohort, record)
        notices += said
        groups.append(_group(results, cohort, record, said, folded=len(cohorts) > FOLD_ABOVE))
        parts += _part_rows(results, cohort)
        overlaps += [_overlap_row(cohort, one) for one in record.overlap]
        truths += truth_rows(results, cohort)
    if not cohorts:
        return None
    return Section(
        key="robustness", title="Augmentation: robustness", headline=_headline(overlaps, truths),
        blocks=(Text(_LEAD, tone="lead"), *shown_words(results), *groups, *_tables(parts, overlaps, truths)),
        notices=tuple(notices),
    )  # fmt: skip


def _is_there(results: StudyResults, cohort: Cohort) -> bool:
    """Whether anything of this was done, or said to be left out."""
    record = told(results, cohort, "robustness.json", RobustnessRecord)
    return record is not None or _shares(results, cohort) is not None or _markers(results, cohort) is not None


def _headline(overlaps: Sequence[tuple[Cell, ...]], truths: Sequence[tuple[Cell, ...]]) -> str:
    known = [float(row[4]) for row in overlaps if row[1] != REAL_TRAIN and isinstance(row[4], (int, float))]
    said = []
    if known:
        said.append(
            f"{100 * np.mean(known):.0f} % of the top markers of patients left out are also those of "
            "synthetic samples"
        )
    gaps = [(row[3], other[3]) for row, other in zip(truths[::2], truths[1::2], strict=False)]
    both = [(a, b) for a, b in gaps if isinstance(a, float) and isinstance(b, float)]
    if both:
        said.append(f"planted genes: AUPRC {two(float(np.mean([a for a, _ in both])))} in patients, "
                    f"{two(float(np.mean([b for _, b in both])))} in synthetic samples")  # fmt: skip
    return f"{'; '.join(said)}." if said else "What is luck, and what is not."


def _notices(results: StudyResults, cohort: Cohort, record: RobustnessRecord) -> list[Notice]:
    if not record.skipped:
        return []
    text = f"robustness was not judged: {results.pseudonyms.text(record.skipped)}"
    return [Notice("note", text, f"robustness-{cohort.name}", cohort.name)]


def _group(
    results: StudyResults, cohort: Cohort, record: RobustnessRecord, said: list[Notice], *, folded: bool
) -> Group:
    blocks: list[Block] = [Text(f"{notice.text[:1].upper()}{notice.text[1:]}.") for notice in said]
    runs = record.n_runs or record.runs
    if runs and not record.skipped:
        blocks.append(Text(f"{count(runs, 'independent run')}.", tone="small"))
    blocks += [Text(words) for words in (_overlap_words(one) for one in record.overlap) if words]
    if in_detail(results, cohort):
        drawn = tuple(
            one for one in (_shares_figure(results, cohort), _markers_figure(results, cohort)) if one
        )
        blocks += [Figures(drawn)] if drawn else []
    if record.notes:
        blocks.append(Text(f"Mind: {'; '.join(map(results.pseudonyms.text, record.notes))}.", tone="small"))
    return group_of(f"robustness-{cohort.name}", cohort, blocks, folded=folded)


def _overlap_words(one: Overlap) -> str:
    if one.overlap is None:
        return ""
    who = f"{generator_words(one.generator) if one.generator else 'synthetic samples'}"
    if one.fold and not one.ceiling:
        who += f", {one.fold:g} for each patient"
    top = (
        f"the first {one.top} markers of patients left out" if one.top else "the markers of patients left out"
    )
    chance = "" if one.chance is None else f" (chance {100 * one.chance:.0f} %)"
    more = "" if one.rank_correlation is None else f"; rank correlation {two(one.rank_correlation)}"
    signs = "" if one.sign_agreement is None else f"; signs equal in {100 * one.sign_agreement:.0f} %"
    calls = ""
    if one.called is not None and one.called_deflated is not None and not one.ceiling:
        calls = (f"; genes below p = 0.05: {100 * one.called:.0f} % as tested, "
                 f"{100 * one.called_deflated:.0f} % with the patients' own error counted")  # fmt: skip
    return f"{who[:1].upper()}{who[1:]}: {100 * one.overlap:.0f} % of {top}{chance}{more}{signs}{calls}."


# ---- where the spread comes from ----


def _shares(results: StudyResults, cohort: Cohort) -> pd.DataFrame | None:
    """`figure` and the share of each source (columns of SOURCES): long tables and wide ones alike."""
    table = frame(results, cohort, "robustness.parquet", needs=("figure",))
    if table is None:
        return None
    names = [key for key, _, _ in SOURCES]
    if {"source", "share"} <= set(table.columns):
        own = table.assign(source=table["source"].map(SAME))
        own = own[own["source"].notna()]
        # NaN of a figure that never varied is no row of zeros
        wide = own.pivot_table(index="figure", columns="source", values="share", sort=False)
        return wide.reindex(columns=names).reset_index() if len(wide) else None
    wide = table.rename(columns={f"share_{name}": name for name in names})
    return wide[["figure", *names]] if set(names) <= set(wide.columns) else None


def _shares_figure(results: StudyResults, cohort: Cohort) -> Figure | None:
    table = _shares(results, cohort)
    if table is None:
        return None
    table = table[table["figure"].isin(SHOWN)].set_index("figure")
    table = table.reindex([name for name in SHOWN if name in table.index])
    values = table[[key for key, _, _ in SOURCES]].to_numpy(dtype=float)
    known = np.isfinite(values).any(axis=1)
    values, names = np.nan_to_num(values[known]), [n for n, k in zip(table.index, known, strict=True) if k]
    if not names:
        return None
    ends = np.cumsum(values, axis=1)
    low, high = np.arange(len(names)) - 0.34, np.arange(len(names)) + 0.34
    marks: list[dict[str, Any]] = [
        boxes(x0=(ends[:, place] - values[:, place]).tolist(), x1=ends[:, place].tolist(), y0=low.tolist(),
              y1=high.tolist(), name=words, colour=colour,
              labels=[f"{figure_words(name)}, {words}: {100 * share:.0f} %"
                      for name, share in zip(names, values[:, place], strict=True)])
        for place, (_, words, colour) in enumerate(SOURCES)
    ]  # fmt: skip
    return Figure(
        key=f"robustness-shares-{cohort.name}", title="Where the spread between runs comes from",
        marks=tuple(marks), height=340,
        x=Axis(label="share of the variance", domain=(0.0, 1.02), format="percent"),
        y=Axis(scale="category", categories=tuple(SHORT_WORDS[name] for name in names)),
        alt=listed(f"{figure_words(name)}: {100 * row[0]:.0f} % which patients"
                   for name, row in zip(names, values, strict=True)) + ".",
    )  # fmt: skip


def _part_rows(results: StudyResults, cohort: Cohort) -> list[tuple[Cell, ...]]:
    table = _shares(results, cohort)
    if table is None:
        return []
    return [
        (cohort.name, figure_words(str(row["figure"])), *(number(row[key]) for key, _, _ in SOURCES))
        for row in table.to_dict("records")
    ]  # fmt: skip


# ---- markers ----


def _markers(results: StudyResults, cohort: Cohort) -> pd.DataFrame | None:
    return frame(results, cohort, "markers.parquet", needs=("gene", "effect_real", "effect_synthetic"))


def _markers_figure(results: StudyResults, cohort: Cohort) -> Figure | None:
    """Effect of every gene in synthetic samples against patients; planted genes stand out."""
    table = _markers(results, cohort)
    if table is None:
        return None
    if "run" in table:
        table = rows_of(table, run=table["run"].iloc[0])
    planted = planted_effects(results, cohort)
    marked = table["gene"].map(planted).fillna(0.0).to_numpy(dtype=float) != 0
    drawn = _strongest(table, budget(results, MOST_GENES, total=ALL_GENES))
    size = float(np.nanmax(table[["effect_real", "effect_synthetic"]].abs().to_numpy(dtype=float)))
    marks: list[dict[str, Any]] = [
        line(x=[-size, size], y=[-size, size], name="equal", colour="muted", dashed=True)
    ]
    looks: tuple[tuple[bool, str, Colour], ...] = (
        (False, "other genes" if marked.any() else "genes", "muted"), (True, "planted", "case"))  # fmt: skip
    for is_planted, words, colour in looks:
        part = table[(marked == is_planted) & (drawn | marked)]
        if len(part):
            marks.append(points(x=numbers(part["effect_real"]), y=numbers(part["effect_synthetic"]),
                                name=words, colour=colour,
                                labels=part["gene"].astype(str).tolist()))  # fmt: skip
    clean = table[["effect_real", "effect_synthetic"]].dropna()
    r = float(np.corrcoef(clean.T)[0, 1]) if len(clean) > 2 and clean.std().min() > 0 else None
    return Figure(
        key=f"robustness-markers-{cohort.name}", title="Markers in patients and in synthetic samples",
        marks=tuple(marks), height=340, x=Axis(label="effect, real patients"),
        y=Axis(label="effect, synthetic"),
        caption="Each point is a gene; on the diagonal, both tell the same.",
        alt=f"Effects of {count(len(clean), 'gene')}; correlation {two(r)}"
            f"{f'; {int(marked.sum())} are planted' if marked.any() else ''}.",
    )  # fmt: skip


def _strongest(table: pd.DataFrame, most: int) -> Any:
    """Which rows are among the strongest in either (n,)."""
    size = table[["effect_real", "effect_synthetic"]].abs().max(axis=1).fillna(0.0).to_numpy(dtype=float)
    keep = np.zeros(len(table), dtype=bool)
    keep[np.argsort(-size, kind="stable")[:most]] = True
    return keep


def _overlap_row(cohort: Cohort, one: Overlap) -> tuple[Cell, ...]:
    return (cohort.name, one.generator, one.fold, one.top, one.overlap, one.chance, one.rank_correlation,
            one.sign_agreement, one.called, one.called_deflated)  # fmt: skip


def _tables(
    parts: Sequence[tuple[Cell, ...]], overlaps: Sequence[tuple[Cell, ...]],
    truths: Sequence[tuple[Cell, ...]],
) -> list[Block]:  # fmt: skip
    blocks: list[Block] = []
    if truths:
        blocks.append(Table(
            key="augment_truth", title="Planted genes found again", visible=8, rows=tuple(truths),
            columns=(Column("cohort", "Cohort", "id"), Column("generator", "Generator", "id"),
                     Column("ranked_by", "Ranked by"), Column("auprc", "AUPRC", "number"),
                     Column("chance", "By chance", "number"), Column("sign_accuracy", "Signs right", "share"),
                     Column("planted", "Planted", "integer")),
        ))  # fmt: skip
    if overlaps:
        blocks.append(Table(
            key="marker_overlap", title="Markers in common", visible=8, rows=tuple(overlaps),
            columns=(Column("cohort", "Cohort", "id"), Column("generator", "Generator", "id"),
                     Column("fold", "Per patient", "number"), Column("top", "Top", "integer"),
                     Column("overlap", "In common", "share"), Column("chance", "By chance", "share"),
                     Column("rank_correlation", "Rank correlation", "number"),
                     Column("sign_agreement", "Signs equal", "share"),
                     Column("called", "p < 0.05", "share"),
                     Column("called_deflated", "with patients' error", "share")),
        ))  # fmt: skip
    if parts:
        blocks.append(Table(
            key="robustness", title="Variance between runs", visible=8, rows=tuple(parts),
            columns=(Column("cohort", "Cohort", "id"), Column("figure", "Figure"),
                     *(Column(key, words.capitalize(), "share") for key, words, _ in SOURCES)),
        ))  # fmt: skip
    return blocks


def methods(results: StudyResults) -> Sequence[MethodNote]:
    """How runs were made and markers compared."""
    shares = any(_shares(results, cohort) is not None for cohort in augmented_cohorts(results))
    return written.robustness() if shares else ()


SECTION = SectionMaker(
    order=74, key="robustness", title="Augmentation: robustness", build=build, methods=methods
)
