"""The cells of one type, as double machine learning takes them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt
    from scipy import sparse

    Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class CellsOfType:
    """n cells of one type from m donors, sorted by donor.

    `disease` (m,) 1 for a case, 0 for a control: constant within a donor. `donor` (n,) numbers 0 … m - 1 of
    `donors` (m,) names. `confounders` (n, p) standardised columns named `columns`. `expression` (n, genes)
    CSR, log-normalised (or a dense array of denoised values); `genes` symbols, `ensembl_ids` ("" unknown).

    `arm` None, or in a paired cohort, whose donors were each sampled as case and as control, 1 or 0 for each
    cell (n,); `disease` is 1 for all donors then, and confounders are deviations from the donor's mean.
    """

    cell_type: str
    donors: tuple[str, ...]
    donor: npt.NDArray[np.intp]
    disease: Floats
    confounders: Floats
    columns: tuple[str, ...]
    expression: sparse.csr_matrix | npt.NDArray[np.float32]
    genes: tuple[str, ...]
    ensembl_ids: tuple[str, ...]
    arm: Floats | None = None

    @property
    def outcome(self) -> Floats:
        """Disease of each cell's donor (n,); in pairs the cell's arm less the mean of its donor."""
        return self.disease[self.donor] if self.arm is None else within_donors(self.arm, self.donor)

    @property
    def unit(self) -> npt.NDArray[np.intp]:
        """What has one outcome, of each cell (n,): the donor; in pairs the sample, 2·donor + arm."""
        return self.donor if self.arm is None else samples_of(self.donor, self.arm)

    @property
    def unit_outcome(self) -> Floats:
        """1 or 0 for each unit: donors (m,), samples (2m,) in pairs."""
        return self.disease if self.arm is None else np.tile([0.0, 1.0], len(self.donors))


def samples_of(donor: npt.NDArray[np.intp], arm: Floats) -> npt.NDArray[np.intp]:
    """Sample (n,) of each cell of a paired cohort: 2·donor for controls, 2·donor + 1 for cases."""
    return np.asarray(2 * donor + (arm > 0.5), dtype=np.intp)


def within_donors(values: Floats, donor: npt.NDArray[np.intp]) -> Floats:
    """Values (n,) or (n, g) less the mean of their donor's cells."""
    cells = np.maximum(np.bincount(donor), 1)
    if values.ndim == 1:
        means = np.bincount(donor, weights=values) / cells
    else:
        sums = np.zeros((cells.size, values.shape[1]))
        np.add.at(sums, donor, values)
        means = sums / cells[:, None]
    made: Floats = values - means[donor]
    return made
