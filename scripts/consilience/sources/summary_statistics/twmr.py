"""Ready inputs of TWMR: per focal gene a table of standardised effects and the LD of its variants.

Two layouts are served. The authors': blanks, header `GENES <focal gene> <other genes> BETA_GWAS`. pyTWMR's:
tabs, header `SNPS <focal gene> <other genes> GWAS`. In both, the first gene column is the focal gene, an
effect of exactly 0 says that the variant is no eQTL of the gene, and `<gene>.ld` beside the table holds
signed correlations in the order of its rows, sometimes with one more column of NA at the end.

Reference: Porcu et al. 2019, doi:10.1038/s41467-019-10936-0.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from consilience.foundation.errors import DataError
from consilience.sources.summary_statistics.ld import read_square, refuse_impossible
from consilience.sources.text import FETCH_AGAIN, read_lines, shown

FIRST, LAST = ("GENES", "SNPS"), ("BETA_GWAS", "GWAS")
_GENE = r"ENSG\d{11}(\.\d+)?"


@dataclass(frozen=True)
class TwmrInputs:
    """One focal gene: variants `rsid` (n,), `genes` (k,) with the focal one first, and their effects.

    `effects` (n, k) on expression and `gwas` (n,) on the trait are standardised (z / sqrt(people)); an effect
    of 0 means "no eQTL of this gene". `ld` (n, n) are signed correlations. `where` names the file.
    """

    gene: str
    genes: tuple[str, ...]
    rsid: tuple[str, ...]
    effects: npt.NDArray[np.float64]
    gwas: npt.NDArray[np.float64]
    ld: npt.NDArray[np.float64]
    where: str


def read_twmr_folder(path: Path) -> tuple[TwmrInputs, ...]:
    """All `<gene>.matrix` of a folder with their `<gene>.ld`, in the order of the genes' ids."""
    tables = sorted(path.glob("*.matrix"))
    if not tables:
        raise DataError("no <gene>.matrix in this folder", where=shown(path))
    return tuple(sorted(map(read_twmr, tables), key=lambda one: one.gene))


def read_twmr(path: Path) -> TwmrInputs:
    """One `<gene>.matrix` with the `<gene>.ld` beside it, both checked."""
    lines = read_lines(path, whole_last_line=True)
    where = shown(path)
    genes, separator = _genes(lines[0], where=where)
    rsid, values = [], []
    for number, line in enumerate(lines[1:], 2):
        cells = line.split(separator) if separator else line.split()
        if len(cells) != len(genes) + 2:
            raise DataError(
                f"{len(cells)} cells under {len(genes) + 2} column names",
                where=f"{where}:{number}",
                mend=FETCH_AGAIN,
            )
        rsid.append(cells[0])
        values.append(_numbers(cells[1:], (*genes, "GWAS"), where=f"{where}:{number}"))
    if not rsid:
        raise DataError("the table has a header but no rows", where=where, mend=FETCH_AGAIN)
    twice = next((name for row, name in enumerate(rsid) if name in rsid[:row]), None)
    if twice is not None:
        raise DataError("the variant is listed twice", where=f"{where}:{rsid.index(twice) + 2}", value=twice)
    if genes[0] != path.name.removesuffix(".matrix"):
        raise DataError(
            "the first gene column is not the gene of the file's name",
            where=f"{where}:1",
            value=genes[0],
            allowed=path.name.removesuffix(".matrix"),
        )
    numbers = np.array(values, dtype=np.float64)
    ld_path = path.with_suffix(".ld")
    if not ld_path.is_file():
        raise DataError(
            f"no {ld_path.name} beside this table", where=where, mend="add the LD of its variants"
        )
    ld = read_square(ld_path, n=len(rsid))
    refuse_impossible(ld, rsid=tuple(rsid), where=shown(ld_path))
    return TwmrInputs(genes[0], genes, tuple(rsid), numbers[:, :-1], numbers[:, -1], (ld + ld.T) / 2, where)


def _genes(header: str, *, where: str) -> tuple[tuple[str, ...], str | None]:
    separator = "\t" if "\t" in header else None
    cells = header.split(separator)
    if len(cells) < 3 or cells[0] not in FIRST or cells[-1] not in LAST:
        raise DataError(
            "not the header of a TWMR table",
            where=f"{where}:1",
            value=header,
            allowed="GENES <gene> … BETA_GWAS (blanks), or SNPS <gene> … GWAS (tabs)",
        )
    genes = cells[1:-1]
    bad = next((name for name in genes if not re.fullmatch(_GENE, name)), None)
    if bad is not None or len(set(genes)) != len(genes):
        raise DataError(
            "genes must be different Ensembl ids", where=f"{where}:1", value=bad or " ".join(genes)
        )
    return tuple(name.partition(".")[0] for name in genes), separator


def _numbers(cells: Sequence[str], names: Sequence[str], *, where: str) -> list[float]:
    values = []
    for cell, name in zip(cells, names, strict=True):
        try:
            value = float(cell)
        except ValueError:
            value = float("nan")
        if not np.isfinite(value) or "_" in cell:
            raise DataError("not a finite number", where=f"{where}:{name}", value=cell, mend=FETCH_AGAIN)
        values.append(value)
    return values
