"""loom files (versions 2 and 3): genes × cells, so they are read in bands of columns."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from consilience.foundation.errors import DataError
from consilience.sources.cells.file_names import sample_of
from consilience.sources.cells.gene_lists import human_genes
from consilience.sources.cells.h5_counts import DENSE_BYTES, Naming, probe
from consilience.sources.cells.h5_frames import encoded, explain_hdf5, read_text
from consilience.sources.cells.matrix import (
    BLOCK_CELLS,
    CellMatrix,
    CountSource,
    Labels,
    LazyColumns,
    block_bounds,
    canonical,
    first_bad_count,
    refuse_value,
)
from consilience.sources.cells.turn import Entries, turn_round
from consilience.sources.cells.views import pick_genes
from consilience.sources.text import FETCH_AGAIN, shown

if TYPE_CHECKING:
    import numpy.typing as npt
    from scipy import sparse

KIND = "a loom file"
CELL_NAMES = ("CellID", "cell_id", "obs_names", "cell_names", "barcode", "barcodes", "index")
GENE_IDS = ("Accession", "ensembl_id", "gene_id", "gene_ids", "EnsemblID", "var_id")
GENE_NAMES = ("Gene", "gene_symbols", "gene_symbol", "gene_name", "gene_names", "var_names", "index")
SAMPLE_COLUMNS = ("sample", "SampleID", "sample_id", "orig.ident")
COUNT_PLACES = ("layers/counts", "layers/raw_counts", "layers/raw", "matrix")
VELOCITY = ("spliced", "unspliced", "ambiguous")
WIDE_CHUNK = 8
"""Chunks so many times wider than a band of cells would be decompressed again and again: turned round."""


@dataclass(frozen=True)
class LoomColumns:
    """A dense matrix of genes × cells; read in bands of cells of at most 64 MB."""

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

        with explain_hdf5(self.naming.where, kind=KIND), h5py.File(self.path, "r") as file:
            values = file[self.key]
            for start, stop in block_bounds(self.n_cells, size, wanted):
                parts, first = [], start
                while first < stop:
                    last = min(self._band_end(values, first), stop)
                    band = self._checked(np.ascontiguousarray(values[:, first:last].T), first)
                    parts.append(sparse.csr_matrix(band))
                    first = last
                yield start, canonical(sparse.vstack(parts, format="csr"))

    def _band_end(self, values: Any, first: int) -> int:
        """A band ends where chunks end, so that no chunk is decompressed twice."""
        width = int(max(1, DENSE_BYTES // max(1, self.n_genes * values.dtype.itemsize)))
        chunk = int(values.chunks[1]) if values.chunks else 1
        return first + width if width < chunk else (first + width) // chunk * chunk

    def _checked(self, band: npt.NDArray[Any], first: int) -> npt.NDArray[np.int32]:
        bad = first_bad_count(band.ravel())
        if bad >= 0:
            cell, gene = divmod(bad, self.n_genes)
            refuse_value(band[cell, gene], cell=self.naming.cell(first + cell),
                         gene=self.naming.gene(gene), where=self.naming.where)  # fmt: skip
        return band.astype(np.int32, copy=False)

    def entries(self) -> Iterator[Entries]:
        """All counts that are not 0, in bands of genes."""
        import h5py

        with explain_hdf5(self.naming.where, kind=KIND), h5py.File(self.path, "r") as file:
            values = file[self.key]
            width = max(1, DENSE_BYTES // max(1, self.n_cells * values.dtype.itemsize))
            for first in range(0, self.n_genes, width):
                band = np.asarray(values[first : first + width])
                bad = first_bad_count(band.ravel())
                if bad >= 0:
                    gene, cell = divmod(bad, self.n_cells)
                    refuse_value(band[gene, cell], cell=self.naming.cell(cell),
                                 gene=self.naming.gene(first + gene), where=self.naming.where)  # fmt: skip
                genes, cells = np.nonzero(band)
                yield Entries(cells, genes + first, band[genes, cells].astype(np.int32))


def open_loom(path: Path, *, scratch: Path | None = None) -> CellMatrix:
    """Open a loom file; its counts stay in the file (or, where its chunks are wide, go to `scratch`)."""
    import h5py

    where = shown(path)
    with explain_hdf5(where, kind=KIND), h5py.File(path, "r") as file:
        n_genes, n_cells = (int(n) for n in file["matrix"].shape)
        barcodes = _names(file["col_attrs"], CELL_NAMES, n_cells, where, "cells")
        ids = _genes(file["row_attrs"], n_genes, where)
        genes = human_genes(ids=ids[0], names=ids[1])
        naming = Naming(where, lambda cell: barcodes[cell].decode(), lambda gene: ids[0][gene])
        place, counts, notes = _counts(file, path, (n_cells, n_genes), naming, scratch)
        names = [name for name, values in file["col_attrs"].items()
                 if name not in CELL_NAMES and values.shape == (n_cells,)]  # fmt: skip
        layers = set(file["layers"]) if "layers" in file else set()
    if set(VELOCITY) <= layers and place == "matrix":
        notes.append("a velocyto file: the matrix is the sum of spliced, unspliced and ambiguous counts")
    columns = LazyColumns(names, lambda name: _read_column(path, name, where))
    sample = next((name for name in SAMPLE_COLUMNS if name in names), "")
    moved = np.full(n_genes, -1, dtype=np.int64)
    moved[genes.rows] = np.arange(len(genes.ids))
    return CellMatrix(
        where=where, counts=pick_genes(counts, moved, len(genes.ids)), barcodes=barcodes, genes=genes.ids,
        gene_names=genes.names, columns=columns,
        samples=columns[sample] if sample else Labels.constant(sample_of(path.name), n_cells),
        notes=(f"counts are read from {place}", *notes, *genes.notes),
    )  # fmt: skip


def _counts(
    file: Any, path: Path, shape: tuple[int, int], naming: Naming, scratch: Path | None
) -> tuple[str, CountSource, list[str]]:
    """First place whose values look like counts (every block is checked again when it is read)."""
    passed: list[str] = []
    for place in COUNT_PLACES:
        if place not in file:
            continue
        if file[place].shape != (shape[1], shape[0]):
            raise DataError(f"{place} does not fit the matrix", where=naming.where,
                            value=str(file[place].shape), mend=FETCH_AGAIN)  # fmt: skip
        columns = LoomColumns(path, place, *shape, naming)
        reason = probe(columns)
        if reason is None:
            return place, _without_wide_chunks(columns, file[place], scratch), passed
        passed.append(f"passed over {place} ({reason.problems[0].what}: {reason.problems[0].value})")
    raise DataError("holds no raw counts: " + "; ".join(passed), where=naming.where,
                    allowed="whole numbers in one of " + ", ".join(COUNT_PLACES))  # fmt: skip


def _without_wide_chunks(columns: LoomColumns, values: Any, scratch: Path | None) -> CountSource:
    from consilience.sources.cells.h5_counts import SparseRows

    band = max(1, DENSE_BYTES // max(1, columns.n_genes * values.dtype.itemsize))
    if scratch is None or not values.chunks or values.chunks[1] <= WIDE_CHUNK * band:
        return columns
    path, n_entries = turn_round(
        columns.entries, n_cells=columns.n_cells, n_genes=columns.n_genes, folder=scratch
    )
    return SparseRows(path, "/", columns.n_cells, columns.n_genes, n_entries, columns.naming)


def _genes(attrs: Any, n_genes: int, where: str) -> tuple[list[str], list[str]]:
    """Ids of the genes, Ensembl ids first where there are any, and their other names."""
    names = [text.decode() for text in _names(attrs, GENE_NAMES + GENE_IDS, n_genes, where, "genes")]
    found = next((name for name in GENE_IDS if name in attrs and attrs[name].shape == (n_genes,)), "")
    ids = [text.decode() for text in read_text(attrs[found])] if found else []
    return (ids, names) if any(name.startswith("ENS") for name in ids) else (names, [""] * n_genes)


def _names(attrs: Any, known: tuple[str, ...], n: int, where: str, what: str) -> npt.NDArray[np.bytes_]:
    for name in known:
        if name in attrs and attrs[name].shape == (n,) and attrs[name].dtype.kind in "SO":
            return read_text(attrs[name])
    raise DataError(f"does not say what its {what} are called", where=where, value=", ".join(attrs),
                    allowed=", ".join(known))  # fmt: skip


def _read_column(path: Path, name: str, where: str) -> Labels:
    import h5py

    with explain_hdf5(where, kind=KIND), h5py.File(path, "r") as file:
        return encoded(file["col_attrs"][name][()])
