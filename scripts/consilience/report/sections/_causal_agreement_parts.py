"""Agreement of both sides told: cell types side by side, genes, stability, pathways."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from consilience.report.elements import Block, Cell, Column, Table
from consilience.report.figures import Axis, Colour, Figure, cells, points, segments
from consilience.report.sections._causal_forest import zero_line
from consilience.report.sections._causal_reading import (
    Pair,
    called,
    cells_of,
    flag_words,
    floats,
    present,
    texts,
)
from consilience.report.sections._causal_volcano import short
from consilience.report.words import listed

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd

    Floats = npt.NDArray[np.float64]

MOST_ROWS = 300
COLUMNS = (
    Column("cell_type", "Cell type"), Column("n_genes", "Genes", "integer"), Column("r", "r of z", "number"),
    Column("low", "from", "number"), Column("high", "to", "number"),
    Column("p", "p", "number", "the larger of the next two"),
    Column("p_permutation", "p, genes", "number", "effects dealt anew to blocks of neighbouring genes, "
                                                  "within strata "
           "of expression"),
    Column("p_donors", "p, donors", "number", "what chance does when other donors had been asked"),
    Column("fdr", "FDR", "number", "over cell types"),
    Column("r_corrected", "r, corrected", "number", "for the errors of both sides (attenuation)"),
    Column("r_corrected_low", "from", "number"), Column("r_corrected_high", "to", "number"),
    Column("spearman", "Spearman", "number"), Column("sign_agreement", "Same sign", "share"),
    Column("sign_p", "p of signs", "number"), Column("deming_slope", "Deming slope", "number",
                                                     "both sides have errors"),
    Column("deming_low", "from", "number"), Column("deming_high", "to", "number"),
    Column("loo_chromosome_min", "r without a chromosome, least", "number"),
    Column("loo_chromosome_max", "most", "number"),
    Column("loo_donor_min", "r without a donor, least", "number"),
    Column("loo_donor_max", "most", "number"),
)  # fmt: skip
HEAT = (("r", "r"), ("r_corrected", "corrected"), ("spearman", "ranks"), ("signs", "signs"),
        ("pathways", "pathways"))  # fmt: skip
TOP = re.compile(r"overlap_(\d+)")


def p_values(table: pd.DataFrame) -> Floats:
    """The p-value that is judged: of genes and donors; of genes alone in tables that have no other."""
    return floats(table, "p" if "p" in table else "p_permutation")


def ordered(table: pd.DataFrame) -> pd.DataFrame:
    """Strongest agreement first, those not judged last."""
    p = p_values(table)
    return table.iloc[np.lexsort((-np.nan_to_num(floats(table, "r")), np.where(np.isfinite(p), p, 2.0)))]


def found_types(table: pd.DataFrame) -> list[str]:
    """Cell types that agree: below 5 % false discoveries, in the same direction."""
    hold = agreeing(table)
    return [name for name, one in zip(texts(table, "cell_type"), hold, strict=True) if one]


def agreeing(table: pd.DataFrame) -> npt.NDArray[np.bool_]:
    """Rows below 5 % false discoveries in the same direction (n,); the opposite direction is no agreement."""
    return called(table) & (np.nan_to_num(floats(table, "r")) > 0)


def concordance_table(key: str, table: pd.DataFrame) -> Table:
    """All figures of each cell type."""
    shown = present(table, COLUMNS)
    flags = [(flag_words(text),) for text in texts(table, "flags")]
    rows = tuple((*row, *flag) for row, flag in zip(cells_of(table, shown), flags, strict=True))
    return Table(key=key, title="Agreement by cell type", rows=rows, visible=24,
                 columns=(*shown, Column("flags", "Flags", "words")))  # fmt: skip


def agreement_forest(
    key: str, table: pd.DataFrame, controls: Sequence[tuple[str, pd.DataFrame]]
) -> Figure | None:
    """The correlation with its interval by cell type; corrected, and of unrelated traits, beside."""
    names = texts(table, "cell_type")
    r, low, high = (floats(table, name) for name in ("r", "low", "high"))
    known = np.isfinite(r)
    if not known.any():
        return None
    places = np.arange(len(names), dtype=float)
    hold = agreeing(table)
    marks: list[dict[str, Any]] = [zero_line(len(names))]
    looks: tuple[tuple[Any, str, Colour], ...] = (
        (known & ~hold, "does not agree", "muted"),
        (known & hold, "agrees, below 5 % FDR", "accent"))  # fmt: skip
    for own, words, colour in looks:
        if own.any():
            marks.append(segments(x0=short(low[own]), x1=short(high[own]), y0=short(places[own]),
                                  y1=short(places[own]), name=words, colour=colour))  # fmt: skip
            marks.append(
                points(
                    x=short(r[own]),
                    y=short(places[own]),
                    name=words,
                    colour=colour,
                    labels=[f"{name}, r" for name, is_own in zip(names, own, strict=True) if is_own],
                )
            )
    corrected = floats(table, "r_corrected")
    if np.isfinite(corrected).any():
        marks.append(points(x=short(np.clip(corrected, -1, 1)), y=short(places), name="corrected for errors",
                            colour="c1",
                            shape="ring", labels=[f"{name}, corrected" for name in names]))  # fmt: skip
    for number, (control, other) in enumerate(controls):
        by_type = dict(zip(texts(other, "cell_type"), floats(other, "r"), strict=True))
        values = np.array([by_type.get(name, np.nan) for name in names])
        marks.append(points(x=short(values), y=short(places + 0.22 + 0.12 * number),
                            name=f"control: {control}",
                            colour="muted", shape="cross",
                            labels=[f"{name}, {control}" for name in names]))  # fmt: skip
    everything = np.concatenate(
        [np.abs(one[np.isfinite(one)]) for one in (r, low, high, np.clip(corrected, -1, 1))]
    )
    side = min(1.0, 1.08 * float(everything.max()))
    best = int(np.nanargmax(np.where(known, r, -2)))
    return Figure(
        key=key, title="Agreement of both sides, by cell type", wide=True, height=90 + 34 * len(names),
        marks=tuple(marks), x=Axis(label="correlation of z", domain=(-side, side)),
        y=Axis(scale="category", categories=tuple(names)),
        caption="95 % intervals. The corrected value divides out what the errors of both sides hide; it "
                "can leave the "
                "interval. Crosses: traits that have nothing to do with the disease." if controls else
                "95 % intervals. The corrected value divides out what the errors of both sides hide.",
        alt=f"{listed(found_types(table)) or 'No cell type'} below 5 % false discoveries; largest r "
            f"{r[best]:.2f} in "
            f"{names[best]}.",
    )  # fmt: skip


def agreement_heatmap(key: str, table: pd.DataFrame, pathways: pd.DataFrame | None) -> Figure | None:
    """Ways to measure agreement, all from −1 to 1."""
    names = texts(table, "cell_type")
    by_type = (
        {}
        if pathways is None
        else dict(zip(texts(pathways, "cell_type"), floats(pathways, "r"), strict=True))
    )
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


def trait_heatmap(
    key: str, traits: Sequence[tuple[str, pd.DataFrame]], names: Sequence[str]
) -> Figure | None:
    """The correlation of every trait with the same cells; None for one trait."""
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


def standing_table(key: str, table: pd.DataFrame, controls: Mapping[str, pd.DataFrame]) -> list[Block]:
    """Cell type by cell type: whether the disease agrees while unrelated traits do not."""
    from consilience.causal.concordance.controls import against_controls

    if not controls:
        return []
    judged = table.assign(p=p_values(table))
    found = against_controls(
        judged[np.isfinite(floats(judged, "r"))],
        {name: other.assign(p=p_values(other)) for name, other in controls.items()},
    )
    if not len(found):
        return []
    found["says"] = ["stands out" if one else "" for one in found["stands_out"]]
    columns = (
        Column("cell_type", "Cell type"), Column("r", "r of z", "number"), Column("fdr", "FDR", "number"),
        Column("r_controls_max", "Largest r of a control", "number"),
        Column("n_controls", "Controls", "integer"),
        Column("n_controls_below_0.05", "of them p < 0.05", "integer"),
        Column("n_controls_agreeing", "of them agree", "integer", "below 5 % false discoveries"),
        Column("says", "Against controls", "text", "agrees, with a larger r than any control, and no control "
                                                   "agrees"),
    )  # fmt: skip
    rows = tuple(tuple(row) for row in cells_of(found, columns))
    return [Table(key=key, title="Does it stand out against unrelated traits?", rows=rows, visible=12,
                  columns=columns)]  # fmt: skip


def controls_table(tables: dict[Pair, pd.DataFrame]) -> list[Block]:
    """Pairs side by side: what the disease says, and what unrelated traits say."""
    if not any(pair.control for pair in tables):
        return []
    rows: list[tuple[Cell, ...]] = []
    for pair, table in tables.items():
        r, p = floats(table, "r"), p_values(table)
        known = np.isfinite(r)
        rows.append((pair.population.name, pair.cells.name, "yes" if pair.control else "no", int(known.sum()),
                     len(found_types(table)), float(np.nanmax(r)) if known.any() else None,
                     float(np.nanmin(p)) if np.isfinite(p).any() else None))  # fmt: skip
    return [Table(
        key="concordance_controls", title="The disease beside its negative controls", rows=tuple(rows),
        visible=12,
        columns=(Column("population", "Summary statistics", "id"), Column("cells", "Single cells", "id"),
                 Column("control", "Control"), Column("judged", "Cell types", "integer"),
                 Column("found", "Below 5 % FDR", "integer"), Column("largest", "Largest r", "number"),
                 Column("smallest_p", "Smallest p", "number")),
    )]  # fmt: skip
