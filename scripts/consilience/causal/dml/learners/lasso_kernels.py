"""Lasso by coordinate descent on sums of products that all targets share."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from consilience.foundation.compiled import compiled

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]


@compiled
def lasso_paths(
    gram: Floats, cross: Floats, penalties: Floats, tolerance: float, sweeps: int, paths: Floats
) -> None:
    """Fill `paths` (L, g, p): minima of ½ b'Gb - b'c + λ Σ|b| for each target's c and each falling λ.

    `gram` (p, p) with a positive diagonal, `cross` (g, p), `penalties` (g, L). Each λ starts from the last
    one's minimum; a sweep that moves no coefficient by more than `tolerance` (in units of the target) is
    the last.
    """
    p = gram.shape[0]
    for target in range(cross.shape[0]):
        weights = np.zeros(p)
        slope = cross[target].copy()
        for place in range(penalties.shape[1]):
            penalty = penalties[target, place]
            for _ in range(sweeps):
                largest = 0.0
                for j in range(p):
                    diagonal = gram[j, j]
                    pull = slope[j] + diagonal * weights[j]
                    new = 0.0
                    if pull > penalty:
                        new = (pull - penalty) / diagonal
                    elif pull < -penalty:
                        new = (pull + penalty) / diagonal
                    change = new - weights[j]
                    if change != 0.0:
                        weights[j] = new
                        for k in range(p):
                            slope[k] -= change * gram[k, j]
                        largest = max(largest, abs(change) * np.sqrt(diagonal))
                if largest <= tolerance:
                    break
            for j in range(p):
                paths[place, target, j] = weights[j]
