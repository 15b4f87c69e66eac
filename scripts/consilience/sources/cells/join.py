"""Several files as one cohort: a sample for each, the genes that all have, columns side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from consilience.sources.cells.gene_lists import GeneList, common_genes
from consilience.sources.cells.matrix import CellMatrix, Labels, LazyColumns
from consilience.sources.cells.views import JoinedCounts, pick_genes

if TYPE_CHECKING:
    import numpy.typing as npt


def join_matrices(parts: Sequence[tuple[str, CellMatrix]], *, where: str) -> CellMatrix:
    """The cells of all parts (sample, matrix), one part after the other.

    A part that knows several samples of its own keeps them, with the name of its file before them. Columns
    that only some parts have are missing for the cells of the others.
    """
    matrices = [matrix for _, matrix in parts]
    genes, names, maps, notes = common_genes(
        [GeneList.whole(matrix.genes, matrix.gene_names) for matrix in matrices],
        samples=[name for name, _ in parts], where=where,
    )  # fmt: skip
    samples = concatenated([_own_samples(name, matrix) for name, matrix in parts])
    columns = dict.fromkeys(column for matrix in matrices for column in matrix.columns)
    told: dict[str, list[str]] = {}
    for name, matrix in parts:
        for note in matrix.notes:
            told.setdefault(note, []).append(name)
    return CellMatrix(
        where=where,
        counts=JoinedCounts(tuple(
            pick_genes(matrix.counts, moved, len(genes)) for matrix, moved in zip(matrices, maps, strict=True)
        )),
        barcodes=np.concatenate([matrix.barcodes for matrix in matrices]),
        genes=genes, gene_names=names, samples=samples,
        columns=LazyColumns(
            [*columns, *(["sample"] if "sample" not in columns else [])],
            lambda name: samples if name == "sample" else joined_column(matrices, name),
        ),
        unannotated=_unannotated(matrices),
        notes=(*(_attributed(note, of, len(parts)) for note, of in told.items()), *notes),
    )  # fmt: skip


def joined_column(matrices: Sequence[CellMatrix], name: str) -> Labels:
    """A column of all parts; missing for the cells of a part that does not have it."""
    return concatenated(
        [
            matrix.columns[name]
            if name in matrix.columns
            else Labels(np.full(matrix.n_cells, -1, dtype=np.int32), (), numeric=True)
            for matrix in matrices
        ]
    )


def concatenated(parts: Sequence[Labels]) -> Labels:
    """Columns one after the other; numbers stay numbers where all parts are numbers."""
    levels = tuple(sorted({level for part in parts for level in part.levels}))
    code_of = {level: code for code, level in enumerate(levels)}
    codes = []
    for part in parts:
        recode = np.array([*(code_of[level] for level in part.levels), -1], dtype=np.int32)
        codes.append(recode[part.codes])
    return Labels(np.concatenate(codes), levels, all(part.numeric for part in parts))


def _own_samples(name: str, matrix: CellMatrix) -> Labels:
    own = matrix.samples
    if own is None or len(own.levels) < 2:
        return Labels.constant(name, matrix.n_cells)
    return Labels(own.codes, tuple(f"{name}_{level}" if level else name for level in own.levels))


def _unannotated(matrices: Sequence[CellMatrix]) -> npt.NDArray[np.bool_] | None:
    if all(matrix.unannotated is None for matrix in matrices):
        return None
    return np.concatenate([
        np.zeros(matrix.n_cells, dtype=bool) if matrix.unannotated is None else matrix.unannotated
        for matrix in matrices
    ])  # fmt: skip


def _attributed(note: str, samples: Sequence[str], n_parts: int) -> str:
    if len(samples) == n_parts:
        return note
    more = f" and {len(samples) - 5} more" if len(samples) > 5 else ""
    return f"{note} ({', '.join(samples[:5])}{more})"
