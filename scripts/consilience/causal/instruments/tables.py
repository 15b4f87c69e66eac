"""A prepared cohort's three tables as arrays: variants and genes are integers, names are kept beside them.

Only variants of the eQTL table are taken from the GWAS and the LD. Variants and genes are numbered in the
order of their names, so that nothing depends on the order of rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from consilience.causal.instruments.alleles import Alleles
from consilience.foundation.errors import DataError

if TYPE_CHECKING:
    import numpy.typing as npt
    import pyarrow as pa

    Floats = npt.NDArray[np.float64]
    Integers = npt.NDArray[np.int64]
    Words = npt.NDArray[np.object_]

LETTER = {"A": 0, "C": 1, "G": 2, "T": 3}
ALLELES = ("effect_allele", "other_allele")
EQTL = ("rsid", "ensembl_id", "gene", "chromosome", "position", *ALLELES, "effect_allele_frequency", "z",
        "neg_log10_p", "n", "gene_chromosome", "gene_position")  # fmt: skip
GWAS = ("rsid", "chromosome", "position", *ALLELES, "effect_allele_frequency", "z", "neg_log10_p", "n")
LD = ("locus", "rsid_1", "rsid_2", "r", *(f"{name}_{side}" for side in "12" for name in ALLELES))


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
class Locus:
    """One LD matrix: `variant` (m,) numbers in the order of the table, `alleles` (m,), `r` (m, m)."""

    name: str
    variant: Integers
    alleles: Alleles
    r: Floats
    n_absent: int = 0
    """pairs without a row, taken as 0"""


@dataclass(frozen=True)
class Tables:
    """A cohort as the choice of instruments reads it; no `loci`: it has no LD."""

    genes: Genes
    variants: Variants
    pairs: Pairs
    loci: tuple[Locus, ...]


def read_tables(folder: Path) -> Tables:
    """gwas.parquet, eqtl.parquet and ld.parquet of a prepared cohort."""
    eqtl = _read(folder / "eqtl.parquet", EQTL)
    rsid, names = _levels(eqtl, "rsid")
    gene, ids = _levels(eqtl, "ensembl_id")
    rows = np.lexsort((rsid, gene))
    alleles = _alleles(eqtl, *ALLELES, "effect_allele_frequency")
    pairs = Pairs(
        gene=gene[rows], variant=rsid[rows], alleles=alleles.take(rows), z=_floats(eqtl, "z")[rows],
        n=_floats(eqtl, "n")[rows], log_p=_floats(eqtl, "neg_log10_p")[rows],
    )  # fmt: skip
    _refuse_repeats(pairs, names, ids, where=str(folder / "eqtl.parquet"))
    genes = Genes(
        ids, _first(eqtl, "gene", gene, len(ids)), _first(eqtl, "gene_chromosome", gene, len(ids)),
        _first_place(eqtl, "gene_position", gene, len(ids)),
    )  # fmt: skip
    chromosome = _first(eqtl, "chromosome", rsid, len(names))
    position = _first_place(eqtl, "position", rsid, len(names))
    variants = _with_gwas(folder / "gwas.parquet", names, chromosome, position)
    return Tables(genes, variants, pairs, tuple(_loci(folder / "ld.parquet", names)))


def _refuse_repeats(pairs: Pairs, names: Words, ids: Words, *, where: str) -> None:
    again = np.flatnonzero((np.diff(pairs.gene) == 0) & (np.diff(pairs.variant) == 0))
    if again.size:
        value = f"{names[pairs.variant[again[0]]]} of {ids[pairs.gene[again[0]]]}"
        raise DataError(f"{again.size} pairs of variant and gene have two rows", where=where, value=value)


def _with_gwas(path: Path, names: Words, chromosome: Words, position: Integers) -> Variants:
    import pyarrow as pa
    import pyarrow.compute as pc

    wanted = pa.array(names, pa.string())
    parts = []
    for part in _batches(path, GWAS):
        place = pc.index_in(part.column("rsid").cast(pa.string()), wanted)
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
            values[place] = _floats(table, name)
        own = _alleles(table, *ALLELES, "effect_allele_frequency")
        alleles.effect[place], alleles.other[place] = own.effect, own.other
        alleles.frequency[place] = own.frequency
        there = _words(table, "chromosome"), _integers(table, "position")
        blank = position[place] < 0
        chromosome[place[blank]], position[place[blank]] = there[0][blank], there[1][blank]
    return Variants(
        names, chromosome, position, held, alleles, numbers["z"], numbers["n"], numbers["neg_log10_p"]
    )


def _loci(path: Path, names: Words) -> Iterator[Locus]:
    """All matrices of the table, reduced to the variants named; those of fewer than one are left out."""
    import pyarrow as pa
    import pyarrow.compute as pc

    wanted = pa.array(names, pa.string())
    parts = []
    for part in _batches(path, LD):
        first, second = (pc.index_in(part.column(f"rsid_{side}").cast(pa.string()), wanted) for side in "12")
        kept = pc.and_(first.is_valid(), second.is_valid())
        parts.append(part.append_column("first", first).append_column("second", second).filter(kept))
    if not parts or not (table := pa.concat_tables(parts)).num_rows:
        return
    locus, loci = _levels(table, "locus")
    first, second = _integers(table, "first"), _integers(table, "second")
    r, alleles = _floats(table, "r"), _alleles(table, *(f"{name}_1" for name in ALLELES))
    order = np.argsort(locus, kind="stable")
    for rows in np.split(order, np.flatnonzero(np.diff(locus[order])) + 1):
        yield _locus(str(loci[locus[rows[0]]]), first[rows], second[rows], r[rows], alleles.take(rows))


def _locus(name: str, first: Integers, second: Integers, r: Floats, alleles: Alleles) -> Locus:
    own = first == second  # the diagonal names each variant once, with its alleles
    variant = first[own]
    order = np.argsort(variant)
    known = len(variant) == len(np.unique(variant)) and np.isin(second, variant).all()
    if not known or not np.isin(first, variant).all():
        raise DataError("a variant has no row with itself, or two", where=f"ld.parquet, locus {name}")
    i, j = (order[np.searchsorted(variant[order], side)] for side in (first, second))
    matrix = np.full((len(variant), len(variant)), np.nan)
    matrix[i, j] = matrix[j, i] = r
    absent = np.isnan(matrix)
    matrix[absent] = 0.0
    return Locus(name, variant, alleles.take(np.flatnonzero(own)), matrix, int(absent.sum()) // 2)


def _read(path: Path, columns: Sequence[str]) -> pa.Table:
    import pyarrow as pa

    parts = list(_batches(path, columns, everything=True))
    return pa.concat_tables(parts)


def _batches(path: Path, columns: Sequence[str], *, everything: bool = False) -> Iterator[pa.Table]:
    """Row groups of the table, one after another; with `everything` also an empty one."""
    import pyarrow as pa
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(path) as file:
            absent = [name for name in columns if name not in file.schema_arrow.names]
            if absent:
                raise DataError("columns are missing", where=str(path), value=", ".join(absent))
            for number in range(file.num_row_groups):
                yield file.read_row_group(number, columns=list(columns))
            if everything and not file.num_row_groups:
                yield file.schema_arrow.empty_table().select(list(columns))
    except FileNotFoundError:
        raise DataError("no such file: is the cohort prepared?", where=str(path)) from None
    except pa.ArrowInvalid as error:
        raise DataError(
            f"not a readable parquet file ({error})", where=str(path), mend="delete the file and run again"
        ) from error


def _levels(table: pa.Table, name: str) -> tuple[Integers, Words]:
    """A column as numbers (n,) of its different words, these in alphabetical order."""
    import pyarrow as pa

    coded = table.column(name).cast(pa.string()).combine_chunks().dictionary_encode()
    if isinstance(coded, pa.ChunkedArray):
        coded = coded.combine_chunks() if coded.num_chunks else pa.array([], pa.string()).dictionary_encode()
    words = np.asarray(coded.dictionary.to_numpy(zero_copy_only=False), dtype=object)
    order = np.argsort(words.astype(str)) if len(words) else np.empty(0, dtype=np.int64)
    rank = np.empty(len(words), dtype=np.int64)
    rank[order] = np.arange(len(words))
    if coded.null_count:
        raise DataError("a row without a name", where=f"column {name}")
    return rank[coded.indices.to_numpy()], words[order]


def _floats(table: pa.Table, name: str) -> Floats:
    import pyarrow as pa

    return np.array(table.column(name).cast(pa.float64()).to_numpy(), dtype=np.float64)


def _integers(table: pa.Table, name: str) -> Integers:
    """A column (n,), -1 where it is null."""
    import pyarrow as pa
    import pyarrow.compute as pc

    return np.array(pc.fill_null(table.column(name).cast(pa.int64()), -1).to_numpy(), dtype=np.int64)


def _words(table: pa.Table, name: str) -> Words:
    import pyarrow as pa
    import pyarrow.compute as pc

    return np.array(pc.fill_null(table.column(name).cast(pa.string()), "").to_numpy(), dtype=object)


def _alleles(table: pa.Table, effect: str, other: str, frequency: str = "") -> Alleles:
    import pyarrow as pa
    import pyarrow.compute as pc

    known = pa.array(list(LETTER), pa.string())
    codes = []
    for name in (effect, other):
        place = pc.fill_null(pc.index_in(table.column(name).cast(pa.string()), known), -1)
        codes.append(np.array(place.to_numpy(), dtype=np.int8))
    frequencies = _floats(table, frequency) if frequency else np.full(table.num_rows, np.nan)
    return Alleles(codes[0], codes[1], frequencies)


def _first(table: pa.Table, name: str, of: Integers, n: int) -> Words:
    """The first word that a column has for each of n things (the rows' `of`), "" where none."""
    words, found = _words(table, name), np.full(n, "", dtype=object)
    rows = np.flatnonzero(words != "")
    kept, where = np.unique(of[rows], return_index=True)
    found[kept] = words[rows[where]]
    return found


def _first_place(table: pa.Table, name: str, of: Integers, n: int) -> Any:
    places, found = _integers(table, name), np.full(n, -1, dtype=np.int64)
    rows = np.flatnonzero(places >= 0)
    kept, where = np.unique(of[rows], return_index=True)
    found[kept] = places[rows[where]]
    return found
