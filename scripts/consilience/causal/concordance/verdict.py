"""What the comparison comes to, in plain words, also when it is nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

SIGNIFICANT = 0.05


def verdict(rows: Sequence[dict[str, Any]], *, p_global: float, control: bool) -> str:
    """A few sentences from the rows of concordance.parquet."""
    judged = [row for row in rows if np.isfinite(row["r"])]
    if not judged:
        return "Nothing could be compared: no cell type shares enough genes that vary on both sides."
    agree = [row for row in judged if row["fdr"] <= SIGNIFICANT and row["r"] > 0]
    against = [row for row in judged if row["fdr"] <= SIGNIFICANT and row["r"] < 0]
    said = []
    if agree:
        said.append(
            f"In {len(agree)} of {_types(judged)} gene effects agree with population genetics more than "
            f"chance would give (FDR 5 %): {_shown(agree)}."
        )
    else:
        best = max(judged, key=lambda row: float(row["r"]))
        said.append(
            f"In none of {_types(judged)} do gene effects agree with population genetics more than chance "
            f"would give (FDR 5 %); the largest correlation is {_shown([best])}, p = {best['p']:.2g}."
        )
    if against:
        said.append(f"Effects point in opposite directions in {_shown(against)}.")
    said.append(f"All cell types together: p = {p_global:.2g}.")
    if any("donors_unknown" in row["flags"] or "donor_needed" in row["flags"] for row in judged):
        said.append(
            "Not all p-values take into account that few donors stand behind all genes: those are too small "
            "where genes move together."
        )
    if control:
        said.append(
            "This trait is a negative control: agreement here would speak against what is found for the "
            "disease." if not agree else
            "This trait is a negative control, and yet there is agreement: what is found for the disease may "
            "be of the same kind."
        )  # fmt: skip
    return " ".join(said)


def _types(rows: Sequence[dict[str, Any]]) -> str:
    return "1 cell type" if len(rows) == 1 else f"{len(rows)} cell types"


def _shown(rows: Sequence[dict[str, Any]]) -> str:
    ordered = sorted(rows, key=lambda row: (-abs(float(row["r"])), str(row["cell_type"])))
    return ", ".join(
        f"{row['cell_type']} (r = {row['r']:.2f}, {row['low']:.2f} to {row['high']:.2f})" for row in ordered
    )
