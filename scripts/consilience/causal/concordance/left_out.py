"""What each donor does to the cell side: estimates without it, and its part of their errors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from consilience.causal.concordance.join import Shared
from consilience.causal.concordance.scores import normal_scores, statistics_of
from consilience.foundation.errors import DataError

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd

    Floats = npt.NDArray[np.float64]

COLUMNS = ("cell_type", "gene", "left_out", "statistic")


@dataclass(frozen=True)
class LeftOut:
    """`z` (m, g): row d without donor `donors[d]`, NaN where a gene was not estimated then.

    `score` (g,) and `parts` (donors, g), None where the table gives no pulls: the statistics with each gene's
    scale measured as if the disease did nothing, and the donors' parts of their errors.
    """

    donors: tuple[str, ...]
    z: Floats
    score: Floats | None = None
    parts: Floats | None = None


def left_out_of(table: pd.DataFrame, shared: Shared, *, where: str) -> dict[str, LeftOut]:
    """Of each shared cell type.

    A statistic is the effect without a donor in the standard errors of all donors, so that it differs from
    the whole's by that donor's part alone; it becomes a normal score the same way as the whole's. The column
    pull (signed root of a donor's share of the error) need not be there.
    """
    if missing := [name for name in COLUMNS if name not in table.columns]:
        raise DataError("columns are missing", where=where, value=", ".join(missing),
                        allowed=", ".join(COLUMNS))  # fmt: skip
    if (twice := table.duplicated(["cell_type", "gene", "left_out"])).any():
        first = table[twice].iloc[0]
        raise DataError("two statistics of the same cell type, gene and left out donor", where=where,
                        value=f"{first['cell_type']}, {first['gene']}, {first['left_out']}")  # fmt: skip
    found = {}
    for t, name in enumerate(shared.cell_types):
        part = table[table["cell_type"].astype(str) == name]
        if len(part):
            found[name] = _one(part, shared.rows[name], shared.y[t], shared.df[t])
    return found


def _one(part: pd.DataFrame, columns: Mapping[str, int], y: Floats, df: Floats) -> LeftOut:
    donors = tuple(sorted(set(part["left_out"].astype(str))))
    row = part["left_out"].astype(str).map({name: k for k, name in enumerate(donors)}).to_numpy()
    column = part["gene"].astype(str).map(columns).to_numpy(dtype=np.float64)
    there = np.isfinite(column)

    def wide(name: str) -> Floats:
        made = np.full((len(donors), len(df)), np.nan)
        made[row[there], column[there].astype(np.intp)] = part[name].to_numpy(dtype=np.float64)[there]
        return made

    z, pull = wide("statistic"), wide("pull") if "pull" in part else np.full((1, 1), np.nan)
    # a donor whose leaving out leaves nothing (an arm would be empty) is no information on any gene
    known = np.isfinite(z).any(axis=1)
    left = LeftOut(tuple(np.array(donors, dtype=object)[known]), normal_scores(z[known], df))
    if not np.isfinite(pull).any():
        return left
    statistic = statistics_of(y, df)
    factor = null_scale(statistic, df)
    return replace(left, score=statistic * factor, parts=pull * factor)


def null_scale(statistic: Floats, df: Floats) -> Floats:
    """Standard error over the one that holds the effect for noise: √((df + 1) / (df + t²)), 1 without df.

    A gene's standard error comes from the same donors as its effect. Where it is small by chance t is large,
    so that Σ c t has heavier tails than a t. The scale of effect and residuals together is independent of how
    both share it: a sum of effects on that scale, over its error, is a t again.
    """
    known = np.isfinite(df) & (df > 0)
    freedom = np.where(known, df, 1.0)
    return np.where(known, np.sqrt((freedom + 1) / (freedom + statistic**2)), 1.0)
