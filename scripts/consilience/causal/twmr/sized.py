"""Buckets made fit for linear algebra: genes without any effect left out, unusable rows set aside."""

from __future__ import annotations

from collections.abc import Iterator
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
    """G genes with n variants and k genes that have an effect (columns of zeros are gone).

    `rows` (G,) of the file, `columns` (G, k) of its genes; the rest as in `Bucket`.
    """

    rows: Integers
    columns: Integers
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
            self.rows[which], self.columns[which], self.eqtl[which], self.gwas[which], self.ld[which],
            self.n_eqtl[which], self.n_gwas[which],
        )  # fmt: skip


def usable(bucket: Bucket, raised: dict[str, Bools]) -> Bools:
    """Rows of a bucket (G,) whose numbers are all there and whose focal gene has an effect; flags the rest."""
    numbers = (
        np.isfinite(bucket.eqtl).all(axis=(1, 2)) & np.isfinite(bucket.gwas).all(axis=1)
        & np.isfinite(bucket.ld).all(axis=(1, 2)) & np.isfinite(bucket.n_eqtl).all(axis=1)
        & np.isfinite(bucket.n_gwas) & (bucket.n_eqtl > 0).all(axis=1) & (bucket.n_gwas > 0)
    )  # fmt: skip
    focal = (bucket.eqtl[:, :, 0] != 0).any(axis=1)
    raised["not_a_number"][bucket.index] |= ~numbers
    raised["no_focal_effect"][bucket.index] |= ~focal & numbers
    large = (np.abs(bucket.eqtl) > 1).any(axis=(1, 2)) | (np.abs(bucket.gwas) > 1).any(axis=1)
    raised["not_standardised"][bucket.index] |= large
    raised["unknown_pairs"][bucket.index] |= ~bucket.known.all(axis=(1, 2))
    return numbers & focal


def sized(bucket: Bucket, which: Bools) -> Iterator[Sized]:
    """The usable rows of a bucket by the number of genes that have an effect, as the script drops others."""
    rows = np.flatnonzero(which)
    if not rows.size:
        return
    empty = ~(bucket.eqtl[rows] != 0).any(axis=1)
    counts = bucket.eqtl.shape[2] - empty.sum(axis=1)
    for k in np.unique(counts):
        own = rows[counts == k]
        columns = np.argsort(empty[counts == k], axis=1, kind="stable")[:, :k].astype(np.int64)
        yield Sized(
            rows=bucket.index[own],
            columns=columns,
            eqtl=np.take_along_axis(bucket.eqtl[own], columns[:, None, :], axis=2),
            gwas=bucket.gwas[own],
            ld=bucket.ld[own],
            n_eqtl=np.take_along_axis(bucket.n_eqtl[own], columns, axis=1),
            n_gwas=bucket.n_gwas[own],
        )


def pivots(ld: Floats) -> Floats:
    """Smallest pivot (G,) of Cholesky's factor; 0 where a matrix is not positive definite or no correlation."""
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
