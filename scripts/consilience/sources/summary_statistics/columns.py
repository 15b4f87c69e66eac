"""Tables of associations in memory: small columns, sorted, without repeats; and as they are written."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from consilience.foundation.files import atomic_path
from consilience.sources.summary_statistics.effects import neg_log10_p
from consilience.sources.summary_statistics.findings import Findings
from consilience.sources.summary_statistics.variants import (
    BASES,
    CHROMOSOMES,
    letters,
    name_hashes,
    palindromic,
    place_keys,
)

if TYPE_CHECKING:
    import pyarrow as pa

WRITTEN_ROWS = 1 << 19
_REPEATING = (
    *("chromosome", "effect_allele", "other_allele", "gene", "ensembl_id", "gene_chromosome"),
    *("gene_position", "standard_error", "effect_allele_frequency", "n", "n_effective"),
)
_VARIED = ("position", "beta", "z", "p_value", "neg_log10_p", "beta_standardised")
Keys = npt.NDArray[np.uint64]


@dataclass
class Associations:
    """A table of associations; `table` has small columns (`schema_of`), `keys` (n,) stand for the names.

    `scale` is a key of `effects.SCALES`.
    """

    what: Literal["gwas", "eqtl"]
    table: pa.Table
    keys: Keys
    scale: str = ""

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def numbers(self, name: str) -> npt.NDArray[np.float64]:
        """One column (n,) of numbers."""
        return np.asarray(self.table.column(name).to_numpy(), dtype=np.float64)

    def codes(self, name: str) -> npt.NDArray[np.int8]:
        """One column (n,) of chromosomes or alleles as small integers."""
        return np.asarray(self.table.column(name).to_numpy(), dtype=np.int8)

    @property
    def position(self) -> npt.NDArray[np.int64]:
        """Positions (n,), -1 where unknown."""
        return np.asarray(self.table.column("position").to_numpy(), dtype=np.int64)

    def places(self) -> npt.NDArray[np.int64]:
        """One integer (n,) per place and pair of alleles, whichever allele is the effect allele."""
        return place_keys(
            self.codes("chromosome"), self.position, self.codes("effect_allele"), self.codes("other_allele")
        )

    @property
    def genes(self) -> int:
        """Number of genes (eQTL)."""
        return len(self.table.column("ensembl_id").unique()) if self.what == "eqtl" else 0


def schema_of(what: str) -> pa.Schema:
    """Types of the columns in memory: chromosomes and alleles as small integers, genes by dictionary."""
    import pyarrow as pa

    words = pa.dictionary(pa.int32(), pa.string())
    fields = [
        ("rsid", pa.string()),
        ("chromosome", pa.int8()),
        ("position", pa.int32()),
        ("effect_allele", pa.int8()),
        ("other_allele", pa.int8()),
        ("beta", pa.float64()),
        ("standard_error", pa.float64()),
        ("z", pa.float64()),
        ("p_value", pa.float64()),
        ("effect_allele_frequency", pa.float32()),
        ("n", pa.float64()),
        ("n_effective", pa.float64()),
    ]
    if what == "eqtl":
        fields += [
            ("ensembl_id", words),
            ("gene", words),
            ("gene_chromosome", pa.int8()),
            ("gene_position", pa.int32()),
        ]
    return pa.schema(fields)


def table_of(what: str, columns: Mapping[str, Any]) -> pa.Table:
    """A table in memory from arrays (n,) of any width."""
    import pyarrow as pa

    arrays = []
    for field in schema_of(what):
        values = columns[field.name]
        if isinstance(values, np.ndarray):
            values = pa.array(values.astype(field.type.to_pandas_dtype()))
        arrays.append(values)
    return pa.Table.from_arrays(arrays, schema=schema_of(what))


def gathered(what: Literal["gwas", "eqtl"], tables: list[pa.Table], scale: str) -> Associations:
    """All batches as one. The list is emptied column by column, so that nothing is in memory twice."""
    import pyarrow as pa

    if not tables:
        return Associations(what, schema_of(what).empty_table(), np.empty(0, np.uint64), scale)
    keys = np.concatenate([name_hashes(one.column("rsid").combine_chunks()) for one in tables])
    columns = []
    for field in schema_of(what):
        joined = pa.chunked_array([one.column(field.name).combine_chunks() for one in tables], field.type)
        columns.append(joined.unify_dictionaries().combine_chunks())
        del joined
        tables[:] = [one.drop_columns([field.name]) for one in tables]
    tables.clear()
    return Associations(what, pa.Table.from_arrays(columns, schema=schema_of(what)), keys, scale)


def _picked(found: Associations, rows: npt.NDArray[np.int64] | npt.NDArray[np.bool_]) -> Associations:
    """The rows of a mask, or these rows in this order; `found` is used up column by column."""
    import pyarrow as pa

    chosen, schema, columns = pa.array(rows), found.table.schema, []
    for name in schema.names:
        column = found.table.column(name)
        columns.append(column.filter(chosen) if rows.dtype == bool else column.take(chosen))
        del column
        found.table = found.table.drop_columns([name])
    return Associations(
        found.what, pa.Table.from_arrays(columns, schema=schema), found.keys[rows], found.scale
    )


def without_repeats(found: Associations, findings: Findings, *, same: str, several: str) -> Associations:
    """Rows that are there twice are kept once; rows of one name (and gene) with several values go.

    Only rows whose keys repeat are compared cell by cell.
    """
    import pyarrow as pa

    if not len(found):
        return found
    keys = found.keys
    if found.what == "eqtl":
        genes = np.asarray(
            found.table.column("ensembl_id").combine_chunks().indices.to_numpy(), dtype=np.uint64
        )
        keys = keys ^ (genes * np.uint64(0x9E3779B97F4A7C15))
    in_turn = np.sort(keys)
    repeated = np.unique(in_turn[1:][in_turn[1:] == in_turn[:-1]])
    del in_turn
    if not repeated.size:
        return found
    at = np.minimum(np.searchsorted(repeated, keys), len(repeated) - 1)
    rows = np.flatnonzero(repeated[at] == keys)
    del at
    some = found.table.take(pa.array(rows)).to_pandas()
    again = some.duplicated().to_numpy()
    pair = ["rsid", "ensembl_id"] if found.what == "eqtl" else ["rsid"]
    clash = np.zeros(len(some), dtype=bool)
    clash[~again] = some[~again].duplicated(pair, keep=False).to_numpy()
    findings.remove(same, int(again.sum()))
    findings.remove(several, int(clash.sum()))
    kept = np.ones(len(found), dtype=bool)
    kept[rows[again | clash]] = False
    return _picked(found, kept)


def in_order(found: Associations, keys: Sequence[npt.NDArray[np.int64]]) -> tuple[Associations, bool]:
    """Sorted by `keys` (the first counts most), ties by name; and whether the keys were in order before."""
    import pyarrow as pa

    ties, before = np.ones(max(len(found) - 1, 0), dtype=bool), np.zeros(max(len(found) - 1, 0), dtype=bool)
    for key in keys:
        before |= ties & (key[1:] < key[:-1])
        ties &= key[1:] == key[:-1]
    was = not before.any()
    order = np.arange(len(found)) if was else np.lexsort(tuple(reversed(keys)))
    if not was:
        ties[:] = True
        for key in keys:
            in_turn = key[order]
            ties &= in_turn[1:] == in_turn[:-1]
    if ties.any():
        tied = np.flatnonzero(np.r_[ties, False] | np.r_[False, ties])
        run = np.r_[0, np.cumsum(~ties)][tied]
        names = found.table.column("rsid").take(pa.array(order[tied])).to_numpy().astype(str)
        order[tied] = order[tied][np.lexsort((names, run))]
    if was and not ties.any():
        return found, was
    return _picked(found, order), was


def write_associations(path: Path, found: Associations) -> None:
    """Write the table as parquet, some hundred thousand rows at a time."""
    from pyarrow import parquet

    with atomic_path(path) as temporary:
        schema = written_table(found.what, schema_of(found.what).empty_table()).schema
        writing = {
            "use_dictionary": [name for name in schema.names if name in _REPEATING],
            "use_byte_stream_split": [name for name in schema.names if name in _VARIED],
            "write_statistics": ["chromosome", "position", "p_value"],
        }
        with parquet.ParquetWriter(temporary, schema, compression="zstd", **writing) as writer:
            for piece in _pieces(found.table):
                writer.write_table(written_table(found.what, piece))


def _pieces(table: pa.Table) -> Iterator[pa.Table]:
    for start in range(0, table.num_rows, WRITTEN_ROWS):
        yield table.slice(start, WRITTEN_ROWS).combine_chunks()


def written_table(what: str, table: pa.Table) -> pa.Table:
    """The table as later stages read it: words for codes, nulls for what is unknown, and what follows from z.

    `beta_standardised` is z / sqrt(n), the effect in standard deviations per standard deviation.
    """
    import pyarrow as pa

    def codes(name: str) -> npt.NDArray[np.int8]:
        return np.asarray(table.column(name).to_numpy(), dtype=np.int8)

    def numbers(name: str) -> pa.Array:
        return pa.array(np.asarray(table.column(name).to_numpy(), dtype=np.float64), from_pandas=True)

    def known(name: str) -> pa.Array:
        values = np.asarray(table.column(name).to_numpy(), dtype=np.int64)
        return pa.array(values, mask=values < 0)

    z, n = (np.asarray(table.column(name).to_numpy(), dtype=np.float64) for name in ("z", "n"))
    effect, other = codes("effect_allele"), codes("other_allele")
    columns = {
        "rsid": table.column("rsid"),
        "chromosome": letters(codes("chromosome"), CHROMOSOMES),
        "position": known("position"),
        "effect_allele": letters(effect, BASES),
        "other_allele": letters(other, BASES),
        "beta": table.column("beta"),
        "standard_error": table.column("standard_error"),
        "z": z,
        "effect_allele_frequency": numbers("effect_allele_frequency"),
        "p_value": numbers("p_value"),
        "neg_log10_p": neg_log10_p(z),
        "n": n,
        "n_effective": table.column("n_effective"),
        "beta_standardised": z / np.sqrt(n),
        "palindromic": palindromic(effect, other) & (effect >= 0),
    }
    if what == "eqtl":
        columns |= {
            "gene": table.column("gene").cast(pa.string()),
            "ensembl_id": table.column("ensembl_id").cast(pa.string()),
            "gene_chromosome": letters(codes("gene_chromosome"), CHROMOSOMES),
            "gene_position": known("gene_position"),
        }
    return pa.table(columns)
