"""Worked examples: what both sides say of a gene that somebody asks for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from consilience.causal.concordance.tables import Side

if TYPE_CHECKING:
    import pandas as pd

ASKED = ("SLC40A1", "CP")
"""Iron export, which the study of rheumatoid arthritis names as its example."""
SIGNIFICANT = 0.05


def worked_examples(
    population: Side, cells: Side, *, asked: Sequence[str] = ASKED, mr: pd.DataFrame | None = None
) -> list[dict[str, Any]]:
    """For each gene asked for (symbol or Ensembl id): both sides' estimates and a sentence."""
    return [_one(gene, population.table, cells.table, mr) for gene in asked]


def _one(gene: str, population: pd.DataFrame, cells: pd.DataFrame, mr: pd.DataFrame | None) -> dict[str, Any]:
    left = population[(population["symbol"] == gene) | (population["ensembl_id"] == gene)]
    ids = {gene, *left["ensembl_id"], *left["symbol"]} - {""}
    right = cells[cells["symbol"].isin(ids) | cells["ensembl_id"].isin(ids)].sort_values("cell_type")
    methods: list[dict[Any, Any]] = []
    if mr is not None and {"method", "estimate", "gene"} <= set(mr.columns):
        names = mr["gene"].isin(ids) | (mr["symbol"].isin(ids) if "symbol" in mr else False)
        columns = [name for name in ("method", "estimate", "se", "p", "n_snps", "flags") if name in mr]
        methods = mr.loc[names, columns].to_dict("records")
    return {
        "gene": gene,
        "population": left[["ensembl_id", "effect", "se", "z", "p"]].to_dict("records"),
        "mr": methods,
        "cells": right[["cell_type", "effect", "se", "z", "p"]].to_dict("records"),
        "text": _sentence(gene, left, right),
    }


def _sentence(gene: str, left: pd.DataFrame, right: pd.DataFrame) -> str:
    if not len(left) and not len(right):
        return f"{gene}: on neither side."
    said = f"{gene}: "
    if len(left):
        first = left.iloc[0]
        said += f"population genetics {first['effect']:+.3g} (p = {first['p']:.2g})"
    else:
        said += "not estimated by population genetics (no instruments, or not in its table)"
    if not len(right):
        return f"{said}; in no cell type."
    strong = right[right["p"] <= SIGNIFICANT]
    said += f"; single cells: {len(right)} cell types, p ≤ 0.05 in {len(strong)}"
    if len(strong):
        said += f" ({', '.join(f'{row.cell_type} {row.effect:+.2g}' for row in strong.itertuples())})"
    if len(left):
        same = int((np.sign(right["effect"]) == np.sign(left.iloc[0]["effect"])).sum())
        said += f"; the same direction in {same} of {len(right)}"
    return f"{said}. P-values of single genes, not corrected for looking at many."
