"""The disease against negative controls: traits that have nothing to do with it, and the same cells."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

SIGNIFICANT = 0.05


def against_controls(disease: pd.DataFrame, controls: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """A row a cell type: r of the disease, of each control, and whether the disease stands out.

    `disease`, `controls`: concordance tables of the same cells. `stands_out`: the disease agrees at an FDR of
    5 %, with a larger r than any control, and no control agrees there. Controls agreeing in a cell type at a
    rate above 5 % over all types say that its p-values are too small.
    """
    import pandas as pd

    rows = []
    for _, row in disease.sort_values("cell_type", kind="stable").iterrows():
        others = {
            name: table[table["cell_type"] == row["cell_type"]] for name, table in sorted(controls.items())
        }
        r = np.array([one["r"].iloc[0] if len(one) else np.nan for one in others.values()])
        p = np.array([one["p"].iloc[0] if len(one) else np.nan for one in others.values()])
        rates = np.array([one["fdr"].iloc[0] if len(one) else np.nan for one in others.values()])
        known = np.isfinite(r)
        greatest = float(r[known].max()) if known.any() else float("nan")
        agree = int(((rates <= SIGNIFICANT) & (r > 0)).sum())
        found = bool(row["fdr"] <= SIGNIFICANT and row["r"] > 0)
        rows.append({
            "cell_type": row["cell_type"], "r": float(row["r"]), "fdr": float(row["fdr"]),
            "n_controls": int(known.sum()), "r_controls_max": greatest,
            "n_controls_below_0.05": int((p < SIGNIFICANT).sum()), "n_controls_agreeing": agree,
            "stands_out": bool(found and known.any() and not agree and row["r"] > greatest),
        })  # fmt: skip
    return pd.DataFrame(rows)
