"""From expression files to the cohorts of a corpus: genes, units, labels, donors, and shares of memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from consilience.expression.store import open_expression
from consilience.foundation.errors import DataError
from consilience.rnagan.corpus import CohortTasks, Corpus, donor_codes
from consilience.rnagan.corpus_rows import (
    ENTRY_BYTES,
    choose_rows,
    load_rows,
    name_hashes,
    strata_of,
    water_fill,
)
from consilience.rnagan.corpus_tasks import families_of
from consilience.rnagan.presets import Scale
from consilience.rnagan.scales import NATURAL
from consilience.sources.cells.h5_frames import explain_hdf5
from consilience.sources.cells.matrix import Labels
from consilience.sources.text import shown

if TYPE_CHECKING:
    import numpy.typing as npt

COLUMNS = ("condition", "cell_type", "perturbation")
STORED = {
    "counts": "log1p", "estimated_counts": "log1p", "tpm": "log2p1", "fpkm": "log2p1", "cpm": "log2p1",
    "intensity": "log2", "log2": "log2",
}  # fmt: skip
"""The logarithm in a prepared file, by the units of what it was made of."""
MIN_ROWS = 500
"""Rows that every cohort keeps, however little memory there is."""
Arrays = Literal["leave_out", "as_shares"]
Vocabulary = Literal["union", "intersection"]


@dataclass(frozen=True)
class _File:
    """One expression file: `place` (its genes,) in the vocabulary or -1, and `most` rows to keep."""

    path: Path
    name: str
    cells: bool
    stored: str
    n_rows: int
    entries_per_row: float
    genes: tuple[str, ...]
    place: npt.NDArray[np.int32]
    most: int = 0


def open_corpus(
    paths: Sequence[Path],
    *,
    seed: int,
    scale: Scale,
    genes: Sequence[str] | None = None,
    vocabulary: Vocabulary = "union",
    columns: Sequence[str] = COLUMNS,
    arrays: Arrays = "leave_out",
    memory_mb: float = 1024.0,
    turn_epochs: int = 1,
    min_overlap: float = 0.1,
) -> Corpus:
    """Open prepared expression files (results/<study>/expression/<cohort>.h5ad) as one corpus.

    Parameters
    ----------
    genes, vocabulary
        The model's genes in order; where None, the union (or intersection) of those of the files, sorted.
    columns
        Label columns to make tasks of, where a file has them. A cohort in which none of them gives a task is
        asked to tell its donors apart, and left out with a note if it has no two.
    arrays
        Array intensities are no shares of reads: left out of a corpus on a scale of reads, with a note,
        unless they are to be taken for such.
    memory_mb
        For the rows of all cohorts together, in 10⁶ bytes; a larger cohort keeps a balanced choice of rows,
        and takes other rows every `turn_epochs` epochs (0: never).
    min_overlap
        A file with a smaller share of the genes given by `genes` is refused.
    """
    notes: list[str] = []
    opened = [file for path in sorted(paths) if (file := _open(path, scale, arrays, notes)) is not None]
    files = sorted(opened, key=lambda file: file.name)
    if not files:
        raise DataError(
            "there is no cohort to learn from", value="; ".join(notes) or "no files were given",
            mend="give at least one prepared expression file that is on the model's scale",
        )  # fmt: skip
    words = tuple(genes) if genes is not None else _vocabulary(files, vocabulary)
    least = min_overlap if genes is not None else 0.0
    files = _with_memory([_placed(file, words, least) for file in files], memory_mb * 1e6)
    larger = [file for file in files if file.most < file.n_rows]
    notes += [
        f"{file.name}: {file.most:,} of {file.n_rows:,} rows are in memory at a time" for file in larger
    ]
    load = _Loader(tuple(files), columns=tuple(columns), seed=seed, scale=scale, n_genes=len(words))
    load(0)
    return Corpus(words, load=load, seed=seed, turn_epochs=turn_epochs if larger else 0,
                  notes=(*notes, *load.notes))  # fmt: skip


class _Loader:
    """The cohorts of a turn; those of the last one asked for stay in memory."""

    def __init__(
        self, files: tuple[_File, ...], *, columns: tuple[str, ...], seed: int, scale: Scale, n_genes: int
    ) -> None:
        self._files, self._columns, self._seed, self._scale = files, columns, seed, scale
        self._n_genes = n_genes
        self._kept: dict[Path, CohortTasks | None] = {}
        self._turn = -1
        self.notes: tuple[str, ...] = ()

    def __call__(self, turn: int) -> tuple[CohortTasks, ...]:
        if turn != self._turn:
            notes: list[str] = []
            for file in self._files:
                if file.most < file.n_rows or file.path not in self._kept:
                    self._kept.pop(file.path, None)  # the old rows go before the new ones come
                    self._kept[file.path] = self._cohort(file, turn, notes)
            self._turn, self.notes = turn, self.notes or tuple(notes)
        return tuple(cohort for cohort in self._kept.values() if cohort is not None)

    def _cohort(self, file: _File, turn: int, notes: list[str]) -> CohortTasks | None:
        expression = open_expression(file.path)
        present = [name for name in self._columns if name in expression.obs_columns]
        labels = {name: expression.obs(name).compact() for name in present}
        donor_column = next((name for name in ("donor", "sample") if name in expression.obs_columns), "")
        people = expression.obs(donor_column).compact() if donor_column else None
        strata = strata_of([*labels.values(), *([people] if people else [])], file.n_rows)
        hashes = name_hashes(expression.names, seed=self._seed, keys=("rows", file.name, turn))
        chosen = choose_rows(strata, hashes, most=file.most)
        del strata, hashes
        labels = {name: column.take(chosen) for name, column in labels.items()}
        people = people.take(chosen) if people else None
        donors, known = donor_codes(people, chosen.size)
        families = families_of(labels, donors)
        if not families and people is not None:
            families = families_of({"donor": people}, donors)
            if families:
                notes.append(
                    f"{file.name}: no label has two levels of two donors each; its donors are told apart"
                )
        if not families:
            notes.append(f"{file.name}: left out, {_why(labels)}")
            return None
        rows = load_rows(expression, chosen, place=file.place, n_genes=self._n_genes, stored=file.stored,
                         scale=self._scale, dense=not file.cells)  # fmt: skip
        observed = np.zeros(self._n_genes, dtype=bool)
        observed[file.place[file.place >= 0]] = True
        return CohortTasks(file.name, file.cells, rows, observed, tuple(families), known)


def _why(labels: Mapping[str, Labels]) -> str:
    """Why a cohort gives no tasks."""
    if not labels:
        return "it has no label column"
    counted = ", ".join(f"{name} {len(column.levels)}" for name, column in labels.items())
    return f"no label has two levels of two donors each (levels: {counted})"


def _open(path: Path, scale: Scale, arrays: Arrays, notes: list[str]) -> _File | None:
    """What a file says of itself; None, with a note, where it is not on the model's scale."""
    expression = open_expression(path)
    told = _told(path)
    stored = STORED.get(told["units"], "")
    if not stored:
        raise DataError(
            "does not say in which units its values are", where=shown(path), value=told["units"] or None,
            allowed=", ".join(STORED), mend="prepare the cohort with this workflow",
        )  # fmt: skip
    name = told["cohort"] or path.stem
    if (stored == "log2") != (scale not in NATURAL) and not (stored == "log2" and arrays == "as_shares"):
        measured = "array intensities" if stored == "log2" else "reads"
        notes.append(f"{name}: left out, it holds {measured} and the model's scale is {scale}")
        return None
    n_rows, n_genes = expression.shape
    entries = _entries(path) or float(n_rows) * n_genes
    return _File(
        path, name, told["kind"] in {"single_cell", "perturbation"}, stored, n_rows,
        entries / max(1, n_rows), expression.genes, np.empty(0, dtype=np.int32),
    )  # fmt: skip


def _told(path: Path) -> dict[str, str]:
    """Units, kind and cohort as `uns` says them, "" where it does not."""
    import h5py

    with explain_hdf5(shown(path)), h5py.File(path, "r") as file:
        own = file.get("uns/consilience", {})
        values = {name: own[name][()] if name in own else b"" for name in ("units", "kind", "cohort")}
    return {
        name: value.decode() if isinstance(value, bytes) else str(value) for name, value in values.items()
    }


def _entries(path: Path) -> int:
    """Stored values of a sparse matrix; 0 of a dense one."""
    import h5py

    with explain_hdf5(shown(path)), h5py.File(path, "r") as file:
        matrix = file["X" if "X" in file else "layers/counts"]
        return int(matrix["data"].shape[0]) if hasattr(matrix, "keys") else 0


def _vocabulary(files: Sequence[_File], how: Vocabulary) -> tuple[str, ...]:
    """Genes of all files together, sorted."""
    sets = [set(file.genes) for file in files]
    words = set.union(*sets) if how == "union" else set.intersection(*sets)
    if not words:
        raise DataError(
            "the cohorts have no gene in common", value=", ".join(file.name for file in files),
            mend="leave the odd one out, or take the union of genes",
        )  # fmt: skip
    return tuple(sorted(words))


def _placed(file: _File, words: tuple[str, ...], min_overlap: float) -> _File:
    """The file with the place of its genes in the vocabulary; one with too few of them is refused."""
    number = {gene: place for place, gene in enumerate(words)}
    place = np.array([number.get(gene, -1) for gene in file.genes], dtype=np.int32)
    n_common = int((place >= 0).sum())
    if not n_common or n_common < min_overlap * len(words):
        raise DataError(
            f"has {n_common:,} of the model's {len(words):,} genes" if n_common
            else "has no gene in common with the model",
            where=shown(file.path), value=", ".join(file.genes[:5]),
            allowed=f"at least {min_overlap:.0%} of the model's genes, such as {', '.join(words[:5])}",
            mend="leave this cohort out, or name its genes by current symbols",
        )  # fmt: skip
    return replace(file, place=place)


def _with_memory(files: Sequence[_File], memory: float) -> list[_File]:
    """Share the memory evenly among the files that need it; each keeps at least some rows."""
    bytes_per_row = [ENTRY_BYTES * max(1.0, file.entries_per_row) for file in files]
    wanted = np.array(
        [int(file.n_rows * size) for file, size in zip(files, bytes_per_row, strict=True)], dtype=np.int64
    )
    granted = water_fill(wanted, int(memory))
    return [
        replace(file, most=file.n_rows if share >= need else max(MIN_ROWS, int(share / size)))
        for file, share, need, size in zip(files, granted, wanted, bytes_per_row, strict=True)
    ]
