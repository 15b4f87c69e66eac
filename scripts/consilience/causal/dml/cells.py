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

    @property
    def outcome(self) -> Floats:
        """Disease of each cell's donor (n,)."""
        return self.disease[self.donor]
