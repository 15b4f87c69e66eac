"""Linkage disequilibrium as served: per locus a square matrix of correlations and its variants."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from consilience.foundation.errors import DataError
from consilience.sources.summary_statistics.tables import read_text_table
from consilience.sources.text import FETCH_AGAIN, read_lines, shown

SNP_COLUMNS = ("rsid", "chromosome", "position", "effect_allele", "other_allele")
SYMMETRY_TOLERANCE = 1e-4
DIAGONAL_TOLERANCE = 1e-3
NEGATIVE_EIGENVALUE = -1e-3


@dataclass(frozen=True)
class LdMatrix:
    """One locus: `r` (m, m), variants and their alleles (m,); the sign of `r` refers to `effect`."""

    locus: str
    rsid: tuple[str, ...]
    effect: tuple[str, ...]
    other: tuple[str, ...]
    r: npt.NDArray[np.float64]
    smallest_eigenvalue: float


def read_ld(matrix_path: Path, snps_path: Path, *, locus: str) -> LdMatrix:
    """Read one matrix with its variants and check that it can be a correlation matrix."""
    snps = read_text_table(snps_path, required=SNP_COLUMNS)
    rsid = tuple(snps.words("rsid"))
    if len(set(rsid)) != len(rsid):
        twice = next(row for row, name in enumerate(rsid) if name in rsid[:row])
        raise snps.refused(twice, "rsid", "the variant is listed twice")
    r = _matrix(matrix_path, n=len(rsid))
    _refuse_impossible(r, rsid=rsid, where=shown(matrix_path))
    r = (r + r.T) / 2
    alleles = [tuple(word.upper() for word in snps.words(name)) for name in ("effect_allele", "other_allele")]
    return LdMatrix(locus, rsid, alleles[0], alleles[1], r, float(np.linalg.eigvalsh(r)[0]))


def _matrix(path: Path, *, n: int) -> npt.NDArray[np.float64]:
    """Rows of numbers; a trailing column of NA, which some published files have, is left out."""
    where, rows = shown(path), []
    for number, line in enumerate(read_lines(path, whole_last_line=True), 1):
        cells = line.split()
        if len(cells) == n + 1 and cells[-1] == "NA":
            cells = cells[:-1]
        if len(cells) != n:
            raise DataError(
                f"{len(cells)} numbers in a row for {n} variants", where=f"{where}:{number}", mend=FETCH_AGAIN
            )
        try:
            rows.append([float(cell) for cell in cells])
        except ValueError as error:
            raise DataError(f"not a number ({error})", where=f"{where}:{number}", mend=FETCH_AGAIN) from None
    if len(rows) != n:
        raise DataError(
            f"{len(rows)} rows for {n} variants: the matrix is not square", where=where, mend=FETCH_AGAIN
        )
    return np.array(rows, dtype=np.float64).reshape(n, n)


def _refuse_impossible(r: npt.NDArray[np.float64], *, rsid: tuple[str, ...], where: str) -> None:
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
                mend="give the signed correlations r, not r², of the variants in the list's order",
            )
