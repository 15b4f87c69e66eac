"""Whether one chromosome or one donor carries the agreement."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from consilience.causal.concordance.correlations import pearson

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]


def without_each_chromosome(*, x: Floats, y: Floats, chromosome: Sequence[str]) -> dict[str, float]:
    """Correlation of x and y (g,) without the genes of each chromosome; unknown ones stay."""
    names = np.array(chromosome, dtype=object)
    found = {}
    for name in sorted({one for one in names if one}):
        kept = names != name
        if kept.sum() >= 3 and not kept.all():
            found[str(name)] = pearson(x[kept], y[kept])
    return found
