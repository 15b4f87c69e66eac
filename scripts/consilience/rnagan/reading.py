"""Somebody's own expression file, as it lies: .h5ad, .tsv, .csv (also .gz) or .parquet.

What is in it is not yet under the model's genes nor on its scale; `alignment` sees to that.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from consilience.foundation.errors import DataError, did_you_mean, printable
from consilience.rnagan.scales import SCALES
from consilience.sources.bulk.tables import join_columns, listed, noted_samples_table, read_count_table
from consilience.sources.formats import TABLE_SUFFIXES, samples_table_of
from consilience.sources.text import shown

if TYPE_CHECKING:
    import numpy.typing as npt

Blocks = Callable[[int, "npt.NDArray[np.bool_] | None"], Iterator[tuple[int, Any]]]
BLOCK = 1024
GENE_NAME_COLUMNS = (
    "ensembl_id", "gene_ids", "gene_id", "feature_id", "feature_name", "gene_name", "gene_symbol",
    "gene_symbols", "symbol",
)  # fmt: skip
PREPARED = dict.fromkeys(("tpm", "fpkm", "cpm"), "log2p1") | {"intensity": "log2", "log2": "log2"}
"""What X of a file of results/<study>/expression/ holds, by the units of what it was made of."""


@dataclass(frozen=True)
class Given:
    """A file of samples or cells, as it lies.

    `blocks(size, wanted)` gives (first row, values (size, ids)), dense or CSR, without the blocks in which no
    row is of the mask `wanted`; `names` (n,); `ids` one or more columns of gene ids, each (ids,); `columns`
    what is known of each sample, each (n,) text; `units` what the file says of its values, "" for nothing.
    """

    where: str
    blocks: Blocks
    names: npt.NDArray[np.str_]
    ids: tuple[tuple[str, ...], ...]
    columns: Mapping[str, npt.NDArray[np.str_]] = field(default_factory=dict)
    units: str = ""
    natural_log: bool = False
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.names)


def read_given(path: Path, *, labels: Path | None = None) -> Given:
    """Open a file of samples; `labels` is a table of what is known of them, with a column sample.

    Raises
    ------
    DataError
        When it is no such file, holds a name twice, or the table of labels lacks one of its samples.
    """
    if not path.is_file():
        raise DataError("there is no such file", where=str(path), mend="look at the path")
    if not path.name.endswith((".h5ad", *TABLE_SUFFIXES)):
        raise DataError("not a file of samples that can be read here", where=shown(path), value=path.suffix,
                        allowed=".h5ad, .parquet, .tsv, .csv, .txt (also .gz)")  # fmt: skip
    given = _h5ad(path) if path.name.endswith(".h5ad") else _table(path, labels=labels)
    _refuse_twins(given)
    if labels is None:
        return given
    columns, notes = noted_samples_table(labels)
    names = [str(name) for name in given.names]
    joined, absent = join_columns(names, columns, beside=labels.name, where=given.where)
    more = {name: np.array(values, dtype=str) for name, values in joined.items()}
    return Given(
        given.where, given.blocks, given.names, given.ids, {**_all(given.columns), **more}, given.units,
        given.natural_log, (*given.notes, *notes, *absent),
    )  # fmt: skip


def column_of(given: Given, name: str, *, option: str = "--label") -> npt.NDArray[np.str_]:
    """One column of the samples (n,); of a missing one the error lists those that are there."""
    if name not in given.columns:
        known = list(given.columns)
        raise DataError(
            "has no such column of the samples", where=f"{given.where} ({option})", value=name,
            allowed=", ".join(known) or "none: it says nothing of its samples",
            mend=did_you_mean(name, known) or (
                f"give one of these by {option}" if known else "give a table of labels by --labels"),
        )  # fmt: skip
    return given.columns[name]


def rows_of(
    values: npt.NDArray[np.str_],
    levels: Sequence[str],
    *,
    column: str,
    where: str,
    option: str = "--positive",
) -> npt.NDArray[np.intp]:
    """Rows whose value is one of `levels`; of a missing level the error lists those that occur."""
    counted = Counter(values.tolist())
    for level in levels:
        if not counted[level]:
            often = ", ".join(f"{printable(one)} ({n:,})" for one, n in counted.most_common(20) if one)
            raise DataError(
                f"no sample has this level in column {column!r}", where=f"{where} ({option})", value=level,
                allowed=often, mend=did_you_mean(level, [one for one in counted if one]),
            )  # fmt: skip
    return np.flatnonzero(np.isin(values, list(levels)))


def _all(columns: Mapping[str, npt.NDArray[np.str_]]) -> dict[str, npt.NDArray[np.str_]]:
    return {name: columns[name] for name in columns}


def _refuse_twins(given: Given) -> None:
    names, often = np.unique(given.names, return_counts=True)
    if (often > 1).any():
        twins = [str(name) for name in names[often > 1]]
        raise DataError(
            f"{len(twins)} names are given to more than one sample: {listed(twins)}", where=given.where,
            value=twins[0], mend="give each sample a name of its own",
        )  # fmt: skip


class _Columns(Mapping[str, "npt.NDArray[np.str_]"]):
    """Columns of an h5ad file as text, read when asked for."""

    def __init__(self, names: Sequence[str], read: Callable[[str], list[str]]) -> None:
        self._names, self._read = tuple(names), read

    def __getitem__(self, name: str) -> npt.NDArray[np.str_]:
        if name not in self._names:
            raise KeyError(name)
        return np.array(self._read(name), dtype=str)

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)


def _h5ad(path: Path) -> Given:
    """Raw counts where the file has any; else X, of which the file may say what it is."""
    from consilience.sources.cells.h5ad import open_h5ad

    said, natural = _said(path)
    if said in SCALES:
        return _x_of_h5ad(path, units=said, natural=natural, notes=())
    try:
        matrix = open_h5ad(path)
    except DataError as error:
        if "holds no raw counts" not in str(error):
            raise
        notes = ("the file holds no raw counts: X is read",)
        return _x_of_h5ad(path, units=PREPARED.get(said, ""), natural=natural, notes=notes)
    names = np.char.decode(matrix.barcodes, "utf-8") if matrix.barcodes.size else np.empty(0, dtype=str)
    columns = _Columns(list(matrix.columns), lambda name: matrix.columns[name].text())
    return Given(matrix.where, matrix.counts.blocks, np.asarray(names, dtype=str),
                 (matrix.genes, matrix.gene_names), columns, "counts", notes=matrix.notes)  # fmt: skip


def _said(path: Path) -> tuple[str, bool]:
    """What `uns` says: the units in files of this workflow, and whether scanpy took natural logarithms."""
    import h5py

    from consilience.sources.cells.h5_frames import explain_hdf5

    with explain_hdf5(shown(path)), h5py.File(path, "r") as file:
        uns = file.get("uns", {})
        own = uns.get("consilience", {})
        units = own["units"][()] if "units" in own else b""
        return units.decode() if isinstance(units, bytes) else str(units), "log1p" in uns


def _x_of_h5ad(path: Path, *, units: str, natural: bool, notes: tuple[str, ...]) -> Given:
    import h5py

    from consilience.sources.cells.h5_frames import (
        explain_hdf5,
        frame_columns,
        old_categories_of,
        read_column,
        read_index,
    )

    where = shown(path)
    with explain_hdf5(where), h5py.File(path, "r") as file:
        if "X" not in file:
            raise DataError("holds neither raw counts nor X", where=where, mend="write the values into X")
        names = np.array([name.decode() for name in read_index(file["obs"])], dtype=str)
        var, old = file["var"], old_categories_of(file, "var")
        ids = [tuple(name.decode() for name in read_index(var))]
        wanted = [name for name in GENE_NAME_COLUMNS if name in frame_columns(var)]
        ids += [tuple(read_column(var, name, old_categories=old).text()) for name in wanted]
        values = _matrix(file["X"])
        obs = frame_columns(file["obs"])
    if values.shape != (len(names), len(ids[0])):
        raise DataError("X does not fit obs and var", where=where, value=str(values.shape),
                        allowed=f"({len(names)}, {len(ids[0])})")  # fmt: skip

    def read(name: str) -> list[str]:
        with explain_hdf5(where), h5py.File(path, "r") as file:
            return read_column(file["obs"], name, old_categories=old_categories_of(file, "obs")).text()

    return Given(where, in_memory(values), names, tuple(ids), _Columns(obs, read), units, natural, notes)


def _matrix(member: Any) -> Any:
    """A dense or sparse matrix of an h5ad file in memory."""
    if not hasattr(member, "keys"):
        return member[()]
    from scipy import sparse

    kind = member.attrs.get("encoding-type", member.attrs.get("h5sparse_format", "csr"))
    shape = tuple(int(n) for n in member.attrs.get("shape", member.attrs.get("h5sparse_shape")))
    form = sparse.csc_matrix if "csc" in str(kind) else sparse.csr_matrix
    matrix = form((member["data"][()], member["indices"][()], member["indptr"][()]), shape=shape)
    matrix.check_format(full_check=True)
    return matrix.tocsr()


def in_memory(values: Any) -> Blocks:
    """Blocks of rows of an array or CSR matrix (n, ids)."""

    def blocks(size: int, wanted: npt.NDArray[np.bool_] | None) -> Iterator[tuple[int, Any]]:
        for start in range(0, values.shape[0], size):
            if wanted is None or wanted[start : start + size].any():
                yield start, values[start : start + size]

    return blocks


def _table(path: Path, *, labels: Path | None) -> Given:
    """A table genes x samples or samples x genes; a samples table beside it gives the columns."""
    beside = None if labels else samples_table_of(path)
    columns, said = noted_samples_table(beside) if beside else ({}, ())
    table = read_count_table(path, samples=columns.get("sample", ()))
    ids, names, values, notes = tuple(table.ids.values()), table.samples, table.values.T, table.notes
    if _more_genes(table.samples, than=ids):
        if len(ids) > 1:
            raise DataError(
                "holds samples in rows and more than one column of text", where=table.where,
                value=", ".join(table.ids), allowed="one column of sample names, then one column per gene",
                mend="give the other columns as a table by --labels",
            )  # fmt: skip
        ids, names, values = (table.samples,), ids[0], table.values
        notes = (*notes, "samples are in rows, genes in columns")
    known: dict[str, npt.NDArray[np.str_]] = {}
    if beside and set(names) & set(columns["sample"]):
        joined, absent = join_columns(names, columns, beside=beside.name, where=table.where)
        known = {name: np.array(texts, dtype=str) for name, texts in joined.items()}
        notes = (*notes, f"labels are read from {beside.name}", *said, *absent)
    return Given(table.where, in_memory(np.asarray(values)), np.array(names, dtype=str), ids, known,
                 notes=notes)  # fmt: skip


def _more_genes(names: Sequence[str], *, than: Sequence[Sequence[str]]) -> bool:
    """Whether the columns of a table are genes, rather than its rows."""
    share = [sum(map(bool, symbols_of(tuple(ids)))) / max(1, len(ids)) for ids in (names, *than)]
    return share[0] > max(share[1:])


@lru_cache(maxsize=16)
def symbols_of(ids: tuple[str, ...]) -> tuple[str, ...]:
    """The current symbol of each id, "" where there is none; the same ids are resolved once per process."""
    from consilience.expression.genes import load_gene_table, resolve

    return resolve(ids, table=load_gene_table()).symbol
