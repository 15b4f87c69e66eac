"""Somebody's own h5ad file of cells: counts, which are normalised here, or logarithms."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from consilience.causal.dml.cells_file import ALL_CELLS, CellSource, read_latents
from consilience.foundation.errors import DataError, did_you_mean
from consilience.sources.cells.h5ad import open_h5ad
from consilience.sources.cells.matrix import BLOCK_CELLS, Labels
from consilience.sources.text import shown

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy.typing as npt
    from scipy import sparse

    from consilience.causal.dml.cells_file import Blocks
    from consilience.sources.cells.matrix import CellMatrix

TARGET = 10_000.0
"""Counts of a cell are scaled to this many before the logarithm."""
MAX_LOG = 30.0
"""Logarithms of counts stay far below; X above it are no logarithms."""
LIBRARY_SIZE = "library_size"


def open_own_cells(
    path: Path, *, outcome: str, case: Sequence[str], control: Sequence[str] = (), donor: str,
    cell_type: str | None, covariates: Sequence[str], latents: Path | None = None,
) -> tuple[CellSource, str]:  # fmt: skip
    """The cells of a file with columns named freely, and what its values are taken for.

    Cells whose `outcome` is a level of `case` are cases; all others controls, or those of `control` alone.
    Without `cell_type` all cells are one type. The covariate library_size is counted where it is no column
    and the file holds counts.
    """
    if not path.is_file():
        raise DataError("there is no such file", where=str(path), mend="look at the path")
    if path.suffix != ".h5ad":
        raise DataError("not a file of cells", where=shown(path), value=path.suffix, allowed=".h5ad")
    matrix, columns, units, blocks, entries, totals = _values(path)
    asked = {"--outcome": outcome, "--donor": donor} | ({"--cell-type": cell_type} if cell_type else {})
    asked |= {f"--covariates {name}": name for name in covariates if name != LIBRARY_SIZE or totals is None}
    for option, name in asked.items():
        if name not in columns and name != LIBRARY_SIZE:
            raise DataError(
                "has no such column of cells",
                where=f"{shown(path)} ({option})",
                value=name,
                allowed=", ".join(columns) or "none",
                mend=did_you_mean(name, columns),
            )
    known: dict[str, Labels] = {name: columns[name] for name in covariates if name in columns}
    if LIBRARY_SIZE in covariates and LIBRARY_SIZE not in known and totals is not None:
        known[LIBRARY_SIZE] = _numbers(totals)
    names, ids = _gene_names(matrix)
    source = CellSource(
        where=shown(path), names=matrix.barcodes, donor=columns[donor].compact(),
        arm=_arms(columns[outcome], case=case, control=control, where=shown(path)),
        cell_type=columns[cell_type].compact() if cell_type else Labels.constant(ALL_CELLS, entries.size),
        covariates=known,
        missing=tuple(name for name in covariates if name not in known),
        latents=None if latents is None else read_latents(latents, names=matrix.barcodes, where=shown(path)),
        genes=names, ensembl_ids=ids, entries=entries, blocks=blocks,
    )  # fmt: skip
    return source, units


def _arms(labels: Labels, *, case: Sequence[str], control: Sequence[str], where: str) -> npt.NDArray[np.int8]:
    """1 case, 0 control, -1 neither or unknown (n,)."""
    levels = labels.compact().levels
    for option, asked in (("--case", case), ("--control", control)):
        for level in asked:
            if level not in levels:
                raise DataError(
                    "no cell has this level of the outcome",
                    where=f"{where} ({option})",
                    value=level,
                    allowed=", ".join(levels[:20]),
                    mend=did_you_mean(level, levels),
                )
    if twice := sorted(set(case) & set(control)):
        raise DataError("a level is both case and control", where=where, value=", ".join(twice))
    code_of = dict.fromkeys(case, 1) | dict.fromkeys(control or set(levels) - set(case), 0)
    return np.array([*(code_of.get(level, -1) for level in labels.levels), -1], dtype=np.int8)[labels.codes]


def _numbers(values: npt.NDArray[np.float64]) -> Labels:
    from consilience.sources.cells.h5_frames import encoded

    return encoded(values)


def _gene_names(matrix: CellMatrix) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Symbols where the file has them (ids elsewhere), and Ensembl ids ("" where none)."""
    names = tuple(second or first for first, second in zip(matrix.genes, matrix.gene_names, strict=True))
    if len(set(names)) < len(names):
        names = matrix.genes
    return names, tuple(name if name.startswith("ENS") else "" for name in matrix.genes)


def _values(
    path: Path,
) -> tuple[
    CellMatrix, Mapping[str, Labels], str, Blocks, npt.NDArray[np.int64], npt.NDArray[np.float64] | None
]:
    """Counts where the file has any, else X if its values can be logarithms."""
    try:
        matrix = open_h5ad(path)
    except DataError as error:
        if "holds no raw counts" not in str(error):
            raise
        return _logged(path)
    entries, totals = np.zeros(matrix.n_cells, np.int64), np.zeros(matrix.n_cells)
    for start, block in matrix.blocks():
        rows = slice(start, start + block.shape[0])
        entries[rows], totals[rows] = np.diff(block.indptr), np.asarray(block.sum(axis=1)).ravel()
    factors = np.where(totals > 0, totals, TARGET) / TARGET

    def blocks(wanted: npt.NDArray[np.bool_]) -> Iterator[tuple[int, sparse.csr_matrix]]:
        from scipy import sparse

        for start, block in matrix.blocks(BLOCK_CELLS, wanted):
            of_entry = np.repeat(factors[start : start + block.shape[0]], np.diff(block.indptr))
            values = np.log1p(block.data / of_entry).astype(np.float32)
            yield start, sparse.csr_matrix((values, block.indices, block.indptr), shape=block.shape)

    units = f"counts, taken as log1p of counts per {TARGET:,.0f}"
    return matrix, matrix.columns, units, blocks, entries, totals


def _logged(
    path: Path,
) -> tuple[CellMatrix, Mapping[str, Labels], str, Blocks, npt.NDArray[np.int64], None]:
    """X as it is; refused where its values are no logarithms of counts."""
    from scipy import sparse

    from consilience.rnagan.reading import read_given
    from consilience.sources.cells.h5_frames import (
        explain_hdf5,
        frame_columns,
        old_categories_of,
        read_column,
    )
    from consilience.sources.cells.matrix import CellMatrix, LazyColumns, MemoryCounts

    given = read_given(path)
    n = len(given)
    entries = np.zeros(n, dtype=np.int64)
    for start, block in given.blocks(BLOCK_CELLS, None):
        part = sparse.csr_matrix(block)
        entries[start : start + part.shape[0]] = np.diff(part.indptr)
        _refuse_no_logs(part.data, where=given.where)

    def blocks(wanted: npt.NDArray[np.bool_]) -> Iterator[tuple[int, sparse.csr_matrix]]:
        for start, block in given.blocks(BLOCK_CELLS, wanted):
            yield start, sparse.csr_matrix(block).astype(np.float32)

    def read(name: str) -> Labels:
        import h5py

        with explain_hdf5(given.where), h5py.File(path, "r") as file:
            return read_column(file["obs"], name, old_categories=old_categories_of(file, "obs"))

    import h5py

    with explain_hdf5(given.where), h5py.File(path, "r") as file:
        columns = LazyColumns(frame_columns(file["obs"]), read)
    second = given.ids[1] if len(given.ids) > 1 else ("",) * len(given.ids[0])
    # ids under var names; a column of Ensembl ids is the other name: told apart by how they look
    first, second = (second, given.ids[0]) if second[0].startswith("ENS") else (given.ids[0], second)
    nothing: Any = MemoryCounts(sparse.csr_matrix((0, 0), dtype=np.int32))
    names = np.array([str(name).encode() for name in given.names])
    matrix = CellMatrix(given.where, nothing, names, first, second, None, columns)
    return matrix, columns, "values of X, taken for logarithms as they are", blocks, entries, None


def _refuse_no_logs(values: npt.NDArray[Any], *, where: str) -> None:
    if not np.isfinite(values).all():
        raise DataError("X holds values that are no finite numbers", where=where)
    least, most = float(values.min(initial=0.0)), float(values.max(initial=0.0))
    if least < 0 or most > MAX_LOG:
        raise DataError(
            "X holds neither counts nor their logarithms",
            where=where,
            value=f"{least:.4g} to {most:.4g}",
            allowed=f"whole numbers, or 0 to {MAX_LOG:.0f}",
            mend="write raw counts into layers['counts']; scaled values cannot be used",
        )
