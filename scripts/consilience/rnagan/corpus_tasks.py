"""Tasks: which two kinds of samples an episode tells apart, and which rows play which part.

Pure functions of row numbers, labels and donors. No donor gives both references and queries of an episode.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from consilience.sources.cells.matrix import Labels

if TYPE_CHECKING:
    import numpy.typing as npt

REST = "all others"
POOL = 4096
"""Rows of a level that one episode draws from at most."""
REFERENCE_SHARE = 0.7
"""Largest share of the donors that an episode keeps for references."""


@dataclass(frozen=True)
class Level:
    """One kind of samples: its `rows` (k,) and the donor of each, `donors` (k,)."""

    name: str
    rows: npt.NDArray[np.int32]
    donors: npt.NDArray[np.int32]


@dataclass(frozen=True)
class Family:
    """Levels of one label column that can be told apart pair by pair, perhaps `within` one type of cells."""

    column: str
    within: str
    levels: tuple[Level, ...]

    def task_name(self, positive: Level, negative: Level) -> str:
        """In words."""
        inside = f" in {self.within}" if self.within else ""
        return f"{self.column}{inside}: {positive.name} or {negative.name}"


@dataclass(frozen=True)
class Parts:
    """Rows of an episode: `positive` (R,), `negative` (S,), `query` (n,) and which `labels` are positive."""

    positive: npt.NDArray[np.int32]
    negative: npt.NDArray[np.int32]
    query: npt.NDArray[np.int32]
    labels: npt.NDArray[np.bool_]


def families_of(
    labels: Mapping[str, Labels], donors: npt.NDArray[np.int32], *, donor_column: str = "donor"
) -> list[Family]:
    """Every family of a cohort's label columns with at least two levels that can be used.

    A level can be used when two donors have it, as one gives references and another queries. Conditions and
    perturbations are told apart within each type of cells where there are several, because a mixture of
    types would give the answer away. In the column of donors itself every row counts as a donor.
    """
    types = labels.get("cell_type")
    families = []
    for column, values in labels.items():
        own = np.arange(donors.size, dtype=np.int32) if column == donor_column else donors
        parts: list[tuple[str, npt.NDArray[np.bool_]]] = [("", np.ones(donors.size, dtype=bool))]
        if column != "cell_type" and types is not None and len(types.levels) > 1:
            parts = [(name, types.codes == code) for code, name in enumerate(types.levels)]
        for within, rows in parts:
            levels = _levels(values, own, np.flatnonzero(rows))
            if len(levels) > 1:
                families.append(Family(column, within, levels))
    return families


def _levels(values: Labels, donors: npt.NDArray[np.int32], rows: npt.NDArray[np.intp]) -> tuple[Level, ...]:
    """Levels that at least two donors have among these rows."""
    order = rows[np.argsort(values.codes[rows], kind="stable")]
    codes = values.codes[order]
    found = []
    for code in np.unique(codes[codes >= 0]):
        mine = order[np.searchsorted(codes, code) : np.searchsorted(codes, code, side="right")].astype(
            np.int32
        )
        if mine.size > 1 and (donors[mine] != donors[mine[0]]).any():
            found.append(Level(values.levels[code], mine, donors[mine]))
    return tuple(found)


def draw_task(rng: np.random.Generator, family: Family, *, rest: float) -> tuple[Level, Level]:
    """Two levels of a family, or with probability `rest` (given three levels) one and all others."""
    first, second = rng.choice(len(family.levels), size=2, replace=False)
    positive, negative = family.levels[first], family.levels[second]
    if len(family.levels) > 2 and rng.random() < rest:
        others = [level for place, level in enumerate(family.levels) if place != first]
        negative = Level(REST, np.concatenate([level.rows for level in others]),
                         np.concatenate([level.donors for level in others]))  # fmt: skip
    return positive, negative


def draw_parts(
    rng: np.random.Generator, positive: Level, negative: Level, *, n_references: int, n_queries: int
) -> Parts:
    """Rows for the references of both levels and for the queries, half of them positive, in random order.

    Rows are drawn by turns from the donors of their side, each row once; where a side has too few, the rest
    is drawn again with replacement.
    """
    levels = [_pool(rng, level) for level in (positive, negative)]
    reference = _reference_donors(rng, levels, n_references)
    n_positive = n_queries // 2
    sides: dict[bool, list[npt.NDArray[np.int32]]] = {True: [], False: []}
    for level, wanted in zip(levels, (n_positive, n_queries - n_positive), strict=True):
        is_reference = np.isin(level.donors, reference)
        sides[True].append(_by_turns(rng, level, is_reference, n_references))
        sides[False].append(_by_turns(rng, level, ~is_reference, wanted))
    order = rng.permutation(n_queries)
    return Parts(sides[True][0], sides[True][1], np.concatenate(sides[False])[order], order < n_positive)


def companions(
    rng: np.random.Generator, level: Level, rows: npt.NDArray[np.int32], n: int
) -> npt.NDArray[np.int32]:
    """`n` rows of the level for each row, (k, n): itself and others of its donor (with replacement)."""
    if n == 1:
        return rows[:, None]
    found = np.flatnonzero(np.isin(level.rows, rows))
    donor_of = dict(zip(level.rows[found].tolist(), level.donors[found].tolist(), strict=True))
    groups = []
    for row in rows.tolist():
        own = level.rows[level.donors == donor_of[row]]
        groups.append(np.concatenate([[row], own[rng.integers(own.size, size=n - 1)]]))
    return np.array(groups, dtype=np.int32).reshape(len(rows), n)


def _pool(rng: np.random.Generator, level: Level) -> Level:
    if level.rows.size <= POOL:
        return level
    kept = rng.choice(level.rows.size, POOL, replace=False)
    # the donors of a level must stay at least two, or its references and queries could not be parted
    if (level.donors[kept] == level.donors[kept[0]]).all():
        kept[-1] = int(np.argmax(level.donors != level.donors[kept[0]]))
    return Level(level.name, level.rows[kept], level.donors[kept])


def _reference_donors(
    rng: np.random.Generator, levels: Sequence[Level], n_references: int
) -> npt.NDArray[np.int32]:
    """Donors that give references; the others give queries, and both have rows of both levels.

    A third to two thirds of the donors, more (up to `REFERENCE_SHARE`) where these have too few rows.
    """
    donors = np.unique(np.concatenate([level.donors for level in levels]))
    order = rng.permutation(donors.size)
    counts = np.stack([
        np.bincount(np.searchsorted(donors, level.donors), minlength=donors.size)[order] for level in levels
    ])  # fmt: skip
    enough = (np.cumsum(counts, axis=1) >= n_references).all(axis=0)
    least = int(np.argmax(enough)) + 1 if enough.any() else donors.size
    n = max(int(np.ceil(rng.uniform(1 / 3, 2 / 3) * donors.size)), least)
    is_reference = np.arange(donors.size) < max(1, min(n, int(REFERENCE_SHARE * donors.size)))
    has = counts > 0
    for side in (True, False):
        for mine, other in ((0, 1), (1, 0)):
            _move_one(is_reference, has[mine], has[other], to=side)
    return np.asarray(donors[order[is_reference]], dtype=np.int32)


def _move_one(
    is_reference: npt.NDArray[np.bool_], has: npt.NDArray[np.bool_], other: npt.NDArray[np.bool_], *, to: bool
) -> None:
    """Where side `to` has no donor of a level, move one there that the other level can spare."""
    if (has & (is_reference == to)).any():
        return
    there = has & (is_reference != to)
    needed = other & (is_reference != to)
    spare = there & ~needed if needed.sum() <= 1 else there
    is_reference[int(np.argmax(spare))] = to


def _by_turns(
    rng: np.random.Generator, level: Level, mask: npt.NDArray[np.bool_], n: int
) -> npt.NDArray[np.int32]:
    """`n` rows under `mask`, one of each donor by turns; when all are used, again with replacement."""
    rows, donors = level.rows[mask], level.donors[mask]
    if not n:
        return rows[:0]
    order = np.lexsort((rng.random(rows.size), donors))
    starts = np.flatnonzero(np.concatenate([[True], np.diff(donors[order]) != 0]))
    turn = np.arange(rows.size) - np.repeat(starts, np.diff(np.append(starts, rows.size)))
    drawn = rows[order[np.lexsort((rng.random(rows.size), turn))[:n]]]
    again = rows[rng.integers(rows.size, size=max(0, n - drawn.size))]
    return np.concatenate([drawn, again])
