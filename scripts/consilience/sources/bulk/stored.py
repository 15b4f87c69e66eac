"""Counts of a large cohort kept in a scratch file and read in blocks, of samples or of genes.

Some steps go through a matrix by samples (depth, size factors, the expression file), others by genes
(medians of groups, principal components, moments). The file is cut into tiles, so that both are quick and
neither needs the whole in memory. An array is read by the same slices: what works on one works on the other.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from consilience.foundation.files import require_space

if TYPE_CHECKING:
    import numpy.typing as npt

TILE = (64, 256)
BLOCK = 128
BLOCK_GENES = 1024


class Matrix(Protocol):
    """Anything that gives blocks (samples, genes): an array, a `StoredMatrix`, or values made when asked."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Samples, genes."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the blocks."""

    def __getitem__(self, key: Any, /) -> Any: ...


@dataclass(frozen=True, slots=True, eq=False)
class StoredMatrix:
    """Some `rows` and `columns`, both ascending, of the matrix of type `dtype` in the file `path`.

    ``matrix[rows]`` and ``matrix[rows, columns]`` are arrays; each may be a slice or ascending positions (of
    both at once the block where they cross). The file is open only while a block is read.
    """

    path: Path
    dtype: np.dtype[Any]
    rows: npt.NDArray[np.intp]
    columns: npt.NDArray[np.intp]

    @property
    def shape(self) -> tuple[int, ...]:
        """Samples, genes."""
        return self.rows.size, self.columns.size

    def __getitem__(self, key: Any, /) -> npt.NDArray[Any]:
        import h5py

        of_rows, of_columns = key if isinstance(key, tuple) else (key, slice(None))
        rows, columns = self.rows[of_rows], self.columns[of_columns]
        if not (rows.size and columns.size):
            return np.empty((rows.size, columns.size), dtype=self.dtype)
        with h5py.File(self.path, "r") as file:
            block = file["values"][rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
        if rows.size < block.shape[0]:
            block = block[rows - rows[0]]
        return np.asarray(block if columns.size == block.shape[1] else block[:, columns - columns[0]])

    def __setitem__(self, rows: slice, block: npt.NDArray[Any]) -> None:
        import h5py

        require_space(self.path, block.nbytes)
        with h5py.File(self.path, "r+") as file:
            file["values"][rows] = block


def new_matrix(shape: tuple[int, int], *, dtype: Any, path: Path | None) -> npt.NDArray[Any] | StoredMatrix:
    """A matrix to be filled by blocks of rows: of zeros in the file `path`, or without one in memory."""
    if path is None:
        return np.zeros(shape, dtype=dtype)
    import h5py

    require_space(path, shape[0] * shape[1] * np.dtype(dtype).itemsize)
    tile = (min(TILE[0], shape[0]), min(TILE[1], shape[1])) if all(shape) else None
    with h5py.File(path, "w") as file:
        file.create_dataset("values", shape=shape, dtype=dtype, chunks=tile)
    return StoredMatrix(path, np.dtype(dtype), np.arange(shape[0]), np.arange(shape[1]))


def part(values: Any, *, rows: Any = slice(None), columns: Any = slice(None)) -> Any:
    """Some samples and genes: of a stored matrix without reading it, of an array a copy."""
    if isinstance(values, StoredMatrix):
        return replace(values, rows=values.rows[rows], columns=values.columns[columns])
    return values[rows][:, columns]


def whole(values: npt.NDArray[Any] | StoredMatrix) -> npt.NDArray[Any]:
    """All of it in memory."""
    return values[:] if isinstance(values, StoredMatrix) else values


def widened(values: Any) -> Any:
    """The same as int64."""
    if not isinstance(values, StoredMatrix):
        return values.astype(np.int64)
    wide = new_matrix(
        (values.rows.size, values.columns.size), dtype=np.int64, path=values.path.with_suffix(".wide.h5")
    )
    for rows in blocks(values.shape[0]):
        wide[rows] = values[rows]
    released(values)
    return wide


def released(values: Any) -> Any:
    """The matrix without samples (no view of them: a view would keep them); a file that they took is gone."""
    if isinstance(values, StoredMatrix):
        values.path.unlink()
    return np.empty((0, values.shape[1]), dtype=values.dtype)


def row_totals(values: Matrix) -> npt.NDArray[np.int64]:
    """Counts of each sample; (samples,)."""
    totals = np.zeros(values.shape[0], dtype=np.int64)
    for rows in blocks(values.shape[0]):
        totals[rows] = values[rows].sum(axis=1, dtype=np.int64)
    return totals


def blocks(n: int, size: int = BLOCK) -> Iterator[slice]:
    """Rows or columns in blocks, so that temporary copies stay small."""
    for start in range(0, n, size):
        yield slice(start, min(start + size, n))
