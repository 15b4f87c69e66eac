"""Pathways: which gene sets the models can use, which were dropped, and why."""

from __future__ import annotations

from collections.abc import Sequence

from consilience.report import literature
from consilience.report.citations import MethodNote
from consilience.report.elements import (
    Block,
    Column,
    Fact,
    Facts,
    Figures,
    Notice,
    Section,
    SectionMaker,
    Table,
)
from consilience.report.figures import Axis, Figure, points, rule
from consilience.report.results import StudyResults
from consilience.report.shapes import Coverage, PathwayCoverage
from consilience.report.words import count, percent

FEW_MEASURED = 0.5


def build(results: StudyResults) -> Section | None:
    """Sizes and coverage of all gene sets with the limits that decided."""
    if not results.expression_cohorts:
        return None
    coverage = results.coverage
    blocks: list[Block] = [
        _facts(coverage),
        Figures((_figure(results, coverage),)),
        _collections(coverage),
        _cohorts(coverage),
        _table(coverage),
        _unknown(coverage),
    ]
    return Section(
        key="pathways",
        title="Pathways",
        blocks=tuple(blocks),
        notices=tuple(_notices(coverage)),
        headline=f"{coverage.n_kept:,} of {count(coverage.n_pathways, 'gene set')} kept; "
        f"{coverage.n_genes_in_mask:,} genes are in at least one.",
        first_screen=(Fact("pathways", f"{coverage.n_kept:,}"),),
    )


def _facts(coverage: Coverage) -> Facts:
    edges = sum(entry.n_measured for entry in coverage.pathways if entry.kept)
    possible = coverage.n_genes_in_mask * coverage.n_kept
    density = f"{100 * edges / possible:.2g} % of a full matrix" if possible else ""
    reasons = sorted(coverage.dropped_by_reason.items(), key=lambda pair: (-pair[1], pair[0]))
    return Facts(
        (
            Fact("gene sets kept", f"{coverage.n_kept:,}", f"of {coverage.n_pathways:,}"),
            Fact("genes in them", f"{coverage.n_genes_in_mask:,}"),
            Fact("gene–pathway pairs", f"{edges:,}", density),
            *(Fact("dropped", f"{number:,}", reason) for reason, number in reasons[:4]),
        )
    )


def _notices(coverage: Coverage) -> list[Notice]:
    return [
        Notice(
            "alarm",
            f"measures only {percent(entry.n_in_mask, coverage.n_genes_in_mask)} of the genes that the "
            "pathway mask uses",
            "table-pathway_cohorts",
            entry.cohort,
        )
        for entry in coverage.cohorts
        if entry.share_of_mask < FEW_MEASURED
    ]


def _figure(results: StudyResults, coverage: Coverage) -> Figure:
    limits = results.config.pathways
    marks = []
    for kept, name in ((False, "dropped"), (True, "kept")):
        part = [entry for entry in coverage.pathways if entry.kept is kept and entry.n_measured > 0]
        if part:
            marks.append(
                points(
                    x=[entry.n_measured for entry in part],
                    y=[entry.coverage for entry in part],
                    name=name,
                    colour="accent" if kept else "removed",
                    shape="dot" if kept else "ring",
                    labels=[_label(entry) for entry in part],
                )
            )
    marks += [
        rule(axis="x", at=limits.min_genes, label=f"at least {limits.min_genes} genes", shade="below"),
        rule(axis="x", at=limits.max_genes, label=f"at most {limits.max_genes}", shade="above"),
        rule(
            axis="y", at=limits.min_coverage, label=f"at least {100 * limits.min_coverage:g} %", shade="below"
        ),
    ]
    return Figure(
        key="pathway-coverage",
        title="Size and coverage of every gene set",
        wide=True,
        height=330,
        marks=tuple(marks),
        x=Axis(label="measured genes", scale="log"),
        y=Axis(label="share of the gene set that is measured", format="percent", domain=(0.0, 1.03)),
        alt="Each point is a gene set: how many of its genes are measured, and which share of them.",
    )


def _label(entry: PathwayCoverage) -> str:
    return f"{entry.pathway} ({entry.collection})" + (f": {entry.why}" if entry.why else "")


def _collections(coverage: Coverage) -> Table:
    rows = []
    for name in sorted({entry.collection for entry in coverage.pathways}):
        part = [entry for entry in coverage.pathways if entry.collection == name]
        kept = sum(entry.kept for entry in part)
        rows.append((name, len(part), kept, len(part) - kept))
    return Table(
        key="pathway_collections",
        title="Collections",
        rows=tuple(rows),
        columns=(
            Column("collection", "Collection"),
            Column("sets", "Gene sets", "integer"),
            Column("kept", "Kept", "integer"),
            Column("dropped", "Dropped", "integer"),
        ),
    )


def _cohorts(coverage: Coverage) -> Table:
    return Table(
        key="pathway_cohorts",
        title="How much of the mask each cohort measures",
        visible=30,
        columns=(
            Column("cohort", "Cohort", "id"),
            Column("n_genes", "Genes", "integer"),
            Column("n_in_pathways", "In a gene set", "integer"),
            Column("n_in_mask", "In the mask", "integer"),
            Column("share_of_mask", "Share of the mask", "share"),
        ),
        rows=tuple(
            (entry.cohort, entry.n_genes, entry.n_in_pathways, entry.n_in_mask, entry.share_of_mask)
            for entry in coverage.cohorts
        ),
    )


def _table(coverage: Coverage) -> Table:
    entries = sorted(coverage.pathways, key=lambda entry: (not entry.kept, entry.collection, entry.pathway))
    return Table(
        key="pathways",
        title="All gene sets",
        visible=8,
        columns=(
            Column("pathway", "Pathway"),
            Column("collection", "Collection"),
            Column("kept", "Kept"),
            Column("why", "Why not"),
            Column("n_genes", "Genes", "integer"),
            Column("n_measured", "Measured", "integer"),
            Column("coverage", "Share", "share"),
            Column("same_as", "Same genes as"),
        ),
        rows=tuple(
            (
                entry.pathway,
                entry.collection,
                "yes" if entry.kept else "no",
                entry.why,
                entry.n_genes,
                entry.n_measured,
                entry.coverage,
                entry.same_as,
            )
            for entry in entries
        ),
    )


def _unknown(coverage: Coverage) -> Table:
    return Table(
        key="unknown_members",
        title="Members of gene sets that are no known human gene",
        visible=6,
        columns=(Column("member", "Member", "id"), Column("n_pathways", "Gene sets", "integer")),
        rows=tuple((entry.member, entry.n_pathways) for entry in coverage.unknown_members),
        caption=f"The {len(coverage.unknown_members)} most frequent of {coverage.n_unknown_members:,}."
        if coverage.n_unknown_members > len(coverage.unknown_members)
        else "",
        when_empty="every member is a known human gene",
    )


def methods(results: StudyResults) -> Sequence[MethodNote]:
    """Gene sets and limits."""
    if not results.expression_cohorts:
        return ()
    settings = results.config.pathways
    known = {
        "reactome": ("Reactome [Milacic2024]", literature.REACTOME),
        "hallmark": ("the Hallmark collection of MSigDB [Liberzon2015]", literature.HALLMARK),
    }
    names = [known[name][0] if name in known else name for name in settings.gene_sets]
    return (
        MethodNote(
            "pathway_mask",
            "pathway mask",
            f"Gene sets came from {' and '.join(names)}; sets of {settings.min_genes} to "
            f"{settings.max_genes} "
            f"measured genes of which at least {100 * settings.min_coverage:g} % were measured were kept.",
            tuple(known[name][1] for name in settings.gene_sets if name in known),
        ),
    )


SECTION = SectionMaker(order=40, key="pathways", title="Pathways", build=build, methods=methods)
