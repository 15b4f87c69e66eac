"""The population side dealt anew: whole blocks change places within their stratum of expression.

What is kept: the values themselves, neighbours beside neighbours on both sides, the level of expression, and
the cell side with every correlation that it has (the same deal serves all cell types, so that they stay as
dependent as they are). What is tested: that the population's values have nothing to do with which gene it is.
This is exact where the population side is a draw without structure over blocks. It says nothing of a cell
side whose genes moved together by chance with its few donors while the trait's genes are of one program: for
that see donors.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

from consilience.causal.concordance.correlations import from_sums
from consilience.foundation.seeds import stream

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Numbers = npt.NDArray[np.intp]

AT_ONCE = 250
TIE = 1e-9


def dealt(*, block: Numbers, stratum: Numbers, n: int, seed: int) -> Iterator[Numbers]:
    """`n` deals in pieces (≤ 250, g): row k says which gene's population value each gene gets.

    Genes must be in genome order. Blocks of a stratum are laid end to end in random order.
    """
    places = [np.flatnonzero(stratum == one) for one in np.unique(stratum)]
    for number, start in enumerate(range(0, n, AT_ONCE)):
        rng = stream(seed, "blocks", number)
        size = min(AT_ONCE, n - start)
        keys = rng.random((AT_ONCE, int(block.max()) + 1))[:size]
        deal: Numbers = np.empty((size, len(block)), dtype=np.intp)
        for rows in places:
            deal[:, rows] = rows[np.argsort(keys[:, block[rows]], axis=1, kind="stable")]
        yield deal


def null_correlations(
    *, x: Floats, y: Floats, block: Numbers, stratum: Numbers, n: int, seed: int
) -> Floats:  # fmt: skip
    """Correlations (n, types) of dealt x (g,) with y (types, g), NaN where a type lacks the gene."""
    there = np.isfinite(y).astype(np.float64)
    values = np.where(np.isfinite(y), y, 0.0)
    count, total, square = there.sum(axis=1), values.sum(axis=1), (values**2).sum(axis=1)
    found = []
    for deal in dealt(block=block, stratum=stratum, n=n, seed=seed):
        new = x[deal]
        sums = from_sums(count, new @ there.T, total, (new**2) @ there.T, new @ values.T, square)
        found.append(sums.r)
    return np.concatenate(found)


def p_of(observed: Floats, null: Floats) -> Floats:
    """Two-sided p (types,) of `observed` (types,) among `null` (n, types), itself counted once."""
    with np.errstate(invalid="ignore"):
        # a deal without a correlation (constant by chance) counts against
        beyond = (~(np.abs(null) < np.abs(observed) - TIE)).sum(axis=0)
    return np.where(np.isfinite(observed), (1.0 + beyond) / (1.0 + len(null)), np.nan)


def p_of_greatest(observed: Floats, null: Floats) -> float:
    """One p for all types: the greatest |r| in units of its own spread, under the same deals for all."""
    judged = np.isfinite(observed) & np.isfinite(null).all(axis=0)
    if not judged.any():
        return float("nan")
    spread = np.sqrt((null[:, judged] ** 2).mean(axis=0))
    spread = np.where(spread > 0, spread, np.inf)
    greatest = float((np.abs(observed[judged]) / spread).max())
    under = (np.abs(null[:, judged]) / spread).max(axis=1)
    return float((1 + (under >= greatest - TIE).sum()) / (1 + len(null)))
