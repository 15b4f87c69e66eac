"""What is known of each cell: the file's own columns, tables beside it, and its GEO series."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from consilience.foundation.errors import DataError
from consilience.sources.cells.annotation import read_annotations
from consilience.sources.cells.cell_table import CellTable, join_cells, read_cell_table
from consilience.sources.cells.file_names import accession_of
from consilience.sources.cells.matrix import CellMatrix, Labels, LazyColumns
from consilience.sources.raw_folder import RawFolder
from consilience.sources.text import shown

if TYPE_CHECKING:
    import numpy.typing as npt

SAMPLE_COLUMNS = ("sample", "sample_id", "orig.ident", "library_id")


def describe_cells(matrix: CellMatrix, folder: RawFolder) -> CellMatrix:
    """Join what the raw folder knows of the cells: cells.tsv or samples.tsv, else other tables; then GEO."""
    samples = matrix.samples or Labels.constant("all", matrix.n_cells)
    table = _own_table(folder)
    if table is not None:
        joined = join_cells(table=table, samples=samples, barcodes=matrix.barcodes)
        matrix = _with(matrix, joined.columns, samples=joined.samples, unannotated=joined.unannotated,
                       notes=joined.notes)  # fmt: skip
    elif found := read_annotations(folder, barcodes=matrix.barcodes, samples=samples):
        own = next((found.columns[name] for name in SAMPLE_COLUMNS if name in found.columns), None)
        one = matrix.samples is None or len(matrix.samples.levels) == 1
        matrix = _with(
            matrix, found.columns, samples=own if own is not None and one else matrix.samples,
            unannotated=~found.described if found.described.any() else None, notes=found.notes,
        )  # fmt: skip
    matrix = _with_series(matrix, folder)
    if set(matrix.columns) <= {"sample"}:
        return replace(matrix, notes=(*matrix.notes, "there is no cells.tsv.gz: cells have no phenotype"))
    return matrix


def _own_table(folder: RawFolder) -> CellTable | None:
    """The table of cells (or, where there is none, of samples) that the user has put there."""
    for endings in (("cells.tsv.gz", "cells.tsv"), ("samples.tsv.gz", "samples.tsv")):
        found = [
            path for path in folder.named(*endings)
            if path.name in endings or path.name.endswith(tuple(f".{ending}" for ending in endings))
        ]  # fmt: skip
        if len(found) > 1:
            raise DataError(
                "several tables of cells",
                where=shown(folder.path),
                value=", ".join(path.name for path in found),
                allowed="one cells.tsv.gz",
            )
        if found:
            return read_cell_table(found[0])
    return None


def _with(
    matrix: CellMatrix, columns: Mapping[str, Labels], *, samples: Labels | None,
    unannotated: npt.NDArray[np.bool_] | None, notes: tuple[str, ...],
) -> CellMatrix:  # fmt: skip
    """The matrix with further columns, which are believed before those of the file itself."""
    own = matrix.columns
    names = [*columns, *(name for name in own if name not in columns)]
    return replace(
        matrix, samples=samples, unannotated=unannotated, notes=(*matrix.notes, *notes),
        columns=LazyColumns(names, lambda name: columns[name] if name in columns else own[name]),
    )  # fmt: skip


def _with_series(matrix: CellMatrix, folder: RawFolder) -> CellMatrix:
    """Phenotypes of the GEO samples whose accession stands at the beginning of the samples' names."""
    if not folder.of_kind("series_matrix", "soft"):
        return matrix
    from consilience.sources.geo.phenotypes import series_phenotypes

    series = series_phenotypes(folder)
    if series is None:
        return matrix
    samples = matrix.samples or Labels.constant("all", matrix.n_cells)
    row_of = {accession: row for row, accession in enumerate(series.samples)}
    rows = [row_of.get(accession_of(name), -1) for name in samples.levels]
    notes = list(series.notes)
    lost = [name for name, row in zip(samples.levels, rows, strict=True) if row < 0]
    if lost:
        more = f" and {len(lost) - 5} more" if len(lost) > 5 else ""
        notes.append(f"samples that bear no accession of {series.accession} have no phenotype from GEO: "
                     f"{', '.join(lost[:5])}{more}")  # fmt: skip
    columns = {}
    if len(lost) < len(rows):
        of_cell = np.array([*rows, -1], dtype=np.int64)[samples.codes]
        for name, values in series.columns.items():
            if name not in matrix.columns:
                columns[name] = Labels.from_text(values).take(of_cell)
        notes.append(f"phenotypes of {len(rows) - len(lost)} samples are from the series {series.accession}")
    return _with(matrix, columns, samples=matrix.samples, unannotated=matrix.unannotated, notes=tuple(notes))
