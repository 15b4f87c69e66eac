"""Genes: how the identifiers of each cohort became current symbols, and what was refused."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from consilience.report import literature
from consilience.report.citations import MethodNote
from consilience.report.elements import Block, Column, Figures, Section, SectionMaker, Table, Text
from consilience.report.figures import Axis, Colour, Figure, boxes
from consilience.report.results import StudyResults
from consilience.report.shapes import Genes
from consilience.report.words import count, listed, percent


def build(results: StudyResults) -> Section | None:
    """One bar per cohort, then every renamed, ambiguous, unmatched or date-mangled identifier listed."""
    found = {
        cohort.name: genes
        for cohort in results.expression_cohorts
        if (genes := results.quality(cohort).genes) is not None
    }
    if not found:
        return None
    blocks: list[Block] = [
        Text(
            "Identifiers of all kinds (Ensembl with or without version, Entrez, previous symbols, "
            "synonyms) are "
            "brought to current symbols, so that cohorts can be compared. An identifier that may mean two "
            "genes is "
            "refused rather than guessed, and a gene that a cohort did not measure is missing, never zero.",
            tone="lead",
        ),
        Figures((_figure(found),)),
        _overview(found),
        _changes(found),
    ]
    shares = [percent(genes.matched, genes.total) for genes in found.values()]
    low = min(found.values(), key=lambda genes: genes.matched / max(genes.total, 1))
    headline = (
        f"{percent(low.matched, low.total)} or more of the identifiers were matched in every cohort."
        if len(set(shares)) > 1
        else f"{shares[0]} of the identifiers were matched."
    )
    return Section(
        key="genes",
        title="Genes",
        headline=headline,
        blocks=tuple(blocks),
    )


def _n_ambiguous(genes: Genes) -> int:
    return genes.n_ambiguous if genes.n_ambiguous is not None else len(genes.ambiguous)


def _parts(genes: Genes) -> list[tuple[str, Colour, int]]:
    """Disjoint parts of all identifiers; what is left over is unmatched."""
    renamed, ambiguous, dates = genes.n_renamed, _n_ambiguous(genes), len(genes.dates)
    unmatched = max(0, genes.total - genes.matched - ambiguous)
    return [
        ("as they are", "kept", max(0, genes.matched - renamed)),
        ("renamed to the current symbol", "accent", renamed),
        ("refused: may mean two genes", "c1", ambiguous),
        ("not known", "removed", max(0, unmatched - dates)),
        ("dates made by a spreadsheet", "c5", min(dates, unmatched)),
    ]


def _figure(found: dict[str, Genes]) -> Figure:
    names = tuple(found)
    marks = []
    left = [0] * len(names)
    for index, (word, colour, _) in enumerate(_parts(next(iter(found.values())))):
        sizes = [_parts(genes)[index][2] for genes in found.values()]
        if any(sizes):
            marks.append(
                boxes(
                    x0=left,
                    x1=[start + size for start, size in zip(left, sizes, strict=True)],
                    y0=[place - 0.32 for place in range(len(names))],
                    y1=[place + 0.32 for place in range(len(names))],
                    name=word,
                    colour=colour,
                    labels=[
                        f"{name}: {count(size, 'identifier')} {word}"
                        for name, size in zip(names, sizes, strict=True)
                    ],
                )
            )
        left = [start + size for start, size in zip(left, sizes, strict=True)]
    alt = listed(f"{name} {genes.matched:,} of {genes.total:,}" for name, genes in found.items())
    return Figure(
        key="gene-identity",
        title="What became of the gene identifiers",
        alt=f"Matched: {alt}.",
        wide=True,
        marks=tuple(marks),
        x=Axis(label="identifiers", zero=True, format="integer"),
        y=Axis(scale="category", categories=names),
        height=60 + 34 * len(names),
    )


def _overview(found: dict[str, Genes]) -> Table:
    columns = (
        Column("cohort", "Cohort", "id"),
        Column("total", "Identifiers", "integer"),
        Column("matched", "Matched", "integer"),
        Column("share", "Share", "share"),
        Column("renamed", "Renamed", "integer"),
        Column("ambiguous", "Refused", "integer"),
        Column("unmatched", "Not known", "integer"),
        Column("dates", "Dates", "integer"),
        Column("duplicates", "Merged duplicates", "integer"),
    )
    rows = tuple(
        (
            name,
            genes.total,
            genes.matched,
            genes.matched / genes.total if genes.total else None,
            genes.n_renamed,
            _n_ambiguous(genes),
            genes.n_unmatched,
            len(genes.dates),
            genes.duplicates,
        )
        for name, genes in found.items()
    )
    return Table(key="gene_identity", title="Gene identity by cohort", columns=columns, rows=rows, visible=30)


def _changes(found: dict[str, Genes]) -> Table:
    rows: list[tuple[str, str, str, str]] = []
    for name, genes in found.items():
        rows += [(name, "renamed", old, new) for old, new in genes.renamed]
        rows += [(name, "refused", *_pair(entry)) for entry in genes.ambiguous]
        rows += [(name, "date", *_pair(entry)) for entry in genes.dates]
        rows += [(name, "not known", old, "") for old in genes.unmatched]
    order = {"date": 0, "refused": 1, "renamed": 2, "not known": 3}
    rows.sort(key=lambda row: (order[row[1]], row[0], row[2]))
    return Table(
        key="gene_changes",
        title="Identifiers that were changed or refused",
        rows=tuple(rows),
        visible=8,
        columns=(
            Column("cohort", "Cohort", "id"),
            Column("what", "What"),
            Column("identifier", "As it came", "id"),
            Column("symbol", "Current symbol or candidates", "id"),
        ),
        caption="At most 50 of each kind per cohort are listed.",
        when_empty="every identifier was a current symbol",
    )


def _pair(entry: Any) -> tuple[str, str]:
    """An identifier and what is said about it, from "x", "x: why" or ["x", "why"]."""
    if isinstance(entry, str):
        first, _, rest = entry.partition(": ")
        return first, rest
    first, *others = [str(part) for part in entry] or [""]
    return first, ", ".join(others)


def methods(results: StudyResults) -> Sequence[MethodNote]:
    """Gene identity."""
    if not results.expression_cohorts:
        return ()
    return (
        MethodNote(
            "gene_identity",
            "gene identity",
            "Gene identifiers were mapped to current approved symbols [Seal2023]; ambiguous ones were "
            "refused and names mangled by spreadsheets [Ziemann2016] reported.",
            (literature.HGNC, literature.EXCEL_DATES),
        ),
    )


SECTION = SectionMaker(order=30, key="genes", title="Genes", build=build, methods=methods)
