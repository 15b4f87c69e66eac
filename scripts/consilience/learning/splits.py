"""Splits that never part a patient: repeated by donor, one cohort left out, references drawn from patients.

All depend on names and seeds only: neither the order of the samples nor a further cohort changes a split.
Rows are always given in ascending order of the caller's own numbering, except references, whose order is
that of the draw.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from consilience.foundation.errors import DataError
from consilience.foundation.seeds import stream

if TYPE_CHECKING:
    import numpy.typing as npt

    Rows = npt.NDArray[np.intp]
    Text = npt.NDArray[np.str_]
    Flags = npt.NDArray[np.bool_]

LEAST_LEFT = 4
"""Samples of each label that a draw of references leaves for the test."""


@dataclass(frozen=True)
class Split:
    """`train` and `test` rows, in ascending order; no donor is on both sides. `name` says which split."""

    name: str
    train: Rows
    test: Rows


@dataclass(frozen=True)
class ReferenceDraw:
    """References of both kinds in the order drawn, `test` rows of other donors in ascending order.

    `negative` is empty where only positive references were asked for.
    """

    number: int
    positive: Rows
    negative: Rows
    test: Rows


def donor_splits(
    donors: Text, *, labels: Text, n_splits: int, test_share: float, seed: int
) -> Iterator[Split]:
    """Repeated random splits by donor, stratified by what labels a donor has.

    `donors`, `labels` (n,). Donors with the same set of labels form a stratum; of each, the share
    `test_share` of its donors (rounded at random, so that small strata are not always left out) is held out.
    Both sides get at least one donor.
    """
    _check_share(donors, labels=labels, test_share=test_share)
    strata = _strata(donors, labels=labels)
    for number in range(n_splits):
        rng = stream(seed, "donor split", number)
        held: set[str] = set()
        for members in strata:
            wanted = test_share * len(members)
            count = int(wanted) + int(rng.random() < wanted - int(wanted))
            held.update(members[place] for place in rng.permutation(len(members))[:count])
        held = _both_sides(held, everyone=sorted(set(donors.tolist())), rng=rng)
        yield _split(f"split {number}", np.isin(donors, sorted(held)))


def donor_folds(donors: Text, *, labels: Text, n_folds: int, seed: int) -> Iterator[Split]:
    """Each donor is held out in exactly one of `n_folds` folds, strata dealt out evenly."""
    everyone = sorted(set(donors.tolist()))
    if not 2 <= n_folds <= len(everyone):
        raise DataError(
            "this many folds cannot be made", value=n_folds, allowed=f"2 to {len(everyone)}, the donors"
        )
    rng = stream(seed, "donor folds", n_folds)
    dealt: list[str] = []
    for members in _strata(donors, labels=labels):
        dealt += [members[place] for place in rng.permutation(len(members))]
    fold_of = {donor: place % n_folds for place, donor in enumerate(dealt)}
    folds = np.array([fold_of[donor] for donor in donors.tolist()])
    for fold in range(n_folds):
        yield _split(f"fold {fold}", folds == fold)


def cohort_splits(cohorts: Text, *, donors: Text) -> Iterator[Split]:
    """Leave one cohort out; donors of the cohort held out who are in others too are left out of training."""
    present = sorted(set(cohorts.tolist()))
    if len(present) < 2:
        raise DataError("one cohort only: none can be held out", value=", ".join(present))
    for cohort in present:
        test = cohorts == cohort
        train = ~test & ~np.isin(donors, donors[test])
        if not train.any():
            raise DataError("every donor of the other cohorts is in this one too", where=cohort)
        yield Split(cohort, np.flatnonzero(train), np.flatnonzero(test))


def reference_draws(
    positive: Flags,
    *,
    names: Text,
    donors: Text,
    n_references: int,
    n_draws: int,
    seed: int,
    key: str = "",
    references: Flags | None = None,
    test: Flags | None = None,
    least_left: int = LEAST_LEFT,
) -> Iterator[ReferenceDraw]:
    """`n_draws` times `n_references` samples per kind as references, all samples of other donors as test.

    `positive` (n,) says which samples are of the positive kind; `names` are distinct. `references` and `test`
    (n,) restrict where either may come from (a training donor, another cohort). A kind gives fewer references
    than asked where more would leave less than `least_left` test samples of either kind. The second kind is
    drawn from donors already drawn as far as they go, so that few donors are lost for the test.
    """
    _check_draws(positive, names=names, n_references=n_references)
    from_here = np.ones(len(names), dtype=bool) if references is None else references
    to_here = np.ones(len(names), dtype=bool) if test is None else test
    sizes = reference_sizes(positive, references=from_here, test=to_here, least_left=least_left)
    order = np.argsort(names, kind="stable")
    for number in range(n_draws):
        rng = stream(seed, "references", key, n_references, number)
        ledger = _Ledger.of(positive, donors=donors, test=to_here, least_left=least_left)
        chosen: dict[bool, Rows] = {}
        for kind in sorted((True, False), key=lambda kind: (sizes[kind], not kind)):
            pool = order[(from_here & (positive == kind))[order]]
            shuffled = pool[rng.permutation(len(pool))]
            first = np.argsort(~np.isin(donors[shuffled], sorted(ledger.used)), kind="stable")
            chosen[kind] = ledger.take(shuffled[first], most=min(n_references, sizes[kind]))
        rows = np.flatnonzero(to_here & ~np.isin(donors, sorted(ledger.used)))
        if min(len(chosen[True]), len(chosen[False])) == 0 or len(np.unique(positive[rows])) < 2:
            raise DataError(
                "references and test samples of both kinds cannot be had from different donors",
                value=f"{n_references} references per kind",
                mend="more donors are needed; all samples of a reference's donor are kept out of the test",
            )
        yield ReferenceDraw(number, chosen[True], chosen[False], rows)


@dataclass
class _Ledger:
    """Which donors are used, and how many test samples of each kind the others still have."""

    donors: Text
    tests_of: dict[str, npt.NDArray[np.int64]]
    left: npt.NDArray[np.int64]
    least: npt.NDArray[np.int64]
    used: set[str]

    @classmethod
    def of(cls, positive: Flags, *, donors: Text, test: Flags, least_left: int) -> _Ledger:
        tests_of: dict[str, npt.NDArray[np.int64]] = {}
        for row in np.flatnonzero(test):
            tests_of.setdefault(str(donors[row]), np.zeros(2, dtype=np.int64))[int(positive[row])] += 1
        left = sum(tests_of.values(), start=np.zeros(2, dtype=np.int64))
        return cls(donors, tests_of, left, np.minimum(left, least_left), set())

    def take(self, candidates: Rows, *, most: int) -> Rows:
        """The first `most` candidates whose donors can be spared from the test."""
        taken: list[int] = []
        for row in candidates.tolist():
            if len(taken) == most:
                break
            donor = str(self.donors[row])
            if donor not in self.used:
                after = self.left - self.tests_of.get(donor, 0)
                if (after < self.least).any():
                    continue
                self.left = after
                self.used.add(donor)
            taken.append(row)
        return np.array(taken, dtype=np.intp)


def reference_sizes(
    positive: Flags,
    *,
    references: Flags | None = None,
    test: Flags | None = None,
    least_left: int = LEAST_LEFT,
) -> dict[bool, int]:
    """The most references that each kind (True: positive) can give."""
    n = len(positive)
    from_here = np.ones(n, dtype=bool) if references is None else references
    to_here = np.ones(n, dtype=bool) if test is None else test
    kept_back = 0 if not (from_here & to_here).any() else least_left
    most = {kind: int((from_here & (positive == kind)).sum()) - kept_back for kind in (True, False)}
    if min(most.values()) < 1:
        raise DataError(
            "too few samples to draw references and leave some for the test",
            value=f"{most[True] + kept_back} positive, {most[False] + kept_back} negative",
            allowed=f"at least {kept_back + 1} of each kind",
        )
    return most


def _strata(donors: Text, *, labels: Text) -> list[list[str]]:
    """Donors by the set of labels they have, sorted."""
    having: dict[str, set[str]] = {}
    for donor, label in zip(donors.tolist(), labels.tolist(), strict=True):
        having.setdefault(donor, set()).add(label)
    groups: dict[tuple[str, ...], list[str]] = {}
    for donor in sorted(having):
        groups.setdefault(tuple(sorted(having[donor])), []).append(donor)
    return [groups[kind] for kind in sorted(groups)]


def _both_sides(held: set[str], *, everyone: list[str], rng: np.random.Generator) -> set[str]:
    """The donors held out, one moved where a side would be empty."""
    if not held:
        return {everyone[int(rng.integers(len(everyone)))]}
    if len(held) == len(everyone):
        return held - {everyone[int(rng.integers(len(everyone)))]}
    return held


def _split(name: str, test: Flags) -> Split:
    return Split(name, np.flatnonzero(~test), np.flatnonzero(test))


def _check_share(donors: Text, *, labels: Text, test_share: float) -> None:
    if not 0.0 < test_share < 1.0:
        raise DataError("the share held out is out of range", value=test_share, allowed="between 0 and 1")
    if len(donors) != len(labels) or len(set(donors.tolist())) < 2:
        raise DataError(
            "a split by donor needs one label per sample and at least two donors",
            value=f"{len(donors)} donors' names, {len(labels)} labels, {len(set(donors.tolist()))} donors",
        )


def _check_draws(positive: Flags, *, names: Text, n_references: int) -> None:
    if len(positive) != len(names) or len(set(names.tolist())) != len(names):
        raise DataError(
            "references are drawn by name, and names must be distinct", value=f"{len(names)} names"
        )
    if n_references < 1:
        raise DataError("at least one reference per kind is needed", value=n_references)
