"""Information matrices X'WX of many genes, for designs of one kind and disjoint batches.

Their batches part is diagonal, so determinant, solution and inverse cost a sum over batches, not a cube.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

RIDGE = 1e-6


@dataclass(frozen=True)
class Information:
    """X'WX with a tiny ridge: `corner` (G,) kind, `edge` (B, G) kind x batches, `diagonal` (B, G) batches."""

    corner: npt.NDArray[np.float64]
    edge: npt.NDArray[np.float64]
    diagonal: npt.NDArray[np.float64]

    @classmethod
    def of(cls, weights: npt.NDArray[np.float64], design: npt.NDArray[np.float64]) -> Information:
        """From weights (n, G) and the design of `design_matrix` (n, 1 + B)."""
        kind, batches = design[:, 0], design[:, 1:]
        return cls(kind @ weights + RIDGE, (batches.T * kind) @ weights, batches.T @ weights + RIDGE)

    @property
    def schur(self) -> npt.NDArray[np.float64]:
        """Information on the kind beside the batches (G,); 1 / it is the kind's variance."""
        return np.asarray(self.corner - (self.edge**2 / self.diagonal).sum(axis=0))

    @property
    def log_determinant(self) -> npt.NDArray[np.float64]:
        """Log determinants (G,)."""
        return np.asarray(np.log(self.diagonal).sum(axis=0) + np.log(self.schur))

    def solve(
        self, kind: npt.NDArray[np.float64], batches: npt.NDArray[np.float64]
    ) -> npt.NDArray[np.float64]:
        """Solutions (G, 1 + B) for right sides `kind` (G,) and `batches` (B, G)."""
        first = (kind - (self.edge * batches / self.diagonal).sum(axis=0)) / self.schur
        return np.column_stack([first, ((batches - self.edge * first) / self.diagonal).T])
