"""Expression files: written under a temporary name, read back and compared, then renamed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from consilience.foundation.errors import DataError
from consilience.foundation.files import atomic_path, require_space

if TYPE_CHECKING:
    import anndata
    import pandas as pd


def write_h5ad(path: Path, data: anndata.AnnData) -> None:
    """Write `data`; the file appears only when what was read back equals what was written."""
    import anndata

    data.obs, data.var = with_categories(data.obs), with_categories(data.var)
    matrices = [matrix for matrix in (data.X, *data.layers.values()) if matrix is not None]
    with atomic_path(path) as temporary:
        require_space(temporary, sum(_bytes_of(matrix) for matrix in matrices))
        data.write_h5ad(temporary, compression="gzip", compression_opts=1)
        again = anndata.read_h5ad(temporary)
        same = (
            list(again.obs_names) == list(data.obs_names)
            and list(again.var_names) == list(data.var_names)
            and _same(again.X, data.X)
            and set(again.layers) == set(data.layers)
            and all(_same(again.layers[name], data.layers[name]) for name in data.layers)
        )
        if not same:
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


def _bytes_of(matrix: Any) -> int:
    parts = [matrix.data, matrix.indices, matrix.indptr] if hasattr(matrix, "indptr") else [matrix]
    return sum(int(part.nbytes) for part in parts)


def _same(first: Any, second: Any) -> bool:
    """Equal shape, type and values, dense or sparse."""
    if first is None or second is None:
        return first is second
    if first.shape != second.shape or first.dtype != second.dtype:
        return False
    if hasattr(first, "tocsr"):
        return bool((first != second).nnz == 0)
    return bool(np.array_equal(first, second))
