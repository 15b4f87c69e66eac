"""Genes that are neighbours on the genome share variants, hence errors: they are one block, moved as one."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Numbers = npt.NDArray[np.intp]

LONGEST = 3.0
"""A chain of neighbours is cut, at its widest gaps, until no block spans more than this many block lengths.

Whole transcriptomes have a gene every 300 kb or so: without a cut, chromosomes would be blocks.
"""


def ld_blocks(*, chromosome: Sequence[str], position: Floats, block_kb: float) -> Numbers:
    """Block of each gene (g,), numbered along the genome; a gene without a place is a block of its own.

    Genes nearer than `block_kb` are linked; see LONGEST for long chains.
    """
    names = np.array([str(one) for one in chromosome], dtype=object)
    placed = np.isfinite(position) & (names != "")
    block: Numbers = np.full(len(names), -1, dtype=np.intp)
    count = 0
    for name in sorted(set(names[placed])):
        rows = np.flatnonzero(placed & (names == name))
        rows = rows[np.argsort(position[rows], kind="stable")]
        for piece in _pieces(position[rows], 1e3 * block_kb):
            block[rows[piece]] = count
            count += 1
    alone = np.flatnonzero(~placed)
    block[alone] = count + np.arange(alone.size)
    return block


def _pieces(place: Floats, length: float) -> list[slice]:
    """Slices of sorted places: cut at gaps of `length` and more, then at the widest gaps of long ones."""
    waiting, done = [slice(0, len(place))], []
    while waiting:
        piece = waiting.pop()
        gaps = np.diff(place[piece])
        far = np.flatnonzero(gaps >= length)
        if not far.size and gaps.sum() > LONGEST * length:
            far = np.flatnonzero(gaps == gaps.max())
        if not far.size:
            done.append(piece)
            continue
        cuts = [piece.start, *(piece.start + far + 1).tolist(), piece.stop]
        waiting += [slice(a, b) for a, b in pairwise(cuts)]
    return sorted(done, key=lambda piece: piece.start)


def strata_of_blocks(*, level: Floats, block: Numbers, n_strata: int) -> Numbers:
    """Stratum of each gene (g,): blocks in `n_strata` equal groups by the mean `level` of their genes.

    Genes whose level is unknown do not count; blocks without any are the first stratum's.
    """
    n_blocks = int(block.max()) + 1 if block.size else 0
    known = np.isfinite(level)
    total = np.bincount(block[known], weights=level[known], minlength=n_blocks)
    count = np.bincount(block[known], minlength=n_blocks)
    mean = np.where(count > 0, total / np.maximum(count, 1), -np.inf)
    order = np.argsort(mean, kind="stable")
    stratum: Numbers = np.empty(n_blocks, dtype=np.intp)
    stratum[order] = np.arange(n_blocks) * min(n_strata, max(n_blocks, 1)) // max(n_blocks, 1)
    if mean.size and mean.min() == mean.max():
        stratum[:] = 0
    return stratum[block]
