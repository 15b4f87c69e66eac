"""Samples in memory: log-scale expression and what is known of each sample."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from consilience.foundation.errors import DataError

if TYPE_CHECKING:
    import numpy.typing as npt


@dataclass(frozen=True)
class Samples:
    """Samples (bulk samples, cells or pseudobulks) with one label each.

    `values` (n, genes) float32 on a log scale (`units` says which); `names`, `labels`, `donors`, `batches`
    (n,) text.
    Samples of one donor belong together: no split may part them.
    """

    values: npt.NDArray[np.float32]
    genes: tuple[str, ...]
    names: npt.NDArray[np.str_]
    labels: npt.NDArray[np.str_]
    donors: npt.NDArray[np.str_]
    batches: npt.NDArray[np.str_]
    units: str

    def __post_init__(self) -> None:
        n = len(self.values)
        sizes = {name: len(getattr(self, name)) for name in ("names", "labels", "donors", "batches")}
        wrong = {name: size for name, size in sizes.items() if size != n}
        if self.values.ndim != 2 or self.values.shape[1] != len(self.genes) or wrong:
            raise DataError(
                "sizes do not agree", value=f"values {self.values.shape}, genes {len(self.genes)}, {wrong}"
            )

    def __len__(self) -> int:
        return len(self.values)

    def take(self, rows: npt.NDArray[np.intp] | npt.NDArray[np.bool_]) -> Samples:
        """These samples, in this order."""
        return replace(
            self,
            values=self.values[rows],
            **{name: getattr(self, name)[rows] for name in ("names", "labels", "donors", "batches")},
        )

    def of_genes(self, genes: Sequence[str]) -> Samples:
        """These genes, in this order; all must be there."""
        place = {gene: number for number, gene in enumerate(self.genes)}
        missing = [gene for gene in genes if gene not in place]
        if missing:
            raise DataError(
                "genes are missing", value=", ".join(missing[:5]), allowed=f"{len(place)} measured genes"
            )
        return replace(self, values=self.values[:, [place[gene] for gene in genes]], genes=tuple(genes))
