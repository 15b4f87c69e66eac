"""Count matrices inside HDF5 files, read in blocks of cells: CSR and dense as they lie, CSC turned round."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from consilience.foundation.errors import DataError
from consilience.sources.cells.h5_frames import explain_hdf5
from consilience.sources.cells.matrix import (
    BLOCK_CELLS,
    CACHED_ENTRIES,
    CountSource,
    MemoryCounts,
    block_bounds,
    first_bad_count,
    refuse_value,
    whole_block,
)
from consilience.sources.cells.turn import Entries, turn_round

if TYPE_CHECKING:
    import numpy.typing as npt
    from scipy import sparse

DENSE_BYTES = 64 << 20
TURNED_ENTRIES = 100_000_000
"""Largest column-wise (CSC) matrix that is turned round in memory where there is no room on disk for it."""
PIECE = 1 << 22
PROBE_CELLS = 64


@dataclass(frozen=True)
class Naming:
    """Where a matrix lies and how to name its cells and genes in messages."""

    where: str
    cell: Callable[[int], str]
    gene: Callable[[int], str]


@dataclass(frozen=True)
class SparseRows:
    """A CSR matrix in a file: `path`, `key` of its group; read by slices of its entries."""

    path: Path
    key: str
    n_cells: int
    n_genes: int
    n_entries: int
    naming: Naming

    def blocks(
        self, size: int = BLOCK_CELLS, wanted: npt.NDArray[np.bool_] | None = None
    ) -> Iterator[tuple[int, sparse.csr_matrix]]:
        """See `CountSource.blocks`."""
        import h5py

        where = self.naming.where
        with explain_hdf5(where), h5py.File(self.path, "r") as file:
            group = file[self.key]
            for start, stop in block_bounds(self.n_cells, size, wanted):
                pointers = group["indptr"][start : stop + 1].astype(np.int64)
                first, last = int(pointers[0]), int(pointers[-1])
                if not 0 <= first <= last <= self.n_entries:
                    raise DataError("the sparse matrix is damaged: its row pointers do not fit its entries",
                                    where=where, mend="fetch the file again")  # fmt: skip
                yield start, whole_block(
                    data=group["data"][first:last], indices=group["indices"][first:last],
                    indptr=pointers - first, n_genes=self.n_genes, start=start, where=where,
                    cell_name=self.naming.cell, gene_name=self.naming.gene,
                )  # fmt: skip

    def row_sizes(self) -> npt.NDArray[np.int64]:
        """Stored values of each cell (n,)."""
        import h5py

        with explain_hdf5(self.naming.where), h5py.File(self.path, "r") as file:
            return np.asarray(np.diff(file[self.key]["indptr"][()].astype(np.int64)))


@dataclass(frozen=True)
class DenseRows:
    """A dense matrix in a file; read in bands of at most 64 MB."""

    path: Path
    key: str
    n_cells: int
    n_genes: int
    naming: Naming

    @property
    def n_entries(self) -> int:
        """Values, zeros included."""
        return self.n_cells * self.n_genes

    def blocks(
        self, size: int = BLOCK_CELLS, wanted: npt.NDArray[np.bool_] | None = None
    ) -> Iterator[tuple[int, sparse.csr_matrix]]:
        """See `CountSource.blocks`."""
        import h5py
        from scipy import sparse

        with explain_hdf5(self.naming.where), h5py.File(self.path, "r") as file:
            values = file[self.key]
            band = max(1, DENSE_BYTES // max(1, self.n_genes * values.dtype.itemsize))
            for start, stop in block_bounds(self.n_cells, size, wanted):
                parts = [
                    self._band(values[first : min(first + band, stop)], first)
                    for first in range(start, stop, band)
                ]
                yield start, parts[0] if len(parts) == 1 else sparse.vstack(parts, format="csr")

    def _band(self, values: npt.NDArray[Any], first: int) -> sparse.csr_matrix:
        from scipy import sparse

        bad = first_bad_count(values.ravel())
        if bad >= 0:
            cell, gene = divmod(bad, self.n_genes)
            refuse_value(values[cell, gene], cell=self.naming.cell(first + cell),
                         gene=self.naming.gene(gene), where=self.naming.where)  # fmt: skip
        return sparse.csr_matrix(values.astype(np.int32, copy=False))


def open_counts(
    file: Any, *, path: Path, key: str, shape: tuple[int, int], naming: Naming, scratch: Path | None = None
) -> CountSource:
    """The count matrix at `key`, whatever its storage; its shape must be that of the tables.

    `scratch` is a folder for a large column-wise matrix turned round on disk; without it, that is refused.
    """
    member = file[key]
    found = tuple(int(n) for n in matrix_shape(member))
    if found != shape:
        raise DataError(
            f"{key} does not fit the tables of cells and genes",
            where=naming.where,
            value=f"{found[0]} × {found[1]}",
            allowed=f"{shape[0]} × {shape[1]}",
            mend="fetch the file again",
        )
    if not hasattr(member, "keys"):
        return DenseRows(path, key, *shape, naming)
    kind = storage_of(member)
    n_entries = int(member["data"].shape[0])
    major = shape[0] if kind == "csr" else shape[1]
    pointers = member["indptr"]
    if (
        pointers.shape[0] != major + 1
        or int(pointers[0]) != 0
        or int(pointers[-1]) != n_entries
        or (member["indices"].shape[0] != n_entries)
    ):
        raise DataError(f"the sparse matrix {key} is damaged: its row pointers do not fit its entries",
                        where=naming.where, mend="fetch the file again")  # fmt: skip
    rows = SparseRows(path, key, *shape, n_entries, naming)
    return rows if kind == "csr" else turned(rows, scratch=scratch)


def matrix_shape(member: Any) -> tuple[int, ...]:
    """(rows, columns) of a dense dataset or of a sparse group, old or new."""
    if not hasattr(member, "keys"):
        return tuple(member.shape)
    attrs = member.attrs
    return tuple(attrs["shape"] if "shape" in attrs else attrs["h5sparse_shape"])


def storage_of(member: Any) -> str:
    """Storage of a sparse group: csr or csc."""
    attrs = member.attrs
    kind = str(attrs.get("encoding-type", attrs.get("h5sparse_format", ""))).removesuffix("_matrix")
    if kind not in {"csr", "csc"}:
        raise ValueError(f"a matrix stored as {kind or 'nothing known'}")
    return kind


def turned(rows: SparseRows, *, scratch: Path | None) -> CountSource:
    """A column-wise matrix, turned round in memory when it is small, else on disk."""
    n = rows.n_entries
    if n > CACHED_ENTRIES and scratch is not None:
        path, n_entries = turn_round(
            lambda: _column_entries(rows), n_cells=rows.n_cells, n_genes=rows.n_genes, folder=scratch
        )
        return SparseRows(path, "/", rows.n_cells, rows.n_genes, n_entries, rows.naming)
    if n > TURNED_ENTRIES:
        raise DataError(
            f"{rows.key} is stored gene by gene (CSC): its {n:,} entries would need about "
            f"{n * 24 / 1e9:.0f} GB to be turned round",
            where=rows.naming.where,
            allowed="CSR (cell by cell)",
            mend="write it again after adata.X = adata.X.tocsr() on a machine with that much memory",
        )
    return MemoryCounts(turned_in_memory(rows))


def turned_in_memory(rows: SparseRows) -> sparse.csr_matrix:
    """A column-wise matrix (its pointers are of genes, its indices cells) as canonical CSR of cells."""
    from scipy import sparse

    parts = list(_column_entries(rows))
    cells, genes, counts = (
        np.concatenate([np.empty(0, dtype=np.int32), *(getattr(part, name) for part in parts)])
        for name in ("cells", "genes", "counts")
    )
    matrix = sparse.coo_matrix((counts, (cells, genes)), shape=(rows.n_cells, rows.n_genes)).tocsr()
    matrix.sum_duplicates()
    return matrix


def _column_entries(rows: SparseRows) -> Iterator[Entries]:
    """Entries of a column-wise matrix in pieces; refuses what is no count and cells outside the matrix."""
    import h5py

    where = rows.naming.where
    with explain_hdf5(where), h5py.File(rows.path, "r") as file:
        member = file[rows.key]
        pointers = member["indptr"][()].astype(np.int64)
        if (np.diff(pointers) < 0).any():
            raise DataError("the sparse matrix is damaged: its row pointers do not fit its entries",
                            where=where, mend="fetch the file again")  # fmt: skip
        for first in range(0, rows.n_entries, PIECE):
            last = min(first + PIECE, rows.n_entries)
            cells, data = member["indices"][first:last], member["data"][first:last]
            if int(cells.min()) < 0 or int(cells.max()) >= rows.n_cells:
                raise DataError("the sparse matrix is damaged: it names a cell outside the matrix",
                                where=where, mend="fetch the file again")  # fmt: skip
            genes = np.repeat(
                np.arange(rows.n_genes, dtype=np.int32), np.diff(np.clip(pointers, first, last))
            )
            bad = first_bad_count(data)
            if bad >= 0:
                refuse_value(data[bad], cell=rows.naming.cell(int(cells[bad])),
                             gene=rows.naming.gene(int(genes[bad])), where=where)  # fmt: skip
            yield Entries(cells.astype(np.int32), genes, data.astype(np.int32, copy=False))


def probe(source: CountSource) -> DataError | None:
    """Whether a matrix looks like counts, from a few of its cells; the reason where it does not."""
    wanted = np.zeros(source.n_cells, dtype=bool)
    for first in {0, source.n_cells // 2, max(0, source.n_cells - 1)}:
        wanted[first : first + 1] = True
    try:
        for _ in source.blocks(PROBE_CELLS, wanted):
            pass
    except DataError as error:
        if "not raw counts" not in str(error):
            raise
        return error
    return None
