"""A prepared cohort's three tables as arrays: variants and genes are integers, names are kept beside them.

Only variants of the eQTL table are taken from the GWAS and the LD. Variants and genes are numbered in the
order of their names, so that nothing depends on the order of rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
    whole,
    words_of,
)
from consilience.causal.instruments.ld_table import Locus, read_ld
from consilience.foundation.errors import DataError

if TYPE_CHECKING:
    import numpy.typing as npt
    import pyarrow as pa

    Floats = npt.NDArray[np.float64]
    Integers = npt.NDArray[np.int64]
    Words = npt.NDArray[np.object_]

EQTL = ("rsid", "ensembl_id", "gene", "chromosome", "position", *ALLELES, "effect_allele_frequency", "z",
        "neg_log10_p", "n", "gene_chromosome", "gene_position")  # fmt: skip
GWAS = ("rsid", "chromosome", "position", *ALLELES, "effect_allele_frequency", "z", "neg_log10_p", "n")


@dataclass(frozen=True)
class Genes:
    """The g genes of the eQTL table, in the order of `gene`: names and places ("" and -1: unknown)."""

    gene: Words
    symbol: Words
    chromosome: Words
    position: Integers


@dataclass(frozen=True)
class Pairs:
    """The p rows of the eQTL table, sorted by gene, then variant.

    `gene` and `variant` are numbers; `z` and `n` as they came, of `alleles`; `log_p` is -log10 of p.
    """

    gene: Integers
    variant: Integers
    alleles: Alleles
    z: Floats
    n: Floats
    log_p: Floats


@dataclass(frozen=True)
class Variants:
    """The v variants of the eQTL table, in the order of `name`, and their rows of the GWAS.

    `chromosome` and `position` are the eQTL table's, or the GWAS's where that has none. `z`, `n` and `log_p`
    are of the GWAS and its `alleles`, NaN where it has no such variant (`in_gwas` False).
    """

    name: Words
    chromosome: Words
    position: Integers
    in_gwas: npt.NDArray[np.bool_]
    alleles: Alleles
    z: Floats
    n: Floats
    log_p: Floats


@dataclass(frozen=True)
class Tables:
    """A cohort as the choice of instruments reads it; no `loci`: it has no LD."""

    genes: Genes
    variants: Variants
    pairs: Pairs
    loci: tuple[Locus, ...]


def read_tables(folder: Path) -> Tables:
    """gwas.parquet, eqtl.parquet and ld.parquet of a prepared cohort."""
    eqtl = whole(folder / "eqtl.parquet", EQTL)
    rsid, names = levels_of(eqtl, "rsid")
    gene, ids = levels_of(eqtl, "ensembl_id")
    rows = np.lexsort((rsid, gene))
    alleles = alleles_of(eqtl, *ALLELES, "effect_allele_frequency")
    pairs = Pairs(
        gene=gene[rows], variant=rsid[rows], alleles=alleles.take(rows), z=floats_of(eqtl, "z")[rows],
        n=floats_of(eqtl, "n")[rows], log_p=floats_of(eqtl, "neg_log10_p")[rows],
    )  # fmt: skip
    _refuse_repeats(pairs, names, ids, where=str(folder / "eqtl.parquet"))
    genes = Genes(
        ids, _first(eqtl, "gene", gene, len(ids)), _first(eqtl, "gene_chromosome", gene, len(ids)),
        _first_place(eqtl, "gene_position", gene, len(ids)),
    )  # fmt: skip
    chromosome = _first(eqtl, "chromosome", rsid, len(names))
    position = _first_place(eqtl, "position", rsid, len(names))
    variants = _with_gwas(folder / "gwas.parquet", names, chromosome, position)
    return Tables(genes, variants, pairs, read_ld(folder / "ld.parquet", names))


def _refuse_repeats(pairs: Pairs, names: Words, ids: Words, *, where: str) -> None:
    again = np.flatnonzero((np.diff(pairs.gene) == 0) & (np.diff(pairs.variant) == 0))
    if again.size:
        value = f"{names[pairs.variant[again[0]]]} of {ids[pairs.gene[again[0]]]}"
        raise DataError(f"{again.size} pairs of variant and gene have two rows", where=where, value=value)


def _with_gwas(path: Path, names: Words, chromosome: Words, position: Integers) -> Variants:
    import pyarrow as pa

    wanted = pa.array(names, pa.string())
    parts = []
    for part in batches(path, GWAS):
        place = index_in(part.column("rsid"), wanted)
        parts.append(part.append_column("place", place).filter(place.is_valid()))
    table = pa.concat_tables(parts) if parts else None
    n = len(names)
    held = np.zeros(n, dtype=bool)
    numbers = {name: np.full(n, np.nan) for name in ("z", "n", "neg_log10_p")}
    alleles = Alleles(np.full(n, -1, dtype=np.int8), np.full(n, -1, dtype=np.int8), np.full(n, np.nan))
    if table is not None and table.num_rows:
        place = table.column("place").to_numpy().astype(np.int64)
        if len(np.unique(place)) < len(place):
            raise DataError("a variant has two rows", where=str(path))
        held[place] = True
        for name, values in numbers.items():
            values[place] = floats_of(table, name)
        own = alleles_of(table, *ALLELES, "effect_allele_frequency")
        alleles.effect[place], alleles.other[place] = own.effect, own.other
        alleles.frequency[place] = own.frequency
        there = words_of(table, "chromosome"), integers_of(table, "position")
        blank = position[place] < 0
        chromosome[place[blank]], position[place[blank]] = there[0][blank], there[1][blank]
    return Variants(
        names, chromosome, position, held, alleles, numbers["z"], numbers["n"], numbers["neg_log10_p"]
    )


def _first(table: pa.Table, name: str, of: Integers, n: int) -> Words:
    """The first word that a column has for each of n things (the rows' `of`), "" where none."""
    words, found = words_of(table, name), np.full(n, "", dtype=object)
    rows = np.flatnonzero(words != "")
    kept, where = np.unique(of[rows], return_index=True)
    found[kept] = words[rows[where]]
    return found


def _first_place(table: pa.Table, name: str, of: Integers, n: int) -> Any:
    places, found = integers_of(table, name), np.full(n, -1, dtype=np.int64)
    rows = np.flatnonzero(places >= 0)
    kept, where = np.unique(of[rows], return_index=True)
    found[kept] = places[rows[where]]
    return found
