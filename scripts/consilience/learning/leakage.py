"""The same patient on both sides of a split, under the same name or under another.

A profile that was deposited twice, or sequenced twice, makes a test sample look easier than a new patient's.
Copies are found by what they measured: identical values, or an unusually high correlation once what all
samples share is taken away.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from consilience.foundation.errors import DataError, Problem
from consilience.learning.splits import Split

if TYPE_CHECKING:
    import numpy.typing as npt

    from consilience.learning.samples import Samples

    Rows = npt.NDArray[np.intp]

LEAST_CORRELATION = 0.98
"""Patients of one tissue reach 0.96 (TCGA cholangiocarcinoma), a library and a tenth of its reads 0.99."""
MOST_GENES = 2_000
LEAST_GENES = 20
"""With fewer genes that vary, unrelated samples correlate too often to tell anything but identity."""
BLOCK = 1_000


@dataclass(frozen=True)
class Copies:
    """Pairs of samples that are probably one: rows `first` < `second` (pairs,), by row.

    `correlation` (pairs,) float32 of what is left when each sample's and each gene's mean and scale are taken
    away; `identical` (pairs,) whether all values are equal.
    """

    first: Rows
    second: Rows
    correlation: npt.NDArray[np.float32]
    identical: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.first)

    def only(self, keep: npt.NDArray[np.bool_]) -> Copies:
        """These pairs."""
        return Copies(self.first[keep], self.second[keep], self.correlation[keep], self.identical[keep])


@dataclass(frozen=True)
class Leakage:
    """What of the test was seen in training: `donors` on both sides, and `copies` across (in any order)."""

    donors: tuple[str, ...]
    copies: Copies

    def __bool__(self) -> bool:
        return bool(self.donors) or len(self.copies) > 0


def find_copies(values: npt.NDArray[np.floating], *, least: float = LEAST_CORRELATION) -> Copies:
    """Pairs of rows of `values` (n, genes; log scale) that measured the same sample.

    A library sequenced again is found down to about a million reads; of shallower ones (and of cells) only
    identical copies reach `least`. A lower `least` finds more, and takes patients of a rare tissue for one.

    Time grows with n² · 2,000, memory with 1,000 · n: 5,000 samples take seconds. Samples whose genes are all
    the same value (an empty cell) are never taken for copies.
    """
    if not 0.0 < least <= 1.0:
        raise DataError("the least correlation is out of range", value=least, allowed="above 0, up to 1")
    if values.ndim != 2 or not np.isfinite(values).all():
        raise DataError("values are missing or infinite", value=f"shape {values.shape}")
    informative = values.max(axis=1, initial=-np.inf) > values.min(axis=1, initial=np.inf)
    rows = np.flatnonzero(informative)
    first, second = _identical(values, rows)
    if len(rows) > 2:
        near = _near(_profiles(values[rows]), least=least)
        first = np.concatenate([first, rows[near[0]]])
        second = np.concatenate([second, rows[near[1]]])
    pairs = np.unique(np.column_stack([first, second]), axis=0).reshape(-1, 2)
    one, other = pairs[:, 0].astype(np.intp), pairs[:, 1].astype(np.intp)
    equal = np.array(
        [np.array_equal(values[a], values[b]) for a, b in zip(one, other, strict=True)], dtype=bool
    )
    return Copies(one, other, _correlations(values, rows, one, other, equal), equal)


def leakage(samples: Samples, split: Split, *, least: float = LEAST_CORRELATION) -> Leakage:
    """Donors and copies on both sides of a split."""
    shared = np.intersect1d(samples.donors[split.train], samples.donors[split.test])
    both = np.concatenate([split.train, split.test])
    copies = find_copies(samples.values[both], least=least)
    n_train = len(split.train)
    across = copies.only((copies.first < n_train) & (copies.second >= n_train))
    named = Copies(both[across.first], both[across.second], across.correlation, across.identical)
    return Leakage(tuple(shared.tolist()), named)


def refuse_leakage(samples: Samples, split: Split, *, least: float = LEAST_CORRELATION) -> None:
    """Raise `DataError` that names each donor and each copy on both sides, if there are any."""
    found = leakage(samples, split, least=least)
    if not found:
        return
    mend = "give copies one donor (donors_with_copies_joined) and split again, or drop them (without_leakage)"
    problems = [
        Problem("a donor is in training and in test", where=split.name, value=donor, mend=mend)
        for donor in found.donors
    ]
    copies = found.copies
    for a, b, r, same in zip(copies.first, copies.second, copies.correlation, copies.identical, strict=True):
        how = "identical" if same else f"correlation {r:.3f}"
        pair = f"{samples.names[a]} (training), {samples.names[b]} (test)"
        problems.append(
            Problem(f"one sample is in training and in test ({how})", where=split.name, value=pair, mend=mend)
        )
    raise DataError.from_problems(problems)


def without_leakage(samples: Samples, split: Split, *, least: float = LEAST_CORRELATION) -> Split:
    """The split without those training samples whose donor, or whose copy, is in the test."""
    found = leakage(samples, split, least=least)
    copied = samples.donors[found.copies.first]
    gone = np.isin(
        samples.donors[split.train], np.concatenate([copied, np.array(found.donors, dtype=copied.dtype)])
    )
    if gone.all():
        raise DataError("no training sample is left once the test's patients are taken out", where=split.name)
    return Split(split.name, split.train[~gone], split.test)


def donors_with_copies_joined(samples: Samples, copies: Copies) -> npt.NDArray[np.str_]:
    """Donors (n,) in which all donors linked by a copy have the name that sorts first among them."""
    parent = {donor: donor for donor in samples.donors.tolist()}

    def root(donor: str) -> str:
        while parent[donor] != donor:
            parent[donor] = parent[parent[donor]]
            donor = parent[donor]
        return donor

    for a, b in zip(copies.first, copies.second, strict=True):
        one, other = sorted((root(str(samples.donors[a])), root(str(samples.donors[b]))))
        parent[other] = one
    return np.array([root(donor) for donor in samples.donors.tolist()], dtype=samples.donors.dtype)


def _identical(values: npt.NDArray[np.floating], rows: Rows) -> tuple[Rows, Rows]:
    """Pairs of rows with the same bytes: each with the first of its kind."""
    seen: dict[bytes, int] = {}
    first, second = [], []
    for row in rows.tolist():
        # adding zero makes −0.0 and 0.0 one
        key = (values[row] + 0.0).tobytes()
        if key in seen:
            first.append(seen[key])
            second.append(row)
        else:
            seen[key] = row
    return np.array(first, dtype=np.intp), np.array(second, dtype=np.intp)


def _profiles(values: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
    """Samples as unit vectors (n, at most 2,000 genes): samples, then genes, standardised.

    A sample's own mean and scale are units and depth; a gene's mean is what all samples share, without which
    any two samples of a tissue correlate by 0.95.
    """
    varies = values.max(axis=0) > values.min(axis=0)
    if int(varies.sum()) < LEAST_GENES:
        return np.zeros((len(values), 1), dtype=np.float32)
    x = values[:, varies].astype(np.float32)
    x -= x.mean(axis=1, keepdims=True)
    x /= np.maximum(x.std(axis=1, keepdims=True), 1e-6)
    spread = x.std(axis=0)
    best = np.sort(np.argsort(-spread, kind="stable")[:MOST_GENES])
    x = (x[:, best] - x[:, best].mean(axis=0)) / np.maximum(spread[best], 1e-6)
    length = np.linalg.norm(x, axis=1, keepdims=True)
    return np.asarray(x / np.where(length > 0, length, 1.0), dtype=np.float32)


def _near(unit: npt.NDArray[np.float32], *, least: float) -> tuple[Rows, Rows]:
    """Pairs with an inner product of at least `least`, by blocks of rows."""
    first, second = [], []
    for start in range(0, len(unit), BLOCK):
        likeness = unit[start : start + BLOCK] @ unit[start:].T
        a, b = np.nonzero(likeness >= least)
        keep = b > a
        first.append(a[keep] + start)
        second.append(b[keep] + start)
    return np.concatenate(first), np.concatenate(second)


def _correlations(
    values: npt.NDArray[np.floating],
    rows: Rows,
    first: Rows,
    second: Rows,
    equal: npt.NDArray[np.bool_],
) -> npt.NDArray[np.float32]:
    """Correlation of each pair; 1 for identical ones, also where too few genes vary to have one."""
    result = np.ones(len(first), dtype=np.float32)
    if not equal.all():
        unit = _profiles(values[rows])
        place = np.searchsorted(rows, np.stack([first, second]))
        result = np.where(equal, 1.0, (unit[place[0]] * unit[place[1]]).sum(axis=1)).astype(np.float32)
    return result
