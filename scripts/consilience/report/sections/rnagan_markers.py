"""Markers: genes and pathways that drive the model, with direction, error rates, stability, and limits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

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
    Text,
)
from consilience.report.results import StudyResults
from consilience.report.sections import _rnagan_methods as written
from consilience.report.sections._rnagan_markers_parts import (
    ENRICHMENT_COLUMNS,
    GENE_COLUMNS,
    MOST_POINTS,
    PAIR_COLUMNS,
    PATHWAY_COLUMNS,
    Together,
    against_fold_change,
    beside_others,
    marker_table,
    rows_for,
    strongest,
    tables_of_all,
    volcano,
)
from consilience.report.sections._rnagan_reading import (
    FOLD_ABOVE,
    budget,
    frame,
    group_of,
    in_detail,
    rows_of,
    shown_words,
    skipped_table,
    told_of_all,
    two,
)
from consilience.report.sections._rnagan_shapes import MarkersRecord, MarkersTask
from consilience.report.sections._rnagan_truth import recovery_blocks
from consilience.report.words import count, listed
from consilience.study.cohorts import Cohort

FEW_DRAWN, ALL_DRAWN = 8, 60
ALL_POINTS, MOST_EMBEDDED, ALL_EMBEDDED = 20_000, 800, 6_000
MOST_LISTED = 25
WAY_WORDS = {
    "permute": "labels permuted, everything redone",
    "splits": "halves of the patients, labels permuted",
    "held_out": "patients the model has not seen",
    "none": "no error rates",
}
_LEAD = (
    "A pedal is a gene or pathway whose higher expression makes the model think of a case; a brake one whose "
    "higher expression makes it think of a control. The effect is the mean of several attributions over "
    "patients that were neither references nor seen in training; its false discovery rate comes from "
    "permuted labels. Markers are associations in the model and the data, not causes."
)


@dataclass
class _Lists:
    """Rows of all cell types of a cohort, the cell type first."""

    genes: list[tuple[Cell, ...]] = field(default_factory=list)
    pathways: list[tuple[Cell, ...]] = field(default_factory=list)
    pairs: list[tuple[Cell, ...]] = field(default_factory=list)
    enriched: list[tuple[Cell, ...]] = field(default_factory=list)


def build(results: StudyResults) -> Section | None:
    """Truth first where there is one, then each cohort, then all tasks side by side."""
    found = told_of_all(results, "markers.json", MarkersRecord)
    if not found:
        return None
    together, folded = Together(), len(found) > FOLD_ABOVE
    groups = [
        _cohort_group(results, cohort, record, together, folded=folded) for cohort, record in found.items()
    ]
    done = [task for record in found.values() for task in record.tasks if task.skipped is None]
    hide = results.pseudonyms.text
    skipped = [(cohort.name, task.cell_type, hide(task.skipped)) for cohort, record in found.items()
               for task in record.tasks if task.skipped]  # fmt: skip
    blocks: list[Block] = [
        Text(_LEAD, tone="lead"),
        *shown_words(results),
        *recovery_blocks(results),
        *groups,
        *tables_of_all(together),
    ]
    if skipped:
        blocks.append(skipped_table("markers_skipped", "Not asked", skipped))
    genes, pathways = (
        sum(getattr(task.n_significant, name) for task in done) for name in ("genes", "pathways")
    )
    return Section(
        key="markers", title="Markers", blocks=tuple(blocks), notices=tuple(_notices(results, found)),
        headline=_headline(done),
        first_screen=(Fact("markers", f"{genes:,}", f"genes and {count(pathways, 'pathway')}, "
                           f"in {count(len(done), 'task')}"),) if done else (),
    )  # fmt: skip


def _headline(done: list[MarkersTask]) -> str:
    if not done:
        return "No task could be asked for markers; the reasons are listed."
    genes, pathways = (
        sum(getattr(task.n_significant, name) for task in done) for name in ("genes", "pathways")
    )
    level = 100 * done[0].fdr_level
    return (f"{count(genes, 'gene')} and {count(pathways, 'pathway')} hold in unseen patients at {level:g} "
            "% false "
            f"discoveries, over {count(len(done), 'task')}.")  # fmt: skip


def _notices(results: StudyResults, found: dict[Cohort, MarkersRecord]) -> list[Notice]:
    """Tasks without error rates."""
    said = []
    for cohort, record in found.items():
        bare = [task for task in record.tasks if task.skipped is None and not task.permutations]
        if bare and results.config.rnagan.permutations:
            about = listed(task.cell_type for task in bare) if bare[0].cell_type else ""
            said.append(Notice("note", f"markers have no error rates{f' in {about}' if about else ''}",
                               f"markers-{cohort.name}", cohort.name))  # fmt: skip
    return said


def _cohort_group(
    results: StudyResults, cohort: Cohort, record: MarkersRecord, together: Together, *, folded: bool
) -> Group:
    genes = frame(results, cohort, "markers_genes.parquet")
    pathways = frame(results, cohort, "markers_pathways.parquet")
    pairs = frame(results, cohort, "markers_interactions.parquet")
    enriched = frame(results, cohort, "markers_enrichment.parquet")
    lists, blocks = _Lists(), list[Block]()
    done = [(place, task) for place, task in enumerate(record.tasks) if task.skipped is None]
    done.sort(key=lambda pair: -pair[1].n_significant.genes)
    whole = in_detail(results, cohort)
    shown = {place for place, _ in done if whole}
    shown &= {place for place, _ in done[: budget(results, FEW_DRAWN, total=ALL_DRAWN)]}
    most = budget(results, MOST_POINTS, total=ALL_POINTS)
    for place, task in done:
        own = rows_of(genes, task.cell_type)
        together.tasks.append(_task_row(cohort, task))
        together.agreement += [(cohort.name, task.cell_type, _words(pair.first), _words(pair.second),
                                pair.rank_correlation, pair.sign_agreement, pair.overlap)
                               for pair in task.agreement]  # fmt: skip
        inner = _task_blocks(results, task)
        if own is not None:
            together.others += [(cohort.name, task.cell_type, *row) for row in beside_others(own, task)]
            lists.genes += [(task.cell_type, *row) for row in
                            rows_for(strongest(own, level=task.fdr_level), _gene_columns(own))]  # fmt: skip
            if place in shown:
                key = f"marked-{cohort.name}-{place}"
                drawn = (volcano(own, task, key=f"{key}-volcano", most=most),
                         against_fold_change(own, task, key=f"{key}-fold", most=most))  # fmt: skip
                inner.append(Figures(tuple(figure for figure in drawn if figure is not None)))
        _add_lists(lists, task, rows_of(pathways, task.cell_type), rows_of(pairs, task.cell_type),
                   rows_of(enriched, task.cell_type))  # fmt: skip
        if task.cell_type:
            blocks.append(Group(key=f"marked-{cohort.name}-{place}", title=task.cell_type,
                                blocks=tuple(inner),
                                folded=len(done) > 1))  # fmt: skip
        else:
            blocks += inner
    embedded = budget(results, MOST_EMBEDDED, total=ALL_EMBEDDED)
    if whole:
        blocks += _lists_of(cohort, lists, _gene_columns(genes), embedded=embedded)
    return group_of(f"markers-{cohort.name}", cohort, blocks, folded=folded)


def _gene_columns(table: object) -> tuple[tuple[str, Column], ...]:
    """The columns shown, with those of the compared methods that the table has."""
    from consilience.learning.differential.registry import METHODS

    columns = getattr(table, "columns", ())
    more = tuple((f"{name}_fdr", Column(f"{name}_fdr", f"FDR, {name.replace('_', ' ')}", "number"))
                 for name in METHODS if f"{name}_fdr" in columns)  # fmt: skip
    return (*GENE_COLUMNS, *more)


def _task_blocks(results: StudyResults, task: MarkersTask) -> list[Block]:
    index = task.stability_index
    facts = [
        Fact("genes", f"{task.n_significant.genes:,}", f"of {task.n_genes_tested:,} tested hold"),
        Fact("pathways", f"{task.n_significant.pathways:,}", f"of {task.n_pathways:,} hold"),
        Fact("error rates", _way(task),
             f"{task.permutations:,} permutations" if task.permutations else ""),
        Fact("stability of the top", two(index.genes), f"genes; pathways {two(index.pathways)} (0 chance, "
                                                       "1 same)"),
    ]  # fmt: skip
    caveats = [results.pseudonyms.text(text) for text in task.caveats]
    blocks: list[Block] = [Facts(tuple(facts))]
    if caveats:
        blocks.append(Text(f"Mind: {'; '.join(caveats)}.", tone="small"))
    return blocks


def _way(task: MarkersTask) -> str:
    return WAY_WORDS.get(task.evidence, task.evidence) if task.permutations else WAY_WORDS["none"]


def _task_row(cohort: Cohort, task: MarkersTask) -> tuple[Cell, ...]:
    index = task.stability_index
    return (cohort.name, task.cell_type, task.n_donors.case, task.n_donors.control, task.n_genes_tested,
            _way(task), task.permutations, task.n_significant.genes,
            task.n_significant.pathways, task.n_significant.enrichment,
            index.genes, index.pathways)  # fmt: skip


def _add_lists(lists: _Lists, task: MarkersTask, pathways: object, pairs: object, enriched: object) -> None:
    """The strongest pathways, pairs and enriched sets of a cell type."""
    import pandas as pd

    if isinstance(pathways, pd.DataFrame):
        best = strongest(pathways, level=task.fdr_level)
        lists.pathways += [(task.cell_type, *row) for row in rows_for(best, PATHWAY_COLUMNS)]
    if isinstance(pairs, pd.DataFrame):
        order = (-pairs["effect"].abs()).argsort(kind="stable")
        best = pairs.iloc[order].head(MOST_LISTED)
        lists.pairs += [(task.cell_type, *row) for row in rows_for(best, PAIR_COLUMNS)]
    if isinstance(enriched, pd.DataFrame):
        best = enriched.sort_values(["fdr", "pathway"], kind="stable").head(MOST_LISTED)
        lists.enriched += [(task.cell_type, *row) for row in rows_for(best, ENRICHMENT_COLUMNS)]


def _lists_of(
    cohort: Cohort, lists: _Lists, gene_columns: tuple[tuple[str, Column], ...], *, embedded: int
) -> list[Block]:
    name = cohort.name
    whole = f"The strongest; all are in rnagan/{name}/"
    parts = (
        (f"marker_genes.{name}", "Genes", gene_columns, lists.genes, f"{whole}markers_genes.parquet."),
        (f"marker_pathways.{name}", "Pathways", PATHWAY_COLUMNS, lists.pathways,
         f"{whole}markers_pathways.parquet."),
        (f"marker_enrichment.{name}", "What the effects are rich in", ENRICHMENT_COLUMNS, lists.enriched,
         "Ranked enrichment of the signed effects of all genes."),
        (f"marker_pairs.{name}", "Pairs of genes", PAIR_COLUMNS, lists.pairs,
         "Pairs of the strongest genes that move the log-odds together otherwise than one by one."),
    )  # fmt: skip
    return [marker_table(key, title, columns, rows, caption=caption, embedded=embedded)
            for key, title, columns, rows, caption in parts if rows]  # fmt: skip


def _words(name: str) -> str:
    return name.replace("_", " ")


def methods(results: StudyResults) -> Sequence[MethodNote]:
    """How markers were found and tested."""
    return written.markers(results) if told_of_all(results, "markers.json", MarkersRecord) else ()


SECTION = SectionMaker(order=63, key="markers", title="Markers", build=build, methods=methods)
