"""The cell side estimated without each donor in turn, as normal scores beside the genes of the whole."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from consilience.causal.concordance.join import Shared
from consilience.causal.concordance.scores import normal_scores
from consilience.foundation.errors import DataError

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd

    Floats = npt.NDArray[np.float64]

COLUMNS = ("cell_type", "gene", "left_out", "statistic")


@dataclass(frozen=True)
class LeftOut:
    """`z` (m, g): row d without donor `donors[d]`, NaN where a gene was not estimated then."""

    donors: tuple[str, ...]
    z: Floats


def left_out_of(table: pd.DataFrame, shared: Shared, *, where: str) -> dict[str, LeftOut]:
    """Of each shared cell type.

    A statistic is the effect without a donor in the standard errors of all donors, so that it differs from
    the whole's by that donor's part alone; it becomes a normal score the same way as the whole's.
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
            found[name] = _one(part, shared.rows[name], shared.df[t])
    return found


def _one(part: pd.DataFrame, columns: Mapping[str, int], df: Floats) -> LeftOut:
    donors = tuple(sorted(set(part["left_out"].astype(str))))
    row = part["left_out"].astype(str).map({name: k for k, name in enumerate(donors)}).to_numpy()
    column = part["gene"].astype(str).map(columns).to_numpy(dtype=np.float64)
    there = np.isfinite(column)
    z = np.full((len(donors), len(df)), np.nan)
    z[row[there], column[there].astype(np.intp)] = part["statistic"].to_numpy(dtype=np.float64)[there]
    # a donor whose leaving out leaves nothing (an arm would be empty) is no information on any gene
    known = np.isfinite(z).any(axis=1)
    return LeftOut(tuple(np.array(donors, dtype=object)[known]), normal_scores(z[known], df))
