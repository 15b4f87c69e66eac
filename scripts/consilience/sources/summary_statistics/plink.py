"""A reference panel in PLINK 1's binary form (.bed, .bim, .fam), read by variant."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from consilience.foundation.errors import DataError
from consilience.sources.formats import PLINK_MAGIC
from consilience.sources.summary_statistics.blocks import first_lines, line_blocks
from consilience.sources.summary_statistics.tables import Header, read_batches
from consilience.sources.summary_statistics.variants import Codes, allele_codes, chromosome_codes
from consilience.sources.text import FETCH_AGAIN, shown

if TYPE_CHECKING:
    import pyarrow as pa

MISSING = -1
BIM = ("chromosome", "name", "morgans", "position", "a1", "a2")
_SAMPLE_MAJOR = b"\x6c\x1b\x00"
# two bits a genotype, the first person in the lowest: 00 two copies of A1, 01 missing, 10 one copy, 11 none
_COPIES = np.array([2, MISSING, 1, 0], dtype=np.int8)
_FOUR = np.stack([_COPIES[(np.arange(256) >> shift) & 3] for shift in (0, 2, 4, 6)], axis=1)


@dataclass(frozen=True)
class Panel:
    """A panel of `n_people`: its variants (m,) as the .bim lists them.

    `name` is an Arrow array; `chromosome` and alleles are codes (see `variants`). A1 is the counted allele.
    """

    path: Path
    n_people: int
    name: pa.StringArray
    chromosome: Codes
    position: npt.NDArray[np.int64]
    a1: Codes
    a2: Codes

    @cached_property
    def packed(self) -> npt.NDArray[np.uint8]:
        """Genotypes (m, bytes a variant), four in a byte, as they lie on the disk; nothing is read yet."""
        shape = (len(self.position), -(-self.n_people // 4))
        return np.memmap(self.path, dtype=np.uint8, mode="r", offset=3, shape=shape)

    def copies(self, variants: npt.NDArray[np.int64]) -> npt.NDArray[np.int8]:
        """Copies of A1 (n_people, v) of the given variants; -1 where the genotype is missing."""
        return np.asarray(_FOUR[self.packed[variants]].reshape(len(variants), -1)[:, : self.n_people].T)


def open_panel(bed: Path) -> Panel:
    """Read the lists of variants and people, and check that the genotypes are of that many."""
    import pyarrow as pa

    where = shown(bed)
    bim, fam = bed.with_suffix(".bim"), bed.with_suffix(".fam")
    absent = [path.name for path in (bim, fam) if not path.is_file()]
    if absent:
        raise DataError(
            f"no {' and no '.join(absent)} beside this .bed file",
            where=where,
            mend="a panel is three files of one name: .bed, .bim and .fam",
        )
    with bed.open("rb") as handle:
        magic = handle.read(3)
    if magic == _SAMPLE_MAJOR:
        raise DataError(
            "genotypes are stored person by person, a form that PLINK gave up",
            where=where,
            mend="convert it: plink --bfile <name> --make-bed",
        )
    if magic != PLINK_MAGIC:
        raise DataError(
            "not a PLINK .bed file",
            where=where,
            value=magic.hex(),
            allowed=PLINK_MAGIC.hex(),
            mend=FETCH_AGAIN,
        )
    n_people = sum(block.count(b"\n") for _, block in line_blocks(fam))
    names, codes, positions = [], [], []
    for rows in read_batches(
        _bim_header(bim), words=("chromosome", "name", "a1", "a2"), numbers=("position",)
    ):
        names.append(rows.text("name"))
        position = rows.numbers("position", fits=lambda v: v == np.floor(v), allowed="a whole number")
        rows.refuse_any(np.isnan(position), "position", "a missing position", allowed="a whole number")
        positions.append(position.astype(np.int64))
        codes.append(
            [chromosome_codes(rows, "chromosome"), allele_codes(rows, "a1"), allele_codes(rows, "a2")]
        )
    chromosome, a1, a2 = (np.concatenate(parts) for parts in zip(*codes, strict=True))
    expected, found = 3 + -(-n_people // 4) * len(chromosome), bed.stat().st_size
    if found != expected:
        raise DataError(
            f"has {found:,} bytes, but {len(chromosome):,} variants of {n_people:,} people take {expected:,}",
            where=where,
            mend="the three files must be of one panel; if they are, the .bed is cut: fetch it again",
        )
    return Panel(bed, n_people, pa.concat_arrays(names), chromosome, np.concatenate(positions), a1, a2)


def _bim_header(bim: Path) -> Header:
    lines = first_lines(bim) or [""]
    separator = "\t" if "\t" in lines[0] else " "
    if len(lines[0].split()) != len(BIM):
        raise DataError(
            f"{len(lines[0].split())} cells where {len(BIM)} are needed",
            where=f"{shown(bim)}:1",
            allowed=" ".join(BIM),
            mend=FETCH_AGAIN,
        )
    return Header(bim, BIM, separator, line=0)


@dataclass(frozen=True)
class Correlations:
    """`r` (v, v) of the variants that vary; `varies` (m,) says which do; `missing` (m,) are shares."""

    r: npt.NDArray[np.float64]
    varies: npt.NDArray[np.bool_]
    missing: npt.NDArray[np.float64]


def correlations(copies: npt.NDArray[np.int8], *, largest_missing: float) -> Correlations:
    """Signed correlations of the copies of A1 (n, m) between variants.

    A missing genotype is taken to be the variant's mean, which keeps the matrix a correlation matrix (its
    eigenvalues cannot be negative, as they can be with pairwise complete genotypes). Variants that do not
    vary, or with more than `largest_missing` of their genotypes missing, are left out.
    """
    given = copies >= 0
    n_given = np.maximum(given.sum(axis=0), 1)
    mean = np.where(given, copies, 0).sum(axis=0, dtype=np.float64) / n_given
    centred = np.where(given, copies - mean, 0.0).astype(np.float32)
    size = np.sqrt((centred.astype(np.float64) ** 2).sum(axis=0))
    missing = 1.0 - given.mean(axis=0)
    varies = (size > 1e-6) & (missing <= largest_missing)
    scaled = centred[:, varies] / size[varies].astype(np.float32)
    r = np.clip((scaled.T @ scaled).astype(np.float64), -1.0, 1.0)
    np.fill_diagonal(r, 1.0)
    return Correlations((r + r.T) / 2, varies, missing)
