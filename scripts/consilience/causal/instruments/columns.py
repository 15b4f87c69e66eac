"""Columns of prepared parquet tables as arrays."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

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


def whole(path: Path, columns: Sequence[str]) -> pa.Table:
    """These columns of a table."""
    import pyarrow as pa

    return pa.concat_tables(batches(path, columns, empty=True))


def batches(
    path: Path, columns: Sequence[str], *, repeating: Sequence[str] = (), empty: bool = False
) -> Iterator[pa.Table]:
    """Row groups of a table, one after another; with `empty` also that of a table without any.

    Columns of words that are `repeating` are read as numbers of different words.
    """
    import pyarrow as pa
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(path, read_dictionary=list(repeating)) as file:
            absent = [name for name in columns if name not in file.schema_arrow.names]
            if absent:
                raise DataError("columns are missing", where=str(path), value=", ".join(absent))
            for number in range(file.num_row_groups):
                yield file.read_row_group(number, columns=list(columns))
            if empty and not file.num_row_groups:
                yield file.schema_arrow.empty_table().select(list(columns))
    except FileNotFoundError:
        raise DataError("no such file: is the cohort prepared?", where=str(path)) from None
    except pa.ArrowInvalid as error:
        raise DataError(
            f"not a readable parquet file ({error})", where=str(path), mend="delete the file and run again"
        ) from error


def index_in(column: pa.ChunkedArray, wanted: pa.Array) -> pa.ChunkedArray:
    """Places (n,) of words in `wanted`, null where not in it; each different word is looked up once."""
    import pyarrow as pa
    import pyarrow.compute as pc

    if not pa.types.is_dictionary(column.type):
        return pc.index_in(column.cast(pa.string()), wanted)
    found = [pc.index_in(one.dictionary.cast(pa.string()), wanted) for one in column.chunks]
    places = [one.take(chunk.indices) for one, chunk in zip(found, column.chunks, strict=True)]
    return pa.chunked_array(places, pa.int32())


def levels_of(table: pa.Table, name: str) -> tuple[Integers, Words]:
    """A column as numbers (n,) of its different words, these in alphabetical order."""
    import pyarrow as pa

    column = table.column(name)
    column = column if pa.types.is_dictionary(column.type) else column.cast(pa.string()).dictionary_encode()
    coded = column.unify_dictionaries().combine_chunks()
    if isinstance(coded, pa.ChunkedArray):
        coded = coded.chunk(0) if coded.num_chunks else pa.array([], pa.string()).dictionary_encode()
    words = np.asarray(coded.dictionary.to_numpy(zero_copy_only=False), dtype=object)
    order = np.argsort(words.astype(str)) if len(words) else np.empty(0, dtype=np.int64)
    rank = np.empty(len(words), dtype=np.int64)
    rank[order] = np.arange(len(words))
    if coded.null_count:
        raise DataError("a row without a name", where=f"column {name}")
    return rank[coded.indices.to_numpy()], words[order]


def floats_of(table: pa.Table, name: str) -> Floats:
    """A column (n,) of numbers, NaN where it is null."""
    import pyarrow as pa

    return np.array(table.column(name).cast(pa.float64()).to_numpy(), dtype=np.float64)


def integers_of(table: pa.Table, name: str) -> Integers:
    """A column (n,) of whole numbers, -1 where it is null."""
    import pyarrow as pa
    import pyarrow.compute as pc

    return np.array(pc.fill_null(table.column(name).cast(pa.int64()), -1).to_numpy(), dtype=np.int64)


def words_of(table: pa.Table, name: str) -> Words:
    """A column (n,) of words, "" where it is null."""
    import pyarrow as pa
    import pyarrow.compute as pc

    return np.array(pc.fill_null(table.column(name).cast(pa.string()), "").to_numpy(), dtype=object)


def alleles_of(table: pa.Table, effect: str, other: str, frequency: str = "") -> Alleles:
    """Two columns of letters as codes, with a column of frequencies where there is one."""
    import pyarrow as pa
    import pyarrow.compute as pc

    known = pa.array(list(LETTER), pa.string())
    codes = []
    for name in (effect, other):
        place = pc.fill_null(index_in(table.column(name), known), -1)
        codes.append(np.array(place.to_numpy(), dtype=np.int8))
    frequencies = floats_of(table, frequency) if frequency else np.full(table.num_rows, np.nan)
    return Alleles(codes[0], codes[1], frequencies)
