"""Markers drawn and listed: volcano, effects against fold changes, the strongest rows, other methods."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from consilience.report.elements import Block, Cell, Column, Table
from consilience.report.figures import Axis, Colour, Figure, points, rule
from consilience.report.sections._rnagan_reading import number, numbers
from consilience.report.sections._rnagan_shapes import MarkersTask

if TYPE_CHECKING:
    import pandas as pd

MOST_POINTS = 400
MOST_ROWS = 50
MOST_SIGNIFICANT = 200
FDR_FLOOR = 1e-6
TOP = 50
MOST_LEADING = 8

GENE_COLUMNS = (
    ("feature", Column("gene", "Gene", "id")),
    ("direction", Column("direction", "Pedal or brake")),
    ("effect", Column("effect", "Effect", "number", "change of the log-odds of a case per unit of log "
                                                    "expression")),
    ("fdr", Column("fdr", "FDR", "number")),
    ("agreement", Column("agreement", "Agreement", "number", "of the attributions with each other")),
    ("stability", Column("stability", "Same sign", "share",
                         "share of halves of the patients with this sign")),
    ("frequency", Column("frequency", "Among the top", "share", "share of halves with the gene among the "
                                                                "top")),
    ("contribution", Column("contribution", "Contribution", "number", "to the log-odds of a typical case")),
    ("log2fc", Column("log2fc", "log2 fold change", "number")),
)  # fmt: skip
PATHWAY_COLUMNS = (
    ("feature", Column("pathway", "Pathway", "words")),
    ("direction", Column("direction", "Pedal or brake")),
    ("effect", Column("effect", "Effect", "number")),
    ("fdr", Column("fdr", "FDR", "number")),
    ("agreement", Column("agreement", "Agreement", "number")),
    ("stability", Column("stability", "Same sign", "share")),
    ("frequency", Column("frequency", "Among the top", "share")),
    ("n_genes", Column("n_genes", "Genes", "integer")),
    ("coherence", Column("coherence", "Coherence", "number", "how far its genes pull the same way")),
)  # fmt: skip
PAIR_COLUMNS = (
    ("first", Column("first", "Gene", "id")), ("second", Column("second", "with", "id")),
    ("effect", Column("effect", "Interaction", "number")), ("low", Column("low", "from", "number")),
    ("high", Column("high", "to", "number")),
)  # fmt: skip
ENRICHMENT_COLUMNS = (
    ("pathway", Column("pathway", "Pathway", "words")),
    ("nes", Column("nes", "Enrichment", "number", "normalised; above 0: among pedals, below: among brakes")),
    ("fdr", Column("fdr", "FDR", "number")), ("n_genes", Column("n_genes", "Genes", "integer")),
    ("leading", Column("leading", "Leading genes", "words")),
)  # fmt: skip


def strongest(table: pd.DataFrame, *, level: float) -> pd.DataFrame:
    """Rows by |effect|: the strongest, and those below the level of false discoveries."""
    import numpy as np

    order = np.lexsort((table["feature"].astype(str), -table["effect"].abs()))
    table = table.iloc[order]
    called = (table["fdr"] <= level).to_numpy()
    chosen = (np.arange(len(table)) < MOST_ROWS) | (called & (np.cumsum(called) <= MOST_SIGNIFICANT))
    return table[chosen]


def by_evidence(
    rows: list[tuple[Cell, ...]], columns: tuple[tuple[str, Column], ...]
) -> list[tuple[Cell, ...]]:
    """Rows of all cell types (first cell), those of the smallest FDR first, then by size of the effect."""
    names = [name for name, _ in columns]
    fdr = names.index("fdr") + 1 if "fdr" in names else None
    size = next(place for place, name in enumerate(names, 1) if name in {"effect", "nes"})

    def key(row: tuple[Cell, ...]) -> tuple[float, float]:
        judged = number(row[fdr]) if fdr is not None else None
        return (2.0 if judged is None else judged, -abs(number(row[size]) or 0.0))

    return sorted(rows, key=key)


def rows_for(table: pd.DataFrame, columns: tuple[tuple[str, Column], ...]) -> list[tuple[Cell, ...]]:
    """Rows of those columns that the table has, as plain cells."""
    found: list[list[Cell]] = []
    for name, column in columns:
        values = table[name].tolist() if name in table else [None] * len(table)
        kind = column.kind
        if kind in {"number", "share"}:
            found.append(list(numbers(values)))
        elif kind == "integer":
            found.append([None if one is None else int(one) for one in numbers(values)])
        else:
            found.append([_some(str(value)) if name == "leading" else str(value) for value in values])
    return list(zip(*found, strict=True))


def _some(genes: str) -> str:
    """The first of the genes that a semicolon parts."""
    names = genes.split(";")
    more = len(names) - MOST_LEADING
    return f"{', '.join(names[:MOST_LEADING])} and {more} more" if more > 0 else ", ".join(names)


def marker_table(
    key: str,
    title: str,
    columns: tuple[tuple[str, Column], ...],
    rows: list[tuple[Cell, ...]],
    *,
    caption: str,
    embedded: int,
) -> Table:
    """A table of all cell types of a cohort; the column of the cell type stands first where there are any."""
    several = any(row[0] for row in rows)
    shown = [Column("cell_type", "Cell type")] if several else []
    return Table(
        key=key, title=title, rows=tuple(row if several else row[1:] for row in by_evidence(rows, columns)),
        visible=10,
        embedded=embedded,
        columns=(*shown, *(column for _, column in columns)), caption=caption,
    )  # fmt: skip


def drawn_rows(table: pd.DataFrame, *, level: float, most: int = MOST_POINTS) -> pd.DataFrame:
    """At most `most` rows: the strongest, what is called, and every n-th of the rest."""
    import numpy as np
    import pandas as pd

    if len(table) <= most:
        return table
    best = strongest(table, level=level).iloc[: most // 2]
    rest = table.drop(best.index)
    places = np.unique(np.linspace(0, len(rest) - 1, most - len(best)).astype(int))
    return pd.concat([best, rest.sort_values(["effect", "feature"]).iloc[places]])


def volcano(table: pd.DataFrame, task: MarkersTask, *, key: str, most: int) -> Figure:
    """Signed effect against −log10 of the false discovery rate, or against stability where there is none."""
    judged = bool(table["fdr"].notna().any())
    part = drawn_rows(table, level=task.fdr_level, most=most)
    left_out = "" if len(part) == len(table) else f" {len(part):,} of {len(table):,} genes are drawn."

    def height(row: Any) -> float | None:
        value = number(row.fdr if judged else row.stability)
        return -math.log10(max(value, FDR_FLOOR)) if judged and value is not None else value

    marks = _by_direction(part, task.fdr_level, x="effect", y=height, judged=judged)
    top = 1.05
    if judged:
        least = number(part["fdr"].min())
        top = 1.08 * max(-math.log10(task.fdr_level), -math.log10(max(least or 1.0, FDR_FLOOR)))
        words = f"FDR {task.fdr_level:g}"
        marks.append(rule(axis="y", at=-math.log10(task.fdr_level), label=words))
    return Figure(
        key=key, title="Effect and evidence of every gene", height=320, marks=tuple(marks),
        x=Axis(label="effect on the log-odds (right: pedal, left: brake)"),
        y=Axis(label="−log10 FDR" if judged else "share of resamples with the same sign", domain=(0.0, top)),
        caption=("The effect says how much the model makes of a gene, the FDR whether it holds in unseen "
                 f"patients.{left_out}" if judged else f"No error rate can be given here.{left_out}"),
        alt=f"{task.n_significant.genes} of {task.n_genes_tested:,} genes are below the level.",
    )  # fmt: skip


def against_fold_change(table: pd.DataFrame, task: MarkersTask, *, key: str, most: int) -> Figure | None:
    """Effect against fold change: where the model departs from a plain comparison."""
    if "log2fc" not in table:
        return None
    part = drawn_rows(table, level=task.fdr_level, most=most)
    marks = _by_direction(part, task.fdr_level, x="log2fc", y=lambda row: number(row.effect),
                          judged=bool(table["fdr"].notna().any()))  # fmt: skip
    return Figure(
        key=key, title="Effect beside plain fold change", height=320, marks=tuple(marks),
        x=Axis(label="log2 fold change, cases over controls"), y=Axis(label="effect on the log-odds"),
        caption="Genes in the upper right and lower left move with the disease as the model uses them.",
        alt="Each point is a gene: its log2 fold change and its effect in the model.",
    )  # fmt: skip


def _by_direction(part: pd.DataFrame, level: float, *, x: str, y: Any, judged: bool) -> list[dict[str, Any]]:
    """Points in three looks: pedals and brakes that hold, and the rest."""
    rows = list(part.itertuples())
    looks: tuple[tuple[str, Colour], ...] = (
        ("not significant" if judged else "gene", "muted"), ("pedal", "case"), ("brake", "control"),
    )  # fmt: skip
    marks = []
    for name, colour in looks:
        own = [row for row in rows if _look(row, level, judged) == name]
        if own:
            labels = [str(row.feature) if name != "not significant" else "" for row in own]
            marks.append(points(x=[number(getattr(row, x)) for row in own], y=[y(row) for row in own],
                                name=name,
                                colour=colour, labels=labels))  # fmt: skip
    return marks


def _look(row: Any, level: float, judged: bool) -> str:
    if not judged:
        return "gene"
    fdr = number(row.fdr)
    return str(row.direction) if fdr is not None and fdr <= level and row.direction else "not significant"


def beside_others(table: pd.DataFrame, task: MarkersTask) -> list[tuple[Cell, ...]]:
    """RNAGAN against each method of differential expression: what both call, and how far signs agree."""
    import numpy as np

    from consilience.learning.differential.registry import METHODS

    rows: list[tuple[Cell, ...]] = []
    ours = table["fdr"].le(task.fdr_level).to_numpy()
    top = np.zeros(len(table), dtype=bool)
    top[np.argsort(-table["effect"].abs().to_numpy(), kind="stable")[:TOP]] = True
    for name, method in METHODS.items():
        if f"{name}_effect" not in table or table[f"{name}_effect"].isna().all():
            continue
        effect, theirs = table[f"{name}_effect"], table[f"{name}_fdr"].le(task.fdr_level).to_numpy()
        same = np.sign(effect.to_numpy()) == np.sign(table["effect"].to_numpy())
        correlation = table["effect"].rank().corr(effect.rank())
        rows.append((method.label, int(ours.sum()), int(theirs.sum()), int((ours & theirs).sum()),
                     float(same[top].mean()), number(correlation)))  # fmt: skip
    return rows


@dataclass
class Together:
    """Rows of all cohorts."""

    tasks: list[tuple[Cell, ...]] = field(default_factory=list)
    agreement: list[tuple[Cell, ...]] = field(default_factory=list)
    others: list[tuple[Cell, ...]] = field(default_factory=list)


def tables_of_all(together: Together) -> list[Block]:
    """All tasks side by side."""
    start = (Column("cohort", "Cohort", "id"), Column("cell_type", "Cell type"))
    tables: list[Block] = [
        Table(
            key="marker_tasks", title="All tasks", rows=tuple(together.tasks), visible=8,
            columns=(*start, Column("cases", "Cases", "integer"), Column("controls", "Controls", "integer"),
                     Column("genes_tested", "Genes tested", "integer"), Column("evidence", "Error rates by"),
                     Column("permutations", "Permutations", "integer"), Column("genes", "Genes", "integer"),
                     Column("pathways", "Pathways", "integer"), Column("enriched", "Enriched", "integer"),
                     Column("stability_genes", "Stability, genes", "number"),
                     Column("stability_pathways", "Stability, pathways", "number")),
        ),
        Table(
            key="marker_methods", title="Beside differential expression", rows=tuple(together.others),
            visible=8,
            caption=f"Signs are compared for the {TOP} genes of largest effect; the correlation is "
                    "Spearman's, "
            "over all genes.",
            columns=(*start, Column("method", "Method", "words"), Column("rnagan", "RNAGAN calls", "integer"),
                     Column("method_calls", "It calls", "integer"), Column("both", "Both", "integer"),
                     Column("same_sign", "Same sign", "share"),
                     Column("correlation", "Correlation", "number")),
        ),
        Table(
            key="marker_agreement", title="Do the attributions agree?", rows=tuple(together.agreement),
            visible=8,
            columns=(*start, Column("first", "Attribution"), Column("second", "with"),
                     Column("correlation", "Rank correlation", "number"),
                     Column("same_sign", "Same sign", "share"),
                     Column("overlap", "Common top genes", "share")),
        ),
    ]  # fmt: skip
    return [table for table in tables if isinstance(table, Table) and table.rows]
