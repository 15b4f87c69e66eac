"""Cohorts: what was asked of each one, where it came from, who is in it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from consilience.report import literature
from consilience.report.citations import MethodNote
from consilience.report.elements import (
    Block,
    Column,
    Fact,
    Figures,
    Notice,
    Section,
    SectionMaker,
    Table,
    Text,
)
from consilience.report.figures import Axis, Colour, Figure, boxes
from consilience.report.results import StudyResults
from consilience.report.words import KIND_WORDS, count, listed, megabytes
from consilience.study.cohorts import Cohort

FEW_PATIENTS = 5

OVERVIEW = (
    Column("cohort", "Cohort", "id"),
    Column("label", "What it is", "words"),
    Column("kind", "Kind"),
    Column("source", "Source"),
    Column("role", "Role"),
    Column("case", "Case"),
    Column("n_case", "Cases", "integer", "kept patients, samples or perturbed cells"),
    Column("control", "Control"),
    Column("n_control", "Controls", "integer"),
    Column("units", "Measured in", "text", "what the values of the raw files are"),
    Column("n_in", "Came in", "integer", "samples, cells or variants"),
    Column("n_kept", "Kept", "integer"),
    Column("n_genes", "Genes", "integer"),
    Column("n_donors", "Donors", "integer"),
    Column("fetched", "Fetched", "id"),
)


def build(results: StudyResults) -> Section:
    """Overview table, patients per arm, notes on small arms."""
    rows = tuple(_row(results, cohort) for cohort in results.cohorts)
    notices = (*_small_arms(results), *_source_notes(results))
    blocks: list[Block] = [Text(_sources(results), tone="lead")]
    arms = _arms_figure(results)
    if arms:
        blocks.append(Figures((arms,)))
    blocks.append(
        Table(
            key="cohorts",
            title="The cohort sheet and what became of it",
            columns=OVERVIEW,
            rows=rows,
            visible=30,
            caption="Counts are those after quality control. Arms count samples in bulk cohorts, donors in "
            "single-cell cohorts and cells in perturbation cohorts.",
        )
    )
    kinds = [KIND_WORDS[cohort.kind] for cohort in results.cohorts]
    headline = f"{count(len(kinds), 'cohort')}: " + listed(
        f"{kinds.count(kind)} {kind}" for kind in dict.fromkeys(kinds)
    )
    return Section(
        key="cohorts",
        title="Cohorts",
        headline=headline + ".",
        blocks=tuple(blocks),
        notices=notices,
        first_screen=(Fact("cohorts", str(len(rows))), *_totals(results)),
    )


def _row(results: StudyResults, cohort: Cohort) -> tuple[str | int | None, ...]:
    raw = results.raw(cohort)
    start = (
        cohort.name,
        cohort.label,
        KIND_WORDS[cohort.kind],
        _source_words(cohort, raw.release),
        cohort.role,
    )
    end = (raw.date[:10],)
    if cohort.kind == "summary_statistics":
        found = results.summary_quality(cohort)
        removed = sum(found.removed_by_reason.values())
        arms = ("", None, "", None)
        sizes = ("effects", found.n_variants + removed, found.n_variants, found.n_genes, None)
        return (*start, *arms, *sizes, *end)
    quality = results.quality(cohort)
    case_words = ", ".join(cohort.case) or ("perturbed" if cohort.kind == "perturbation" else "")
    n_case = quality.arms.get("case", quality.arms.get("perturbed"))
    return (
        *start,
        case_words,
        n_case,
        ", ".join(cohort.control),
        quality.arms.get("control"),
        quality.units.replace("_", " "),
        quality.n_in,
        quality.n_kept,
        quality.n_genes_kept,
        quality.n_donors,
        *end,
    )


def _source_words(cohort: Cohort, release: str) -> str:
    words = f"{cohort.source}: {cohort.location}" if cohort.location else cohort.source
    return f"{words} ({release})" if release not in ("", cohort.location, cohort.source) else words


def _source_notes(results: StudyResults) -> Iterator[Notice]:
    """What the sources said when the raw files were fetched."""
    for cohort in results.cohorts:
        for text in results.raw(cohort).notes:
            yield Notice("note", text, subject=cohort.label)


def _sources(results: StudyResults) -> str:
    raw = [results.raw(cohort) for cohort in results.cohorts]
    files = sum(len(entry.files) for entry in raw)
    size = sum(file.bytes for entry in raw for file in entry.files)
    text = f"{count(files, 'raw file')} ({megabytes(size)}), each with its digest in the provenance section."
    if results.simulated:
        text += (
            " The simulated cohorts were written in the formats that the real sources serve and were read "
            "by the same parsers; what was planted in them is known."
        )
    return text


def _totals(results: StudyResults) -> list[Fact]:
    kept = {"bulk samples": 0, "cells": 0}
    came = dict(kept)
    genes = 0
    for cohort in results.expression_cohorts:
        quality = results.quality(cohort)
        noun = "bulk samples" if cohort.kind == "bulk" else "cells"
        kept[noun] += quality.n_kept
        came[noun] += quality.n_in
        genes = max(genes, quality.n_genes_kept)
    variants = sum(results.summary_quality(cohort).n_variants for cohort in results.summary_cohorts)
    facts = [
        Fact(noun, f"{kept[noun]:,}", f"{came[noun] - kept[noun]:,} removed") for noun in kept if came[noun]
    ]
    others = {"genes": genes, "genetic variants": variants}
    return facts + [Fact(label, f"{value:,}") for label, value in others.items() if value]


def _arm_counts(results: StudyResults) -> dict[str, tuple[int, int]]:
    """Cases and controls of every cohort that counts people (not of perturbation screens)."""
    counts = {}
    for cohort in results.expression_cohorts:
        arms = results.quality(cohort).arms
        if cohort.kind != "perturbation" and arms:
            counts[cohort.name] = (arms.get("case", 0), arms.get("control", 0))
    return counts


def _arms_figure(results: StudyResults) -> Figure | None:
    counts = _arm_counts(results)
    if not counts:
        return None
    names = tuple(counts)
    colours: tuple[tuple[int, str, Colour, float], ...] = (
        (0, "case", "case", -0.36),
        (1, "control", "control", 0.0),
    )
    marks = [
        boxes(
            x0=[0] * len(names),
            x1=[counts[name][arm] for name in names],
            y0=[place + start for place in range(len(names))],
            y1=[place + start + 0.34 for place in range(len(names))],
            name=word,
            colour=colour,
            labels=[f"{name}: {counts[name][arm]} {word}" for name in names],
        )
        for arm, word, colour, start in colours
    ]
    sentence = listed(
        f"{name} {case} cases and {control} controls" for name, (case, control) in counts.items()
    )
    return Figure(
        key="arms",
        title="Who is in each cohort",
        alt=sentence + ".",
        marks=tuple(marks),
        wide=True,
        x=Axis(label="kept samples (bulk) or donors (single cell)", zero=True, format="integer"),
        y=Axis(scale="category", categories=names),
        height=60 + 40 * len(names),
    )


def _small_arms(results: StudyResults) -> list[Notice]:
    notices = []
    for name, (case, control) in _arm_counts(results).items():
        small = [
            f"{number} {word}"
            for number, word in ((case, "with"), (control, "without"))
            if number < FEW_PATIENTS
        ]
        if small:
            text = (
                f"only {listed(small)} the condition; people in so small a group can be recognised: think "
                "before sharing this page"
            )
            notices.append(Notice("note", text, "table-cohorts", name))
    return notices


def methods(results: StudyResults) -> Sequence[MethodNote]:
    """Where the data came from."""
    sources = {cohort.source for cohort in results.cohorts}
    notes = [
        MethodNote(
            "workflow",
            "Snakemake",
            "All steps were run by the Consilience workflow {consilience} with Snakemake {snakemake} "
            "[Molder2021].",
            (literature.SNAKEMAKE,),
            ("consilience", "snakemake"),
        )
    ]
    if "geo" in sources:
        notes.append(
            MethodNote(
                "geo",
                "GEO",
                "Series were fetched from the Gene Expression Omnibus [Barrett2013].",
                (literature.GEO,),
            )
        )
    if "gdc" in sources:
        notes.append(
            MethodNote(
                "gdc",
                "GDC",
                "Open-access STAR counts were fetched from the Genomic Data Commons [Grossman2016].",
                (literature.GDC,),
            )
        )
    if "simulated" in sources:
        notes.append(
            MethodNote(
                "simulator",
                "planted-truth simulator",
                "Simulated cohorts have negative binomial counts with gene-wise dispersion, library-size, "
                "donor and "
                f"batch effects; one planted truth (seed {results.config.study.seed}) drives all of them.",
            )
        )
    if results.summary_cohorts:
        notes.append(_summary_methods(results))
    return notes


def _summary_methods(results: StudyResults) -> MethodNote:
    """In which layouts the association tables of the study came."""
    known = {"GWAS-SSF": literature.GWAS_SSF, "eQTLGen": literature.EQTLGEN}
    titles = dict.fromkeys(
        one.title for cohort in results.summary_cohorts for one in results.summary_quality(cohort).layouts
    )
    cited = [known[title] for title in titles if title in known]
    words = [f"{title} [{known[title].key}]" if title in known else title for title in titles]
    layouts = f" in the layouts {listed(words)}" if words else ""
    return MethodNote(
        "summary_statistics",
        "summary statistics",
        f"Summary statistics of association were read{layouts}; effects are also given as z / sqrt(n).",
        tuple(cited),
    )


SECTION = SectionMaker(order=10, key="cohorts", title="Cohorts", build=build, methods=methods)
