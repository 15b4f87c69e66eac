"""Single cells told: cell types, volcanoes, the naive test beside, learners beside each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from consilience.report.elements import Cell, Column, Table
from consilience.report.figures import Axis, Figure, points, rule, segments
from consilience.report.sections._causal_reading import (
    LEVEL,
    called,
    flag_words,
    floats,
    median,
    percents,
    share_below,
    texts,
    whole,
)
from consilience.report.sections._causal_shapes import DmlRecord
from consilience.report.sections._causal_volcano import fdr_bound, strongest, volcano
from consilience.report.words import count, listed

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd

    Floats = npt.NDArray[np.float64]

MOST_ROWS = 300


def types_of(dml: pd.DataFrame) -> list[str]:
    """Cell types with the most genes below 5 % false discoveries first."""
    names = list(dict.fromkeys(texts(dml, "cell_type")))
    n = {name: int(called(dml[dml["cell_type"] == name]).sum()) for name in names}
    return sorted(names, key=lambda name: -n[name])


def lambda_of(p: Any) -> float | None:
    """Genomic control: median χ² of the p-values over that without any effect."""
    from scipy.stats import chi2

    known = p[np.isfinite(p)]
    if known.size < 10:
        return None
    return float(chi2.isf(np.median(np.clip(known, 1e-300, 1.0)), 1) / chi2.ppf(0.5, 1))


# ---- cell types ----


def type_rows(dml: pd.DataFrame, record: DmlRecord) -> list[tuple[Cell, ...]]:
    """One row a cell type, from the table itself."""
    rows: list[tuple[Cell, ...]] = []
    for name in types_of(dml):
        own = dml[dml["cell_type"] == name]
        p, naive = floats(own, "p"), floats(own, "p_naive")
        first = [whole(float(np.nanmax(floats(own, column)))) if np.isfinite(floats(own,
                                                                                    column)).any() else None
                 for column in ("n_cells", "n_donors", "n_cases")]  # fmt: skip
        told = record.lambda_gc.get(name)
        rows.append((
            name, *first, int(np.isfinite(p).sum()), int(called(own).sum()), share_below(p),
            share_below(naive),
            lambda_of(p) if told is None else float(told), lambda_of(naive),
            median(floats(own, "r2_outcome")),
            median(floats(own, "r2_treatment")), median(floats(own, "robustness_value")),
            _overlap_words(record.overlap.get(name)),
        ))  # fmt: skip
    return rows


def _overlap_words(found: Any) -> str:
    """Propensities of AIPW: how many are near 0 or 1, what that leaves, for how many genes it is poor."""
    if not isinstance(found, dict):
        return ""
    known = {name: float(value) for name, value in found.items() if isinstance(value, (int, float))}
    said = [f"{percents(known[name])} {words}" for name, words in (
        ("trimmed", "near 0 or 1"), ("effective", "of the cells count")) if name in known]  # fmt: skip
    if "poor" in known and known.get("genes"):
        said.append(f"poor for {known['poor']:.0f} of {count(round(known['genes']), 'gene')}")
    return ", ".join(said)


def type_table(key: str, rows: Sequence[tuple[Cell, ...]]) -> Table:
    """The rows of `type_rows`."""
    return Table(
        key=key, title="Cell types", rows=tuple(rows), visible=20,
        caption="Without any effect, 5 % of the genes have p ≤ 0.05 and λ is 1. Where disease acts on many "
                "genes, "
                "both may be larger; cell by cell they are far too large everywhere.",
        columns=(
            Column("cell_type", "Cell type"), Column("cells", "Cells", "integer"),
            Column("donors", "Donors", "integer"), Column("cases", "Cases", "integer"),
            Column("genes", "Genes", "integer"), Column("called", "Below 5 % FDR", "integer"),
            Column("below", "p ≤ 0.05", "share", "by donors"),
            Column("below_naive", "p ≤ 0.05, cell by cell", "share", "cells taken for independent"),
            Column("lambda_gc", "λ", "number", "genomic control: 1 without effects"),
            Column("lambda_naive", "λ, cell by cell", "number"),
            Column("r2_outcome", "R² of disease", "number", "out of fold: what confounders say of disease"),
            Column("r2_treatment", "R² of expression", "number", "out of fold, median over genes"),
            Column("robustness", "Robustness", "number", "median robustness value: how much of the rest of "
                                                         "disease "
                   "and expression a hidden confounder must explain to take the effect away"),
            Column("overlap", "Overlap", "words"),
        ),
    )  # fmt: skip


def naive_figure(key: str, rows: Sequence[tuple[Cell, ...]]) -> Figure | None:
    """Share of genes with p ≤ 0.05 by donors and cell by cell, each cell type."""
    known = [row for row in rows if isinstance(row[6], float) and isinstance(row[7], float)]
    if not known:
        return None
    names = tuple(str(row[0]) for row in known)
    ours, naive = ([float(row[at]) for row in known] for at in (6, 7))  # type: ignore[arg-type]
    places = list(range(len(known)))
    return Figure(
        key=key, title="What happens when cells are taken for patients", height=90 + 24 * len(known),
        x=Axis(label="share of genes with p ≤ 0.05", domain=(0.0, 1.03), format="percent"),
        y=Axis(scale="category", categories=names),
        marks=(
            segments(x0=ours, x1=naive, y0=places, y1=places),
            points(x=ours, y=places, name="by donors", colour="accent",
                   labels=[f"{name}, by donors" for name in names]),
            points(x=naive, y=places, name="cell by cell", colour="case",
                   labels=[f"{name}, cell by cell" for name in names]),
            rule(axis="x", at=LEVEL, label="5 %: by chance"),
        ),
        caption="Cells of one patient are alike. A test that takes each for a patient finds effects "
                "everywhere.",
        alt=listed(f"{name}: {percents(a)} by donors, {percents(b)} cell by cell"
                   for name, a, b in zip(names, ours, naive, strict=True)) + ".",
    )  # fmt: skip


def volcanoes(dml: pd.DataFrame, names: Sequence[str], *, key: str, most: int) -> tuple[Figure, ...]:
    """One small volcano a cell type, on comparable scales."""
    column = "theta_sd" if "theta_sd" in dml else "theta"
    words = "change of risk per SD of expression" if column == "theta_sd" else "θ"
    drawn = []
    for place, name in enumerate(names):
        own = dml[dml["cell_type"] == name]
        p, hold = floats(own, "p"), called(own)
        if not np.isfinite(p).any():
            continue
        drawn.append(volcano(key=f"{key}-{place}", title=name, effect=floats(own, column), p=p,
                             labels=texts(own, "gene"), hold=hold, x_label=words, most=most, top=6,
                             height=250,
                             bound=fdr_bound(p, hold)))  # fmt: skip
    return tuple(drawn)


# ---- genes ----


def gene_table(key: str, dml: pd.DataFrame, *, embedded: int) -> Table:
    """Strongest genes of all cell types."""
    order = strongest(floats(dml, "p"), top=MOST_ROWS)
    own = dml.iloc[order]
    columns = (
        Column("cell_type", "Cell type"), Column("gene", "Gene", "id"), Column("theta", "θ", "number"),
        Column("low", "from", "number"), Column("high", "to", "number"),
        Column("p", "p, by donors", "number"),
        Column("fdr", "FDR", "number"), Column("p_naive", "p, cell by cell", "number"),
        Column("df", "df", "number", "degrees of freedom: they come from donors"),
        Column("theta_sd", "per SD", "number"), Column("n_donors", "Donors", "integer"),
        Column("n_cells", "Cells", "integer"), Column("share_expressed", "Cells with it", "share"),
        Column("r2_outcome", "R² of disease", "number"), Column("r2_treatment", "R² of expression", "number"),
        Column("robustness_value", "Robustness", "number"),
        Column("repeats_spread", "Spread of repeats", "number"),
    )  # fmt: skip
    shown = tuple(column for column in columns if column.name in own)
    parts = [_cells(own, column) for column in shown]
    flags = [flag_words(text) for text in texts(own, "flags")]
    return Table(
        key=key, title="Strongest genes", rows=tuple(zip(*parts, flags, strict=True)), visible=12,
        embedded=embedded,
        caption="θ: change of the risk per unit of log expression. All genes are in dml.parquet.",
        columns=(*shown, Column("flags", "Flags", "words")),
    )  # fmt: skip


def _cells(table: pd.DataFrame, column: Column) -> list[Cell]:
    if column.kind in {"number", "share", "integer"}:
        values = floats(table, column.name)
        return [None if np.isnan(one) else round(float(one)) if column.kind == "integer" else float(one)
                for one in values]  # fmt: skip
    return list(texts(table, column.name))
