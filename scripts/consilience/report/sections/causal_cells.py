"""Causal evidence from single cells: double machine learning with donors as units, cell type by cell type."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from consilience.report.citations import MethodNote
from consilience.report.elements import (
    Block,
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
from consilience.report.results import StudyResults
from consilience.report.sections import _causal_cells_parts as parts
from consilience.report.sections import _causal_methods as written
from consilience.report.sections import _causal_reading as reading
from consilience.report.sections import _causal_truth as truths
from consilience.report.sections import _causal_variants as variants_of
from consilience.report.sections._causal_denoising import denoising_blocks
from consilience.report.sections._causal_flags import flags_of
from consilience.report.sections._causal_reading import called, floats, frame, percents, share_below, texts
from consilience.report.sections._causal_shapes import DmlRecord
from consilience.report.sections._rnagan_reading import group_of
from consilience.report.words import count, listed
from consilience.study.cohorts import Cohort

if TYPE_CHECKING:
    import pandas as pd

MOST_DRAWN, MOST_POINTS, ALL_POINTS = 9, 350, 9_000
MOST_EMBEDDED = 300
NEEDS = ("cell_type", "gene", "theta", "se", "p")
_LEAD = (
    "Within each cell type, disease and the expression of a gene are both predicted from confounders, in "
    "donors "
    "that the prediction has not seen; what is left of disease is then compared with what is left of "
    "expression. A patient is ill as a whole, so patients and not cells are counted: standard errors, "
    "folds and "
    "degrees of freedom are those of donors. What is not measured can still confound."
)


_DRAWN = "Above the dashed line: below 5 % false discoveries among the genes of the cell type."


def build(results: StudyResults) -> Section | None:
    """Each single-cell cohort."""
    if not reading.ran(results):
        return None
    cohorts = reading.cell_cohorts(results)
    if not cohorts:
        words = (
            "No gene effects from single cells: no single-cell cohort with cases and controls was gone over."
        )
        return _section((Text(words, tone="lead"),), "No gene effects from single cells.", ())
    groups = [_group(results, cohort, place) for place, cohort in enumerate(cohorts)]
    found = [(cohort, dml) for cohort in cohorts if (dml := _dml(results, cohort)) is not None]
    facts = tuple(
        Fact("gene effects in cells", f"{int(called(dml).sum()):,}",
             f"of {int(np.isfinite(floats(dml, 'p')).sum()):,}, {cohort.name}") for cohort, dml in found
    )  # fmt: skip
    return _section((Text(_LEAD, tone="lead"), *groups), _headline(found), facts[:2])


def _section(blocks: Sequence[Block], headline: str, facts: tuple[Fact, ...]) -> Section:
    return Section(key="dml", title="Causal: single cells", headline=headline, blocks=tuple(blocks),
                   first_screen=facts)  # fmt: skip


def _dml(results: StudyResults, cohort: Cohort) -> pd.DataFrame | None:
    return frame(results, f"causal/cells/{cohort.name}/dml.parquet", needs=NEEDS)


def _headline(found: Sequence[tuple[Cohort, pd.DataFrame]]) -> str:
    said = []
    for cohort, dml in found:
        words = count(len(set(texts(dml, "cell_type"))), "cell type")
        n = int(called(dml).sum())
        naive = share_below(floats(dml, "p_naive"))
        beside = (
            ""
            if naive is None
            else (
                f"; p ≤ 0.05 in {percents(share_below(floats(dml, 'p')))}, in {percents(naive)} if cells "
                f"were patients"
            )
        )
        said.append(f"{n:,} gene effects below 5 % false discoveries in {words} of {cohort.name}{beside}")
    return f"{'; '.join(said)}." if said else "No cell type could be estimated."


def _group(results: StudyResults, cohort: Cohort, place: int) -> Group:
    folder = f"causal/cells/{cohort.name}"
    dml = _dml(results, cohort)
    others = frame(
        results, f"{folder}/dml_others.parquet", needs=("cell_type", "gene", "variant", "statistic")
    )
    record = reading.told(results, f"{folder}/dml.json", DmlRecord) or DmlRecord()
    blocks: list[Block] = []
    if record.skipped:
        blocks.append(Text(f"Not done: {reading.hidden(results, record.skipped)}."))
    if facts := _facts(record, dml):
        blocks.append(Facts(facts))
    blocks += _said(results, record)
    if dml is None:
        blocks.append(Text("No estimates: dml.parquet is not there or has no rows."))
    else:
        rows = parts.type_rows(dml, record)
        blocks.append(parts.type_table(f"dml_types.{cohort.name}", rows))
        if place < reading.MOST_SHOWN:
            blocks += _drawn(results, cohort, dml, others, rows)
        blocks.append(parts.gene_table(f"dml.{cohort.name}", dml, embedded=MOST_EMBEDDED))
        blocks += _truth(results, cohort, dml)
    blocks += denoising_blocks(results, cohort)
    blocks += _left_out(results, cohort, record, dml)
    return group_of(f"dml-{cohort.name}", cohort, blocks, folded=place >= reading.FOLD_ABOVE)


def _facts(record: DmlRecord, dml: pd.DataFrame | None) -> tuple[Fact, ...]:
    facts = []
    if dml is not None:
        p = floats(dml, "p")
        facts += [
            Fact("cell types", f"{len(set(texts(dml, 'cell_type')))}"),
            Fact("gene effects", f"{int(np.isfinite(p).sum()):,}", f"of {len(dml):,} asked for"),
            Fact("below 5 % FDR", f"{int(called(dml).sum()):,}", "within their cell type"),
        ]
    if record.learner:
        facts.append(Fact("learner", record.learner.replace("_", " "), record.score.replace("_", " ")))
    if record.inference:
        words = {"t": "t of donors", "wild_bootstrap": "wild bootstrap"}.get(
            record.inference, record.inference
        )
        facts.append(Fact("p-values", words))
    if record.folds:
        facts.append(Fact("folds of donors", f"{record.folds}", f"{record.repeats or 1} times"))
    return tuple(facts)


def _said(results: StudyResults, record: DmlRecord) -> list[Block]:
    """Covariates and messages."""
    used = list(dict.fromkeys(name for one in record.cell_types for name in one.covariates_used))
    dropped = {name: why for one in record.cell_types for name, why in one.covariates_dropped.items()}
    said = []
    if used or record.latents:
        latent = [f"{record.latents} latent numbers of the cell"] if record.latents else []
        said.append(f"Confounders: {listed([*(_words(name) for name in used), *latent])}")
    if record.covariates_missing:
        said.append(f"asked for and not there: {listed(map(_words, record.covariates_missing))}")
    if dropped:
        said.append(
            "left out in some cell types: "
            + listed(f"{_words(name)} ({why})" for name, why in dropped.items())
        )
    blocks: list[Block] = [Text(f"{reading.hidden(results, '; '.join(said))}.", tone="small")] if said else []
    return [*blocks, *reading.notes_of(results, record.messages)]


def _words(name: str) -> str:
    return name.replace("_", " ")


def _drawn(
    results: StudyResults, cohort: Cohort, dml: pd.DataFrame, others: pd.DataFrame | None,
    rows: Sequence[tuple[object, ...]]
) -> list[Block]:  # fmt: skip
    names = parts.types_of(dml)
    both = variants_of.joined(dml, others) if others is not None else None
    n_all = len(names) * max(1, min(reading.MOST_SHOWN, len(reading.cell_cohorts(results))))
    most = max(60, min(MOST_POINTS, ALL_POINTS // max(1, n_all)))
    heatmap = (
        variants_of.variant_heatmap(f"dml-variants-{cohort.name}", both, names) if both is not None else None
    )
    first = (parts.naive_figure(f"dml-naive-{cohort.name}", parts.type_rows(dml, DmlRecord())), heatmap)
    found = tuple(figure for figure in first if figure is not None)
    blocks: list[Block] = [Figures(found)] if found else []
    drawn = parts.volcanoes(dml, names, key=f"dml-volcano-{cohort.name}", most=most)
    if drawn:
        blocks.append(Group(key=f"dml-types-{cohort.name}", title="Effect and evidence, by cell type",
                            blocks=(Text(_DRAWN, tone="small"), Figures(drawn[:MOST_DRAWN]),)))  # fmt: skip
    if drawn[MOST_DRAWN:]:
        blocks.append(Group(key=f"dml-more-{cohort.name}",
                            title=f"{count(len(drawn) - MOST_DRAWN, 'more cell type')}",
                            blocks=(Figures(drawn[MOST_DRAWN:]),), folded=True))  # fmt: skip
    figure = variants_of.gene_forest(f"dml-forest-{cohort.name}", dml, both)
    if figure is not None:
        blocks.append(Figures((figure,)))
    if both is not None:
        blocks.append(
            variants_of.variant_table(f"dml_variants.{cohort.name}", variants_of.variant_rows(both))
        )
    return blocks


def _truth(results: StudyResults, cohort: Cohort, dml: pd.DataFrame) -> list[Block]:
    known, active = truths.planted(results, cohort), truths.active_types(results, cohort)
    if known is None or active is None:
        return []
    rows = truths.cell_rows(known, active, dml)
    quiet = [float(row[7]) for row in rows if row[1] == "no" and isinstance(row[7], float)]
    naive = [float(row[8]) for row in rows if row[1] == "no" and isinstance(row[8], float)]
    blocks: list[Block] = []
    if quiet:
        beside = f", cell by cell {percents(float(np.mean(naive)))}" if naive else ""
        blocks.append(Text("Planted and found: where disease does not act, "
                           f"{percents(float(np.mean(quiet)))} of the genes have p ≤ 0.05 by "
                           f"donors{beside}; 5 % "
                           "would be right."))  # fmt: skip
    return [*blocks, truths.cell_truth_table(f"dml_truth.{cohort.name}", rows)]


def _left_out(
    results: StudyResults, cohort: Cohort, record: DmlRecord, dml: pd.DataFrame | None
) -> list[Block]:
    """Cell types that were skipped, and flags."""
    skipped = record.skipped_types
    blocks: list[Block] = []
    if skipped:
        blocks.append(Table(
            key=f"dml_skipped.{cohort.name}", title="Cell types that were not estimated", visible=20,
            columns=(Column("cell_type", "Cell type"), Column("reason", "Why not", "words")),
            rows=tuple((name, reading.hidden(results, why)) for name, why in skipped.items()),
        ))  # fmt: skip
    flags = reading.flag_table(f"dml_flags.{cohort.name}", "Flags",
                               [] if dml is None else texts(dml, "flags"),
                               flags_of("dml"), noun="estimate")  # fmt: skip
    if flags is not None:
        blocks.append(flags)
    if not blocks:
        return []
    return [Group(key=f"dml-left-{cohort.name}", title="What was left out, and what is flagged",
                  blocks=tuple(blocks),
                  folded=True)]  # fmt: skip


def methods(results: StudyResults) -> Sequence[MethodNote]:
    """How effects in cells were estimated."""
    cohorts = [cohort for cohort in reading.cell_cohorts(results) if _dml(results, cohort) is not None]
    if not cohorts:
        return ()
    variants: list[str] = []
    for cohort in cohorts:
        others = frame(results, f"causal/cells/{cohort.name}/dml_others.parquet", needs=("variant",))
        variants += [] if others is None else list(dict.fromkeys(texts(others, "variant")))
    denoised = any(
        (results.root / f"causal/cells/{cohort.name}/denoising.json").is_file() for cohort in cohorts
    )
    return written.single_cells(results.config.causal, list(dict.fromkeys(variants)), denoised=denoised)


SECTION = SectionMaker(order=81, key="dml", title="Causal: single cells", build=build, methods=methods)
