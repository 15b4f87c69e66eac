"""Expression files as later stages read them: log-normalised values in blocks, however they are kept."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from consilience.foundation.errors import DataError
from consilience.sources.cells.h5_frames import explain_hdf5, frame_columns, read_column, read_index
from consilience.sources.cells.matrix import BLOCK_CELLS, Labels, block_bounds
from consilience.sources.text import shown

if TYPE_CHECKING:
    import numpy.typing as npt
    from scipy import sparse


@dataclass(frozen=True)
class Expression:
    """One expression file.

    `names` (n,) and `genes` (genes,) as fixed-width bytes; `has_x` whether log-normalised values are stored
    (else they are computed from the counts and the size factors); `dense` whether matrices are dense (bulk).
    """

    path: Path
    names: npt.NDArray[np.bytes_]
    genes: tuple[str, ...]
    obs_columns: tuple[str, ...]
    has_x: bool
    has_counts: bool

    @property
    def shape(self) -> tuple[int, int]:
        """Samples or cells, genes."""
        return self.names.size, len(self.genes)

    def obs(self, name: str) -> Labels:
        """A column of text of the samples or cells."""
        return self._read("obs", name)

    def obs_numbers(self, name: str) -> npt.NDArray[np.float64]:
        """A column of numbers of the samples or cells (n,)."""
        return self._numbers("obs", name)

    def var_numbers(self, name: str) -> npt.NDArray[np.float64]:
        """A column of numbers (or truths, as 0 and 1) of the genes (genes,)."""
        return self._numbers("var", name)

    def log_normalised(
        self, size: int = BLOCK_CELLS, wanted: npt.NDArray[np.bool_] | None = None
    ) -> Iterator[tuple[int, sparse.csr_matrix]]:
        """Yield (first row, log1p-normalised values (size, genes) float32 CSR)."""
        if self.has_x:
            for start, block in self._blocks("X", size, wanted):
                yield start, block.astype(np.float32, copy=False)
            return
        factors = self.obs_numbers("size_factor")
        for start, block in self.counts(size, wanted):
            of_entry = np.repeat(factors[start : start + block.shape[0]], np.diff(block.indptr))
            yield start, _with_data(block, np.log1p(block.data / of_entry).astype(np.float32))

    def counts(
        self, size: int = BLOCK_CELLS, wanted: npt.NDArray[np.bool_] | None = None
    ) -> Iterator[tuple[int, sparse.csr_matrix]]:
        """Yield (first row, counts (size, genes) CSR)."""
        if not self.has_counts:
            raise DataError("holds no counts", where=shown(self.path), mend="give raw counts to the cohort")
        return self._blocks("layers/counts", size, wanted)

    def _blocks(
        self, key: str, size: int, wanted: npt.NDArray[np.bool_] | None
    ) -> Iterator[tuple[int, sparse.csr_matrix]]:
        import h5py
        from scipy import sparse

        with explain_hdf5(shown(self.path)), h5py.File(self.path, "r") as file:
            member = file[key]
            for start, stop in block_bounds(self.shape[0], size, wanted):
                if not hasattr(member, "keys"):
                    yield start, sparse.csr_matrix(member[start:stop])
                    continue
                pointers = member["indptr"][start : stop + 1].astype(np.int64)
                first, last = int(pointers[0]), int(pointers[-1])
                parts = (
                    member["data"][first:last],
                    member["indices"][first:last],
                    (pointers - first).astype(np.int32),
                )
                yield start, sparse.csr_matrix(parts, shape=(stop - start, len(self.genes)))

    def _read(self, frame: str, name: str) -> Labels:
        with explain_hdf5(shown(self.path)):
            import h5py

            with h5py.File(self.path, "r") as file:
                _refuse_missing(file[frame], name, shown(self.path))
                return read_column(file[frame], name, old_categories={})

    def _numbers(self, frame: str, name: str) -> npt.NDArray[np.float64]:
        import h5py

        with explain_hdf5(shown(self.path)), h5py.File(self.path, "r") as file:
            _refuse_missing(file[frame], name, shown(self.path))
            return np.asarray(file[frame][name][()], dtype=np.float64)


def open_expression(path: Path) -> Expression:
    """Open a file of results/<study>/expression/: bulk or cells, with X or streamed."""
    import h5py

    where = shown(path)
    with explain_hdf5(where), h5py.File(path, "r") as file:
        names, genes = read_index(file["obs"]), tuple(name.decode() for name in read_index(file["var"]))
        columns = tuple(frame_columns(file["obs"]))
        has_counts = "layers" in file and "counts" in file["layers"]
        expression = Expression(path, names, genes, columns, "X" in file, has_counts)
    if not expression.has_x and not (expression.has_counts and "size_factor" in columns):
        raise DataError("holds neither X nor counts with size factors", where=where,
                        mend="delete it and run again")  # fmt: skip
    return expression


def _refuse_missing(frame: Any, name: str, where: str) -> None:
    if name not in frame_columns(frame):
        raise DataError(
            "has no such column", where=where, value=name, allowed=", ".join(frame_columns(frame))
        )


def _with_data(block: sparse.csr_matrix, data: npt.NDArray[np.float32]) -> sparse.csr_matrix:
    from scipy import sparse

    return sparse.csr_matrix((data, block.indices, block.indptr), shape=block.shape)
