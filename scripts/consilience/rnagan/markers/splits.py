"""Which donors are asked about and which they are compared with: never the same ones."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from consilience.foundation.seeds import stream

if TYPE_CHECKING:
    import numpy.typing as npt

    from consilience.rnagan.markers.cohort import Cohort


@dataclass(frozen=True)
class Split:
    """Rows of the samples: `reference` (what a refit may see, and references are drawn from) and `query`."""

    reference: npt.NDArray[np.intp]
    query: npt.NDArray[np.intp]


def folds(cohort: Cohort, positive: npt.NDArray[np.bool_], *, count: int, seed: int) -> list[Split]:
    """Every donor is asked about once, compared with all other donors; kinds and batches spread over folds.

    Depends on the labels `positive` (n,) and the donors' names, not on the order of samples.
    """
    donors, of_sample = np.unique(cohort.samples.donors, return_inverse=True)
    kind = _kind_of_donor(of_sample, positive, len(donors))
    count = min(count, int((kind != 0).sum()), int((kind != 1).sum()))
    fold = np.empty(len(donors), dtype=np.intp)
    fold[_spread_order(cohort, of_sample, kind, stream(seed, "folds"))] = np.arange(len(donors)) % count
    of_row = fold[of_sample]
    return [Split(np.flatnonzero(of_row != k), np.flatnonzero(of_row == k)) for k in range(count)]


def halves(cohort: Cohort, *, count: int, seed: int, seen: Collection[str] = ()) -> list[Split]:
    """`count` pairs of complementary halves of the donors, each asked about with the other's references.

    With `seen` donors (the scorer has been trained on them), references come from a half of these and queries
    from a half of the others.
    """
    donors, of_sample = np.unique(cohort.samples.donors, return_inverse=True)
    kind = _kind_of_donor(of_sample, cohort.positive, len(donors))
    known = np.isin(donors, sorted(seen))
    found = []
    for number in range(count):
        order = _spread_order(cohort, of_sample, kind, stream(seed, "halves", number))
        side = np.empty(len(donors), dtype=np.intp)
        for group in (known, ~known):
            mine = order[group[order]]
            side[mine] = np.arange(len(mine)) % 2
        for half in (0, 1):
            asked, compared = side == half, side != half
            if known.any():
                asked, compared = asked & ~known, compared & known
                if not has_both_kinds(cohort.positive[compared[of_sample]]):
                    compared = known
            found.append(Split(np.flatnonzero(compared[of_sample]), np.flatnonzero(asked[of_sample])))
    return found


def has_both_kinds(positive: npt.NDArray[np.bool_]) -> bool:
    """Whether a set of labels holds both kinds."""
    return bool(positive.any() and not positive.all())


def references(cohort: Cohort, rows: npt.NDArray[np.intp], *, most: int, seed: int) -> npt.NDArray[np.intp]:
    """At most `most` of these rows, as many donors as possible first (n_references,)."""
    if len(rows) <= most:
        return rows
    donors, of_row = np.unique(cohort.samples.donors[rows], return_inverse=True)
    key = stream(seed, "references").permutation(len(donors))[of_row]
    rank = np.zeros(len(rows), dtype=np.intp)
    for donor in range(len(donors)):
        mine = np.flatnonzero(of_row == donor)
        rank[mine] = np.arange(len(mine))
    return np.sort(rows[np.lexsort((key, rank))[:most]])


def _kind_of_donor(
    of_sample: npt.NDArray[np.intp], positive: npt.NDArray[np.bool_], n: int
) -> npt.NDArray[np.intp]:
    """0 only negative, 1 only positive, 2 both (donors,)."""
    has = np.bincount(of_sample, weights=positive, minlength=n) > 0
    lacks = np.bincount(of_sample, weights=~positive, minlength=n) > 0
    return np.where(has & lacks, 2, has.astype(np.intp)).astype(np.intp)


def _spread_order(
    cohort: Cohort, of_sample: npt.NDArray[np.intp], kind: npt.NDArray[np.intp], rng: np.random.Generator
) -> npt.NDArray[np.intp]:
    """Donors by kind, batch, chance: dealing them out in turn spreads kinds and batches evenly."""
    batch = np.unique(cohort.samples.batches, return_inverse=True)[1]
    of_donor = np.zeros(len(kind), dtype=np.intp)
    of_donor[of_sample] = batch
    # donors of both kinds stand in the middle, so that donors with either kind are neighbours; which kind
    # comes first is decided by a name, so that it does not matter which kind is called positive
    single = np.flatnonzero(kind != 2)
    first = int(kind[single[0]]) if single.size else 0
    place = np.where(kind == 2, 1, np.where(kind == first, 0, 2))
    return np.lexsort((rng.permutation(len(kind)), of_donor, place)).astype(np.intp)
