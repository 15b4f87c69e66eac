"""The same genes of the same cells by other learners, other scores, and pseudobulks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from consilience.report.elements import Cell, Column, Table
from consilience.report.figures import Axis, Figure, cells
from consilience.report.sections._causal_forest import MOST_SERIES, Series, forest
from consilience.report.sections._causal_reading import (
    LEVEL,
    correlation,
    flag_words,
    floats,
    median,
    share_below,
    texts,
)
from consilience.report.sections._causal_volcano import strongest

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd

    Floats = npt.NDArray[np.float64]

FOREST_ROWS = 12


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
