"""Inspect files that are here with the readers that a study uses; what they refuse is said, not raised."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from consilience.foundation.errors import ConsilienceError, DataError
from consilience.inspection.columns import ColumnSeen, choose_perturbation, see_column, see_columns
from consilience.inspection.findings import FileSeen, Inspection
from consilience.inspection.proposal import propose
from consilience.sources.fetch import PROVENANCE, local_files
from consilience.sources.formats import FileKind, file_kind
from consilience.sources.raw_folder import RawFolder
from consilience.study.cohorts import Cohort

if TYPE_CHECKING:
    from consilience.sources.bulk.matrix import BulkMatrix
    from consilience.sources.cells.matrix import CellMatrix

CELL_FILES: tuple[FileKind, ...] = ("mtx", "h5ad", "tenx_h5", "loom")
SAMPLE_FILES: tuple[FileKind, ...] = (
    "series_matrix", "soft", "gdc_answer", "gdc_manifest", "star_counts", "htseq_counts",
)  # fmt: skip
STATISTICS_FILES: tuple[FileKind, ...] = ("twmr_matrix", "ld_matrix", "plink")
MAX_CELL_LEVELS = 200
N_NOTES = 12
HOW_NAMES = {
    "exact": "current symbols", "ensembl": "Ensembl ids", "entrez": "Entrez ids",
    "previous": "previous symbols", "synonym": "synonyms", "date": "dates made by a spreadsheet",
}  # fmt: skip


def inspect_local(path: Path, *, location: str, kind: str = "", source: str = "local") -> Inspection:
    """Inspect a file or folder; `source`, `location`: its place in a sheet; `kind`: what it is said to be."""
    folder, files, notes = _look_into(path)
    kind = kind or guess_kind(folder)
    if kind == "summary_statistics":
        from consilience.inspection.statistics import inspect_statistics

        return inspect_statistics(folder, files, location=location, notes=notes, source=source)
    if kind in {"single_cell", "perturbation", "cells"}:
        return _cells(folder, files, location=location, kind=kind, notes=notes, source=source, place=path)
    return inspect_bulk(folder, files, location=location, notes=notes, source=source, place=path)


def _look_into(path: Path) -> tuple[RawFolder, tuple[FileSeen, ...], list[str]]:
    """The files with what each is; those that cannot be anything become notes."""
    root = path if path.is_dir() else path.parent
    good, kinds, seen, notes = [], [], [], []
    for file, name in local_files(path):
        if name.rpartition("/")[2] == PROVENANCE:
            continue
        try:
            what: FileKind = file_kind(name, file)
            good.append((name, file))
            kinds.append(what)
            seen.append(FileSeen(name, file.stat().st_size, what))
        except (ConsilienceError, OSError) as error:
            seen.append(FileSeen(name, None, "unreadable"))
            notes.append(str(error))
    if not seen:
        raise DataError("the folder holds no files", where=str(path))
    if "archive" in kinds:
        notes.append("archives are unpacked when a study fetches them; their members are not looked at here")
    return RawFolder(root, tuple(good), tuple(kinds), {}), tuple(seen), notes


def guess_kind(folder: RawFolder) -> str:
    """The kind of cohort that the files look like: "bulk", "cells" or "summary_statistics"."""
    if folder.of_kind(*CELL_FILES):
        return "cells"
    if folder.of_kind(*SAMPLE_FILES):
        return "bulk"
    if folder.of_kind(*STATISTICS_FILES):
        return "summary_statistics"
    from consilience.inspection.statistics import is_statistics

    tables = folder.of_kind("table")
    return "summary_statistics" if tables and all(is_statistics(path) for path in tables) else "bulk"


def inspect_bulk(
    folder: RawFolder,
    files: tuple[FileSeen, ...],
    *,
    location: str,
    notes: Sequence[str] = (),
    source: str = "local",
    facts: Mapping[str, str] | None = None,
    values: bool = True,
    place: Path | None = None,
) -> Inspection:
    """Samples by genes: phenotypes, units, gene identity; without (readable) values, phenotypes alone."""
    found, said = dict(facts or {}), list(notes)
    matrix, units, why = _read_bulk(folder, said) if values else (None, "", "")
    texts: Mapping[str, Sequence[str]] = matrix.columns if matrix else _phenotypes(place or folder.path, said)
    columns = see_columns(texts)
    n_samples = columns[0].n if columns else 0
    if n_samples:
        found["samples"] = f"{n_samples:,}"
    found |= _constants(columns, {"organism_ch1": "organism", "platform_id": "platform", "type": "type",
                                  "experimental_strategy": "assay"})  # fmt: skip
    if matrix:
        found |= {"values": _extent(matrix, why), "units": matrix.units}
        found |= _genes(matrix.genes)
        said += matrix.notes
    row = None
    if matrix or columns:
        row = propose(kind="bulk", source=source, location=location, columns=columns, units=units,
                      why_units=why, texts=texts)  # fmt: skip
    return Inspection(location, "bulk", files, found, tuple(columns), "samples", row, tuple(said[:N_NOTES]))


def _read_bulk(folder: RawFolder, notes: list[str]) -> tuple[BulkMatrix | None, str, str]:
    """The matrix as the study's reader gives it, the units to say in the sheet, and why.

    The reader is asked without a claim first; when it refuses, with the claims that leave values as they are,
    and then with what the values look like.
    """
    from consilience.sources.bulk.evidence import look_at
    from consilience.sources.bulk.read import read_bulk
    from consilience.sources.bulk.stored import whole
    from consilience.sources.bulk.units import contradiction, guessed

    try:
        return read_bulk(folder, cohort=_claim("")), "", ""
    except ConsilienceError as error:
        refused = str(error)
    for claim in ("intensity", "log2"):
        try:
            matrix = read_bulk(folder, cohort=_claim(claim))
        except (ConsilienceError, TypeError):
            continue
        evidence = look_at(whole(matrix.values).T)
        units = guessed(evidence) or claim
        if contradiction(units, evidence):
            units = claim
        try:
            return read_bulk(folder, cohort=_claim(units)), units, evidence.words()
        except ConsilienceError:
            return matrix, claim, evidence.words()
    if not folder.of_kind("archive"):  # what is in them may be what is wanted
        notes.append(f"the values cannot be read as they lie here: {refused}")
    return None, "", ""


def _claim(units: str) -> Cohort:
    return Cohort("inspected", "bulk", "local", units=units)  # type: ignore[arg-type]


def _extent(matrix: BulkMatrix, words: str) -> str:
    """Size of a matrix and what its values show (before the reader changed them, where that is known)."""
    from consilience.sources.bulk.evidence import look_at
    from consilience.sources.bulk.stored import whole

    words = words or look_at(whole(matrix.values).T).words()
    return f"{len(matrix.genes):,} rows x {len(matrix.samples):,} samples; {words}"


def _phenotypes(place: Path, notes: list[str]) -> Mapping[str, Sequence[str]]:
    """Phenotypes without values: from a series matrix, an answer of the GDC, or a samples table."""
    from consilience.sources.phenotypes import peek_phenotypes

    try:
        return peek_phenotypes(place) or {}
    except ConsilienceError as error:
        if not any(note.endswith(str(error)) for note in notes):  # the reader has said so already
            notes.append(str(error))
        return {}


def _constants(columns: Sequence[ColumnSeen], wanted: Mapping[str, str]) -> dict[str, str]:
    """Facts that are columns with few levels: organism, platform."""
    return {
        wanted[column.name]: ", ".join(f"{level} ({n})" for level, n in column.levels[:6])
        for column in columns
        if column.name in wanted and column.levels
    }


def _genes(ids: Sequence[str], second: Sequence[str] = ()) -> dict[str, str]:
    """What kind of ids genes have, and the share that is known."""
    from consilience.expression.genes import load_gene_table, resolve

    match = resolve(ids, table=load_gene_table())
    ways = sorted(match.counts().items(), key=lambda pair: -pair[1])
    told = ", ".join(f"{n:,} {HOW_NAMES.get(way, way)}" for way, n in ways[:6])
    share = match.n_matched / max(1, len(ids))
    return {"genes": f"{len(ids):,} ids, {share:.1%} known ({told}); {len(match.unique):,} genes"}


def _cells(
    folder: RawFolder,
    files: tuple[FileSeen, ...],
    *,
    location: str,
    kind: str,
    notes: list[str],
    source: str,
    place: Path,
) -> Inspection:
    """Cells: how many, where the counts lie, genes, and the columns with few levels."""
    from consilience.sources.cells.read import read_cells

    facts: dict[str, str] = {}
    columns: list[ColumnSeen] = []
    texts: Mapping[str, Sequence[str]] = {}
    cohort = Cohort("inspected", "single_cell", "local")
    with tempfile.TemporaryDirectory() as scratch:
        try:
            matrix = read_cells(folder, cohort=cohort, scratch=Path(scratch))
        except ConsilienceError as error:
            notes = [*notes, f"the counts cannot be read as they lie here: {error}"]
            texts = _phenotypes(place, notes)
            columns = see_columns(texts)
        else:
            facts = {"cells": f"{matrix.n_cells:,}", "genes": ""} | _genes(matrix.genes)
            columns, texts = _cell_columns(matrix)
            notes = [*notes, *matrix.notes]
    if kind == "cells":
        kind = "perturbation" if choose_perturbation(columns).name else "single_cell"
    row = None
    if columns or facts:
        row = propose(kind=kind, source=source, location=location, columns=columns, texts=texts)
    return Inspection(location, kind, files, facts, tuple(columns), "cells", row, tuple(notes[:N_NOTES]))


def _cell_columns(matrix: CellMatrix) -> tuple[list[ColumnSeen], dict[str, list[str]]]:
    """Columns of the cells, and one row of text for each combination of those with few levels."""
    import numpy as np

    seen, few = [], {}
    for name, labels in matrix.columns.items():
        often = np.bincount(labels.codes + 1, minlength=len(labels.levels) + 1)
        counted = dict(zip(("", *labels.levels), map(int, often), strict=True))
        counted = {level: n for level, n in counted.items() if n}
        seen.append(see_column(name, counted, n=matrix.n_cells, numeric=labels.numeric))
        if seen[-1].shape in {"levels", "constant"} and len(labels.levels) <= MAX_CELL_LEVELS:
            few[name] = labels
    if not few:
        return seen, {}
    codes = np.unique(np.stack([labels.codes for labels in few.values()], axis=1), axis=0)
    return seen, {
        name: [(*labels.levels, "")[code] for code in codes[:, k]]
        for k, (name, labels) in enumerate(few.items())
    }
