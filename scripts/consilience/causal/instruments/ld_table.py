"""ld.parquet as matrices: read a piece at a time, since a cohort may have 10^8 pairs of variants."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from consilience.causal.instruments.alleles import Alleles
from consilience.causal.instruments.columns import (
    ALLELES,
    alleles_of,
    batches,
    floats_of,
    index_in,
    integers_of,
    levels_of,
)
from consilience.foundation.errors import DataError

if TYPE_CHECKING:
    import numpy.typing as npt
    import pyarrow as pa

    Floats = npt.NDArray[np.float64]
    Integers = npt.NDArray[np.int64]
    Words = npt.NDArray[np.object_]

OWN = tuple(f"{name}_1" for name in ALLELES)
COLUMNS = ("locus", "rsid_1", "rsid_2", "r", *OWN)
REPEATING = ("locus", "rsid_1", "rsid_2", *OWN)


@dataclass(frozen=True)
class Locus:
    """One LD matrix: `variant` (m,) numbers in the order of the table, `alleles` (m,), `r` (m, m)."""

    name: str
    variant: Integers
    alleles: Alleles
    r: Floats
    n_absent: int = 0
    """pairs without a row, taken as 0"""


@dataclass(frozen=True)
class _Piece:
    """Rows of a locus: pairs (n,) with `r`, and the variants (m,) whose rows with themselves are here."""

    first: npt.NDArray[np.int32]
    second: npt.NDArray[np.int32]
    r: Floats
    variant: Integers
    alleles: Alleles


def read_ld(path: Path, names: Words) -> tuple[Locus, ...]:
    """All matrices of the table, reduced to the variants of these names (their numbers are places in it).

    Rows may be in any order; a locus is put together as soon as its rows are complete and a later part of the
    table has none of it.
    """
    import pyarrow as pa

    wanted, found = pa.array(names, pa.string()), dict[str, Locus]()
    waiting: dict[str, list[_Piece]] = {}
    for part in batches(path, COLUMNS, repeating=REPEATING):
        pieces, here = dict(_pieces(part, wanted)), set(part.column("locus").unique().to_pylist())
        for name in [name for name in waiting if name not in here and _complete(waiting[name])]:
            found[name] = _locus(name, waiting.pop(name))
        for name, piece in pieces.items():
            if name in found:
                raise DataError("rows of one locus are far from each other", where=f"{path}, locus {name}")
            waiting.setdefault(name, []).append(piece)
    found |= {name: _locus(name, pieces) for name, pieces in waiting.items()}
    return tuple(found[name] for name in sorted(found))


def _pieces(part: pa.Table, wanted: pa.Array) -> Iterator[tuple[str, _Piece]]:
    import pyarrow.compute as pc

    first, second = (index_in(part.column(f"rsid_{side}"), wanted) for side in "12")
    kept = pc.and_(first.is_valid(), second.is_valid())
    part = part.append_column("first", first).append_column("second", second).filter(kept)
    if not part.num_rows:
        return
    locus, loci = levels_of(part, "locus")
    one, other = (integers_of(part, name).astype(np.int32) for name in ("first", "second"))
    r, alleles = floats_of(part, "r"), alleles_of(part, *OWN)
    order = np.argsort(locus, kind="stable")
    for rows in np.split(order, np.flatnonzero(np.diff(locus[order])) + 1):
        own = rows[one[rows] == other[rows]]  # the diagonal names each variant once, with its alleles
        yield (
            str(loci[locus[rows[0]]]),
            _Piece(one[rows], other[rows], r[rows], one[own].astype(np.int64), alleles.take(own)),
        )


def _complete(pieces: list[_Piece]) -> bool:
    m = sum(len(one.variant) for one in pieces)
    return sum(len(one.r) for one in pieces) == m * (m + 1) // 2


def _locus(name: str, pieces: list[_Piece]) -> Locus:
    first, second, r, variant = (
        np.concatenate([getattr(one, column) for one in pieces])
        for column in ("first", "second", "r", "variant")
    )
    alleles = Alleles(
        np.concatenate([one.alleles.effect for one in pieces]),
        np.concatenate([one.alleles.other for one in pieces]),
        np.concatenate([one.alleles.frequency for one in pieces]),
    )
    order = np.argsort(variant)
    once = len(variant) == len(np.unique(variant))
    if not once or not np.isin(first, variant).all() or not np.isin(second, variant).all():
        raise DataError("a variant has no row with itself, or two", where=f"ld.parquet, locus {name}")
    if not np.isfinite(r).all() or (np.abs(r) > 1 + 1e-6).any():
        raise DataError(
            "a correlation that is not a number from -1 to 1", where=f"ld.parquet, locus {name}",
            value=r[~(np.abs(r) <= 1 + 1e-6)][0],
        )  # fmt: skip
    i, j = (order[np.searchsorted(variant[order], side)] for side in (first, second))
    matrix = np.full((len(variant), len(variant)), np.nan)
    matrix[i, j] = matrix[j, i] = r
    absent = np.isnan(matrix)
    matrix[absent] = 0.0
    return Locus(name, variant, alleles, matrix, int(absent.sum()) // 2)
