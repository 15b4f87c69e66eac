"""A cohort of cells from its raw folder, whatever format it was served in."""

from __future__ import annotations

from pathlib import Path

from consilience.foundation.errors import DataError
from consilience.sources.cells.matrix import CellMatrix
from consilience.sources.raw_folder import RawFolder, unreadable
from consilience.study.cohorts import Cohort


def read_cells(folder: RawFolder, *, cohort: Cohort, scratch: Path) -> CellMatrix:
    """Read a verified raw folder with the reader that fits its files; `scratch` is removed by the caller."""
    if folder.of_kind("mtx"):
        from consilience.sources.cells.tenx import read_10x

        matrix = read_10x(folder, scratch=scratch)
    elif folder.of_kind("h5ad", "hdf5"):
        from consilience.sources.cells.h5ad import read_h5ad

        matrix = read_h5ad(folder)
    else:
        raise unreadable(folder, wanted="10x folders (matrix.mtx, features.tsv, barcodes.tsv) or one .h5ad")
    if not matrix.n_cells or not matrix.genes:
        raise DataError("holds no cells or no genes", where=matrix.where,
                        value=f"{matrix.n_cells} cells, {len(matrix.genes)} genes")  # fmt: skip
    return matrix
