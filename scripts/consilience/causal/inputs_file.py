"""`inputs.parquet`: the inputs of every gene in one file, one row a gene, read as whole arrays.

Columns: `gene`, `symbol`, `genes` (k), `variants` (n), `eqtl` (n x k, row by row), `gwas` (n), `ld` (lower
triangle with its diagonal, row by row), `known` (n x k), `n_eqtl` (k), `n_gwas`. Numbers are kept to the last
bit. Lists are read as one buffer with offsets, so that ten thousand genes take a fraction of a second.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from consilience.causal.inputs import GeneInputs
from consilience.foundation.errors import DataError
from consilience.foundation.files import atomic_path

if TYPE_CHECKING:
    import numpy.typing as npt
    import pyarrow as pa

    from consilience.sources.summary_statistics.twmr import TwmrInputs

    Floats = npt.NDArray[np.float64]
    Integers = npt.NDArray[np.int64]

NAMES = ("genes", "variants")
FLOATS = ("eqtl", "gwas", "ld", "n_eqtl")
LISTS = (*NAMES, *FLOATS, "known")
COLUMNS = ("gene", "symbol", *LISTS, "n_gwas")
AGAIN = "delete the file and run again"


@dataclass(frozen=True)
class Bucket:
    """G genes with the same n variants and k genes, stacked as `GeneInputs` has them.

    `index` (G,) rows of the file, ascending; `eqtl` and `known` (G, n, k), `gwas` (G, n), `ld` (G, n, n),
    `n_eqtl` (G, k), `n_gwas` (G,).
    """

    index: Integers
    eqtl: Floats
    gwas: Floats
    ld: Floats
    known: npt.NDArray[np.bool_]
    n_eqtl: Floats
    n_gwas: Floats


@dataclass(frozen=True)
class Named:
    """The names of each row of the file: the focal gene, its symbol, all its genes and its variants."""

    gene: list[str]
    symbol: list[str]
    genes: list[tuple[str, ...]]
    variants: list[tuple[str, ...]]


def from_twmr(one: TwmrInputs, *, n_gwas: float, n_eqtl: float, symbol: str = "") -> GeneInputs:
    """A ready TWMR table with its LD; an effect of exactly 0 says "no eQTL", whether looked at or not."""
    return GeneInputs(
        gene=one.gene, symbol=symbol, genes=one.genes, variants=one.rsid, eqtl=one.effects, gwas=one.gwas,
        ld=one.ld, known=one.effects != 0, n_eqtl=np.full(len(one.genes), float(n_eqtl)),
        n_gwas=float(n_gwas),
    )  # fmt: skip


def write_inputs(path: Path, inputs: Iterable[GeneInputs]) -> None:
    """Write the genes in the order given; no genes make a file of no rows."""
    import pyarrow as pa
    from pyarrow import parquet

    genes = list(inputs)
    columns = {
        "gene": pa.array([one.gene for one in genes], pa.string()),
        "symbol": pa.array([one.symbol for one in genes], pa.string()),
        "n_gwas": pa.array(np.array([one.n_gwas for one in genes], dtype=np.float64)),
    }
    for name in NAMES:
        lists = [getattr(one, name) for one in genes]
        words = pa.array([word for words in lists for word in words], pa.string())
        columns[name] = _lists(words, np.array([len(one) for one in lists], dtype=np.int64))
    for name in (*FLOATS, "known"):
        parts = [_flat(one, name) for one in genes]
        kind = np.bool_ if name == "known" else np.float64
        values = np.concatenate(parts) if parts else np.empty(0)
        sizes = np.array([part.size for part in parts], dtype=np.int64)
        columns[name] = _lists(pa.array(values.astype(kind)), sizes)
    table = pa.table({name: columns[name] for name in COLUMNS})
    with atomic_path(path) as temporary:
        parquet.write_table(table, temporary, compression="zstd", use_dictionary=["genes", "variants"])


def read_inputs(path: Path) -> list[GeneInputs]:
    """All genes of the file in their order."""
    table = _read(path, COLUMNS)
    named, n_gwas = _named(table), _column(table, "n_gwas")
    found: list[GeneInputs | None] = [None] * len(named.gene)
    for bucket in _buckets(table, path):
        for place, row in enumerate(bucket.index):
            found[row] = GeneInputs(
                gene=named.gene[row], symbol=named.symbol[row], genes=named.genes[row],
                variants=named.variants[row], eqtl=bucket.eqtl[place], gwas=bucket.gwas[place],
                ld=bucket.ld[place], known=bucket.known[place], n_eqtl=bucket.n_eqtl[place],
                n_gwas=float(n_gwas[row]),
            )  # fmt: skip
    return [one for one in found if one is not None]


def read_buckets(path: Path) -> list[Bucket]:
    """The numbers alone, stacked by size (n, k): what batched linear algebra wants; sizes ascending."""
    return list(_buckets(_read(path, (*FLOATS, "known", "n_gwas")), path))


def read_names(path: Path) -> Named:
    """The names alone, one entry a row of the file (see `Bucket.index`)."""
    return _named(_read(path, ("gene", "symbol", *NAMES)))


def _flat(one: GeneInputs, name: str) -> npt.NDArray[Any]:
    values = np.asarray(getattr(one, name))
    return values[_triangle(len(values))] if name == "ld" else values.ravel()


def _triangle(n: int) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    return np.tril_indices(n)


def _lists(values: pa.Array, sizes: Integers) -> pa.Array:
    import pyarrow as pa

    offsets = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(sizes)])
    return pa.LargeListArray.from_arrays(pa.array(offsets), values)


def _read(path: Path, columns: tuple[str, ...]) -> pa.Table:
    import pyarrow as pa
    from pyarrow import parquet

    try:
        held = parquet.read_schema(path).names
        absent = [name for name in COLUMNS if name not in held]
        if absent:
            raise DataError(
                "not a table of TWMR inputs: columns are missing", where=str(path), value=", ".join(absent)
            )
        return parquet.read_table(path, columns=list(columns)).combine_chunks()
    except FileNotFoundError:
        raise DataError("no such file", where=str(path)) from None
    except (pa.ArrowInvalid, OSError) as error:
        raise DataError(f"not a readable parquet file ({error})", where=str(path), mend=AGAIN) from error


def _column(table: pa.Table, name: str) -> Any:
    import pyarrow as pa

    column = table.column(name).combine_chunks()
    if isinstance(column, pa.ChunkedArray):
        column = pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
    kind = column.type
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_string(kind):
        return column
    return column.to_numpy(zero_copy_only=False)


def _offsets(column: pa.Array) -> Integers:
    offsets: Integers = column.offsets.to_numpy().astype(np.int64)
    return offsets - offsets[:1]


def _values(column: pa.Array) -> npt.NDArray[Any]:
    values: npt.NDArray[Any] = column.flatten().to_numpy(zero_copy_only=False)
    return values


def _named(table: pa.Table) -> Named:
    lists: dict[str, list[tuple[str, ...]]] = {}
    for name in NAMES:
        column = _column(table, name)
        words = column.flatten().to_pylist()
        bounds = _offsets(column).tolist()
        lists[name] = [tuple(words[a:b]) for a, b in pairwise(bounds)]
    gene, symbol = (_column(table, name).to_pylist() for name in ("gene", "symbol"))
    return Named(gene, symbol, lists["genes"], lists["variants"])


def _buckets(table: pa.Table, path: Path) -> Iterator[Bucket]:
    columns = {name: _column(table, name) for name in (*FLOATS, "known")}
    start = {name: _offsets(column) for name, column in columns.items()}
    values = {name: _values(column) for name, column in columns.items()}
    people = _column(table, "n_gwas")
    n, k = np.diff(start["gwas"]), np.diff(start["n_eqtl"])
    due = {"eqtl": n * k, "known": n * k, "ld": n * (n + 1) // 2}
    for name, sizes in due.items():
        wrong = np.flatnonzero(np.diff(start[name]) != sizes)
        if wrong.size or not (n > 0).all() or not (k > 0).all():
            row = int(wrong[0]) if wrong.size else int(np.flatnonzero((n < 1) | (k < 1))[0])
            raise DataError(
                f"the numbers in column {name} are not as many as the variants and genes",
                where=f"{path}: row {row + 1}", mend=AGAIN,
            )  # fmt: skip
    order = np.lexsort((k, n))
    edges = np.flatnonzero((np.diff(n[order]) != 0) | (np.diff(k[order]) != 0)) + 1
    for rows in np.split(order, edges) if len(order) else []:
        yield _bucket(rows, int(n[rows[0]]), int(k[rows[0]]), start=start, values=values, people=people)


def _bucket(
    rows: npt.NDArray[np.intp], n: int, k: int, *, start: dict[str, Integers],
    values: dict[str, npt.NDArray[Any]], people: Floats,
) -> Bucket:  # fmt: skip
    def block(name: str, size: int) -> npt.NDArray[Any]:
        taken: npt.NDArray[Any] = values[name][start[name][rows][:, None] + np.arange(size)]
        return taken

    lower, upper = _triangle(n)
    ld = np.empty((len(rows), n, n))
    ld[:, lower, upper] = ld[:, upper, lower] = block("ld", len(lower))
    return Bucket(
        index=rows.astype(np.int64), eqtl=block("eqtl", n * k).reshape(-1, n, k), gwas=block("gwas", n),
        ld=ld, known=block("known", n * k).reshape(-1, n, k), n_eqtl=block("n_eqtl", k),
        n_gwas=people[rows],
    )  # fmt: skip
