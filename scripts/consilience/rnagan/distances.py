"""Distances of samples to a kind of reference, measured without one of its patients."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Text = npt.NDArray[np.str_]

MOST_AXES = 5
PATIENTS_PER_AXIS = 3
MOST_ROWS = 60
"""Samples that the axes are taken from."""


@dataclass(frozen=True)
class Measure:
    """A kind's mean profile and each gene's weight (G,), and main axes (G, k) of the weighted differences."""

    mean: Floats
    weight: Floats
    axes: Floats


@dataclass(frozen=True)
class Cohort:
    """References `x` (N, G) about a common origin, their `kinds` (N,) and patients `units` (N,).

    `sums`, `squares` (kinds, G) and `counts` (kinds,) of each kind, so that leaving a patient out is cheap.
    """

    x: Floats
    kinds: npt.NDArray[np.intp]
    units: Text
    sums: Floats
    squares: Floats
    counts: Floats

    @classmethod
    def of(cls, x: Floats, *, kinds: npt.NDArray[np.intp], units: Text) -> Cohort:
        """Add up each kind; `kinds` are renumbered from 0."""
        _, kinds = np.unique(kinds, return_inverse=True)
        rows = [x[kinds == kind] for kind in range(int(kinds.max()) + 1)]
        return cls(
            x, kinds, units,
            np.array([part.sum(axis=0) for part in rows]), np.array([(part**2).sum(axis=0) for part in rows]),
            np.array([float(len(part)) for part in rows]),
        )  # fmt: skip

    def without(self, unit: str, *, kind: int) -> Measure:
        """The measure of distance to `kind` (as renumbered) without the samples of `unit`."""
        out = self.units == unit
        counts, sums, squares = self.counts.copy(), self.sums.copy(), self.squares.copy()
        for row in np.flatnonzero(out):
            place = self.kinds[row]
            counts[place] -= 1
            sums[place] -= self.x[row]
            squares[place] -= self.x[row] ** 2
        means = sums / np.maximum(counts, 1)[:, None]
        variance = np.maximum((squares - counts[:, None] * means**2).sum(axis=0), 0.0)
        variance /= max(float((counts - 1)[counts > 0].sum()), 1.0)
        # rounding leaves a trace of variance in genes that are constant
        variance[variance < 1e-9 * np.maximum(squares.sum(axis=0), 1e-9)] = 0.0
        varying = variance[variance > 0]
        weight = 1.0 / (variance + (float(np.median(varying)) if varying.size else 1.0))
        rows = np.flatnonzero(~out)
        rows = rows[np.unique(np.linspace(0, len(rows) - 1, MOST_ROWS).round().astype(int))]
        inner = (self.x[rows] - means[self.kinds[rows]]) * np.sqrt(weight)
        return Measure(means[kind], weight, _main_axes(inner, self._n_axes()))

    def _n_axes(self) -> int:
        """How many axes so many patients can show, one of them left out; alike for all of them."""
        free = len(np.unique(self.units)) - 1 - len(self.counts)
        return max(0, min(MOST_AXES, free // PATIENTS_PER_AXIS))


def log_distances(x: Floats, measures: list[Measure]) -> Floats:
    """Logs of distances of samples (n, G) by each of M measures: (2, n, M), or (1, n, M) without axes.

    First what is left without the main axes, last the whole weighted mean squared difference. Made of matrix
    products only.
    """
    weights = np.stack([one.weight for one in measures], axis=1)
    weighted = np.stack([one.weight * one.mean for one in measures], axis=1)
    constant = np.array([float((one.weight * one.mean) @ one.mean) for one in measures])
    whole = np.maximum((x * x) @ weights - 2.0 * (x @ weighted) + constant, 0.0)
    k = measures[0].axes.shape[1]
    found = [whole]
    if k:
        axes = np.concatenate([one.axes * np.sqrt(one.weight)[:, None] for one in measures], axis=1)
        middle = np.concatenate([(one.mean * np.sqrt(one.weight)) @ one.axes for one in measures])
        along = ((x @ axes - middle) ** 2).reshape(len(x), len(measures), k).sum(axis=2)
        found = [np.maximum(whole - along, 0.0), whole]
    return np.asarray(np.log(np.maximum(np.array(found) / x.shape[1], 1e-300)))


def _main_axes(inner: Floats, k: int) -> Floats:
    """The k main axes (G, k), of unit length, of rows that are differences from their means (n, G)."""
    values, vectors = np.linalg.eigh(inner @ inner.T)
    kept = vectors[:, ::-1][:, :k]
    lengths = np.sqrt(np.maximum(values[::-1][:k], 0.0))
    usable = lengths > 1e-9 * max(float(lengths.max(initial=0.0)), 1e-30)
    return np.asarray((inner.T @ kept) / np.where(usable, lengths, 1.0) * usable)
