"""Which cells of a source belong to a cohort: the sheet's `select`, and barcodes that hold no cell."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from consilience.foundation.errors import DataError, Problem, did_you_mean
from consilience.sources.cells.matrix import CellMatrix, Labels
from consilience.sources.cells.views import entries_of_cells, subset_cells
from consilience.study.selection import parse_selection

if TYPE_CHECKING:
    import numpy.typing as npt

    from consilience.study.cohorts import Cohort

MANY_EMPTY = 0.5
UNFILTERED_BARCODES = 1000
"""A sample of more barcodes, most of them empty, was not filtered."""


def selected_cells(cohort: Cohort, matrix: CellMatrix) -> CellMatrix:
    """The cells that the sheet's `select` asks for; how many it leaves out becomes a note."""
    if not cohort.select:
        return matrix
    columns: Mapping[str, Labels] = matrix.columns
    if matrix.samples is not None and "sample" not in columns:
        columns = {**dict(columns.items()), "sample": matrix.samples}
    mask = selection_mask(
        cohort.select, columns, n_cells=matrix.n_cells, where=f"cohort {cohort.name}: select"
    )
    left = int((~mask).sum())
    return subset_cells(
        matrix, mask, note=f"select {cohort.select!r} leaves out {left} of {matrix.n_cells} cells"
    )


def selection_mask(
    text: str, columns: Mapping[str, Labels], *, n_cells: int, where: str
) -> npt.NDArray[np.bool_]:
    """Cells (mask (n,)) with a wanted level in every column; misspelt columns and levels are refused.

    The same as `study.selection.selected_rows`, on codes instead of text.
    """
    mask, problems = np.ones(n_cells, dtype=bool), []
    for column, levels in parse_selection(text).items():
        if column not in columns:
            known = ", ".join(columns)
            problems.append(Problem("no such phenotype column to select by", where, column, known,
                                    did_you_mean(column, columns)))  # fmt: skip
            continue
        labels = columns[column].compact()
        for level in levels:
            if level not in labels.levels:
                allowed = ", ".join(labels.levels[:20])
                problems.append(Problem(f"no cell has this level of {column!r}", where, level, allowed,
                                        did_you_mean(level, labels.levels)))  # fmt: skip
        wanted = np.array([*(level in levels for level in labels.levels), False])
        mask &= wanted[labels.codes]
    if not problems and not mask.any():
        problems = [Problem("no cell is left by 'select'", where, text)]
    if problems:
        raise DataError.from_problems(problems)
    return mask


def without_empty_barcodes(matrix: CellMatrix, *, min_genes: int) -> CellMatrix:
    """Leave out the empty droplets of unfiltered samples, so that limits are taken from cells.

    A sample of more than a thousand barcodes, over half of which have fewer than `min_genes` genes, is taken
    as unfiltered (raw_feature_bc_matrix). Read from the row pointers alone; matrices without them are left
    as they are.
    """
    sizes = entries_of_cells(matrix.counts)
    if sizes is None or matrix.n_cells <= UNFILTERED_BARCODES:
        return matrix
    samples = matrix.samples or Labels.constant("all", matrix.n_cells)
    empty = sizes < min_genes
    n_samples = len(samples.levels)
    known = samples.codes >= 0
    n_barcodes = np.bincount(samples.codes[known], minlength=n_samples)
    n_empty = np.bincount(samples.codes[known & empty], minlength=n_samples)
    unfiltered = (n_barcodes > UNFILTERED_BARCODES) & (n_empty > MANY_EMPTY * n_barcodes)
    if not unfiltered.any() or (n_empty[unfiltered] == n_barcodes[unfiltered]).all():
        return matrix
    left_out = known & empty & unfiltered[np.maximum(samples.codes, 0)]
    names = [name for name, one in zip(samples.levels, unfiltered, strict=True) if one]
    more = f" and {len(names) - 5} more" if len(names) > 5 else ""
    return subset_cells(
        matrix, ~left_out,
        note=f"unfiltered samples ({', '.join(names[:5])}{more}): {int(left_out.sum())} barcodes with fewer "
        f"than {min_genes} genes are empty droplets and were left out before quality control; a filtered "
        "matrix is better",
    )  # fmt: skip
