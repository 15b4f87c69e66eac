"""Agreement of both sides told: cell types side by side, genes, stability, pathways."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from consilience.report.elements import Cell, Column, Table
from consilience.report.figures import Axis, Colour, Figure, cells, points, segments
from consilience.report.sections._causal_reading import (
    LEVEL,
    called,
    cells_of,
    flag_words,
    floats,
    gene_names,
    p_words,
    present,
    texts,
)
from consilience.report.sections._causal_volcano import against, reach, short
from consilience.report.words import count, listed

if TYPE_CHECKING:
    import pandas as pd

MOST_ROWS, FOREST_GENES = 300, 12
Z_BOUND = 1.959964
COLUMNS = (
    Column("cell_type", "Cell type"), Column("n_genes", "Genes", "integer"), Column("r", "r of z", "number"),
    Column("low", "from", "number"), Column("high", "to", "number"),
    Column("p_permutation", "p", "number", "labels of genes permuted within strata of expression and blocks of "
           "neighbouring genes"),
    Column("fdr", "FDR", "number", "over cell types"),
    Column("r_corrected", "r, corrected", "number", "for the errors of both sides (attenuation)"),
    Column("spearman", "Spearman", "number"), Column("sign_agreement", "Same sign", "share"),
    Column("sign_p", "p of signs", "number"), Column("deming_slope", "Deming slope", "number",
                                                     "both sides have errors"),
    Column("deming_low", "from", "number"), Column("deming_high", "to", "number"),
    Column("loo_chromosome_min", "r without a chromosome, least", "number"),
    Column("loo_chromosome_max", "most", "number"), Column("loo_donor_min", "r without a donor, least", "number"),
    Column("loo_donor_max", "most", "number"),
)  # fmt: skip
HEAT = (("r", "r"), ("r_corrected", "corrected"), ("spearman", "ranks"), ("signs", "signs"),
        ("pathways", "pathways"))  # fmt: skip
TOP = re.compile(r"overlap_(\d+)")


def ordered(table: pd.DataFrame) -> pd.DataFrame:
    """Strongest agreement first, those not judged last."""
    p = floats(table, "p_permutation")
    return table.iloc[np.lexsort((-np.nan_to_num(floats(table, "r")), np.where(np.isfinite(p), p, 2.0)))]


def found_types(table: pd.DataFrame) -> list[str]:
    """Cell types with agreement below 5 % false discoveries."""
    return [name for name, hold in zip(texts(table, "cell_type"), called(table), strict=True) if hold]


def concordance_table(key: str, table: pd.DataFrame) -> Table:
    """All figures of each cell type."""
    shown = present(table, COLUMNS)
    flags = [(flag_words(text),) for text in texts(table, "flags")]
    rows = tuple((*row, *flag) for row, flag in zip(cells_of(table, shown), flags, strict=True))
    return Table(key=key, title="Agreement by cell type", rows=rows, visible=24,
                 columns=(*shown, Column("flags", "Flags", "words")))  # fmt: skip


def agreement_forest(key: str, table: pd.DataFrame, controls: Sequence[tuple[str, pd.DataFrame]]) -> Figure | None:
    """r with interval by cell type, the attenuation-corrected one and those of unrelated traits beside."""
    names = texts(table, "cell_type")
    r, low, high = (floats(table, name) for name in ("r", "low", "high"))
    known = np.isfinite(r)
    if not known.any():
        return None
    places = np.arange(len(names), dtype=float)
    hold = called(table)
    marks: list[dict[str, Any]] = [segments(x0=[0], x1=[0], y0=[-0.6], y1=[len(names) - 0.4])]
    looks: tuple[tuple[Any, str, Colour], ...] = (
        (known & ~hold, "not below 5 % FDR", "c0"), (known & hold, "agrees, below 5 % FDR", "accent"))  # fmt: skip
    for own, words, colour in looks:
        if own.any():
            marks.append(segments(x0=short(low[own]), x1=short(high[own]), y0=short(places[own]),
                                  y1=short(places[own]), name=words, colour=colour))  # fmt: skip
            marks.append(points(x=short(r[own]), y=short(places[own]), name=words, colour=colour,
                                labels=[f"{name}, r" for name, is_own in zip(names, own, strict=True) if is_own]))
    corrected = floats(table, "r_corrected")
    if np.isfinite(corrected).any():
        marks.append(points(x=short(np.clip(corrected, -1, 1)), y=short(places), name="corrected for errors", colour="c1",
                            shape="ring", labels=[f"{name}, corrected" for name in names]))  # fmt: skip
    for number, (control, other) in enumerate(controls):
        by_type = dict(zip(texts(other, "cell_type"), floats(other, "r"), strict=True))
        values = np.array([by_type.get(name, np.nan) for name in names])
        marks.append(points(x=short(values), y=short(places + 0.22 + 0.12 * number), name=f"control: {control}",
                            colour="muted", shape="cross", labels=[f"{name}, {control}" for name in names]))  # fmt: skip
    everything = np.concatenate([np.abs(one[np.isfinite(one)]) for one in (r, low, high, np.clip(corrected, -1, 1))])
    side = min(1.0, 1.08 * float(everything.max()))
    best = int(np.nanargmax(np.where(known, r, -2)))
    return Figure(
        key=key, title="Agreement of both sides, by cell type", wide=True, height=90 + 34 * len(names),
        marks=tuple(marks), x=Axis(label="correlation of z", domain=(-side, side)),
        y=Axis(scale="category", categories=tuple(names)),
        caption="95 % intervals. The corrected value divides out what the errors of both sides hide; it can leave the "
                "interval. Crosses: traits that have nothing to do with the disease." if controls else
                "95 % intervals. The corrected value divides out what the errors of both sides hide.",
        alt=f"{listed(found_types(table)) or 'No cell type'} below 5 % false discoveries; largest r {r[best]:.2f} in "
            f"{names[best]}.",
    )  # fmt: skip


def agreement_heatmap(key: str, table: pd.DataFrame, pathways: pd.DataFrame | None) -> Figure | None:
    """Ways to measure agreement, all from −1 to 1."""
    names = texts(table, "cell_type")
    by_type = {} if pathways is None else dict(zip(texts(pathways, "cell_type"), floats(pathways, "r"), strict=True))
    columns = {
        "signs": 2 * floats(table, "sign_agreement") - 1,
        "pathways": np.array([by_type.get(name, np.nan) for name in names]),
        "r_corrected": np.clip(floats(table, "r_corrected"), -1, 1),
    }  # fmt: skip
    shown = [(words, columns.get(name, floats(table, name))) for name, words in HEAT]
    shown = [(words, values) for words, values in shown if np.isfinite(values).any()]
    if not shown:
        return None
    values = [[None if np.isnan(one[row]) else round(float(one[row]), 3) for _, one in shown]
              for row in range(len(names))]  # fmt: skip
    heads = [words for words, _ in shown]
    return Figure(
        key=key, title="The same by other measures", height=90 + 26 * len(names),
        x=Axis(scale="category", categories=tuple(heads)), y=Axis(scale="category", categories=tuple(names)),
        marks=(cells(values=values, rows=names, columns=heads, diverging=True),),
        caption="Red agrees, blue disagrees; 0 is chance in every column (signs: 2 × share − 1).",
        alt="Correlation, corrected and of ranks, agreement of signs and of pathways by cell type.",
    )  # fmt: skip


def trait_heatmap(key: str, traits: Sequence[tuple[str, pd.DataFrame]], names: Sequence[str]) -> Figure | None:
    """r of every trait with the same cells; None for one trait."""
    if len(traits) < 2:
        return None
    values: list[list[float | None]] = []
    by_trait = [dict(zip(texts(table, "cell_type"), floats(table, "r"), strict=True)) for _, table in traits]
    for name in names:
        found = [one.get(name, np.nan) for one in by_trait]
        values.append([None if np.isnan(r) else round(float(r), 3) for r in found])
    heads = [trait for trait, _ in traits]
    return Figure(
        key=key, title="The trait and its negative controls", height=90 + 26 * len(names),
        x=Axis(scale="category", categories=tuple(heads)), y=Axis(scale="category", categories=tuple(names)),
        marks=(cells(values=values, rows=list(names), columns=heads, diverging=True),),
        caption="Correlation of z with the same cells. Unrelated traits should be pale.",
        alt="Correlation by cell type and trait.",
    )  # fmt: skip


# ---- genes ----


def scatters(genes: pd.DataFrame, table: pd.DataFrame, *, key: str, most: int) -> tuple[Figure, ...]:
    """z of cells against z of population genetics, one figure a cell type."""
    known = {name: (r, p) for name, r, p in
             zip(texts(table, "cell_type"), floats(table, "r"), floats(table, "p_permutation"), strict=True)}  # fmt: skip
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
            key=f"{key}-{place}", title=f"{name}{' ✓' if name in hold else ''}", x=x, y=y, labels=gene_names(own),
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
        Column("alpha", "α", "number"), Column("z_cells", "z, cells", "number"), Column("p_cells", "p", "number"),
        Column("theta", "θ", "number"), Column("mean_expression", "Expression", "number"),
    ))  # fmt: skip
    same = [("yes" if a == b else "no",) for a, b in
            zip(np.sign(floats(own, "z_population")), np.sign(floats(own, "z_cells")), strict=True)]  # fmt: skip
    rows = tuple((*row, *one) for row, one in zip(cells_of(own, shown), same, strict=True))
    return Table(key=key, title="Genes by evidence on both sides", rows=rows, visible=12, embedded=embedded,
                 caption="By the weaker of the two z.", columns=(*shown, Column("same_sign", "Same sign")))  # fmt: skip


def both_forest(key: str, genes: pd.DataFrame, cell_type: str) -> Figure | None:
    """The strongest genes of a cell type with both estimates, in their own standard errors."""
    own = genes[genes["cell_type"] == cell_type]
    x, y = floats(own, "z_population"), floats(own, "z_cells")
    strength = np.nan_to_num(np.minimum(np.abs(x), np.abs(y)), nan=-1.0)
    order = np.argsort(-strength, kind="stable")[:FOREST_GENES]
    order = order[strength[order] >= 0]
    if not len(order):
        return None
    names = [gene_names(own)[place] for place in order]
    side = 1.1 * (max(float(np.abs(x[order]).max()), float(np.abs(y[order]).max())) + Z_BOUND)
    marks: list[dict[str, Any]] = [segments(x0=[0], x1=[0], y0=[-0.6], y1=[len(order) - 0.4])]
    sides: tuple[tuple[Any, str, Colour, float], ...] = (
        (x, "population genetics", "c2", -0.14), (y, "single cells", "c1", 0.14))  # fmt: skip
    for z, words, colour, shift in sides:
        at = np.arange(len(order)) + shift
        marks.append(segments(x0=short(z[order] - Z_BOUND), x1=short(z[order] + Z_BOUND), y0=short(at), y1=short(at),
                              name=words, colour=colour))  # fmt: skip
        marks.append(points(x=short(z[order]), y=short(at), name=words, colour=colour,
                            labels=[f"{name}, {words}" for name in names]))  # fmt: skip
    n = int((np.sign(x[order]) == np.sign(y[order])).sum())
    return Figure(
        key=key, title=f"Strongest genes on both sides, {cell_type}", height=90 + 28 * len(order), marks=tuple(marks),
        x=Axis(label="z with 95 % interval", domain=(-side, side)), y=Axis(scale="category", categories=tuple(names)),
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
                rows.append((name, size, float(n), *(None if np.isnan(one) else float(one) for one in (chance, p))))
    if not rows:
        return None
    return Table(
        key=key, title="Genes in both lists of the strongest", rows=tuple(rows), visible=8,
        columns=(Column("cell_type", "Cell type"), Column("top", "Top", "integer"), Column("overlap", "In both", "number"),
                 Column("expected", "By chance", "number"), Column("p", "p", "number")),
    )  # fmt: skip


# ---- stability ----


def stability_figure(key: str, stability: pd.DataFrame, table: pd.DataFrame, *, kind: str) -> Figure | None:
    """r without each chromosome, or without each donor."""
    own = stability[stability["kind"] == kind]
    names = texts(table, "cell_type")
    place_of = {name: place for place, name in enumerate(names)}
    places = np.array([place_of.get(name, np.nan) for name in texts(own, "cell_type")])
    r = floats(own, "r")
    known = np.isfinite(places) & np.isfinite(r)
    if not known.any():
        return None
    labels = [f"{name}, without {'chromosome ' if kind == 'chromosome' else ''}{left}" for name, left, is_in in
              zip(texts(own, "cell_type"), texts(own, "left_out"), known, strict=True) if is_in]  # fmt: skip
    whole = floats(table, "r")
    side = min(1.0, 1.1 * reach(np.concatenate([r[known], whole[np.isfinite(whole)]])))
    return Figure(
        key=key, title=f"Without each {kind}", height=90 + 24 * len(names),
        marks=(segments(x0=[0], x1=[0], y0=[-0.6], y1=[len(names) - 0.4]),
               points(x=short(r[known]), y=short(places[known]), name=f"without one {kind}", colour="c0", labels=labels),
               points(x=short(whole), y=list(range(len(names))), name="all", colour="accent",
                      labels=[f"{name}, all" for name in names])),
        x=Axis(label="correlation of z", domain=(-side, side)), y=Axis(scale="category", categories=tuple(names)),
        caption=f"Points far from the rest: the agreement hangs on one {kind}.",
        alt=f"r between {r[known].min():.2f} and {r[known].max():.2f} over all cell types, leaving out one {kind} at a "
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
            texts(own, "pathway"), floats(own, "nes"), floats(own, "fdr"), texts(own, "leading_edge"), strict=True
        ):
            if name not in by_name or not np.isfinite(nes):
                continue
            other, other_fdr, other_leading = by_name[name]
            if min(np.nan_to_num(fdr, nan=1.0), np.nan_to_num(other_fdr, nan=1.0)) > LEVEL or not np.isfinite(other):
                continue
            both = sorted(set(leading.split(";")) & set(other_leading.split(";")) - {""})
            rows.append((cell_type, name, float(other), float(other_fdr), float(nes), float(fdr),
                         "yes" if np.sign(nes) == np.sign(other) else "no", ", ".join(both[:8])))  # fmt: skip
    rows.sort(key=lambda row: max(float(row[3] or 0), float(row[5] or 0)))  # type: ignore[arg-type]
    if not rows:
        return None
    return Table(
        key=key, title="Pathways below 5 % false discoveries on a side", rows=tuple(rows[:MOST_ROWS]), visible=10,
        embedded=embedded,
        columns=(Column("cell_type", "Cell type"), Column("pathway", "Pathway", "words"),
                 Column("nes_population", "Enrichment, population", "number"), Column("fdr_population", "FDR", "number"),
                 Column("nes_cells", "Enrichment, cells", "number"), Column("fdr_cells", "FDR", "number"),
                 Column("same_sign", "Same sign"), Column("leading", "Leading on both", "words")),
    )  # fmt: skip


def pathway_figure(key: str, pathways: pd.DataFrame, cell_type: str, *, most: int) -> Figure | None:
    """Enrichment in a cell type against that of population genetics."""
    sides = np.array(texts(pathways, "side"))
    columns = ["pathway", "nes", "fdr"]
    both = pathways.loc[sides == "population", columns].merge(
        pathways.loc[sides == cell_type, columns], on="pathway", suffixes=("_population", "_cells"))  # fmt: skip
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
