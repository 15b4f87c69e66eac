"""LD of any set of variants, gathered from the matrices of a cohort, and greedy pruning by it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from consilience.causal.instruments.ld_table import Locus

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Integers = npt.NDArray[np.int64]
    Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Ld:
    """Matrices of a cohort by variant: `locus` and `row` from start[v] to start[v + 1] are variant v's.

    A variant may be in several matrices; the correlation of two variants is that of the first matrix, in the
    order of the loci's names, that has both, and 0 where none has.
    """

    loci: tuple[Locus, ...]
    start: Integers
    locus: Integers
    row: Integers

    def among(self, variants: Integers) -> tuple[Floats, int]:
        """Correlations (m, m) of the variants (m,), and how many of their pairs no matrix has."""
        return self.between(variants, variants)

    def between(self, first: Integers, second: Integers) -> tuple[Floats, int]:
        """Correlations (a, b) of two sets of variants; how many of their pairs (each once) no matrix has."""
        r = np.full((len(first), len(second)), np.nan)
        for locus, mine, rows in self._places(first):
            here = [(theirs, columns) for name, theirs, columns in self._places(second) if name == locus]
            for theirs, columns in here:
                block = r[np.ix_(mine, theirs)]
                found = self.loci[locus].r[np.ix_(rows, columns)]
                r[np.ix_(mine, theirs)] = np.where(np.isnan(block), found, block)
        absent = np.isnan(r)
        n_absent = int(absent.sum())
        if n_absent:
            r[absent] = (first[:, None] == second)[absent]
        return r, n_absent // 2 if first is second else n_absent

    def near(self, variant: int) -> tuple[Integers, Floats]:
        """All variants that a matrix has with this one, and their correlations with it."""
        entries = range(int(self.start[variant]), int(self.start[variant + 1]))
        variants = [self.loci[self.locus[one]].variant for one in entries]
        r = [self.loci[self.locus[one]].r[self.row[one]] for one in entries]
        return np.concatenate([np.empty(0, np.int64), *variants]), np.concatenate([np.empty(0), *r])

    def _places(self, variants: Integers) -> list[tuple[int, npt.NDArray[np.intp], Integers]]:
        """Of each matrix with any of the variants: its number, places in `variants`, rows in the matrix."""
        counts = self.start[variants + 1] - self.start[variants]
        place = np.repeat(np.arange(len(variants)), counts)
        entry = np.repeat(self.start[variants] - np.cumsum(counts) + counts, counts) + np.arange(counts.sum())
        locus = self.locus[entry]
        if not locus.size:
            return []
        if (locus == locus[0]).all():
            return [(int(locus[0]), place, self.row[entry])]
        return [(int(one), place[locus == one], self.row[entry[locus == one]]) for one in np.unique(locus)]


def gather(loci: Sequence[Locus], *, n_variants: int) -> Ld:
    """Index the matrices by variant."""
    ordered = tuple(sorted(loci, key=lambda locus: locus.name))
    sizes = [len(locus.variant) for locus in ordered]
    variant = np.concatenate([np.empty(0, dtype=np.int64), *(locus.variant for locus in ordered)])
    order = np.argsort(variant, kind="stable")
    start = np.searchsorted(variant[order], np.arange(n_variants + 1))
    row = np.concatenate([np.empty(0, dtype=np.int64), *map(np.arange, sizes)])
    return Ld(ordered, start.astype(np.int64), np.repeat(np.arange(len(sizes)), sizes)[order], row[order])


def prune(r: Floats, *, r2: float, n_first: int = 0) -> Flags:
    """Which of m variants, strongest first, are kept: none has r² >= `r2` with a kept one before it.

    The first `n_first` are kept in any case.
    """
    close = r**2 >= r2
    kept = np.zeros(len(r), dtype=bool)
    free = np.ones(len(r), dtype=bool)
    for place in range(len(r)):
        if place < n_first or free[place]:
            kept[place] = True
            free &= ~close[place]
    return kept
