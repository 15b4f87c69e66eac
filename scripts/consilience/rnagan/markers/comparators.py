"""The same question put to simple methods: which genes differ between donors of both kinds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from consilience.foundation.errors import DataError
from consilience.learning.differential.registry import METHODS
from consilience.rnagan.markers.contrast import block_of_unit

if TYPE_CHECKING:
    import numpy.typing as npt

    from consilience.rnagan.markers.cohort import Cohort

NATURAL_LOG = float(np.log(2))


def compared(
    cohort: Cohort, *, counts: npt.NDArray[np.floating] | None
) -> tuple[dict[str, npt.NDArray[np.float64]], list[str]]:
    """Columns (genes,) of each method, and notes of the methods that could not be used.

    `counts` (n, G) of the cohort's samples, for the method that needs them. Donors are the unit; donors with
    both kinds are compared with themselves.
    """
    columns: dict[str, npt.NDArray[np.float64]] = {}
    notes: list[str] = []
    units = cohort.units
    means, blocks = units.means(cohort.samples.values), block_of_unit(units)
    for name, method in METHODS.items():
        if method.needs == "counts" and counts is None:
            continue
        values = means if method.needs == "log" or counts is None else units.sums(counts)
        try:
            found = method.run(values=values, positive=units.positive, batches=blocks)
        except DataError as error:
            notes.append(f"{method.label} left out: {error}")
            nothing = np.full(means.shape[1], np.nan)
            columns |= {f"{name}_{part}": nothing for part in ("effect", "p", "fdr")}
            continue
        columns |= {f"{name}_effect": found.effect, f"{name}_p": found.p, f"{name}_fdr": found.fdr}
    return columns, notes


def log2_difference(difference: npt.NDArray[np.float64], *, units: str) -> npt.NDArray[np.float64]:
    """Differences of log values as log2 fold changes: as they are on a log2 scale, else from natural logs."""
    return difference if units.casefold().startswith(("log2", "rlog", "vst")) else difference / NATURAL_LOG
