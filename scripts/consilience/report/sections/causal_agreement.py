"""Whether gene effects from single cells agree with those from population genetics, and how sure that is."""

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
from consilience.report.sections import _causal_agreement_genes as per_gene
from consilience.report.sections import _causal_agreement_parts as parts
from consilience.report.sections import _causal_methods as written
from consilience.report.sections import _causal_reading as reading
from consilience.report.sections import _causal_truth as truths
from consilience.report.sections._causal_examples import example_blocks
from consilience.report.sections._causal_flags import flags_of
from consilience.report.sections._causal_reading import Pair, floats, frame, p_words, texts
from consilience.report.sections._causal_shapes import AgreementRecord
from consilience.report.words import count, listed

if TYPE_CHECKING:
    import pandas as pd

MOST_DRAWN, MOST_POINTS, ALL_POINTS, MOST_EMBEDDED = 9, 400, 12_000, 300
NEEDS = ("cell_type", "r", "fdr")
_LEAD = (
    "Two kinds of evidence that share no data: variants that people are born with, and cells of patients and "
    "controls. Where both say that the same genes act in the same direction, each makes the other more "
    "likely. "
    "Effects are compared as z, because their units differ and shrunken estimates are on no common scale; "
    "chance is two things, and both must be ruled out: what remains when effects are dealt anew to genes of "
    "like expression, neighbours together, and what leaving out donors shows, because the same few "
    "donors stand behind all genes."
)


def build(results: StudyResults) -> Section | None:
    """Each pair, controls last."""
    if not reading.ran(results):
        return None
    pairs = reading.pairs(results)
    tables = {pair: table for pair in pairs if (table := _table(results, pair)) is not None}
    if not tables:
        return _section(
            (Text(_LEAD, tone="lead"), Text(_missing(results, pairs))), "Nothing was compared.", ()
        )
    groups = [_group(results, pair, tables, place) for place, pair in enumerate(pairs)]
    main = {pair: table for pair, table in tables.items() if not pair.control}
    facts = tuple(
        Fact("cell types that agree", f"{len(parts.found_types(table))} of {_judged(table)}",
             f"{pair.population.name} and {pair.cells.name}") for pair, table in main.items()
    )  # fmt: skip
    return _section(
        (Text(_LEAD, tone="lead"), *groups, *parts.controls_table(tables)), _headline(tables), facts[:2]
    )


def _section(blocks: Sequence[Block], headline: str, facts: tuple[Fact, ...]) -> Section:
    return Section(key="concordance", title="Causal: do both agree?", headline=headline, blocks=tuple(blocks),
                   first_screen=facts)  # fmt: skip


def _table(results: StudyResults, pair: Pair) -> pd.DataFrame | None:
    found = frame(results, f"{pair.folder}/concordance.parquet", needs=NEEDS)
    return None if found is None else parts.ordered(found)


def _judged(table: pd.DataFrame) -> int:
    return int(np.isfinite(floats(table, "r")).sum())


def _missing(results: StudyResults, pairs: Sequence[Pair]) -> str:
    if pairs:
        return "Pairs were asked for, but no cell type has a row in concordance.parquet."
    lacking = [words for words, there in (("summary statistics", reading.populations(results)),
                                          ("single cells of cases and controls",
                                           reading.cell_cohorts(results)))
               if not there]  # fmt: skip
    why = f"the study has no {listed(lacking)}" if lacking else "the tables of this step are not there"
    return f"No pair of population genetics and single cells was compared: {why}."


def _headline(tables: dict[Pair, pd.DataFrame]) -> str:
    """Of the pairs that are no controls, and what the controls do."""
    said = []
    for pair, table in tables.items():
        if pair.control:
            continue
        found = parts.found_types(table)
        who = f": {listed(found)}" if found else ""
        said.append(f"{len(found)} of {count(_judged(table), 'cell type')} of {pair.cells.name} "
                    f"{'agrees' if len(found) == 1 else 'agree'} with {pair.population.name} at 5 % false "
                    f"discoveries{who}")  # fmt: skip
    wrong = sum(len(parts.found_types(table)) for pair, table in tables.items() if pair.control)
    judged = sum(_judged(table) for pair, table in tables.items() if pair.control)
    if judged:
        said.append(f"unrelated traits: {wrong} of {judged}")
    return f"{'; '.join(said)}."


def _group(results: StudyResults, pair: Pair, tables: dict[Pair, pd.DataFrame], place: int) -> Group:
    table = tables.get(pair)
    record = reading.told(results, f"{pair.folder}/metrics.json", AgreementRecord) or AgreementRecord()
    blocks: list[Block] = []
    if pair.control:
        blocks.append(Text("A negative control: the trait has nothing to do with the disease, so nothing "
                           "should "
                           "agree."))  # fmt: skip
    if record.skipped:
        blocks.append(Text(f"Not compared: {reading.hidden(results, record.skipped)}."))
    if record.verdict:
        blocks.append(Text(reading.hidden(results, record.verdict)))
    if table is None:
        blocks.append(Text("No cell type has a row in concordance.parquet."))
    else:
        blocks.append(Facts(_facts(table, record)))
        blocks += _truth(results, pair, table)
        blocks += _first_figures(results, pair, table, tables)
        blocks.append(parts.concordance_table(f"concordance.{pair.name}", table))
        if place < reading.MOST_SHOWN:
            blocks += _genes(results, pair, table)
            blocks += _stability(results, pair, table)
            blocks += _pathways(results, pair, table)
        top = per_gene.top_table(f"concordance_top.{pair.name}", table)
        blocks += [top] if top is not None else []
        flags = reading.flag_table(f"concordance_flags.{pair.name}", "Flags", texts(table, "flags"),
                                   flags_of("concordance"), noun="cell type")  # fmt: skip
        blocks += [flags] if flags is not None else []
    blocks += [*example_blocks(results, pair, record), *reading.notes_of(results, record.messages)]
    title = f"{pair.population.label or pair.population.name} and {pair.cells.label or pair.cells.name}"
    return Group(key=f"concordance-{pair.name}", title=title, subtitle=f"{pair.population.name} × "
                                                                       f"{pair.cells.name}",
                 blocks=tuple(blocks), folded=place >= reading.FOLD_ABOVE or pair.control)  # fmt: skip


def _facts(table: pd.DataFrame, record: AgreementRecord) -> tuple[Fact, ...]:
    r = floats(table, "r")
    found = parts.found_types(table)
    facts = [Fact("cell types that agree", f"{len(found)}", f"of {_judged(table)} judged")]
    if np.isfinite(r).any():
        best = int(np.nanargmax(r))
        facts.append(Fact("largest r", f"{r[best]:.2f}", texts(table, "cell_type")[best]))
    shared = floats(table, "n_genes")
    if np.isfinite(shared).any():
        facts.append(
            Fact("shared genes", f"{np.nanmin(shared):,.0f} to {np.nanmax(shared):,.0f}", "by cell type")
        )
    overall = floats(table, "p_global")
    p = (
        record.p_global
        if record.p_global is not None
        else (float(overall[0]) if np.isfinite(overall[0]) else None)
    )
    if p is not None:
        facts.append(Fact("anywhere at all", f"p = {p_words(p)}", "one test of all cell types"))
    return tuple(facts)


def _first_figures(
    results: StudyResults, pair: Pair, table: pd.DataFrame, tables: dict[Pair, pd.DataFrame]
) -> list[Block]:
    controls = [] if pair.control else [
        (other.population.name, one) for other, one in tables.items()
        if other.control and other.cells.name == pair.cells.name
    ]  # fmt: skip
    traits = [] if pair.control else [(pair.population.name, table), *controls]
    pathways = frame(results, f"{pair.folder}/pathway_agreement.parquet", needs=("cell_type", "r"))
    drawn = (
        parts.agreement_forest(f"concordance-forest-{pair.name}", table, controls[:3]),
        parts.agreement_heatmap(f"concordance-heat-{pair.name}", table, pathways),
        parts.trait_heatmap(f"concordance-traits-{pair.name}", traits[:8], texts(table, "cell_type")),
    )  # fmt: skip
    found = tuple(figure for figure in drawn if figure is not None)
    blocks: list[Block] = [Figures(found)] if found else []
    return blocks + parts.standing_table(f"concordance_against.{pair.name}", table, dict(controls))


def _genes(results: StudyResults, pair: Pair, table: pd.DataFrame) -> list[Block]:
    """Scatters, the forest of the strongest genes, the table."""
    genes = frame(
        results, f"{pair.folder}/genes.parquet", needs=("cell_type", "gene", "z_population", "z_cells")
    )
    if genes is None:
        return []
    n_all = len(table) * max(1, min(reading.MOST_SHOWN, len(reading.pairs(results))))
    most = max(60, min(MOST_POINTS, ALL_POINTS // n_all))
    drawn = per_gene.scatters(genes, table, key=f"concordance-z-{pair.name}", most=most)
    blocks: list[Block] = []
    if drawn:
        blocks.append(Group(key=f"concordance-genes-{pair.name}", title="Every gene on both sides",
                            blocks=(Figures(drawn[:MOST_DRAWN]),)))  # fmt: skip
    if drawn[MOST_DRAWN:]:
        words = count(len(drawn) - MOST_DRAWN, "more cell type")
        blocks.append(Group(key=f"concordance-more-{pair.name}", title=words,
                            blocks=(Figures(drawn[MOST_DRAWN:]),),
                            folded=True))  # fmt: skip
    shown = (parts.found_types(table) or texts(table, "cell_type"))[:2]
    forests = [per_gene.both_forest(f"concordance-both-{pair.name}-{place}", genes, name)
               for place, name in enumerate(shown)]  # fmt: skip
    figures = tuple(figure for figure in forests if figure is not None)
    blocks += [Figures(figures)] if figures else []
    return [*blocks, per_gene.both_table(f"concordance_genes.{pair.name}", genes, embedded=MOST_EMBEDDED)]


def _stability(results: StudyResults, pair: Pair, table: pd.DataFrame) -> list[Block]:
    stability = frame(
        results, f"{pair.folder}/stability.parquet", needs=("cell_type", "left_out", "kind", "r")
    )
    if stability is None:
        return []
    hide = results.pseudonyms
    if hide.active:
        shown = [hide.donor(left) if kind == "donor" else left
                 for left, kind in zip(texts(stability, "left_out"), texts(stability, "kind"),
                                       strict=True)]  # fmt: skip
        stability = stability.assign(left_out=shown)
    drawn = [per_gene.stability_figure(f"concordance-{kind}-{pair.name}", stability, table, kind=kind)
             for kind in ("chromosome", "donor")]  # fmt: skip
    figures = tuple(figure for figure in drawn if figure is not None)
    if not figures:
        return []
    return [Group(key=f"concordance-stability-{pair.name}", title="Does it hang on one chromosome or donor?",
                  blocks=(Figures(figures),))]  # fmt: skip


def _pathways(results: StudyResults, pair: Pair, table: pd.DataFrame) -> list[Block]:
    pathways = frame(results, f"{pair.folder}/pathways.parquet", needs=("side", "pathway", "nes"))
    agreement = frame(results, f"{pair.folder}/pathway_agreement.parquet", needs=("cell_type", "r"))
    blocks: list[Block] = []
    if agreement is not None:
        columns = reading.present(agreement, (
            Column("cell_type", "Cell type"), Column("r", "r of enrichment", "number"),
            Column("p", "p", "number"),
            Column("fdr", "FDR", "number"), Column("n_pathways", "Pathways", "integer"),
            Column("n_shared", "Below 5 % on both", "integer"),
        ))  # fmt: skip
        blocks.append(Table(key=f"concordance_pathways.{pair.name}", title="Agreement of pathways",
                            columns=columns,
                            rows=tuple(reading.cells_of(agreement, columns)), visible=20))  # fmt: skip
    if pathways is not None:
        names = texts(table, "cell_type")
        drawn = [per_gene.pathway_figure(f"concordance-nes-{pair.name}-{place}", pathways, name,
                                      most=MOST_POINTS // 2)
                 for place, name in enumerate(names[:3])]  # fmt: skip
        figures = tuple(figure for figure in drawn if figure is not None)
        blocks += [Figures(figures)] if figures else []
        both = per_gene.pathway_table(f"pathways_both.{pair.name}", pathways, names, embedded=MOST_EMBEDDED)
        blocks += [both] if both is not None else []
    if not blocks:
        return []
    return [
        Group(key=f"concordance-pathways-{pair.name}", title="Pathways on both sides", blocks=tuple(blocks))
    ]


def _truth(results: StudyResults, pair: Pair, table: pd.DataFrame) -> list[Block]:
    active = truths.active_types(results, pair.cells)
    known = truths.planted(results, pair.population, pair.cells)
    if active is None or known is None:
        return []
    if pair.control:  # nothing was planted for an unrelated trait
        active = frozenset()
    judged = [
        name for name, r in zip(texts(table, "cell_type"), floats(table, "r"), strict=True) if np.isfinite(r)
    ]
    return [Text(truths.type_words(active, parts.found_types(table), judged))]


def methods(results: StudyResults) -> Sequence[MethodNote]:
    """How both sides were compared."""
    done = [pair for pair in reading.pairs(results) if _table(results, pair) is not None]
    if not done:
        return ()
    paths = any((results.root / pair.folder / "pathway_agreement.parquet").is_file() for pair in done)
    return written.agreement(
        results.config.causal, pathways=paths, controls=any(pair.control for pair in done)
    )


SECTION = SectionMaker(
    order=82, key="concordance", title="Causal: do both agree?", build=build, methods=methods
)
