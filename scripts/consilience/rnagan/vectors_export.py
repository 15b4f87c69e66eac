"""Vectors into files: a table, or `obsm["X_rnagan"]` of an existing h5ad file."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from consilience.foundation.errors import DataError
from consilience.foundation.files import atomic_path, require_space, write_parquet, write_tsv
from consilience.rnagan.vectors import vectors_table

if TYPE_CHECKING:
    import numpy.typing as npt

KEY = "X_rnagan"


def write_vectors(path: Path, *, names: npt.NDArray[np.str_], vectors: npt.NDArray[np.floating]) -> None:
    """Write sample, v0 … v63 as parquet, or as TSV where the suffix says so."""
    table = vectors_table(names, vectors)
    if path.suffix == ".parquet":
        write_parquet(path, table)
    elif path.suffix == ".tsv":
        write_tsv(path, table)
    else:
        raise DataError(
            "cannot write such a table", where=str(path), value=path.suffix, allowed=".parquet, .tsv"
        )


def add_to_h5ad(
    *, source: Path, target: Path, names: npt.NDArray[np.str_], vectors: npt.NDArray[np.floating]
) -> None:
    """Copy `source` to `target` with the vectors (n, d) in obsm["X_rnagan"], matched by sample name.

    Samples of the file that have no vector get NaN; vectors of samples that the file does not have are an
    error. The matrix is never read: files of any size.
    """
    require_space(target.absolute(), source.stat().st_size + vectors.nbytes)
    with atomic_path(target) as temporary:
        shutil.copyfile(source, temporary)
        _append(temporary, source, names, vectors)


def _append(path: Path, source: Path, names: npt.NDArray[np.str_], vectors: npt.NDArray[np.floating]) -> None:
    import h5py

    try:
        with h5py.File(path, "r+") as file:
            index = file["obs"].attrs["_index"]
            place = {name: row for row, name in enumerate(_texts(file["obs"][index]))}
            unknown = [str(name) for name in names if str(name) not in place]
            if unknown:
                raise DataError(
                    "samples are not in this file", where=str(source), value=", ".join(unknown[:5])
                )
            filled = np.full((len(place), vectors.shape[1]), np.nan, dtype=np.float32)
            filled[[place[str(name)] for name in names]] = vectors
            if "obsm" not in file:
                file.create_group("obsm").attrs.update({"encoding-type": "dict", "encoding-version": "0.1.0"})
            if KEY in file["obsm"]:
                del file["obsm"][KEY]
            data = file["obsm"].create_dataset(KEY, data=filled)
            data.attrs.update({"encoding-type": "array", "encoding-version": "0.2.0"})
    except (OSError, KeyError) as error:
        raise DataError(
            "this is no h5ad file", where=str(source), mend="give a file that anndata can read"
        ) from error


def _texts(dataset: Any) -> list[str]:
    return [str(value) for value in dataset.asstr()[:]]
