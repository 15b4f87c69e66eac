"""Expression files: written under a temporary name, read back and compared, then renamed; all in blocks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from consilience.expression.h5ad_writer import FILTERS
from consilience.foundation.errors import DataError
from consilience.foundation.files import atomic_path, require_space
from consilience.sources.bulk.stored import Matrix, blocks

if TYPE_CHECKING:
    import anndata
    import pandas as pd

TILE = (16, 4096)
"""Samples and genes compressed together: wide, as X repeats its values within a sample. Bytes shuffled before
that take a third off counts and add as much to X (measured)."""


def write_h5ad(path: Path, tables: anndata.AnnData, *, x: Matrix, layers: Mapping[str, Matrix]) -> None:
    """Write `tables` (annotations alone) with X and layers, each (samples, genes).

    The file appears only when what was read back equals what was written.
    """
    import h5py

    tables.obs, tables.var = with_categories(tables.obs), with_categories(tables.var)
    matrices = {"X": x} | {f"layers/{name}": values for name, values in layers.items()}
    with atomic_path(path) as temporary:
        require_space(temporary, sum(_bytes_of(matrix) for matrix in matrices.values()))
        tables.write_h5ad(temporary, compression="gzip", compression_opts=1)
        with h5py.File(temporary, "r+") as file:
            for name, values in matrices.items():
                _write_matrix(file, name, values)
        if not _is_written(temporary, tables, matrices):
            raise DataError("what was written is not what can be read back", where=str(path),
                            mend="check the disk and run again")  # fmt: skip


def with_categories(table: pd.DataFrame) -> pd.DataFrame:
    """Text columns whose values repeat, as categories (anndata would log a line for each)."""
    import pandas as pd

    categories = {
        name: pd.Categorical(values)
        for name, values in table.items()
        if values.dtype == object and values.nunique() < len(values)
    }
    return table.assign(**categories)  # type: ignore[arg-type]  # column names are text


def _bytes_of(matrix: Matrix) -> int:
    return matrix.shape[0] * matrix.shape[1] * int(matrix.dtype.itemsize)


def _write_matrix(file: Any, name: str, values: Matrix) -> None:
    """A dense matrix as anndata writes it; counts are int32 where the largest fits."""
    dtype = np.dtype(np.int32) if _fits_int32(values) else values.dtype
    tile = (min(TILE[0], values.shape[0]), min(TILE[1], values.shape[1]))
    filters = FILTERS | {"shuffle": dtype.kind == "i"}
    dataset = file.create_dataset(name, shape=values.shape, dtype=dtype, chunks=tile, **filters)
    dataset.attrs.update({"encoding-type": "array", "encoding-version": "0.2.0"})
    for rows in blocks(values.shape[0]):
        dataset[rows] = values[rows]


def _fits_int32(values: Matrix) -> bool:
    most = np.iinfo(np.int32).max
    return values.dtype.kind == "i" and all(
        values.dtype.itemsize <= 4 or values[rows].max(initial=0) < most for rows in blocks(values.shape[0])
    )


def _is_written(path: Path, tables: anndata.AnnData, matrices: Mapping[str, Matrix]) -> bool:
    """Whether the file holds these names and values, no more matrices and no fewer."""
    import h5py
    from anndata.io import read_elem

    with h5py.File(path, "r") as file:
        return (
            list(read_elem(file["obs"]).index) == list(tables.obs_names)
            and list(read_elem(file["var"]).index) == list(tables.var_names)
            and {"X", *(f"layers/{name}" for name in file["layers"])} == set(matrices)
            and all(_same(file[name], values) for name, values in matrices.items())
        )


def _same(stored: Any, values: Matrix) -> bool:
    """Equal shape and values."""
    return bool(
        stored.shape == tuple(values.shape)
        and all(np.array_equal(stored[rows], values[rows]) for rows in blocks(values.shape[0]))
    )
