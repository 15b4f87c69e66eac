"""The genes that both sides have, in genome order, so that nothing depends on the order of the tables."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from consilience.causal.concordance.blocks import ld_blocks, strata_of_blocks
from consilience.causal.concordance.tables import Side
from consilience.foundation.errors import DataError

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd

    Floats = npt.NDArray[np.float64]
    Numbers = npt.NDArray[np.intp]


@dataclass(frozen=True)
class Shared:
    """g genes that the population side and at least one of t cell types have.

    Of genes (g,): names, `chromosome`, `position`, `block`, `stratum`; `x` z of the population, `alpha` and
    `alpha_se`. Of cell types and genes (t, g), NaN where a type has no estimate: `y` z of the cells, `theta`,
    `theta_se`, `scaled`, `scaled_se` (per sd of expression), `df`, `mean_expression`. `rows` maps a cell type
    to {gene as written in its table: column}.
    """

    ensembl_id: tuple[str, ...]
    symbol: tuple[str, ...]
    chromosome: tuple[str, ...]
    position: Floats
    block: Numbers
    stratum: Numbers
    x: Floats
    alpha: Floats
    alpha_se: Floats
    cell_types: tuple[str, ...]
    y: Floats
    theta: Floats
    theta_se: Floats
    scaled: Floats
    scaled_se: Floats
    df: Floats
    mean_expression: Floats
    rows: Mapping[str, Mapping[str, int]]
    unmatched: Mapping[str, tuple[str, ...]]


def join(population: Side, cells: Side, *, block_kb: float, n_strata: int) -> Shared:
    """Match by Ensembl id; by symbol where one of the two has none. Errors name what does not fit.

    Raises
    ------
    DataError
        When no gene is shared.
    """
    genes = population.table.assign(number=_chromosome_rank(population.table["chromosome"]))
    genes = genes.sort_values(["number", "chromosome", "position", "ensembl_id", "symbol"], kind="stable")
    genes = genes.reset_index(drop=True)
    column = _columns(genes, cells.table)
    hit = column >= 0
    if not hit.any():
        raise DataError(
            "the two sides share no gene", where="concordance",
            value=f"population: {_shown(genes)}; cells: {_shown(cells.table)}",
            mend="give both tables Ensembl ids (columns gene or ensembl_id) or current symbols",
        )  # fmt: skip
    used = np.unique(column[hit])
    rows = cells.table[hit].assign(column=np.searchsorted(used, column[hit]))
    twice = rows.duplicated(["cell_type", "column"], keep=False)
    unmatched = {
        "population": _names(genes[~np.isin(np.arange(len(genes)), used)]),
        "cells": _names(cells.table[~hit]),
        "cells_twice": _names(rows[twice]),
    }  # fmt: skip
    return _shared(genes.iloc[used], rows[~twice], unmatched, block_kb=block_kb, n_strata=n_strata)


def _shared(
    genes: pd.DataFrame, rows: pd.DataFrame, unmatched: dict[str, tuple[str, ...]], *, block_kb: float,
    n_strata: int,
) -> Shared:  # fmt: skip
    types = tuple(sorted(set(rows["cell_type"])))
    place = rows["cell_type"].map({name: number for number, name in enumerate(types)}).to_numpy()
    wide = {}
    for name in ("z", "effect", "se", "scaled", "scaled_se", "df", "mean_expression"):
        values = np.full((len(types), len(genes)), np.nan)
        values[place, rows["column"].to_numpy()] = rows[name].to_numpy(dtype=np.float64)
        wide[name] = values
    # a gene that one side names by symbol alone gets the other side's id
    said = rows.groupby("column")[["ensembl_id", "symbol"]].max().reindex(range(len(genes)), fill_value="")
    chromosome = tuple(genes["chromosome"])
    position = genes["position"].to_numpy(dtype=np.float64)
    block = ld_blocks(chromosome=chromosome, position=position, block_kb=block_kb)
    return Shared(
        ensembl_id=tuple(a or b for a, b in zip(genes["ensembl_id"], said["ensembl_id"], strict=True)),
        symbol=tuple(a or b for a, b in zip(genes["symbol"], said["symbol"], strict=True)),
        chromosome=chromosome, position=position, block=block,
        stratum=strata_of_blocks(level=_level(wide["mean_expression"]), block=block, n_strata=n_strata),
        x=genes["z"].to_numpy(dtype=np.float64), alpha=genes["effect"].to_numpy(dtype=np.float64),
        alpha_se=genes["se"].to_numpy(dtype=np.float64), cell_types=types, y=wide["z"],
        theta=wide["effect"], theta_se=wide["se"], scaled=wide["scaled"], scaled_se=wide["scaled_se"],
        df=wide["df"], mean_expression=wide["mean_expression"],
        rows={
            str(name): dict(zip(part["gene"], part["column"].astype(int), strict=True))
            for name, part in rows.groupby("cell_type")
        },
        unmatched=unmatched,
    )  # fmt: skip


def _columns(genes: pd.DataFrame, cells: pd.DataFrame) -> Numbers:
    """Row of `genes` for each row of `cells`, -1: none."""
    by_id = {one: row for row, one in enumerate(genes["ensembl_id"]) if one}
    by_symbol: dict[str, list[int]] = {}
    for row, one in enumerate(genes["symbol"]):
        if one:
            by_symbol.setdefault(one, []).append(row)
    has_id = (genes["ensembl_id"] != "").to_numpy()
    found = []
    for ensembl, symbol in zip(cells["ensembl_id"], cells["symbol"], strict=True):
        row = by_id.get(ensembl, -1) if ensembl else -1
        if row < 0:
            # two different ids are two genes, whatever their symbols
            fitting = [one for one in by_symbol.get(symbol, []) if not (ensembl and has_id[one])]
            row = fitting[0] if len(fitting) == 1 else -1
        found.append(row)
    return np.array(found, dtype=np.intp)


def _level(expression: Floats) -> Floats:
    """Mean over cell types of a gene's rank within the type (g,), NaN where unknown everywhere."""
    from scipy import stats

    ranks = np.full(expression.shape, np.nan)
    for row, values in zip(ranks, expression, strict=True):
        known = np.isfinite(values)
        if known.any():
            row[known] = stats.rankdata(values[known]) / known.sum()
    count = np.isfinite(ranks).sum(axis=0)
    return np.where(count > 0, np.nansum(ranks, axis=0) / np.maximum(count, 1), np.nan)


def _chromosome_rank(names: pd.Series[str]) -> list[int]:
    return [int(name) if name.isdigit() else 1000 for name in names.str.removeprefix("chr")]


def _names(table: pd.DataFrame) -> tuple[str, ...]:
    return tuple(sorted(set(table["symbol"].where(table["symbol"] != "", table["ensembl_id"]))))


def _shown(table: pd.DataFrame) -> str:
    return ", ".join(_names(table)[:1]) + " …" * (len(table) > 1)
