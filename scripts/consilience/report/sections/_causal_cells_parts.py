"""Single cells told: cell types, volcanoes, the naive test beside, learners beside each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from consilience.report.elements import Cell, Column, Table
from consilience.report.figures import Axis, Figure, cells, points, rule, segments
from consilience.report.sections._causal_forest import MOST_SERIES, Series, forest
from consilience.report.sections._causal_reading import (
    LEVEL,
    called,
    correlation,
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

MOST_ROWS, FOREST_ROWS = 300, 12


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
    """Propensities of the interactive model: how many are near 0 or 1, what that leaves, and for how many genes."""
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


# ---- learners and scores beside the main one ----


def variant_words(key: str) -> str:
    """A variant of the analysis as readers know it: its learner, unless the score is what differs."""
    words = {"partialling_out": "", "iv_type": "IV type", "irm": "AIPW", "denoised": "denoised"}
    parts = key.split(":")
    said = [words.get(part, part.replace("_", " ")) for part in parts if part != "ridge" or len(parts) == 1]
    return ", ".join(filter(None, said)) or key.replace("_", " ").replace(":", ", ")


def joined(dml: pd.DataFrame, others: pd.DataFrame) -> pd.DataFrame:
    """Rows of the variants with statistic, estimate and p-value of the main analysis beside."""
    columns = ["cell_type", "gene", "theta", "statistic", "p"]
    main = dml.reindex(columns=columns).rename(columns={name: f"{name}_main" for name in columns[2:]})
    main = main.drop_duplicates(["cell_type", "gene"])
    return others.merge(main, on=["cell_type", "gene"], how="left")


def variant_rows(both: pd.DataFrame) -> list[tuple[Cell, ...]]:
    """Each variant over all cell types: how far it agrees with the main analysis."""
    rows: list[tuple[Cell, ...]] = []
    for name in dict.fromkeys(texts(both, "variant")):
        own = both[both["variant"] == name]
        ours, theirs = floats(own, "statistic_main"), floats(own, "statistic")
        known = np.isfinite(ours) & np.isfinite(theirs)
        strong = known & (floats(own, "p_main") <= LEVEL)
        rows.append((
            variant_words(name), int(np.isfinite(theirs).sum()), correlation(ours, theirs),
            float((np.sign(ours) == np.sign(theirs))[known].mean()) if known.any() else None,
            share_below(floats(own, "p")[strong]), median(floats(own, "r2_outcome")),
            median(floats(own, "r2_treatment")),
            flag_words(";".join(sorted(set(";".join(texts(own, "flags")).split(";"))))),
        ))  # fmt: skip
    return rows


def variant_table(key: str, rows: Sequence[tuple[Cell, ...]]) -> Table:
    """The rows of `variant_rows`."""
    return Table(
        key=key, title="The same genes by other learners and scores", rows=tuple(rows), visible=12,
        caption="Only the strongest genes of each cell type are gone over, so agreement is that of the "
                "strongest.",
        columns=(
            Column("variant", "Analysis"), Column("estimates", "Estimates", "integer"),
            Column("r", "r of statistics", "number"), Column("same_sign", "Same sign", "share"),
            Column("confirmed", "Confirmed", "share", "of those with p ≤ 0.05 in the main analysis"),
            Column("r2_outcome", "R² of disease", "number"),
            Column("r2_treatment", "R² of expression", "number"),
            Column("flags", "Flags", "words"),
        ),
    )  # fmt: skip


def variant_heatmap(key: str, both: pd.DataFrame, names: Sequence[str]) -> Figure | None:
    """Share of the same sign, each cell type and variant."""
    variants = list(dict.fromkeys(texts(both, "variant")))
    values: list[list[float | None]] = []
    for name in names:
        line: list[float | None] = []
        for variant in variants:
            own = both[(both["cell_type"] == name) & (both["variant"] == variant)]
            line.append(correlation(floats(own, "statistic_main"), floats(own, "statistic")))
        values.append(line)
    if not variants or not any(value is not None for line in values for value in line):
        return None
    shown = tuple(variant_words(one) for one in variants)
    return Figure(
        key=key, title="Do other analyses say the same?", height=110 + 24 * len(names),
        x=Axis(scale="category", categories=shown), y=Axis(scale="category", categories=tuple(names)),
        marks=(cells(values=values, rows=list(names), columns=list(shown), diverging=True),),
        caption="Correlation of the test statistics with those of the main analysis; the darker, the more "
                "alike.",
        alt="Correlation of statistics with the main analysis by cell type and analysis.",
    )  # fmt: skip


def gene_forest(key: str, dml: pd.DataFrame, both: pd.DataFrame | None) -> Figure | None:
    """Strongest genes over all cell types: main analysis and its variants, each in its standard errors."""
    own = dml.iloc[strongest(floats(dml, "p"), top=FOREST_ROWS)]
    if not len(own):
        return None
    pairs = list(zip(texts(own, "cell_type"), texts(own, "gene"), strict=True))
    place_of = {pair: place for place, pair in enumerate(pairs)}
    series = [_in_errors("main", own, np.arange(len(pairs), dtype=float))]
    for variant in list(dict.fromkeys(texts(both, "variant"))) if both is not None else ():
        assert both is not None  # noqa: S101
        part = both[both["variant"] == variant]
        where = zip(texts(part, "cell_type"), texts(part, "gene"), strict=True)
        places = np.array([place_of.get(pair, -1) for pair in where], dtype=float)
        series.append(_in_errors(variant_words(variant), part[places >= 0], places[places >= 0]))
    if not np.isfinite(series[0].estimate).any():
        return None
    return forest(
        key=key, title="Strongest genes by every analysis", x_label="effect in its standard errors",
        rows=[f"{gene}, {cell_type}" for cell_type, gene in pairs], series=series,
        caption="With 95 % intervals, cut at the edges: those that leave out 0 have p below 0.05. In "
                "standard "
                "errors, because AIPW and pseudobulks measure effects on other scales.",
        alt=f"{len(pairs)} genes by {min(len(series), MOST_SERIES)} analyses.",
    )  # fmt: skip


def _in_errors(name: str, table: pd.DataFrame, places: Floats) -> Series:
    """Statistics with their 95 % intervals, by t where degrees of freedom are known."""
    from scipy.stats import t

    df, statistic = floats(table, "df"), floats(table, "statistic")
    with np.errstate(divide="ignore", invalid="ignore"):
        statistic = np.where(np.isfinite(statistic), statistic, floats(table, "theta") / floats(table, "se"))
    half = np.asarray(t.ppf(0.975, np.where(df > 0, df, np.inf)))
    return Series(name, places, statistic, statistic - half, statistic + half)
