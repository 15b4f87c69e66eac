"""Quality: what was removed from each cohort and why, with every threshold drawn where it cuts."""

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
    Group,
    Notice,
    Notices,
    Section,
    SectionMaker,
    Table,
    Text,
)
from consilience.report.results import StudyResults
from consilience.report.sections._quality_parts import (
    figures,
    removed_table,
    sample_table,
    threshold_table,
    type_table,
)
from consilience.report.shapes import ExpressionQuality, SummaryStatisticsQuality
from consilience.report.words import KIND_WORDS, count, listed, metric, percent, unit_noun
from consilience.study.cohorts import Cohort

FOLD_ABOVE = 8


def build(results: StudyResults) -> Section | None:
    """One group per cohort; many cohorts come folded."""
    if not results.cohorts:
        return None
    folded = len(results.cohorts) > FOLD_ABOVE
    groups: list[Block] = []
    notices: list[Notice] = []
    for cohort in results.cohorts:
        own = _messages(results, cohort)
        notices += own
        part = _summary_group if cohort.kind == "summary_statistics" else _expression_group
        groups.append(part(results, cohort, own, folded))
    return Section(
        key="quality",
        title="Quality",
        headline=_headline(results),
        blocks=(
            Text(
                "A sample or cell is removed when a metric lies further from the median than the stated "
                "number of "
                "MADs (median absolute deviations scaled to a normal standard deviation). Tinted areas of "
                "the histograms are what was refused.",
                tone="lead",
            ),
            *groups,
        ),
        notices=tuple(notices),
    )


def _messages(results: StudyResults, cohort: Cohort) -> list[Notice]:
    summary = cohort.kind == "summary_statistics"
    found = results.summary_quality(cohort) if summary else results.quality(cohort)
    messages = sorted(found.messages, key=lambda message: message.level)  # alarms before notes
    return [
        Notice(message.level, message.text, f"quality-{cohort.name}", cohort.name) for message in messages
    ]


def _removed(results: StudyResults, *, cells: bool) -> tuple[int, int]:
    """(removed, came in) over all bulk or all cell cohorts."""
    found = [
        results.quality(cohort) for cohort in results.expression_cohorts if (cohort.kind != "bulk") == cells
    ]
    return sum(entry.n_in - entry.n_kept for entry in found), sum(entry.n_in for entry in found)


def _headline(results: StudyResults) -> str:
    parts = []
    for cells, noun in ((False, "sample"), (True, "cell")):
        removed, total = _removed(results, cells=cells)
        if total:
            parts.append(f"{removed:,} of {count(total, noun)} ({percent(removed, total)})")
    return f"Removed: {listed(parts)}." if parts else "No expression cohorts."


def _expression_group(results: StudyResults, cohort: Cohort, notices: list[Notice], folded: bool) -> Group:
    quality = results.quality(cohort)
    blocks: list[Block] = [_facts(quality, cohort)]
    if notices:
        blocks.append(Notices(tuple(notices)))
    drawn = figures(quality, cohort)
    if drawn:
        blocks.append(Figures(drawn))
    if quality.cell_types:
        blocks.append(type_table(quality.cell_types, cohort))
    blocks.append(threshold_table(quality, cohort))
    blocks.append(removed_table(results.removed(cohort), cohort))
    if quality.samples:
        blocks.append(sample_table(quality, cohort))
    return Group(
        key=f"quality-{cohort.name}",
        title=cohort.label or cohort.name,
        subtitle=cohort.name,
        blocks=tuple(blocks),
        folded=folded,
    )


def _facts(quality: ExpressionQuality, cohort: Cohort) -> Facts:
    noun = unit_noun(cohort.kind)
    gone = quality.n_in - quality.n_kept
    items = [
        Fact(
            f"{noun}s kept",
            f"{quality.n_kept:,}",
            f"of {quality.n_in:,} ({percent(gone, quality.n_in)} removed)",
        )
    ]
    items += [Fact(f"{word}s", f"{number:,}") for word, number in quality.arms.items() if word == "control"]
    items[1:1] = [
        Fact("cases" if word == "case" else word, f"{number:,}")
        for word, number in quality.arms.items()
        if word != "control"
    ]
    if quality.n_donors:
        items.append(Fact("donors", f"{quality.n_donors:,}"))
    items.append(Fact("genes kept", f"{quality.n_genes_kept:,}", f"of {quality.n_genes_in:,}"))
    reasons = sorted(quality.removed_by_reason.items(), key=lambda pair: (-pair[1], pair[0]))
    words = [f"{metric(name)} {number:,}" for name, number in reasons if number]
    if words:
        items.append(Fact("removed for", words[0], ", ".join(words[1:4])))
    return Facts(tuple(items))


def _summary_group(results: StudyResults, cohort: Cohort, notices: list[Notice], folded: bool) -> Group:
    quality = results.summary_quality(cohort)
    blocks: list[Block] = [_summary_facts(quality)]
    if notices:
        blocks.append(Notices(tuple(notices)))
    blocks.append(
        Table(
            key=f"removed_variants.{cohort.name}",
            title="Variants removed",
            columns=(Column("reason", "Reason"), Column("n", "Variants", "integer")),
            rows=tuple((metric(reason), number) for reason, number in quality.removed_by_reason.items()),
            when_empty="no variant was removed",
        )
    )
    if quality.layouts:
        blocks.append(
            Table(
                key=f"layouts.{cohort.name}",
                title="How the tables were read",
                columns=(
                    Column("file", "File"),
                    Column("layout", "Layout"),
                    Column("allele", "Effect allele"),
                ),
                rows=tuple((one.file, one.title, one.effect_allele) for one in quality.layouts),
            )
        )
    return Group(
        key=f"quality-{cohort.name}",
        title=cohort.label or cohort.name,
        subtitle=cohort.name,
        blocks=tuple(blocks),
        folded=folded,
    )


def _summary_facts(quality: SummaryStatisticsQuality) -> Facts:
    facts = [
        Fact("variants", f"{quality.n_variants:,}"),
        Fact("genes", f"{quality.n_genes:,}"),
        Fact("loci", f"{quality.n_loci:,}"),
    ]
    return Facts((*facts, Fact("genome build", quality.build)) if quality.build else tuple(facts))


def methods(results: StudyResults) -> Sequence[MethodNote]:
    """Filters and normalisation as configured."""
    kinds: set[str] = {cohort.kind for cohort in results.expression_cohorts}
    notes: list[MethodNote] = []
    if "bulk" in kinds:
        notes += _bulk_methods(results)
    if kinds & {"single_cell", "perturbation"}:
        notes += _cell_methods(results, kinds)
    if kinds:
        notes.append(
            MethodNote(
                "anndata",
                "anndata",
                "Matrices are stored with anndata {anndata} [Virshup2024].",
                (literature.ANNDATA,),
                ("anndata",),
            )
        )
    return notes


def _bulk_methods(results: StudyResults) -> list[MethodNote]:
    units = {results.quality(cohort).units for cohort in results.expression_cohorts if cohort.kind == "bulk"}
    counted = _counted_methods(results) if units & {"counts", "estimated_counts"} else []
    logs = units - {"counts", "estimated_counts"}
    return counted + (_log_methods(results, logs) if logs else [])


def _counted_methods(results: StudyResults) -> list[MethodNote]:
    bulk = results.config.quality.bulk
    return [
        MethodNote(
            "bulk_quality",
            "bulk quality control",
            "Within each arm, bulk samples were removed when their log library size was more than "
            f"{bulk.library_size_mads:g} MADs from the median or their number of detected genes more than "
            f"{bulk.detected_genes_mads:g} MADs below it, then when their distance beyond the leading "
            "principal components of the central samples (arm and batch medians taken away; the orthogonal "
            f"distance of ROBPCA [Hubert2005]) was more than {bulk.outlier_mads:g} MADs above the median; "
            f"genes with fewer than {bulk.min_count} counts in {100 * bulk.min_samples:g} % of the samples "
            "were left out.",
            (literature.ROBPCA,),
        ),
        MethodNote(
            "size_factors",
            "median-of-ratios size factors",
            "Bulk values are log1p of counts per million of the effective library size, from "
            "median-of-ratios size factors [Anders2010] as in DESeq2 [Love2014].",
            (literature.SIZE_FACTORS, literature.DESEQ2),
        ),
    ]


def _log_methods(results: StudyResults, units: set[str]) -> list[MethodNote]:
    """Cohorts that were given in other units than counts."""
    bulk = results.config.quality.bulk
    made = {
        "intensity": "log2 of array intensities + 16, brought to one distribution [Bolstad2003]",
        "log2": "logarithms to base 2 as their source gives them",
    } | {one: f"log2 of {one.upper()} + 1" for one in ("tpm", "fpkm", "cpm")}
    citations = (literature.QUANTILES,) if "intensity" in units else ()
    return [
        MethodNote(
            "bulk_without_counts",
            "bulk cohorts without counts",
            f"Values of bulk cohorts without counts are {listed(made[one] for one in sorted(units))}; of "
            "several rows for one gene the one with the highest mean was kept. Their samples were removed "
            f"when their typical expression was more than {bulk.library_size_mads:g} MADs from the median, "
            f"their interquartile range more than {bulk.library_size_mads:g} or their share of genes above "
            f"background more than {bulk.detected_genes_mads:g} MADs below it, then by the same robust "
            f"distance [Hubert2005]; genes above background in fewer than {100 * bulk.min_samples:g} % of "
            "the samples were left out.",
            (literature.ROBPCA, *citations),
        )
    ]


def _cell_methods(results: StudyResults, kinds: set[str]) -> list[MethodNote]:
    cells = results.config.quality.single_cell
    normal = results.config.normalisation
    words = listed(KIND_WORDS[kind] for kind in ("single_cell", "perturbation") if kind in kinds)
    return [
        MethodNote(
            "cell_quality",
            "single-cell quality control",
            f"In {words} cohorts, cells were removed within each sample when log counts or log detected "
            "genes were "
            f"more than {cells.counts_mads:g} and {cells.genes_mads:g} MADs from the median, or the "
            f"mitochondrial share more than {cells.mitochondrial_mads:g} MADs above it (in any case above "
            f"{100 * cells.max_mitochondrial_share:g} %), following the adaptive thresholds of scater "
            "[McCarthy2017]. Cells among imitated doublets (the idea of Scrublet [Wolock2019], own "
            "implementation) "
            f"were removed when their score was more than {cells.doublet_mads:g} MADs above the median.",
            (literature.MAD_FILTERS, literature.SCRUBLET),
        ),
        MethodNote(
            "cell_normalisation",
            "library-size normalisation",
            f"Counts per cell were scaled to {normal.target_sum:,.0f} and log1p-transformed with the "
            "semantics of "
            f"scanpy [Wolf2018]; up to {normal.highly_variable_genes:,} highly variable genes were marked "
            "by their dispersion within bins of the mean [Satija2015].",
            (literature.SCANPY, literature.HIGHLY_VARIABLE),
        ),
    ]


SECTION = SectionMaker(order=20, key="quality", title="Quality", build=build, methods=methods)
