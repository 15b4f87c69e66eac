"""Synthetic samples: how near they come to patients never seen, and whether they may be given out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from consilience.report.citations import MethodNote
from consilience.report.elements import (
    Block,
    Cell,
    Column,
    Fact,
    Facts,
    Figures,
    Group,
    Notice,
    Section,
    SectionMaker,
    Table,
    Text,
)
from consilience.report.figures import Axis, Figure, line, points, segments
from consilience.report.results import StudyResults
from consilience.report.sections import _rnagan_methods as written
from consilience.report.sections._rnagan_reading import (
    FOLD_ABOVE,
    budget,
    frame,
    group_of,
    in_detail,
    numbers,
    shown_words,
    told_of_all,
    two,
)
from consilience.report.sections._rnagan_shapes import SyntheticRecord
from consilience.report.words import count, listed
from consilience.study.cohorts import Cohort

CEILING = ", ceiling"
MOST_POINTS, ALL_POINTS = 600, 10_000
FIGURE_WORDS = {
    "mean R2": "means of genes, R²",
    "sd R2": "spreads of genes, R²",
    "sd slope": "spreads of genes, slope",
    "spread within classes": "spread within kinds, ratio",
    "two-sample AUC, linear": "told apart by a linear rule, AUC",
    "two-sample AUC, spread": "told apart by spread, AUC",
    "two-sample AUC, joint": "told apart by everything, AUC",
    "zero fraction error": "share of zeros, error",
}
_LEAD = (
    "Synthetic samples are judged by patients they were not made from, and every figure stands beside its "
    "ceiling: what real training patients reach in their place. Told apart 0.5 means that nobody could tell "
    "synthetic from real; a slope of spreads below the ceiling's means that synthetic patients vary too "
    "little. "
    "They are given out only where copies, closeness to training patients and membership attacks stay within "
    "limits."
)


def build(results: StudyResults) -> Section | None:
    """One group per cohort, then all figures side by side."""
    found = told_of_all(results, "synthetic.json", SyntheticRecord)
    if not found or not results.config.rnagan.fold:
        return None
    folded, notices, groups = len(found) > FOLD_ABOVE, list[Notice](), list[Block]()
    for cohort, record in found.items():
        said = _notices(results, cohort, record)
        notices += said
        groups.append(_cohort_group(results, cohort, record, said, folded=folded))
    made = {cohort: record for cohort, record in found.items() if record.skipped is None}
    released = sum(record.release.passed for record in made.values())
    return Section(
        key="synthetic", title="Synthetic samples",
        headline=f"Given out for {released} of {count(len(found), 'cohort')}.",
        blocks=(Text(_LEAD, tone="lead"), *shown_words(results), *groups, *_tables(found)),
        notices=tuple(notices),
        first_screen=(Fact("synthetic samples given out", f"{released} of {len(found)}", "cohorts"),),
    )  # fmt: skip


def _notices(results: StudyResults, cohort: Cohort, record: SyntheticRecord) -> list[Notice]:
    anchor, hide = f"synthetic-{cohort.name}", results.pseudonyms.text
    if record.skipped is not None:
        return [Notice("note", f"no synthetic samples: {hide(record.skipped)}", anchor, cohort.name)]
    if record.release.passed:
        return []
    limits = f"{count(len(record.release.reasons), 'privacy limit')} exceeded"
    why = limits if record.release.reasons else "not judged"
    return [Notice("note", f"synthetic samples are not given out: {why}", anchor, cohort.name)]


def _cohort_group(
    results: StudyResults, cohort: Cohort, record: SyntheticRecord, said: list[Notice], *, folded: bool
) -> Group:
    hide = results.pseudonyms.text
    blocks: list[Block] = [Text(f"{notice.text[:1].upper()}{notice.text[1:]}.") for notice in said]
    if record.skipped is None:
        blocks += [Text(f"Refused: {hide(reason)}.", tone="small") for reason in record.release.reasons]
        blocks.append(_facts(record))
        figures = [one for one in (_figure(cohort, record), *_scatter(results, cohort)) if one is not None]
        if figures and in_detail(results, cohort):
            blocks.append(Figures(tuple(figures)))
        notes = [hide(note) for note in record.release.notes]
        if notes:
            blocks.append(Text(f"Mind: {'; '.join(notes)}.", tone="small"))
    return group_of(f"synthetic-{cohort.name}", cohort, blocks, folded=folded)


def _facts(record: SyntheticRecord) -> Facts:
    real, made = (sum(getattr(kind, name) for kind in record.kinds) for name in ("real", "synthetic"))
    verdict = record.release
    items = [
        Fact("given out", "yes" if verdict.passed else "no",
             f"judged by {verdict.judged_by}" if verdict.judged_by else ""),
        Fact("synthetic", f"{made:,}" if verdict.passed else "0",
             f"from {count(real, 'real sample')}, {count(len(record.kinds), 'kind')}"),
        Fact("near copies", f"{record.provenance.near_copies_removed:,}", "found and replaced or left out"),
    ]  # fmt: skip
    items += [Fact(name, two(value)) for name, value in record.privacy.items() if name != "near copies"][:3]
    return Facts(tuple(items))


def _figure(cohort: Cohort, record: SyntheticRecord) -> Figure | None:
    """Each figure between synthetic samples and the ceiling."""
    names = [name for name in FIGURE_WORDS if record.fidelity.get(name) is not None]
    if not names:
        return None
    places = list(range(len(names)))
    made = [record.fidelity[name] for name in names]
    ceiling = [record.fidelity.get(f"{name}{CEILING}") for name in names]
    words = tuple(FIGURE_WORDS[name] for name in names)
    marks: list[dict[str, Any]] = [
        segments(x0=made, x1=[one if one is not None else own for one, own in zip(ceiling, made,
                                                                                  strict=True)],
                 y0=places, y1=places),
        points(x=ceiling, y=places, name="real patients (ceiling)", colour="c1", shape="ring",
               labels=[f"{word}, ceiling" for word in words]),
    ]  # fmt: skip
    others = record.published.get("fidelity", {})
    if others:
        marks.append(points(x=[others.get(name) for name in names], y=places, name="published generator",
                            colour="case", shape="cross",
                            labels=[f"{word}, published" for word in words]))  # fmt: skip
    marks.append(points(x=made, y=places, name="synthetic", colour="accent", labels=list(words)))
    return Figure(
        key=f"synthetic-figures-{cohort.name}", title="Synthetic samples and the ceiling", marks=tuple(marks),
        x=Axis(label="value"), y=Axis(scale="category", categories=words), height=80 + 28 * len(names),
        wide=True,
        caption="As good as possible means on the ring: with few patients, not even real ones reach 1 (or "
                "0.5).",
        alt=listed(f"{word} {two(own)} (ceiling {two(best)})"
                   for word, own, best in zip(words, made, ceiling, strict=True)) + ".",
    )  # fmt: skip


def _scatter(results: StudyResults, cohort: Cohort) -> list[Figure]:
    """Mean and spread of every gene, synthetic against real, of the first kind that has both."""
    import numpy as np

    table = frame(results, cohort, "synthetic_genes.parquet")
    if table is None or not len(table):
        return []
    first = table[["cell_type", "condition"]].iloc[0]
    most = budget(results, MOST_POINTS, total=ALL_POINTS)
    part = table[(table["cell_type"] == first["cell_type"]) & (table["condition"] == first["condition"])]
    places = np.unique(np.linspace(0, len(part) - 1, min(len(part), most)).astype(int))
    part = part.sort_values(["mean_real", "gene"]).iloc[places]
    kind = f"{first['condition']} {first['cell_type']}".strip()
    figures = []
    for name, words in (("mean", "mean"), ("sd", "standard deviation")):
        x, y = numbers(part[f"{name}_real"]), numbers(part[f"{name}_synthetic"])
        top = max((value for value in (*x, *y) if value is not None), default=1.0)
        figures.append(Figure(
            key=f"synthetic-{name}s-{cohort.name}", title=f"Gene by gene: {words}", height=300,
            marks=(line(x=[0, top], y=[0, top], name="equal", colour="muted", dashed=True),
                   points(x=x, y=y, name="genes", colour="accent", labels=part["gene"].astype(str).tolist())),
            x=Axis(label=f"{words}, real {kind}", zero=True), y=Axis(label=f"{words}, synthetic", zero=True),
            caption="Below the line: too little of it in synthetic samples.",
            alt=f"The {words} of each gene in synthetic samples against real ones.",
        ))  # fmt: skip
    return figures


def _tables(found: dict[Cohort, SyntheticRecord]) -> list[Block]:
    rows: list[tuple[Cell, ...]] = []
    for cohort, record in found.items():
        for name, value in record.fidelity.items():
            if not name.endswith(CEILING):
                rows.append((cohort.name, FIGURE_WORDS.get(name, name), value,
                             record.fidelity.get(f"{name}{CEILING}"),
                             record.published.get("fidelity", {}).get(name)))  # fmt: skip
        rows += [(cohort.name, name, value, None, record.published.get("privacy", {}).get(name))
                 for name, value in record.privacy.items()]  # fmt: skip
    kinds: list[tuple[Cell, ...]] = [
        (cohort.name, kind.condition, kind.cell_type, kind.real, kind.synthetic if record.release.passed
         else 0)
        for cohort, record in found.items() for kind in record.kinds
    ]  # fmt: skip
    published = any(record.published for record in found.values())
    columns = (Column("cohort", "Cohort", "id"), Column("figure", "Figure"),
               Column("synthetic", "Synthetic", "number"),
               Column("ceiling", "Real patients", "number"), Column("published", "Published generator",
                                                                    "number"))  # fmt: skip
    return [
        Table(key="synthetic", title="Fidelity and privacy", visible=12,
              rows=tuple(row if published else row[:4] for row in rows),
              columns=columns if published else columns[:4]),
        Table(key="synthetic_kinds", title="Samples of each kind", visible=8, rows=tuple(kinds),
              columns=(Column("cohort", "Cohort", "id"), Column("condition", "Arm"),
                       Column("cell_type", "Cell type"),
                       Column("real", "Real", "integer"), Column("given_out", "Given out", "integer"))),
    ]  # fmt: skip


def methods(results: StudyResults) -> Sequence[MethodNote]:
    """How synthetic samples were made and judged."""
    ran = results.config.rnagan.fold and told_of_all(results, "synthetic.json", SyntheticRecord)
    return written.synthesis(results) if ran else ()


SECTION = SectionMaker(order=64, key="synthetic", title="Synthetic samples", build=build, methods=methods)
