"""How many genes point the same way on both sides; blocks of neighbours are the units of the test."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from consilience.foundation.seeds import stream

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Numbers = npt.NDArray[np.intp]

EXACT = 14
"""With this many blocks or fewer all turns are gone through."""
TURNS = 5000
TIE = 1e-9


@dataclass(frozen=True)
class Signs:
    """`share` of `n` genes (zeros left out) with the same sign, two-sided `p`."""

    share: float
    p: float
    n: int


def sign_agreement(*, x: Floats, y: Floats, block: Numbers, seed: int) -> Signs:
    """Signs of x and y (g,); p from turning the population's signs round, a block as a whole.

    By the null the direction of a locus has nothing to do with the cells; how the cell side's genes move
    together does not matter then.
    """
    product = np.sign(x) * np.sign(y)
    used = product != 0
    n = int(used.sum())
    if not n:
        return Signs(float("nan"), float("nan"), 0)
    _, place = np.unique(block[used], return_inverse=True)
    sums = np.bincount(place, weights=product[used])
    observed = abs(float(sums.sum()))
    if len(sums) <= EXACT:
        turns = 1.0 - 2.0 * ((np.arange(2 ** len(sums))[:, None] >> np.arange(len(sums))) & 1)
        p = float((np.abs(turns @ sums) >= observed - TIE).mean())
    else:
        rng = stream(seed, "turned-blocks", len(sums))
        turns = rng.integers(0, 2, size=(TURNS, len(sums))) * 2.0 - 1.0
        p = float((1 + (np.abs(turns @ sums) >= observed - TIE).sum()) / (1 + TURNS))
    return Signs(float((product > 0).sum()) / n, p, n)
