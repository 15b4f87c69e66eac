"""Distances between rows, by matrix products in blocks; small distances are then taken anew from differences.

|a − b|² = |a|² + |b|² − 2a·b costs one matrix product, but loses the digits of rows that nearly agree. So all
rows are centred on a common point first, products are taken in double precision, and `nearest` recomputes the
distances it returns from the differences themselves: an exact copy is at distance 0.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from consilience.foundation.errors import DataError

if TYPE_CHECKING:
    import numpy.typing as npt

BLOCK_ENTRIES = 1 << 22
"""Most entries of a block of distances or differences (32 MB of doubles)."""
ROUNDING = 1e-7
"""Float32 rows that differ by less than this share of their norm are the same numbers, rounded."""


@dataclass(frozen=True, slots=True)
class Neighbours:
    """Nearest references of every query: `place` (n, k) their rows, `distance` (n, k), ascending."""

    place: npt.NDArray[np.intp]
    distance: npt.NDArray[np.float64]


def distances(*, a: npt.NDArray[np.floating], b: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """Euclidean distances of all rows of `a` (n, G) from all rows of `b` (m, G): (n, m)."""
    _same_width(a, b)
    centre = b.mean(axis=0, dtype=np.float64)
    right = b - centre
    right_norm = np.einsum("ij,ij->i", right, right)
    found = np.empty((len(a), len(b)))
    for rows in blocks(len(a), width=max(a.shape[1], len(b))):
        found[rows] = _block(a[rows] - centre, right, right_norm)
    return np.sqrt(found, out=found)


def pairwise(values: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """Euclidean distances between the rows of one matrix (n, G): (n, n), symmetric, with a diagonal of 0."""
    found = distances(a=values, b=values)
    found = (found + found.T) / 2
    np.fill_diagonal(found, 0.0)
    return found


def nearest(
    *,
    queries: npt.NDArray[np.floating],
    references: npt.NDArray[np.floating],
    k: int,
    apart: tuple[npt.NDArray[np.generic], npt.NDArray[np.generic]] | None = None,
) -> Neighbours:
    """The `k` nearest rows of `references` (m, G) for each of `queries` (n, G).

    `apart`: (n,) and (m,) marks; a query never sees references of its own mark (its donor, or itself). A
    query with fewer than `k` others gets distance inf and place −1 there. Equal distances are resolved by
    row.
    """
    _same_width(queries, references)
    if not 1 <= k <= len(references):
        raise DataError("cannot find so many neighbours", value=k, allowed=f"1 to {len(references)}")
    centre = references.mean(axis=0, dtype=np.float64)
    right = references - centre
    right_norm = np.einsum("ij,ij->i", right, right)
    # a few more than asked, because rounding in the products may swap near ties
    n_kept = min(len(references), k + 4)
    place = np.empty((len(queries), k), dtype=np.intp)
    distance = np.empty((len(queries), k))
    for rows in blocks(len(queries), width=max(n_kept * queries.shape[1], len(references))):
        left = queries[rows] - centre
        rough = _block(left, right, right_norm)
        if apart is not None:
            rough[apart[0][rows, None] == apart[1][None, :]] = np.inf
        near = np.sort(np.argpartition(rough, n_kept - 1, axis=1)[:, :n_kept], axis=1)
        exact = np.linalg.norm(left[:, None, :] - right[near], axis=2)
        exact[np.isinf(np.take_along_axis(rough, near, axis=1))] = np.inf
        order = np.argsort(exact, axis=1, kind="stable")[:, :k]
        place[rows] = np.take_along_axis(near, order, axis=1)
        distance[rows] = np.take_along_axis(exact, order, axis=1)
    place[np.isinf(distance)] = -1
    return Neighbours(place, distance)


def mean_pairwise(values: npt.NDArray[np.floating]) -> float:
    """Mean Euclidean distance between different rows of (n, G); NaN for fewer than two."""
    n = len(values)
    return float(pairwise(values).sum() / (n * (n - 1))) if n > 1 else float("nan")


def blocks(n: int, *, width: int) -> list[slice]:
    """Slices of at most `BLOCK_ENTRIES` / `width` rows that together cover `n` rows."""
    size = max(1, BLOCK_ENTRIES // max(1, width))
    return [slice(start, min(n, start + size)) for start in range(0, n, size)]


def canonical_order(values: npt.NDArray[np.floating]) -> npt.NDArray[np.intp]:
    """An order of the rows of (n, G) that depends on their content only, so that random draws do so too."""
    rows = np.ascontiguousarray(values)
    return np.array(sorted(range(len(rows)), key=lambda row: rows[row].tobytes()), dtype=np.intp)


Space = Callable[["npt.NDArray[np.floating]"], "npt.NDArray[np.float64]"]
"""A map of rows (n, G) into the space in which distances are taken: (n, d)."""


def raw_space(pool: npt.NDArray[np.floating]) -> Space:
    """Genes as they are (`pool` is not looked at): genes of large spread decide."""
    return lambda values: np.asarray(values, dtype=np.float64)


def standard_space(pool: npt.NDArray[np.floating]) -> Space:
    """Every gene divided by its standard deviation in `pool` (n, G); constant genes are left out."""
    centre = pool.mean(axis=0, dtype=np.float64)
    sd = pool.std(axis=0, dtype=np.float64)
    used = sd > 1e-6 * max(1.0, float(np.abs(centre).max(initial=0)))
    if not used.any():
        raise DataError("all genes are constant, so there are no distances to judge by")

    def place(values: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
        found: npt.NDArray[np.float64] = (values[:, used] - centre[used]) / sd[used]
        return found

    return place


def correlation_space(pool: npt.NDArray[np.floating]) -> Space:
    """Standardised profiles of unit length and mean 0: distance² = 2 (1 − Pearson correlation)."""
    standard = standard_space(pool)

    def place(values: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
        found: npt.NDArray[np.float64] = standard(values)
        found -= found.mean(axis=1, keepdims=True)
        found /= np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-12)
        return found

    return place


def _block(
    left: npt.NDArray[np.float64], right: npt.NDArray[np.float64], right_norm: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Squared distances of centred rows, never negative."""
    found = left @ right.T
    found *= -2.0
    found += np.einsum("ij,ij->i", left, left)[:, None]
    found += right_norm
    return np.maximum(found, 0.0, out=found)


def _same_width(a: npt.NDArray[np.floating], b: npt.NDArray[np.floating]) -> None:
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1]:
        raise DataError("the two matrices do not have the same genes", value=f"{a.shape} and {b.shape}")
