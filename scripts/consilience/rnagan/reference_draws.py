"""Draws of references: which of the reference samples stand for their kind in each of many scorings.

A draw never holds a patient twice and always leaves some patients out. The patients left out serve three
purposes: a reference is scored by the draws without its patient (that calibrates), a query by the draws
without its own patient, and the spread over draws gives the standard error of the mean score (the delete-d
jackknife of Shao and Wu, Ann. Statist. 17:1176, 1989).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from consilience.foundation.errors import ConfigError
from consilience.foundation.seeds import stream

if TYPE_CHECKING:
    import numpy.typing as npt

    Rows = npt.NDArray[np.intp]
    Text = npt.NDArray[np.str_]
    Flags = npt.NDArray[np.bool_]

LEFT_OUT = 0.25
"""Share of the patients that a draw leaves out where the number of references does not leave out more."""


@dataclass(frozen=True)
class Draws:
    """References of each of D draws.

    `positive` (D, R) and `negative` (D, S) rows of the reference samples, None without negatives;
    `positive_left_out`, `negative_left_out` mean share of the kind's units (patients) not in a draw.
    `ring`: draws 2i and 2i + 1 share their positives, 2i + 1 and 2i + 2 (the last and the first) their
    negatives, so that the spread can be told apart by kind.
    """

    positive: Rows
    negative: Rows | None
    positive_left_out: float
    negative_left_out: float
    ring: bool

    def __len__(self) -> int:
        return len(self.positive)


def draw_references(
    *,
    positive_units: Text,
    negative_units: Text | None,
    n_references: int,
    n_draws: int,
    seed: int,
) -> Draws:
    """`n_draws` draws of at most `n_references` samples per kind, no sample twice in one draw.

    `positive_units` (N,), `negative_units` (M,): the patient of each reference sample. Patients are drawn
    first, then their samples in turn, so that a draw holds as many patients as it can. Where a patient has
    samples of both kinds, both are left out together and the draws of the kinds go in parallel.
    """
    check_counts(n_references=n_references, n_draws=n_draws)
    if negative_units is None:
        rows, left = _sets(positive_units, None, n_references, n_draws, seed, "positive")
        return Draws(rows, None, left, 0.0, ring=False)
    both = np.intersect1d(positive_units, negative_units)
    if both.size:
        one = _sets(positive_units, both, n_references, n_draws, seed, "positive")
        other = _sets(negative_units, both, n_references, n_draws, seed, "negative")
        return Draws(one[0], other[0], one[1], other[1], ring=False)
    n_sets = max(1, n_draws // 2)
    one = _sets(positive_units, None, n_references, n_sets, seed, "positive")
    other = _sets(negative_units, None, n_references, n_sets, seed, "negative")
    place = np.arange(2 * n_sets)
    return Draws(one[0][place // 2], other[0][(place + 1) // 2 % n_sets], one[1], other[1], ring=n_sets >= 3)


def published_draws(
    *, n_positive: int, n_negative: int, n_references: int, n_draws: int, seed: int
) -> tuple[Rows, Rows]:
    """Draws with replacement, positions shared by both kinds as published: (D, R) positives, negatives."""
    check_counts(n_references=n_references, n_draws=n_draws)
    share = stream(seed, "published draws").random((n_draws, n_references))
    return (share * n_positive).astype(np.intp), (share * n_negative).astype(np.intp)


def free_draws(*, rows: Rows, units: Text, of: Text) -> Flags:
    """Whether draw d (of D) holds no sample of unit `of[k]` (K,): (D, K)."""
    codes = {unit: code for code, unit in enumerate(sorted(set(units.tolist())))}
    held = np.zeros((len(rows), len(codes) + 1), dtype=bool)
    coded = np.array([codes[unit] for unit in units.tolist()], dtype=np.intp)
    held[np.arange(len(rows))[:, None], coded[rows]] = True
    asked = np.array([codes.get(unit, len(codes)) for unit in of.tolist()], dtype=np.intp)
    return ~held[:, asked]


def standard_error(logits: npt.NDArray[np.float64], *, draws: Draws) -> npt.NDArray[np.float64]:
    """Standard error of the mean logit of each query, for a new choice of reference patients: (n,).

    `logits` (D, n). The variance over draws is blown up by kept / left out, as draws overlap.
    NaN where a kind has one patient only (nothing is ever left out).
    """
    one = _blow_up(draws.positive_left_out)
    other = 0.0 if draws.negative is None else _blow_up(draws.negative_left_out)
    y = logits - logits.mean(axis=0)
    total = (y * y).sum(axis=0) / max(1, len(y) - 1)
    if not draws.ring:
        return np.asarray(np.sqrt(total * max(one, other) if np.isfinite(one + other) else total * np.nan))
    same_positive = np.maximum((y[0::2] * y[1::2]).mean(axis=0), 0.0)
    same_negative = np.maximum((y[1::2] * np.roll(y[0::2], -1, axis=0)).mean(axis=0), 0.0)
    # what neither kind explains alone belongs to both
    rest = np.maximum(total - same_positive - same_negative, 0.0) / 2
    return np.asarray(np.sqrt(one * (same_positive + rest) + other * (same_negative + rest)))


def check_counts(*, n_references: int, n_draws: int) -> None:
    """Refuse numbers of references or draws that cannot be."""
    for name, value in (("n_references", n_references), ("n_draws", n_draws)):
        if value < 1:
            raise ConfigError("must be at least 1", where=name, value=value)


def _blow_up(left_out: float) -> float:
    return (1.0 - left_out) / left_out if left_out > 0 else np.nan


def _sets(
    units: Text, both: Text | None, n_references: int, n_sets: int, seed: int, kind: str
) -> tuple[Rows, float]:
    """Rows (n_sets, R) of one kind, and the mean share of its units that a set does not hold."""
    everyone = np.unique(units)
    shared = np.isin(everyone, both) if both is not None else np.zeros(len(everyone), dtype=bool)
    kept = np.ones((n_sets, len(everyone)), dtype=bool)
    for members, key in ((shared, "both"), (~shared, kind)):
        places = np.flatnonzero(members)
        # shared patients are left out alike in both kinds, so only their own number may decide how many
        most = len(places) if key == "both" else n_references
        kept[:, places] = ~_left_out(len(places), n_sets, most, stream(seed, "left out", key))
    samples = [np.flatnonzero(units == unit) for unit in everyone]
    available = kept @ np.array([len(rows) for rows in samples])
    width = int(min(n_references, available.min()))
    rows = np.stack(
        [
            _in_turn([samples[k] for k in np.flatnonzero(kept[d])], width, stream(seed, "samples", kind, d))
            for d in range(n_sets)
        ]
    )
    used = np.mean([len(np.unique(units[row])) for row in rows]) / len(everyone)
    return rows, float(1.0 - used)


def _left_out(n: int, n_sets: int, most: int, rng: np.random.Generator) -> Flags:
    """Whether unit k is left out of set d (n_sets, n); each about equally often; none of a single unit."""
    count = 0 if n < 2 else max(round(LEFT_OUT * n), n - most, 1)
    out = np.zeros((n_sets, n), dtype=bool)
    if count == 0:
        return out
    # disjoint chunks of one permutation after the other: of those left out, or of those kept, if fewer
    size, chunk_is_out = (count, True) if 2 * count <= n else (n - count, False)
    done = 0
    while done < n_sets:
        order = rng.permutation(n)
        for start in range(0, n - size + 1, size):
            if done < n_sets:
                out[done, order[start : start + size]] = True
                done += 1
    return out if chunk_is_out else ~out


def _in_turn(samples: list[Rows], width: int, rng: np.random.Generator) -> Rows:
    """One sample of each unit in random order, then a second of each, …, until there are `width`."""
    shuffled = [rng.permutation(rows) for rows in samples]
    order = rng.permutation(len(shuffled))
    rank = np.concatenate([np.arange(len(shuffled[k])) * len(order) + j for j, k in enumerate(order)])
    rows = np.concatenate([shuffled[k] for k in order])
    return np.asarray(rows[np.argsort(rank, kind="stable")][:width], dtype=np.intp)
