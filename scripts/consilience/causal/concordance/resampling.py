"""Intervals from resampled blocks: each draw takes as many blocks as there are, with replacement."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from consilience.foundation.seeds import stream

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Numbers = npt.NDArray[np.intp]

DRAWS = 1000


def block_draws(*, n_blocks: int, seed: int, n: int = DRAWS) -> Floats:
    """How often each block is in each draw: (n, n_blocks)."""
    rng = stream(seed, "resampled-blocks", n_blocks)
    found: Floats = rng.multinomial(n_blocks, np.full(n_blocks, 1.0 / n_blocks), size=n).astype(np.float64)
    return found


def interval(estimate: float, draws: Floats, *, widening: float = 1.0) -> tuple[float, float]:
    """95 % percentiles of the draws, stretched around the estimate; NaN where a tenth are undefined."""
    known = draws[np.isfinite(draws)]
    if not np.isfinite(estimate) or known.size < 0.9 * draws.size or not known.size:
        return float("nan"), float("nan")
    low, high = np.percentile(known, [2.5, 97.5])
    return float(estimate + widening * (low - estimate)), float(estimate + widening * (high - estimate))


def correlation_interval(r: float, draws: Floats, *, widening: float = 1.0) -> tuple[float, float]:
    """The same on Fisher's scale, so that no limit lies beyond ±1."""
    with np.errstate(divide="ignore"):
        limits = interval(float(np.arctanh(r)), np.arctanh(np.clip(draws, -1 + 1e-12, 1 - 1e-12)),
                          widening=widening)  # fmt: skip
    return float(np.tanh(limits[0])), float(np.tanh(limits[1]))
