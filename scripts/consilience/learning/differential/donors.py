"""Donors as the unit: samples (or cells) of one donor, kind and batch become one row."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt


@dataclass(frozen=True)
class DonorUnits:
    """One row per donor, kind and batch, sorted by these names.

    `unit` (n,) the row of each sample; `positive`, `donors`, `batches` (units,), `size` (units,) samples in
    it.
    """

    unit: npt.NDArray[np.intp]
    positive: npt.NDArray[np.bool_]
    donors: npt.NDArray[np.str_]
    batches: npt.NDArray[np.str_]
    size: npt.NDArray[np.intp]

    @property
    def batch_codes(self) -> npt.NDArray[np.intp]:
        """Batches as numbers (units,)."""
        return np.unique(self.batches, return_inverse=True)[1].astype(np.intp)

    def sums(self, values: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """Sums of the rows of `values` (n, …) over each unit (units, …): for counts."""
        order = np.argsort(self.unit, kind="stable")
        starts = np.searchsorted(self.unit[order], np.arange(len(self.size)))
        return np.add.reduceat(np.asarray(values, dtype=np.float64)[order], starts, axis=0)

    def means(self, values: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
        """Means of the rows of `values` (n, …) over each unit (units, …): for log values."""
        total = self.sums(values)
        return np.asarray(total / self.size.reshape(-1, *[1] * (total.ndim - 1)))


def donor_units(
    *, positive: npt.NDArray[np.bool_], donors: npt.NDArray[np.str_], batches: npt.NDArray[np.str_]
) -> DonorUnits:
    """Group samples (n,) into units."""
    keys = list(zip(donors.tolist(), positive.tolist(), batches.tolist(), strict=True))
    levels = sorted(set(keys))
    place = {key: row for row, key in enumerate(levels)}
    unit = np.array([place[key] for key in keys], dtype=np.intp)
    return DonorUnits(
        unit=unit,
        positive=np.array([key[1] for key in levels], dtype=bool),
        donors=np.array([key[0] for key in levels], dtype=str),
        batches=np.array([key[2] for key in levels], dtype=str),
        size=np.bincount(unit, minlength=len(levels)).astype(np.intp),
    )
