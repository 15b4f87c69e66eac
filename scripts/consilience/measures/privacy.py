"""What synthetic samples tell about the patients they were learned from, beside equally many held out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from consilience.foundation.errors import DataError
from consilience.foundation.seeds import stream
from consilience.measures.copies import find_copies
from consilience.measures.distances import canonical_order, correlation_space, distances
from consilience.measures.membership import Attack, class_codes, membership_attacks, redrawn

if TYPE_CHECKING:
    import numpy.typing as npt

LEAST_ROWS = 4
MOST_ROWS = 3_000
N_PERMUTATIONS = 499
DEPTH = 64
"""Nearest patients of a sample that are looked at; that all are training patients hardly happens."""


@dataclass(frozen=True, slots=True)
class ClosestRecord:
    """Which patients the synthetic samples are nearest to (by correlation of gene-standardised profiles).

    `share`: of samples nearer to a training patient than to any of equally many held-out ones, averaged
    over all choices of equally many (0.5 is ideal; a tie counts half). `low`, `high`: 95 % binomial
    (Wilson) interval over samples. `null_high`, `p`: 95 % quantile of the share when membership is redrawn
    among patients, and one-sided p-value: these carry the uncertainty of few patients, which the binomial
    one does not. `to_train`, `to_held_out`: median distance to the closest record. `ratio_train`,
    `ratio_held_out`: 5 % quantile of nearest / second nearest distance; a low one only towards training
    patients tells of copying.
    """

    share: float
    low: float
    high: float
    null_high: float
    p: float
    to_train: float
    to_held_out: float
    ratio_train: float
    ratio_held_out: float


@dataclass(frozen=True, slots=True)
class Privacy:
    """Privacy of `n_synthetic` samples learned from `n_train` patients, judged with `n_held_out` others.

    `exact_copies`, `near_copies`: numbers; `near_share`: near copies / samples. `near_held_out`: the same
    share with respect to the held-out patients, of whom nothing can have been copied.
    """

    n_train: int
    n_held_out: int
    n_synthetic: int
    exact_copies: int
    near_copies: int
    near_share: float
    near_held_out: float
    closest: ClosestRecord
    attacks: tuple[Attack, ...]


def privacy(
    *,
    train: npt.NDArray[np.float32],
    held_out: npt.NDArray[np.float32],
    synthetic: npt.NDArray[np.float32],
    labels: tuple[npt.NDArray[np.generic], npt.NDArray[np.generic], npt.NDArray[np.generic]] | None = None,
    donors: tuple[npt.NDArray[np.generic], npt.NDArray[np.generic]] | None = None,
    seed: int = 0,
) -> Privacy:
    """Judge `synthetic` (k, G), made from `train` (n, G), with `held_out` (m, G) of the same population.

    `labels`: classes of the three; `donors`: of train and held-out rows, which must share no donor. The
    result does not depend on the order of rows.
    """
    sets = [train, held_out, synthetic]
    _check(sets, donors)
    order = [_order(values, seed, name) for values, name in zip(sets, ("train", "held", "made"), strict=True)]
    some = [values[rows] for values, rows in zip(sets, order, strict=True)]
    of = None if labels is None else tuple(one[rows] for one, rows in zip(labels, order, strict=True))
    given = None if of is None else (of[0], of[1], of[2])
    # copies are looked for in all samples, not in a draw
    copies = find_copies(synthetic=synthetic, train=train, donors=None if donors is None else donors[0])
    others = find_copies(synthetic=synthetic, train=held_out, donors=None if donors is None else donors[1])
    return Privacy(
        n_train=len(train),
        n_held_out=len(held_out),
        n_synthetic=len(synthetic),
        exact_copies=int(copies.exact.sum()),
        near_copies=int(copies.near.sum()),
        near_share=float(copies.near.mean()),
        near_held_out=float(others.near.mean()),
        closest=closest_record(train=some[0], held_out=some[1], synthetic=some[2], labels=given, seed=seed),
        attacks=membership_attacks(
            train=some[0], held_out=some[1], synthetic=some[2], labels=given, seed=seed
        ),
    )


def closest_record(
    *,
    train: npt.NDArray[np.floating],
    held_out: npt.NDArray[np.floating],
    synthetic: npt.NDArray[np.floating],
    labels: tuple[npt.NDArray[np.generic], npt.NDArray[np.generic], npt.NDArray[np.generic]] | None = None,
    seed: int = 0,
) -> ClosestRecord:
    """Distance of `synthetic` (k, G) to the closest of `train` (n, G) and of `held_out` (m, G)."""
    pool = np.concatenate([train, held_out])
    member = np.arange(len(pool)) < len(train)
    groups = class_codes(labels, len(pool), len(synthetic))[0]
    space = correlation_space(pool)
    away = distances(a=space(synthetic), b=space(pool))
    depth = min(DEPTH, len(pool))
    # ties are resolved by the patients' canonical order, the same for members and others
    near = np.argsort(away, axis=1, kind="stable")[:, :depth]
    share = _share(near, member[None], len(train), len(held_out))[0]
    null = _share(near, redrawn(member, groups, N_PERMUTATIONS, seed), len(train), len(held_out))
    low, high = wilson(share, len(synthetic))
    to_train, to_held_out = (np.sort(away[:, rows], axis=1)[:, :2] for rows in (member, ~member))
    ratios = [one[:, 0] / np.maximum(one[:, 1], 1e-12) for one in (to_train, to_held_out)]
    return ClosestRecord(
        share=float(share), low=low, high=high, null_high=float(np.quantile(null, 0.95)),
        p=float((1 + (null >= share - 1e-12).sum()) / (1 + len(null))),
        to_train=float(np.median(to_train[:, 0])), to_held_out=float(np.median(to_held_out[:, 0])),
        ratio_train=float(np.quantile(ratios[0], 0.05)), ratio_held_out=float(np.quantile(ratios[1], 0.05)),
    )  # fmt: skip


def _share(
    near: npt.NDArray[np.intp], members: npt.NDArray[np.bool_], n: int, m: int
) -> npt.NDArray[np.float64]:
    """Mean chance that a sample is nearer to training than to held-out patients, equally many of both: (b,).

    If the r nearest of all patients are of the larger set and the next is not, then the nearest of equally
    many is of the larger set unless all r are left out: 1 − C(larger − r, smaller) / C(larger, smaller).
    """
    larger, smaller = max(n, m), min(n, m)
    run = np.arange(near.shape[1] + 1)
    left_out = np.cumprod(
        np.concatenate([[1.0], np.maximum(0, larger - smaller - run[:-1]) / np.maximum(1, larger - run[:-1])])
    )
    found = np.empty(len(members))
    for number, member in enumerate(members):
        of_larger = member[near] if n >= m else ~member[near]
        stops = ~of_larger
        length = np.where(stops.any(axis=1), stops.argmax(axis=1), near.shape[1])
        chance = float((1 - left_out[length]).mean())
        found[number] = chance if n >= m else 1 - chance
    return found


def wilson(share: float, n: int) -> tuple[float, float]:
    """95 % interval of a share of n independent draws (Wilson 1927)."""
    z = 1.96
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z * np.sqrt(share * (1 - share) / n + z * z / (4 * n * n)) / (1 + z * z / n)
    return max(0.0, float(centre - half)), min(1.0, float(centre + half))


def _order(values: npt.NDArray[np.floating], seed: int, name: str) -> npt.NDArray[np.intp]:
    order = canonical_order(values)
    if len(order) <= MOST_ROWS:
        return order
    return order[np.sort(stream(seed, "privacy-draw", name).permutation(len(order))[:MOST_ROWS])]


def _check(
    sets: list[npt.NDArray[np.float32]],
    donors: tuple[npt.NDArray[np.generic], npt.NDArray[np.generic]] | None,
) -> None:
    for values, name in zip(sets, ("training", "held-out", "synthetic"), strict=True):
        where = f"{name} samples"
        if values.ndim != 2 or values.shape[1] != sets[0].shape[1]:
            raise DataError("the sets do not have the same genes", where=where, value=values.shape)
        if len(values) < LEAST_ROWS:
            raise DataError("too few samples to judge privacy by", where=where, value=len(values),
                            allowed=f"{LEAST_ROWS} or more")  # fmt: skip
        if not np.isfinite(values).all():
            raise DataError("values that are no numbers", where=where,
                            value=f"{int((~np.isfinite(values)).sum())} of {values.size}")  # fmt: skip
    shared = None if donors is None else np.intersect1d(*donors)
    if shared is not None and shared.size:
        raise DataError("donors are both in training and held out, so a leak cannot be judged",
                        value=", ".join(str(one) for one in shared[:5]), mend="split by donor")  # fmt: skip
