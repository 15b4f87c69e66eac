"""Draws of rows that keep the shares of the classes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt


def proportional_rows(
    *, n: int, size: int, labels: npt.NDArray[np.generic] | None, rng: np.random.Generator
) -> npt.NDArray[np.intp]:
    """`size` of `n` rows in random order, or all; with `labels` (n,) every class in its share."""
    order = rng.permutation(n)
    if labels is None or size >= n:
        return order[:size]
    # the i-th of a class of m stands at (i + a random start) / m: the first places hold all in their shares
    _, code, sizes = np.unique(labels[order], return_inverse=True, return_counts=True)
    start = rng.random(len(sizes))
    rank = np.empty(n)
    for group, m in enumerate(sizes):
        rank[code == group] = (np.arange(m) + start[group]) / m
    return order[np.argsort(rank, kind="stable")[:size]]


def dealt_folds(
    *, labels: npt.NDArray[np.generic] | None, n: int, n_folds: int, start: int, rng: np.random.Generator
) -> npt.NDArray[np.intp]:
    """Folds (n,) of nearly equal size; with `labels` every class is dealt out evenly, class after class.

    Two sets of equal class shares that are dealt from the same `start` have equal shares in every fold.
    """
    order = rng.permutation(n)
    if labels is not None:
        order = order[np.argsort(labels[order].astype(str), kind="stable")]
    fold = np.empty(n, dtype=np.intp)
    fold[order] = (np.arange(n) + start) % n_folds
    return fold
