"""Supplementary tables of a series: one with a column for each sample, or one table for each sample."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from consilience.foundation.errors import DataError
from consilience.sources.bulk.tables import listed, read_count_table
from consilience.sources.geo.joining import accession_in, join_fields, join_samples
from consilience.sources.geo.per_sample import are_per_sample, join_tables
from consilience.sources.geo.series import Series
from consilience.sources.raw_folder import RawFolder
from consilience.study.cohorts import Cohort

if TYPE_CHECKING:
    import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class Measured:
    """What was measured, before its units are settled and its probes named.

    `values` (ids, samples); `ids` of the rows; names of the `samples` and their `rows` in the series;
    `id_columns` further ids by name, each (ids,); `metrics` by name, each (samples,); `notes`.
    """

    values: npt.NDArray[Any]
    ids: tuple[str, ...]
    samples: tuple[str, ...]
    rows: list[int]
    where: str
    id_columns: dict[str, tuple[str, ...]] = field(default_factory=dict)
    metrics: dict[str, npt.NDArray[np.float64]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def supplementary_tables(folder: RawFolder, *, cohort: Cohort) -> list[Path]:
    """Tables beside the series: those that `files` names, else those with counts in their name, else all."""
    tables = folder.of_kind("table", "parquet", "htseq_counts")
    if asked := [path for path in tables if _fits(path, cohort)]:
        return asked
    named = [path for path in tables if "count" in path.name.casefold()]
    return named if len(tables) > 1 and named and not are_per_sample(tables) else tables


def asked_for(paths: Sequence[Path], *, cohort: Cohort) -> bool:
    """True when the cohort sheet names one of these tables in `files`."""
    return any(_fits(path, cohort) for path in paths)


def _fits(path: Path, cohort: Cohort) -> bool:
    return any(fnmatchcase(path.name, pattern.rpartition("/")[2]) for pattern in cohort.files)


def measured(paths: Sequence[Path], series: Series, rows: Sequence[int], *, units: str) -> Measured:
    """Values of the samples in `rows` (see `read._Measured`) from one table, or from one for each sample."""
    if are_per_sample(paths) and (len(paths) > 1 or len(series.samples) == 1):
        found = _from_many(paths, series, rows, units=units)
    elif len(paths) == 1:
        found = _from_one(paths[0], series, rows)
    else:
        raise DataError(
            f"several tables could hold the counts: {listed([path.name for path in paths])}",
            where=series.where, mend="name one in 'files' of the cohort sheet",
        )  # fmt: skip
    if absent := [series.samples[row] for row in rows if row not in set(found.rows)]:
        note = f"{len(absent)} samples of {series.accession} have no counts: {listed(absent)}"
        found = replace(found, notes=(*found.notes, note))
    return found


def _from_one(path: Path, series: Series, rows: Sequence[int]) -> Measured:
    """One table with a column for each sample; columns of samples that were not selected are left."""
    names = {value for _, values in join_fields(series.fields) for value in values if value}
    table = read_count_table(path, samples=names)
    found, rule = join_samples(table.samples, columns=series.fields, where=table.where)
    wanted = set(rows)
    kept = [column for column, row in enumerate(found) if row in wanted]
    if not kept:
        raise DataError(
            "no column of the table is of a selected sample", where=table.where,
            mend="check 'select' and 'files' of the cohort sheet",
        )  # fmt: skip
    note = f"the columns of {path.name} were joined to the samples of {series.accession} by {rule}"
    return Measured(
        values=table.values[:, kept] if len(kept) < len(found) else table.values,
        ids=table.genes,
        samples=tuple(table.samples[column] for column in kept),
        rows=[found[column] for column in kept],
        where=table.where,
        id_columns=table.gene_columns,
        notes=(note, *table.notes),
    )


def _from_many(paths: Sequence[Path], series: Series, rows: Sequence[int], *, units: str) -> Measured:
    """One table for each sample, told by the accession in its name; the series' order of samples is kept."""
    path_of = {accession_in(path.name): path for path in paths}
    held = [row for row in rows if series.samples[row] in path_of]
    if not held:
        raise DataError(
            "none of the tables is of a selected sample", where=series.where,
            value=listed([path.name for path in paths]),
            mend="check 'select' and 'files' of the cohort sheet",
        )  # fmt: skip
    table = join_tables([path_of[series.samples[row]] for row in held], units=units)
    return Measured(
        values=table.values,
        ids=table.genes,
        samples=table.samples,
        rows=held,
        where=table.where,
        metrics=table.metrics,
        notes=table.notes,
    )
