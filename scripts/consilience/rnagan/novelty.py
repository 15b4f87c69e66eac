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
from consilience.rnagan.distances import Cohort, log_distances

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
    has enough patients for it, the larger of it and the conformal p-value, so that the false-alarm rate holds
    without any assumption on the distribution. The smaller one of both distances counts, twice (Bonferroni).
    Without degrees of freedom: 1 and NaN.
    """
    found = [
        _kind(queries, references, kinds=kinds, units=units, kind=kind) for kind in np.unique(kinds).tolist()
    ]
    judged = [one for one in found if one is not None]
    if not judged:
        return np.ones(len(queries)), np.full(len(queries), np.nan)
    ways = range(len(judged[0].own))
    p_values = [_p_values(judged, way, level=level / len(ways)) for way in ways]
    by_kind = np.minimum(np.min(p_values, axis=0) * len(ways), 1.0)
    distance = [np.exp(one.of_queries[-1] - one.centre(len(ways) - 1)) for one in judged]
    return by_kind.max(axis=0), np.min(distance, axis=0)


@dataclass(frozen=True)
class _Kind:
    """Log distances to one kind, in W ways.

    `of_queries` (W, n); `own` (W, k) of its samples with `weights` (k,), which sum to the number of patients.
    """

    of_queries: Floats
    own: Floats
    weights: Floats
    n_units: int

    def centre(self, way: int) -> float:
        """Mean log distance of the kind's own patients."""
        return float(self.weights @ self.own[way] / self.weights.sum())

    def conformal(self, way: int) -> Floats:
        """Share of patients at least as far off as each query (n,), the query counted in."""
        order = np.argsort(self.own[way], kind="stable")
        at_least = np.append(np.cumsum(self.weights[order][::-1])[::-1], 0.0)
        place = np.searchsorted(self.own[way][order], self.of_queries[way] - 1e-12, side="left")
        return np.asarray((1.0 + at_least[place]) / (self.n_units + 1.0))


def _p_values(judged: list[_Kind], way: int, *, level: float) -> Floats:
    """p-values (kinds, n) of one way to measure; the spread is pooled over the kinds."""
    from scipy.stats import t

    df = sum(one.n_units - 1 for one in judged)
    squares = sum(float(one.weights @ (one.own[way] - one.centre(way)) ** 2) for one in judged)
    spread = max(float(np.sqrt(squares / df)), 1e-6)
    found = []
    for one in judged:
        excess = (one.of_queries[way] - one.centre(way)) / (spread * np.sqrt(1 + 1 / one.n_units))
        p = t.sf(excess, df)
        found.append(np.maximum(p, one.conformal(way)) if one.n_units + 1 >= 1 / level else p)
    return np.array(found)


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
    cohort = Cohort.of(references.astype(np.float64) - origin, kinds=kinds, units=units)
    measures = [cohort.without(str(unit), kind=kind) for unit in chosen]
    own, of_units = [], []
    for unit, measure in zip(chosen, measures, strict=True):
        rows = (units == unit) & (kinds == kind)
        own.append(log_distances(cohort.x[rows], [measure])[:, :, 0])
        of_units.append(units[rows])
    of_queries = np.empty((len(own[0]), len(queries)))
    step = max(1, _BLOCK_ENTRIES // max(1, queries.shape[1]))
    for start in range(0, len(queries), step):
        part = queries[start : start + step].astype(np.float64) - origin
        of_queries[:, start : start + step] = log_distances(part, measures).mean(axis=2)
    names = np.concatenate(of_units)
    weights = donor_weights(names, positive=np.ones(len(names), dtype=bool))
    return _Kind(of_queries, np.concatenate(own, axis=1), weights, len(chosen))
