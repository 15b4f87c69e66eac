"""Causal evidence from population genetics: instruments, gene effects, and how far to trust them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from consilience.report.citations import MethodNote
from consilience.report.elements import (
    Block,
    Cell,
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
from consilience.report.sections import _causal_methods as written
from consilience.report.sections import _causal_population_parts as parts
from consilience.report.sections import _causal_reading as reading
from consilience.report.sections import _causal_truth as truths
from consilience.report.sections._causal_flags import flags_of
from consilience.report.sections._causal_locus import locus_group
from consilience.report.sections._causal_reading import called, floats, frame, gene_names, p_words, texts
from consilience.report.sections._causal_shapes import InstrumentsRecord
from consilience.report.sections._causal_volcano import fdr_bound, strongest, volcano
from consilience.report.sections._rnagan_reading import group_of
from consilience.report.words import count
from consilience.study.cohorts import Cohort

if TYPE_CHECKING:
    import pandas as pd

LOCI, LOCI_IN_ALL = 4, 12
MOST_POINTS, MOST_EMBEDDED = 800, 200
TWMR_NEEDS = ("gene", "alpha", "se", "p")
_LEAD = (
    "Variants near a gene that change its expression are dealt out at birth, so a trait that follows them is "
    "evidence that expression acts on the trait. TWMR estimates the effect of each gene together with the "
    "other "
    "genes that its variants regulate. This holds only if variants act through expression alone: flags, "
    "heterogeneity and methods with other assumptions stand beside every estimate."
)


def build(results: StudyResults) -> Section | None:
    """Each cohort of summary statistics, controls last."""
    if not reading.ran(results):
        return _off(results)
    cohorts = reading.populations(results)
    if not cohorts:
        return _section((Text(_missing(results), tone="lead"),), "No gene effects from population genetics.")
    groups = [_group(results, cohort, place) for place, cohort in enumerate(cohorts)]
    main = [cohort for cohort in cohorts if not reading.is_control(results, cohort)]
    counts = [(cohort, _counts(_twmr(results, cohort))) for cohort in main]
    facts = tuple(Fact("genes by Mendelian randomisation", f"{n:,}", f"of {total:,}, {cohort.name}")
                  for cohort, (n, total) in counts if total)  # fmt: skip
    return _section(
        (Text(_LEAD, tone="lead"), *groups, *_methods_table(results, cohorts)), _headline(counts), facts[:2]
    )


def _section(blocks: Sequence[Block], headline: str, facts: tuple[Fact, ...] = ()) -> Section:
    return Section(key="twmr", title="Causal: population genetics", headline=headline, blocks=tuple(blocks),
                   first_screen=facts)  # fmt: skip


def _off(results: StudyResults) -> Section | None:
    """Said where the study could have run the stage; None where it has nothing for it, or never ran it."""
    if results.config.causal.enabled or not results.summary_cohorts:
        return None
    return _section((Text("The stage is switched off (causal.enabled), so there is no causal evidence in "
                          "this "
                          "report.", tone="lead"),), "Not asked for.")  # fmt: skip


def _missing(results: StudyResults) -> str:
    if not results.summary_cohorts:
        return "The study has no summary statistics, so there are no gene effects from population genetics."
    return "No gene effects from population genetics: the tables of this step are not there."


def _twmr(results: StudyResults, cohort: Cohort) -> pd.DataFrame | None:
    return frame(results, f"causal/population/{cohort.name}/twmr.parquet", needs=TWMR_NEEDS)


def _mr(results: StudyResults, cohort: Cohort) -> pd.DataFrame | None:
    return frame(
        results, f"causal/population/{cohort.name}/mr.parquet", needs=("gene", "method", "estimate", "p")
    )


def _counts(twmr: pd.DataFrame | None) -> tuple[int, int]:
    """Genes below 5 % false discoveries, and genes estimated."""
    return (0, 0) if twmr is None else (int(called(twmr).sum()), int(np.isfinite(floats(twmr, "p")).sum()))


def _headline(counts: Sequence[tuple[Cohort, tuple[int, int]]]) -> str:
    said = [f"{n:,} of {total:,} genes have an effect on the trait of {cohort.name} at 5 % false discoveries"
            for cohort, (n, total) in counts if total]  # fmt: skip
    return f"{'; '.join(said)}." if said else "No gene could be estimated."


def _group(results: StudyResults, cohort: Cohort, place: int) -> Group:
    folder = f"causal/population/{cohort.name}"
    twmr, mr = _twmr(results, cohort), _mr(results, cohort)
    genes, variants = (frame(results, f"{folder}/{name}.parquet", needs=("gene",))
                       for name in ("genes", "instruments"))  # fmt: skip
    record = reading.told(results, f"{folder}/instruments.json", InstrumentsRecord) or InstrumentsRecord()
    control = reading.is_control(results, cohort)
    blocks: list[Block] = []
    if control:
        blocks.append(Text("A negative control: this trait has nothing to do with the disease."))
    if record.skipped:
        blocks.append(Text(f"Not done: {reading.hidden(results, record.skipped)}."))
    if facts := parts.gene_facts(genes, twmr):
        blocks.append(Facts(facts))
    blocks += reading.notes_of(results, record.messages)
    if twmr is None:
        blocks.append(Text("No estimates: twmr.parquet is not there or has no rows."))
    elif place < reading.MOST_SHOWN:
        blocks += _drawn(cohort, twmr, mr)
        blocks.append(parts.twmr_table(f"twmr.{cohort.name}", twmr, embedded=MOST_EMBEDDED))
        blocks += _loci(results, cohort, twmr, variants)
    if twmr is not None and mr is not None and place < reading.MOST_SHOWN:
        blocks.append(parts.beside_table(f"mr.{cohort.name}", mr, twmr, embedded=MOST_EMBEDDED))
    if not control:
        blocks += _truth(results, cohort, twmr, mr)
    blocks += _left_out(cohort, genes, variants, twmr, mr)
    return group_of(f"twmr-{cohort.name}", cohort, blocks, folded=place >= reading.FOLD_ABOVE or control)


def _drawn(cohort: Cohort, twmr: pd.DataFrame, mr: pd.DataFrame | None) -> list[Block]:
    hold, p = called(twmr), floats(twmr, "p")
    first = volcano(
        key=f"twmr-volcano-{cohort.name}", title="Effect and evidence of every gene",
        effect=floats(twmr, "alpha"),
        p=p, labels=gene_names(twmr), hold=hold, x_label="α: effect of one SD of expression", wide=True,
        most=MOST_POINTS, top=12, height=380, bound=fdr_bound(p, hold),
    )  # fmt: skip
    others = (parts.published_figure(f"twmr-published-{cohort.name}", twmr, most=MOST_POINTS // 2),
              parts.heterogeneity_figure(f"twmr-q-{cohort.name}", twmr))  # fmt: skip
    forest = parts.forest_figure(f"twmr-forest-{cohort.name}", mr, twmr) if mr is not None else None
    drawn = tuple(one for one in (first, *others, forest) if one is not None)
    return [Figures(drawn)]


def _loci(
    results: StudyResults, cohort: Cohort, twmr: pd.DataFrame, variants: pd.DataFrame | None
) -> list[Block]:
    """The strongest genes with their variants."""
    if variants is None:
        return []
    n_cohorts = max(1, min(reading.MOST_SHOWN, len(reading.populations(results))))
    names, genes = gene_names(twmr), texts(twmr, "gene")
    columns = ("alpha", "se", "p", "alpha_published", "n_genes", "n_snps")
    numbers = {name: floats(twmr, name) for name in columns}
    blocks: list[Block] = []
    for number, place in enumerate(strongest(numbers["p"], top=min(LOCI, LOCI_IN_ALL // n_cohorts))):
        own = variants[variants["gene"] == genes[place]]
        one = {name: float(values[place]) for name, values in numbers.items()} | {"gene": genes[place]}
        sentence = (f"One SD more expression of {names[place]} moves the trait by {one['alpha']:.3g} SD "
                    f"(standard error {one['se']:.2g}, p = {p_words(float(one['p']))}), by "
                    f"{count(round(np.nan_to_num(one['n_snps'])), 'instrument')}.")  # fmt: skip
        group = locus_group(own, one, key=f"locus-{cohort.name}-{number}", folded=number > 0,
                            name=names[place],
                            sentence=sentence) if len(own) else None  # fmt: skip
        if group is not None:
            blocks.append(group)
    return blocks


def _truth(
    results: StudyResults, cohort: Cohort, twmr: pd.DataFrame | None, mr: pd.DataFrame | None
) -> list[Block]:
    known = truths.planted(results, cohort)
    rows = truths.gene_rows(known, twmr, mr) if known is not None else []
    if known is None or not rows:
        return []
    figure = truths.alpha_figure(f"twmr-truth-{cohort.name}", known, twmr) if twmr is not None else None
    first = rows[0]
    blocks: list[Block] = []
    if isinstance(first[1], float):
        blocks.append(Text(f"Planted and found: {first[4]} of {first[5]} causal genes with instruments are "
                           f"called "
                           f"and {first[6]} of {first[7]} others; AUC {first[1]:.2f} "
                           f"({first[0]})."))  # fmt: skip
    blocks.append(truths.gene_truth_table(f"twmr_truth.{cohort.name}", rows))
    return [*blocks, *([Figures((figure,))] if figure else [])]


def _left_out(
    cohort: Cohort, genes: pd.DataFrame | None, variants: pd.DataFrame | None, twmr: pd.DataFrame | None,
    mr: pd.DataFrame | None,
) -> list[Block]:  # fmt: skip
    """Reasons and flags, folded."""
    flags = [] if genes is None else texts(genes, "flags")
    tables = (
        parts.dropped_table(f"instruments_dropped.{cohort.name}", variants),
        reading.flag_table(f"instruments_flags.{cohort.name}", "Flags of instruments", flags,
                           flags_of("instruments"), noun="gene"),
        reading.flag_table(f"twmr_flags.{cohort.name}", "Flags of TWMR",
                           [] if twmr is None else texts(twmr, "flags"),
                           flags_of("twmr"), noun="gene"),
        reading.flag_table(f"mr_flags.{cohort.name}", "Flags of one-gene methods",
                           [] if mr is None else texts(mr, "flags"), flags_of("mr"), noun="estimate"),
    )  # fmt: skip
    found = tuple(one for one in tables if one is not None)
    if not found:
        return []
    return [Group(key=f"twmr-left-{cohort.name}", title="What was left out, and what is flagged",
                  blocks=found,
                  folded=True)]  # fmt: skip


def _methods_table(results: StudyResults, cohorts: Sequence[Cohort]) -> list[Block]:
    rows: list[tuple[Cell, ...]] = []
    for cohort in cohorts:
        mr = _mr(results, cohort)
        if mr is not None:
            rows += [(cohort.name, *row) for row in parts.method_rows(mr, _twmr(results, cohort))]
    if not rows:
        return []
    return [Table(
        key="mr_methods", title="One-gene methods over all genes", rows=tuple(rows), visible=12,
        columns=(
            Column("cohort", "Cohort", "id"), Column("method", "Method"), Column("genes", "Genes", "integer"),
            Column("called", "Below 5 % FDR", "integer"), Column("below", "p ≤ 0.05", "share"),
            Column("r", "r of z with TWMR", "number"), Column("same_sign", "Same sign", "share"),
            Column("heterogeneous", "p of Q ≤ 0.05", "share"),
            Column("pleiotropic", "p of intercept ≤ 0.05", "share"),
        ),
    )]  # fmt: skip


def methods(results: StudyResults) -> Sequence[MethodNote]:
    """How instruments were chosen and effects estimated."""
    cohorts = reading.populations(results)
    if not any(_twmr(results, cohort) is not None for cohort in cohorts):
        return ()
    keys = [
        key for cohort in cohorts if (mr := _mr(results, cohort)) is not None for key in parts.methods_of(mr)
    ]
    return written.population(results.config.causal, list(dict.fromkeys(keys)))


SECTION = SectionMaker(
    order=80, key="twmr", title="Causal: population genetics", build=build, methods=methods
)
