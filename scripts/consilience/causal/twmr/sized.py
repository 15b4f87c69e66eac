"""Buckets made fit for linear algebra: genes without any effect left out, unusable rows set aside."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from consilience.causal.inputs_file import Bucket

    Floats = npt.NDArray[np.float64]
    Integers = npt.NDArray[np.int64]
    Bools = npt.NDArray[np.bool_]

LD_TOLERANCE = 1e-4
PIVOT_ZERO, PIVOT_SMALL = 1e-8, 1e-2
"""Share of a variant's variance that variants before it leave unexplained: singular, near singular."""


@dataclass(frozen=True)
class Sized:
    """G genes with up to m variants and with k genes that have an effect (columns of zeros are gone).

    `rows` (G,) of the file, `columns` (G, k) of its genes, `n` (G,) variants: rows beyond n are filled with
    variants without effects and in LD with none, which change no estimate. The rest as in `Bucket`.
    """

    rows: Integers
    columns: Integers
    n: Integers
    eqtl: Floats
    gwas: Floats
    ld: Floats
    n_eqtl: Floats
    n_gwas: Floats

    def only(self, which: Bools) -> Sized:
        """Some of the genes."""
        if which.all():
            return self
        return Sized(
            self.rows[which], self.columns[which], self.n[which], self.eqtl[which], self.gwas[which],
            self.ld[which], self.n_eqtl[which], self.n_gwas[which],
        )  # fmt: skip


def usable(bucket: Bucket, raised: dict[str, Bools]) -> Bools:
    """Rows of a bucket (G,) whose numbers are all there and whose focal gene has effects; flags others."""
    rows = bucket.index
    numbers = (
        np.isfinite(bucket.eqtl.sum(axis=(1, 2))) & np.isfinite(bucket.gwas.sum(axis=1))
        & np.isfinite(bucket.ld.sum(axis=(1, 2))) & np.isfinite(bucket.n_eqtl.sum(axis=1))
        & (bucket.n_eqtl > 0).all(axis=1) & np.isfinite(bucket.n_gwas) & (bucket.n_gwas > 0)
    )  # fmt: skip
    focal = bucket.eqtl[:, :, 0].any(axis=1)
    raised["not_a_number"][rows] = ~numbers
    raised["no_focal_effect"][rows] = ~focal & numbers
    with np.errstate(invalid="ignore"):
        large = (np.abs(bucket.eqtl).max(axis=(1, 2)) > 1) | (np.abs(bucket.gwas).max(axis=1) > 1)
    raised["not_standardised"][rows] = large
    raised["unknown_pairs"][rows] = ~bucket.known.all(axis=(1, 2))
    return np.asarray(numbers & focal)


def sized(bucket: Bucket, which: Bools) -> Iterator[Sized]:
    """The usable rows of a bucket by the number of genes that have an effect, as the script drops others."""
    rows = np.flatnonzero(which)
    if not rows.size:
        return
    n, k = bucket.eqtl.shape[1:]
    empty: Bools = np.asarray(~bucket.eqtl[rows].any(axis=1))
    counts = k - empty.sum(axis=1)
    for left in np.unique(counts):
        own = rows[counts == left]
        columns = np.argsort(empty[counts == left], axis=1, kind="stable")[:, :left].astype(np.int64)
        eqtl, n_eqtl = bucket.eqtl[own], bucket.n_eqtl[own]
        if left < k:
            eqtl = np.take_along_axis(eqtl, columns[:, None, :], axis=2)
            n_eqtl = np.take_along_axis(n_eqtl, columns, axis=1)
        yield Sized(
            rows=bucket.index[own], columns=columns, n=np.full(len(own), n), eqtl=eqtl, gwas=bucket.gwas[own],
            ld=bucket.ld[own], n_eqtl=n_eqtl, n_gwas=bucket.n_gwas[own],
        )  # fmt: skip


def padded_size(n: Integers) -> Integers:
    """The next of 4, 6, 8, 12, 16, 24, …: few stacks, little padding."""
    power = np.exp2(np.ceil(np.log2(np.maximum(n, 4))))
    return np.asarray(np.where(n <= 0.75 * power, 0.75 * power, power), dtype=np.int64)


def stacked(parts: Iterable[Sized]) -> list[Sized]:
    """The same genes in few stacks, by k and by the size that n is filled up to; sizes ascending."""
    by_size: dict[tuple[int, int], list[Sized]] = {}
    for one in parts:
        m = int(padded_size(one.n[:1])[0])
        by_size.setdefault((one.eqtl.shape[2], m), []).append(one)
    return [_stack(own, m) for (_, m), own in sorted(by_size.items(), key=lambda item: item[0])]


def _stack(parts: list[Sized], m: int) -> Sized:
    G, k = sum(len(one.rows) for one in parts), parts[0].eqtl.shape[2]
    eqtl, gwas, ld = np.zeros((G, m, k)), np.zeros((G, m)), np.zeros((G, m, m))
    start = 0
    for one in parts:
        stop, n = start + len(one.rows), one.eqtl.shape[1]
        eqtl[start:stop, :n], gwas[start:stop, :n], ld[start:stop, :n, :n] = one.eqtl, one.gwas, one.ld
        filled = np.arange(n, m)
        ld[start:stop, filled, filled] = 1.0
        start = stop
    return Sized(
        rows=np.concatenate([one.rows for one in parts]),
        columns=np.concatenate([one.columns for one in parts]),
        n=np.concatenate([one.n for one in parts]),
        eqtl=eqtl, gwas=gwas, ld=ld,
        n_eqtl=np.concatenate([one.n_eqtl for one in parts]),
        n_gwas=np.concatenate([one.n_gwas for one in parts]),
    )  # fmt: skip


def pivots(ld: Floats) -> Floats:
    """Smallest pivot (G,) of Cholesky's factor; 0 for what is not positive definite or no correlation."""
    n = ld.shape[1]
    plausible = (
        (np.abs(ld) <= 1 + LD_TOLERANCE).all(axis=(1, 2))
        & (np.abs(ld[:, np.arange(n), np.arange(n)] - 1) <= 1e-3).all(axis=1)
        & (np.abs(ld - np.swapaxes(ld, 1, 2)) <= LD_TOLERANCE).all(axis=(1, 2))
    )
    found = np.zeros(len(ld))
    for rows in (np.flatnonzero(plausible), *np.flatnonzero(plausible)[:, None]):
        if not rows.size:
            break
        try:
            factor = np.linalg.cholesky(ld[rows])
        except np.linalg.LinAlgError:  # some matrix of the stack: then one by one
            continue
        found[rows] = factor[:, np.arange(n), np.arange(n)].min(axis=1) ** 2
        if len(rows) == plausible.sum():
            break
    return found
