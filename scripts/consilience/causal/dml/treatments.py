"""Expression as learners of cells take it: dense blocks of genes, or 1 above the median."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from consilience.causal.dml.cells import within_donors

if TYPE_CHECKING:
    import numpy.typing as npt

    from consilience.causal.dml.cells import CellsOfType

    Floats = npt.NDArray[np.float64]

BLOCK_VALUES = 16_000_000
"""Values of cells × genes that are held at a time."""


def treatment_blocks(cells: CellsOfType, *, binary: bool, size: int = BLOCK_VALUES) -> Iterator[Floats]:
    """Yield treatments (n, g), block after block of genes; with `binary` 1 above the gene's median.

    In pairs: deviations from the donor's mean, or 1 above the donor's own median.
    """
    step = max(1, size // max(1, len(cells.donor)))
    for first in range(0, len(cells.genes), step):
        part = cells.expression[:, first : first + step]
        values = (part if isinstance(part, np.ndarray) else part.toarray()).astype(np.float64)
        if cells.arm is None:
            yield above_median(values) if binary else values
        elif binary:
            for donor in range(len(cells.donors)):
                own = cells.donor == donor
                values[own] = above_median(values[own])
            yield values
        else:
            yield within_donors(values, cells.donor)


def above_median(values: Floats) -> Floats:
    """1 where a cell has more of a gene than the median cell, else 0 (n, g).

    Where more than half of the cells have none, that is: where the gene is seen at all.
    """
    return (values > np.median(values, axis=0)).astype(np.float64)
