"""How many of the strongest genes of one side are among the strongest of the other."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Bools = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Overlap:
    """`count` of shared genes among the `k` strongest of each side, `expected` by chance, one-sided `p`."""

    k: int
    count: int
    expected: float
    p: float


def top_overlaps(*, x: Floats, y: Floats, sizes: Sequence[int], dealt: Floats) -> list[Overlap]:
    """Overlap of x and y (g,) in |z|; p among `dealt` (n, g), x with its blocks dealt anew.

    Ties go to the first genes. A list as long as all genes has nothing to choose: NaN.
    """
    n = len(x)
    longest = max((k for k in sizes if k < n), default=0)
    values = np.concatenate([x[None], dealt]) if longest else x[None]
    order = np.argsort(-np.abs(values), axis=1, kind="stable")[:, :longest]
    mine = np.argsort(-np.abs(y), kind="stable")
    found = []
    for k in sizes:
        if k >= n:
            found.append(Overlap(k, n, float("nan"), float("nan")))
            continue
        chosen = np.zeros(n, dtype=bool)
        chosen[mine[:k]] = True
        counts = chosen[order[:, :k]].sum(axis=1)
        p = (1 + int((counts[1:] >= counts[0]).sum())) / len(counts)
        found.append(Overlap(k, int(counts[0]), k * k / n, p))
    return found
