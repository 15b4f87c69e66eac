"""A folder of `<gene>.matrix` and `<gene>.ld` read fast; whatever is odd goes to the careful reader.

The careful one (`sources.summary_statistics.twmr`) looks at each cell and names the line of a fault. Here a
file is one string of numbers: tables that are not plainly in order are handed over, and so is a matrix that
cannot be one of correlations.
"""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from consilience.foundation.errors import DataError

if TYPE_CHECKING:
    import numpy.typing as npt

    from consilience.causal.inputs_file import Bucket, Named

    Floats = npt.NDArray[np.float64]

_HEADER = re.compile(r"(?:GENES|SNPS)([ \t])((?:ENSG\d{11}(?:\.\d+)?\1)+)(?:BETA_GWAS|GWAS)")
_ODD = re.compile(r"[^0-9eE+\-. \tNAna\n]")
TOLERANCE, DIAGONAL = 1e-4, 1e-3


@dataclass(frozen=True)
class _Read:
    """`effects` (n, k + 1), the last column of the GWAS; `ld` (n, n)."""

    path: Path
    genes: tuple[str, ...]
    variants: tuple[str, ...]
    effects: Floats
    ld: Floats


def read_folder(folder: Path, *, n_gwas: float, n_eqtl: float) -> tuple[list[Bucket], Named]:
    """Every gene of a folder, stacked by size, and the names, in the order of the genes' ids.

    Raises
    ------
    DataError
        With file and line of the first fault.
    """
    from consilience.causal.inputs_file import Named

    paths = sorted(folder.glob("*.matrix"))
    if not paths:
        raise DataError("no <gene>.matrix in this folder", where=str(folder))
    read = sorted((_fast(path) or _careful(path) for path in paths), key=lambda one: one.genes[0])
    for one, other in pairwise(read):
        if one.genes[0] == other.genes[0]:
            raise DataError(
                "two tables of one gene", where=str(folder), value=f"{one.path.name}, {other.path.name}"
            )
    sizes: dict[tuple[int, int], list[int]] = {}
    for row, one in enumerate(read):
        sizes.setdefault((len(one.variants), len(one.genes)), []).append(row)
    buckets = [
        _bucket(read, rows, n_gwas=n_gwas, n_eqtl=n_eqtl) for _, rows in sorted(sizes.items())
    ]  # fmt: skip
    gene = [one.genes[0] for one in read]
    return buckets, Named(gene, [""] * len(gene), [one.genes for one in read], [one.variants for one in read])


def _bucket(read: list[_Read], rows: list[int], *, n_gwas: float, n_eqtl: float) -> Bucket:
    from consilience.causal.inputs_file import Bucket

    ld = np.stack([read[row].ld for row in rows])
    n = ld.shape[1]
    with np.errstate(invalid="ignore"):
        odd = (
            ~(np.abs(ld) <= 1 + 1e-6).all(axis=(1, 2))
            | ~(np.abs(ld - np.swapaxes(ld, 1, 2)) <= TOLERANCE).all(axis=(1, 2))
            | ~(np.abs(ld[:, np.arange(n), np.arange(n)] - 1) <= DIAGONAL).all(axis=1)
        )
    for place in np.flatnonzero(odd):
        ld[place] = _careful(read[rows[place]].path).ld  # which says what is wrong
    effects = np.stack([read[row].effects for row in rows])
    eqtl = np.ascontiguousarray(effects[..., :-1])
    return Bucket(
        index=np.array(rows, dtype=np.int64), eqtl=eqtl, gwas=np.ascontiguousarray(effects[..., -1]),
        ld=(ld + np.swapaxes(ld, 1, 2)) / 2, known=eqtl != 0,
        n_eqtl=np.full((len(rows), eqtl.shape[2]), float(n_eqtl)), n_gwas=np.full(len(rows), float(n_gwas)),
    )  # fmt: skip


def _careful(path: Path) -> _Read:
    from consilience.sources.summary_statistics.twmr import read_twmr

    one = read_twmr(path)
    return _Read(path, one.genes, one.rsid, np.column_stack([one.effects, one.gwas]), one.ld)


def _fast(path: Path) -> _Read | None:
    """A table with its LD when both are plainly in order, else None."""
    try:
        text = path.read_text(encoding="ascii")
        square = path.with_suffix(".ld").read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError):
        return None
    lines = text.split("\n")
    header = _HEADER.fullmatch(lines[0])
    if header is None or lines.pop() or len(lines) < 2:
        return None
    separator = header[1]
    genes = tuple(word.partition(".")[0] for word in header[2].split(separator)[:-1])
    rows = [line.partition(separator) for line in lines[1:]]
    variants = tuple(row[0] for row in rows)
    n, k = len(rows), len(genes)
    plain = (
        genes[0] == path.name[: -len(".matrix")].partition(".")[0]
        and len(set(genes)) == k
        and len(set(variants)) == n
        and all(row[2].count(separator) == k for row in rows)
    )
    effects = _numbers(separator.join(row[2] for row in rows), n * (k + 1)) if plain else None
    ld = _square(square, n) if effects is not None else None
    if effects is None or ld is None:
        return None
    return _Read(path, genes, variants, effects.reshape(n, k + 1), ld)


def _square(text: str, n: int) -> Floats | None:
    """LD (n, n); a trailing column of NA is left out."""
    lines = text.rstrip("\n").split("\n")
    separator = "\t" if "\t" in lines[0] else " "
    blanks = lines[0].count(separator)
    if len(lines) != n or any(line.count(separator) != blanks for line in lines):
        return None
    if blanks == n:
        if not all(line.endswith(f"{separator}NA") for line in lines):
            return None
        lines = [line[: -len(separator) - 2] for line in lines]
    values = _numbers(separator.join(lines), n * n)
    return None if values is None else values.reshape(n, n)


def _numbers(text: str, expected: int) -> Floats | None:
    """`expected` finite numbers, or None."""
    if _ODD.search(text):
        return None
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            values: Floats = np.fromstring(text, dtype=np.float64, sep=" ")
        except (DeprecationWarning, ValueError):
            return None
    return values if values.size == expected and bool(np.isfinite(values).all()) else None
