"""Agreement gene by gene and pathway by pathway, and what it hangs on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from consilience.report.elements import Cell, Column, Table
from consilience.report.figures import Axis, Figure, points
from consilience.report.sections._causal_agreement_parts import MOST_ROWS, TOP, found_types, p_values
from consilience.report.sections._causal_forest import Series, forest, zero_line
from consilience.report.sections._causal_reading import (
    LEVEL,
    called,
    cells_of,
    floats,
    gene_names,
    p_words,
    present,
    texts,
)
from consilience.report.sections._causal_volcano import against, reach, short
from consilience.report.words import count

if TYPE_CHECKING:
    import pandas as pd

FOREST_GENES = 12
Z_BOUND = 1.959964


def scatters(genes: pd.DataFrame, table: pd.DataFrame, *, key: str, most: int) -> tuple[Figure, ...]:
    """Effects in cells against z of population genetics, one figure a cell type."""
    known = {name: (r, p) for name, r, p in
             zip(texts(table, "cell_type"), floats(table, "r"), p_values(table), strict=True)}  # fmt: skip
    hold = set(found_types(table))
    drawn = []
    for place, name in enumerate(texts(table, "cell_type")):
        own = genes[genes["cell_type"] == name]
        if not len(own):
            continue
        x, y = floats(own, "z_population"), floats(own, "z_cells")
        both = (np.abs(x) > Z_BOUND) & (np.abs(y) > Z_BOUND)
        same = both & (np.sign(x) == np.sign(y))
        strength = np.minimum(np.abs(x), np.abs(y))
        named = np.flatnonzero(both)[np.argsort(-strength[both], kind="stable")][:5]
        r, p = known[name]
        drawn.append(against(
            key=f"{key}-{place}", title=f"{name}{', agrees' if name in hold else ''}", x=x, y=y,
            labels=gene_names(own),
            named=named, most=most, height=270, x_label="z, population genetics", y_label="z, single cells",
            groups=(("genes", "muted", ~both), ("strong on both, same sign", "accent", same),
                    ("strong on both, opposite", "case", both & ~same)),
            slope=None, caption=f"r = {r:.2f}, p = {p_words(p)}, {count(len(own), 'gene')}",
            alt=f"Both z over {len(own):,} genes of {name}: r {r:.2f}, p {p_words(p)}.",
        ))  # fmt: skip
    return tuple(drawn)


def both_table(key: str, genes: pd.DataFrame, *, embedded: int) -> Table:
    """Genes that are strong on both sides first."""
    strength = np.minimum(np.abs(floats(genes, "z_population")), np.abs(floats(genes, "z_cells")))
    order = np.argsort(-np.nan_to_num(strength, nan=-1.0), kind="stable")[:MOST_ROWS]
    own = genes.iloc[order].assign(name=np.array(gene_names(genes), dtype=object)[order])
    shown = present(own, (
        Column("cell_type", "Cell type"), Column("name", "Gene", "id"),
        Column("z_population", "z, population", "number"), Column("p_population", "p", "number"),
        Column("alpha", "α", "number"), Column("z_cells", "z, cells", "number"),
        Column("p_cells", "p", "number"),
        Column("theta", "θ", "number"), Column("mean_expression", "Expression", "number"),
    ))  # fmt: skip
    same = [("yes" if a == b else "no",) for a, b in
            zip(np.sign(floats(own, "z_population")), np.sign(floats(own, "z_cells")),
                strict=True)]  # fmt: skip
    rows = tuple((*row, *one) for row, one in zip(cells_of(own, shown), same, strict=True))
    return Table(key=key, title="Genes by evidence on both sides", rows=rows, visible=12, embedded=embedded,
                 caption="By the weaker of the two z.",
                 columns=(*shown, Column("same_sign", "Same sign")))  # fmt: skip


def both_forest(key: str, genes: pd.DataFrame, cell_type: str) -> Figure | None:
    """The strongest genes of a cell type with both estimates, in their own standard errors."""
    own = genes[genes["cell_type"] == cell_type]
    x, y = floats(own, "z_population"), floats(own, "z_cells")
    strength = np.nan_to_num(np.minimum(np.abs(x), np.abs(y)), nan=-1.0)
    order = np.argsort(-strength, kind="stable")[:FOREST_GENES]
    order = order[strength[order] >= 0]
    if not len(order):
        return None
    places = np.arange(len(order), dtype=float)
    series = [Series(words, places, z[order], z[order] - Z_BOUND, z[order] + Z_BOUND)
              for z, words in ((x, "population genetics"), (y, "single cells"))]  # fmt: skip
    n = int((np.sign(x[order]) == np.sign(y[order])).sum())
    return forest(
        key=key, title=f"Strongest genes on both sides, {cell_type}", wide=False, share=1.0,
        x_label="z with 95 % interval",
        rows=[gene_names(own)[place] for place in order], series=series,
        caption="The effects are in different units, so both are shown in their own standard errors.",
        alt=f"{n} of {len(order)} genes have the same sign on both sides.",
    )  # fmt: skip


def top_table(key: str, table: pd.DataFrame) -> Table | None:
    """Overlap of the lists of strongest genes beside what chance gives."""
    sizes = sorted(int(found[1]) for name in table.columns if (found := TOP.fullmatch(str(name))))
    rows: list[tuple[Cell, ...]] = []
    for size in sizes:
        parts = (floats(table, f"overlap_{size}{end}") for end in ("", "_expected", "_p"))
        for name, n, chance, p in zip(texts(table, "cell_type"), *parts, strict=True):
            if np.isfinite(n):
                rows.append(
                    (name, size, float(n), *(None if np.isnan(one) else float(one) for one in (chance, p)))
                )
    if not rows:
        return None
    return Table(
        key=key, title="Genes in both lists of the strongest", rows=tuple(rows), visible=8,
        columns=(Column("cell_type", "Cell type"), Column("top", "Top", "integer"),
                 Column("overlap", "In both", "number"),
                 Column("expected", "By chance", "number"), Column("p", "p", "number")),
    )  # fmt: skip


# ---- stability ----


def stability_figure(key: str, stability: pd.DataFrame, table: pd.DataFrame, *, kind: str) -> Figure | None:
    """The correlation without each chromosome, or without each donor."""
    own = stability[stability["kind"] == kind]
    names = texts(table, "cell_type")
    place_of = {name: place for place, name in enumerate(names)}
    places = np.array([place_of.get(name, np.nan) for name in texts(own, "cell_type")])
    r = floats(own, "r")
    known = np.isfinite(places) & np.isfinite(r)
    if not known.any():
        return None
    labels = [f"{name}, without {'chromosome ' if kind == 'chromosome' else ''}{left}" for name, left,
              is_in in
              zip(texts(own, "cell_type"), texts(own, "left_out"), known, strict=True) if is_in]  # fmt: skip
    whole = floats(table, "r")
    side = min(1.0, 1.1 * reach(np.concatenate([r[known], whole[np.isfinite(whole)]])))
    return Figure(
        key=key, title=f"Without each {kind}", height=90 + 24 * len(names),
        marks=(zero_line(len(names)),
               points(x=short(r[known]), y=short(places[known]), name=f"without one {kind}", colour="muted",
                      shape="ring",
                      labels=labels),
               points(x=short(whole), y=list(range(len(names))), name="all", colour="accent",
                      labels=[f"{name}, all" for name in names])),
        x=Axis(label="correlation of z", domain=(-side, side)),
        y=Axis(scale="category", categories=tuple(names)),
        caption=f"Points far from the rest: the agreement hangs on one {kind}.",
        alt=f"r between {r[known].min():.2f} and {r[known].max():.2f} over all cell types, leaving out one "
            f"{kind} at a "
            "time.",
    )  # fmt: skip


# ---- pathways ----


def pathway_table(key: str, pathways: pd.DataFrame, names: Sequence[str], *, embedded: int) -> Table | None:
    """Pathways that are called on either side, with both enrichments."""
    sides = texts(pathways, "side")
    population = pathways[np.array(sides) == "population"]
    by_name = {name: (nes, fdr, leading) for name, nes, fdr, leading in
               zip(texts(population, "pathway"), floats(population, "nes"), floats(population, "fdr"),
                   texts(population, "leading_edge"), strict=True)}  # fmt: skip
    rows: list[tuple[Cell, ...]] = []
    for cell_type in names:
        own = pathways[np.array(sides) == cell_type]
        for name, nes, fdr, leading in zip(
            texts(own, "pathway"),
            floats(own, "nes"),
            floats(own, "fdr"),
            texts(own, "leading_edge"),
            strict=True,
        ):
            if name not in by_name or not np.isfinite(nes):
                continue
            other, other_fdr, other_leading = by_name[name]
            if min(np.nan_to_num(fdr, nan=1.0), np.nan_to_num(other_fdr, nan=1.0)) > LEVEL or not np.isfinite(
                other
            ):
                continue
            both = sorted(set(leading.split(";")) & set(other_leading.split(";")) - {""})
            rows.append((cell_type, name, float(other), float(other_fdr), float(nes), float(fdr),
                         "yes" if np.sign(nes) == np.sign(other) else "no", ", ".join(both[:8])))  # fmt: skip
    rows.sort(key=lambda row: max(float(row[3] or 0), float(row[5] or 0)))
    if not rows:
        return None
    return Table(
        key=key, title="Pathways below 5 % false discoveries on a side", rows=tuple(rows[:MOST_ROWS]),
        visible=10,
        embedded=embedded,
        columns=(Column("cell_type", "Cell type"), Column("pathway", "Pathway", "words"),
                 Column("nes_population", "Enrichment, population", "number"),
                 Column("fdr_population", "FDR", "number"),
                 Column("nes_cells", "Enrichment, cells", "number"), Column("fdr_cells", "FDR", "number"),
                 Column("same_sign", "Same sign"), Column("leading", "Leading on both", "words")),
    )  # fmt: skip


def pathway_figure(key: str, pathways: pd.DataFrame, cell_type: str, *, most: int) -> Figure | None:
    """Enrichment in a cell type against that of population genetics."""
    sides = np.array(texts(pathways, "side"))
    columns = ["pathway", "nes", "fdr"]
    shown = pathways.reindex(columns=columns)
    both = shown[sides == "population"].merge(
        shown[sides == cell_type], on="pathway",
        suffixes=("_population", "_cells"))  # fmt: skip
    x, y = floats(both, "nes_population"), floats(both, "nes_cells")
    known = np.isfinite(x) & np.isfinite(y)
    if known.sum() < 3:
        return None
    hold = called(both, fdr="fdr_population") & called(both, fdr="fdr_cells")
    return against(
        key=key, title=f"Pathways, {cell_type}", x=x, y=y, labels=texts(both, "pathway"), most=most,
        named=np.zeros(0, dtype=np.intp), groups=(("pathways", "muted", known & ~hold),
                                                  ("below 5 % on both", "accent", known & hold)),
        x_label="enrichment, population", y_label="enrichment, cells", height=270,
        alt=f"{int(known.sum()):,} pathways, {int(hold.sum())} below 5 % false discoveries on both sides.",
    )  # fmt: skip
