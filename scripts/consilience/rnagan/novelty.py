"""Is a query like either kind of reference at all? A probability says nothing about other kinds.

The distance of a sample to a kind is its mean squared difference from the kind's mean profile, gene by gene
in units of the spread within kinds. A reference's own distance is taken with its patient left out, mean and
spread included; a query's with each of the same patients left out in turn, so that both are compared with as
many patients (Barber et al., Ann. Statist. 49:486, 2021: the jackknife+). In many dimensions distances
concentrate, and their logarithm is about normal.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from consilience.rnagan.calibration import donor_weights
from consilience.rnagan.comparison import Comparison

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Flags = npt.NDArray[np.bool_]
    Text = npt.NDArray[np.str_]

MOST_LEFT_OUT = 40
"""Patients of each kind left out in turn; more change little and cost time."""
_BLOCK_ENTRIES = 1 << 22


@dataclass(frozen=True)
class Novelty:
    """Arrays (n,), one value per query.

    `flag`; `p_value` that a patient of the nearer kind is as far off or farther; `distance` relative to that
    kind's own patients (1: as far as they; 2: twice the mean squared distance, NaN where not known); `notes`
    on what could not be judged.
    """

    flag: Flags
    p_value: Floats
    distance: Floats
    notes: tuple[str, ...]


def novelty(ready: Comparison, *, level: float, observed: Flags | None = None) -> Novelty:
    """Flag queries that are farther from both kinds than all but `level` of the kinds' own patients.

    A sample without a usable gene is always flagged.
    """
    kinds = np.zeros(len(ready.units), dtype=np.intp)
    kinds[len(ready.positives) :] = 1
    genes = np.ones(len(ready.queries.genes), dtype=bool) if observed is None else observed
    p_value, distance = outlyingness(
        ready.queries.values[:, genes], references=ready.references[:, genes],
        kinds=kinds, units=ready.units, level=level,
    )  # fmt: skip
    empty = ready.usable_genes == 0
    p_value = np.where(empty, 0.0, p_value)
    notes: tuple[str, ...] = ()
    if np.isnan(distance).all() and len(distance):
        notes = (
            "novelty cannot be judged with so few reference patients: nothing but empty samples is flagged",
        )
    return Novelty(p_value <= level, p_value, distance, notes)


def outlyingness(
    queries: npt.NDArray[np.floating],
    *,
    references: npt.NDArray[np.floating],
    kinds: npt.NDArray[np.intp],
    units: Text,
    level: float,
) -> tuple[Floats, Floats]:
    """p-value and relative distance (n,) of queries (n, G), by the nearer kind.

    `references` (N, G), `kinds` (N,) small integers, `units` (N,) patients. The p-value is Student's t on
    log distances (their standard deviation pooled over kinds), which works with five patients; where a kind
    has at least 1 / `level` - 1 patients, the larger of it and the conformal p-value, so that the false-alarm
    rate holds without any assumption on the distribution. Without degrees of freedom: 1 and NaN.
    """
    from scipy.stats import t

    found = [
        _kind(queries, references, kinds=kinds, units=units, kind=kind) for kind in np.unique(kinds).tolist()
    ]
    judged = [one for one in found if one is not None]
    df = sum(one.n_units - 1 for one in judged)
    if df < 1:
        return np.ones(len(queries)), np.full(len(queries), np.nan)
    squares = sum(float(one.weights @ (one.own - one.centre) ** 2) for one in judged)
    spread = max(float(np.sqrt(squares / df)), 1e-6)
    p_values, distances = [], []
    for one in judged:
        excess = one.of_queries - one.centre
        p = t.sf(excess / (spread * np.sqrt(1 + 1 / one.n_units)), df)
        if one.n_units + 1 >= 1 / level:
            p = np.maximum(p, one.conformal())
        p_values.append(p)
        distances.append(np.exp(excess))
    return np.max(p_values, axis=0), np.min(distances, axis=0)


@dataclass(frozen=True)
class _Kind:
    """Log distances to one kind.

    `of_queries` (n,); `own` (k,) of its samples with `weights` (k,), which sum to the number of patients.
    """

    of_queries: Floats
    own: Floats
    weights: Floats
    n_units: int

    @property
    def centre(self) -> float:
        """Mean log distance of the kind's own patients."""
        return float(self.weights @ self.own / self.weights.sum())

    def conformal(self) -> Floats:
        """Share of patients at least as far off as each query (n,), the query counted in."""
        order = np.argsort(self.own, kind="stable")
        at_least = np.append(np.cumsum(self.weights[order][::-1])[::-1], 0.0)
        place = np.searchsorted(self.own[order], self.of_queries - 1e-12, side="left")
        return np.asarray((1.0 + at_least[place]) / (self.n_units + 1.0))


def _kind(
    queries: npt.NDArray[np.floating],
    references: npt.NDArray[np.floating],
    *,
    kinds: npt.NDArray[np.intp],
    units: Text,
    kind: int,
) -> _Kind | None:
    """Distances to one kind; None where it has one patient only."""
    everyone = np.unique(units[kinds == kind])
    if len(everyone) < 2:
        return None
    # evenly through the sorted names: no random number, no dependence on the order of samples
    chosen = everyone[np.unique(np.linspace(0, len(everyone) - 1, MOST_LEFT_OUT).round().astype(int))]
    origin = references.mean(axis=0, dtype=np.float64)
    x = references.astype(np.float64) - origin
    measures = [_Measure.without(x, kinds=kinds, out=units == unit, kind=kind) for unit in chosen]
    own, of_units = [], []
    for unit, measure in zip(chosen, measures, strict=True):
        rows = (units == unit) & (kinds == kind)
        own.append(measure.log_distance(x[rows]))
        of_units.append(units[rows])
    of_queries = np.empty(len(queries))
    step = max(1, _BLOCK_ENTRIES // max(1, queries.shape[1]))
    for start in range(0, len(queries), step):
        part = queries[start : start + step].astype(np.float64) - origin
        of_queries[start : start + step] = _log_distances(part, measures).mean(axis=1)
    names = np.concatenate(of_units)
    weights = donor_weights(names, positive=np.ones(len(names), dtype=bool))
    return _Kind(of_queries, np.concatenate(own), weights, len(chosen))


@dataclass(frozen=True)
class _Measure:
    """A kind's mean profile and each gene's weight (G,), one patient left out."""

    mean: Floats
    weight: Floats

    @classmethod
    def without(cls, x: Floats, *, kinds: npt.NDArray[np.intp], out: Flags, kind: int) -> _Measure:
        squares, df = np.zeros(x.shape[1]), 0
        for one in np.unique(kinds):
            rows = x[(kinds == one) & ~out]
            if len(rows) > 1:
                squares += rows.var(axis=0) * len(rows)
                df += len(rows) - 1
        variance = squares / max(df, 1)
        positive = variance[variance > 0]
        floor = float(np.median(positive)) if positive.size else 1.0
        return cls(x[(kinds == kind) & ~out].mean(axis=0), 1.0 / (variance + floor))

    def log_distance(self, x: Floats) -> Floats:
        """Log of the weighted mean squared difference (n,) of samples (n, G)."""
        difference = x - self.mean
        return np.log(np.maximum((difference * difference) @ self.weight / len(self.weight), 1e-300))


def _log_distances(x: Floats, measures: list[_Measure]) -> Floats:
    """`log_distance` of samples (n, G) by each of k measures, as three matrix products: (n, k)."""
    weights = np.stack([one.weight for one in measures], axis=1)
    weighted = np.stack([one.weight * one.mean for one in measures], axis=1)
    constant = np.array([float((one.weight * one.mean) @ one.mean) for one in measures])
    found = (x * x) @ weights - 2.0 * (x @ weighted) + constant
    return np.asarray(np.log(np.maximum(found / x.shape[1], 1e-300)))
