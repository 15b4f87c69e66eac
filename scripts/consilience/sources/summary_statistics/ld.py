"""Linkage disequilibrium as served: square matrices, with or without names, and tables of pairs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from consilience.foundation.errors import DataError
from consilience.sources.summary_statistics.tables import MISSING, read_batches, read_header, read_text_table
from consilience.sources.text import FETCH_AGAIN, read_lines, shown

SNP_COLUMNS = ("rsid", "chromosome", "position", "effect_allele", "other_allele")
SYMMETRY_TOLERANCE = 1e-4
DIAGONAL_TOLERANCE = 1e-3
NEGATIVE_EIGENVALUE = -1e-3
MANY_PAIRS = 100
LONG_COLUMNS = ("CHR_A", "BP_A", "SNP_A", "CHR_B", "BP_B", "SNP_B")
_GIVE_R = "give the signed correlations r, not r², of the variants in the list's order"


@dataclass(frozen=True)
class LdMatrix:
    """One locus: `r` (m, m), variants and their alleles (m,); the sign of `r` refers to `effect`.

    Alleles are "" where the file does not name them.
    """

    locus: str
    rsid: tuple[str, ...]
    effect: tuple[str, ...]
    other: tuple[str, ...]
    r: npt.NDArray[np.float64]
    smallest_eigenvalue: float


def read_ld(matrix_path: Path, snps_path: Path, *, locus: str) -> LdMatrix:
    """Read one matrix with the list of its variants and check that it can be a correlation matrix."""
    snps = read_text_table(snps_path, required=SNP_COLUMNS)
    rsid = tuple(snps.words("rsid"))
    if len(set(rsid)) != len(rsid):
        twice = next(row for row, name in enumerate(rsid) if name in rsid[:row])
        raise snps.refused(twice, "rsid", "the variant is listed twice")
    r = read_square(matrix_path, n=len(rsid))
    alleles = [tuple(word.upper() for word in snps.words(name)) for name in ("effect_allele", "other_allele")]
    return ld_matrix(r, rsid=rsid, effect=alleles[0], other=alleles[1], locus=locus, where=shown(matrix_path))


def read_named_ld(path: Path, *, locus: str) -> LdMatrix:
    """Read a square table whose header and first column name the variants; it names no alleles."""
    header = read_header(path)
    assert header is not None  # noqa: S101 - recognised by its header
    names = header.names[1:] if header.names[0] in {"", "SNP", "rsid", "Unnamed: 0"} else header.names
    lines = read_lines(path)[header.line :]
    separator = None if header.separator == " " else header.separator
    rows = [line.replace('"', "").split(separator) for line in lines]
    if [row[0] for row in rows] != list(names):
        raise DataError(
            "the first column does not name the same variants in the same order as the header",
            where=f"{shown(path)}:{header.line}",
            mend="write the matrix with its row names, square and symmetric",
        )
    r = _values([row[1:] for row in rows], n=len(names), where=shown(path), first=header.line + 1)
    blank = ("",) * len(names)
    return ld_matrix(r, rsid=tuple(names), effect=blank, other=blank, locus=locus, where=shown(path))


def read_long_ld(path: Path, *, locus: str) -> LdMatrix:
    """Read PLINK's table of pairs (CHR_A BP_A SNP_A CHR_B BP_B SNP_B R); pairs not listed count as 0."""
    header = read_header(path)
    assert header is not None  # noqa: S101 - recognised by its header
    if "R" not in header.names:
        raise DataError(
            "holds r² (column R2), which has lost the signs",
            where=f"{shown(path)}:{header.line}",
            mend="compute signed correlations: plink --r gz (not --r2) with --ld-window-r2 0",
        )
    first, second, values = [], [], []
    for rows in read_batches(header, words=("SNP_A", "SNP_B"), numbers=("R",)):
        first += list(rows.words("SNP_A"))
        second += list(rows.words("SNP_B"))
        r = rows.numbers("R", fits=lambda v: np.abs(v) <= 1 + 1e-6, allowed="a number from -1 to 1")
        rows.refuse_any(np.isnan(r), "R", "a missing correlation", allowed="a number from -1 to 1")
        values.append(r)
    names = tuple(dict.fromkeys([*first, *second]))
    place = {name: k for k, name in enumerate(names)}
    matrix = np.eye(len(names))
    i, j = ([place[name] for name in side] for side in (first, second))
    matrix[i, j] = matrix[j, i] = np.concatenate(values)
    blank = ("",) * len(names)
    return ld_matrix(matrix, rsid=names, effect=blank, other=blank, locus=locus, where=shown(path))


def ld_matrix(
    r: npt.NDArray[np.float64],
    *,
    rsid: tuple[str, ...],
    effect: tuple[str, ...],
    other: tuple[str, ...],
    locus: str,
    where: str,
) -> LdMatrix:
    """A matrix that can be a correlation matrix, made exactly symmetric; anything else is refused."""
    refuse_impossible(r, rsid=rsid, where=where)
    r = (r + r.T) / 2
    return LdMatrix(locus, rsid, effect, other, r, float(np.linalg.eigvalsh(r)[0]))


def seems_squared(r: npt.NDArray[np.float64]) -> bool:
    """True when no entry among many is negative, as in a matrix of r² (half of signed r are)."""
    pairs = r[np.triu_indices(len(r), 1)]
    return bool(pairs.size >= MANY_PAIRS and pairs.min() >= 0)


def read_square(path: Path, *, n: int) -> npt.NDArray[np.float64]:
    """Rows of numbers; a trailing column of NA, which some published files have, is left out.

    The last line needs no end: its last number is a variant's correlation with itself, so a cut one shows.
    """
    rows = [line.split() for line in read_lines(path)]
    return _values(rows, n=n, where=shown(path), first=1)


def _values(rows: Sequence[list[str]], *, n: int, where: str, first: int) -> npt.NDArray[np.float64]:
    values = []
    for number, cells in enumerate(rows, first):
        if len(cells) == n + 1 and cells[-1] == "NA":
            cells = cells[:-1]
        if len(cells) != n:
            raise DataError(
                f"{len(cells)} numbers in a row for {n} variants", where=f"{where}:{number}", mend=FETCH_AGAIN
            )
        try:
            values.append([float("nan") if cell in MISSING else float(cell) for cell in cells])
        except ValueError as error:
            raise DataError(f"not a number ({error})", where=f"{where}:{number}", mend=FETCH_AGAIN) from None
    if len(values) != n:
        raise DataError(
            f"{len(values)} rows for {n} variants: the matrix is not square", where=where, mend=FETCH_AGAIN
        )
    return np.array(values, dtype=np.float64).reshape(n, n)


def refuse_impossible(r: npt.NDArray[np.float64], *, rsid: tuple[str, ...], where: str) -> None:
    """Refuse what cannot be a correlation matrix, at its first bad cell."""
    with np.errstate(invalid="ignore"):
        checks = (
            (~np.isfinite(r), "not a finite number", "numbers from -1 to 1"),
            (np.abs(r) > 1 + 1e-6, "a correlation beyond 1", "numbers from -1 to 1"),
            (
                np.abs(r - r.T) > SYMMETRY_TOLERANCE,
                "the matrix is not symmetric",
                f"r(a,b) = r(b,a) within {SYMMETRY_TOLERANCE}",
            ),
            (
                np.eye(len(r), dtype=bool) & (np.abs(r - 1) > DIAGONAL_TOLERANCE),
                "a variant's correlation with itself is not 1",
                "1",
            ),
        )
    for bad, what, allowed in checks:
        if bad.any():
            row, column = (int(k) for k in np.argwhere(bad)[0])
            raise DataError(
                what,
                where=f"{where}:{row + 1}:{rsid[column]}",
                value=r[row, column],
                allowed=allowed,
                mend=_GIVE_R,
            )
