"""Labels that chance might have dealt: swapped within donors that have both, else dealt within batches."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations, product
from math import comb
from typing import TYPE_CHECKING

import numpy as np

from consilience.foundation.seeds import stream
from consilience.rnagan.markers.contrast import paired_donors

if TYPE_CHECKING:
    import numpy.typing as npt

    from consilience.learning.differential.donors import DonorUnits


@dataclass(frozen=True)
class Relabellings:
    """Other labellings of the units.

    `positive` (B, units) permuted labels without the true ones when `complete` (all that exist), else drawn
    at random; `possible` how many labellings exist, the true one among them.
    """

    positive: npt.NDArray[np.bool_]
    possible: int
    complete: bool


def relabellings(units: DonorUnits, *, count: int, seed: int) -> Relabellings:
    """Draw `count` labellings, or list all when there are no more than that."""
    groups, pairs = _groups(units)
    possible = 2 ** len(pairs)
    for donors, n_positive in groups:
        possible *= comb(len(donors), n_positive)
    if possible - 1 <= count:
        every = [_labels(units, chosen, flips) for chosen, flips in _all(groups, pairs)]
        others = [labels for labels in every if (labels != units.positive).any()]
        shape = (len(others), len(units.positive))
        return Relabellings(np.array(others, dtype=bool).reshape(shape), possible, complete=True)
    drawn = []
    for number in range(count):
        rng = stream(seed, "relabel", number)
        chosen = {
            donors[place]
            for donors, n_positive in groups
            for place in rng.permutation(len(donors))[:n_positive].tolist()
        }
        flips = {donor for donor, flip in zip(pairs, rng.random(len(pairs)) < 0.5, strict=True) if flip}
        drawn.append(_labels(units, chosen, flips))
    return Relabellings(np.array(drawn, dtype=bool), possible, complete=False)


def _groups(units: DonorUnits) -> tuple[list[tuple[list[str], int]], list[str]]:
    """Donors of one kind by the batches they are in, with how many are positive; and donors of both kinds."""
    paired = paired_donors(units)
    batches: dict[str, set[str]] = defaultdict(set)
    kind: dict[str, bool] = {}
    rows = zip(units.donors.tolist(), units.batches.tolist(), units.positive.tolist(), strict=True)
    for donor, batch, positive in rows:
        batches[donor].add(batch)
        kind[donor] = positive
    by_batch: dict[tuple[str, ...], list[str]] = defaultdict(list)
    for donor in sorted(kind):
        if donor not in paired:
            by_batch[tuple(sorted(batches[donor]))].append(donor)
    groups = [(donors, sum(kind[donor] for donor in donors)) for _, donors in sorted(by_batch.items())]
    return groups, sorted(paired)


def _all(groups: list[tuple[list[str], int]], pairs: list[str]) -> Iterator[tuple[set[str], set[str]]]:
    choices = [list(combinations(donors, n)) for donors, n in groups]
    for picks in product(*choices):
        for flips in product((False, True), repeat=len(pairs)):
            yield (
                {donor for pick in picks for donor in pick},
                {donor for donor, flip in zip(pairs, flips, strict=True) if flip},
            )


def _labels(units: DonorUnits, chosen: set[str], flips: set[str]) -> npt.NDArray[np.bool_]:
    paired = paired_donors(units)
    return np.array(
        [
            (positive != (donor in flips)) if donor in paired else donor in chosen
            for donor, positive in zip(units.donors.tolist(), units.positive.tolist(), strict=True)
        ]
    )
