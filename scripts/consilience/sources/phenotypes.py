"""From a cohort's own phenotype columns to the study's standard ones (sample, donor, condition, arm …)."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from consilience.foundation.errors import DataError
from consilience.sources.fetch import PROVENANCE, local_files
from consilience.sources.formats import FileKind, samples_table_of
from consilience.sources.raw_folder import RawFolder, raw_folder_of
from consilience.sources.text import shown
from consilience.study.cohorts import Cohort
from consilience.study.design import design_notes, design_problems

STANDARD = ("donor", "condition", "batch", "cell_type", "perturbation")
SEX_COLUMNS = ("sex", "gender")


@dataclass(frozen=True, slots=True)
class Phenotypes:
    """Standard columns by name (only those that the cohort has), the source's others, notes on the design.

    All columns are (samples,) text; `arm` is "case", "control" or "".
    """

    standard: dict[str, tuple[str, ...]]
    others: dict[str, tuple[str, ...]]
    notes: tuple[str, ...]

    def sex(self) -> tuple[str, ...] | None:
        """Annotated sex, from a column called sex or gender."""
        return next((self.others[name] for name in self.others if name.casefold() in SEX_COLUMNS), None)


def standard_phenotypes(
    *, cohort: Cohort, samples: Sequence[str], columns: Mapping[str, Sequence[str]], min_samples_per_arm: int
) -> Phenotypes:
    """Map columns by what the sheet says of this cohort; a design that cannot answer the study is refused."""
    problems = design_problems(cohort=cohort, columns=columns, min_samples_per_arm=min_samples_per_arm)
    if problems:
        raise DataError.from_problems(problems)
    standard: dict[str, tuple[str, ...]] = {"sample": tuple(samples)}
    used = {"sample"}
    for name in STANDARD:
        source: str = getattr(cohort, name)
        if source:
            standard[name] = tuple(columns[source])
            used.add(source)
    if cohort.condition:
        standard["arm"] = tuple(cohort.arm(level) for level in standard["condition"])
    others = {}
    for source, values in columns.items():
        name = re.sub(r"[/\0]", "_", source).strip()
        if source not in used and name and name not in standard and name not in others:
            others[name] = tuple(values)
    return Phenotypes(standard, others, tuple(design_notes(cohort=cohort, columns=columns)))


def peek_phenotypes(location: Path, *, files: Sequence[str] = ()) -> dict[str, tuple[str, ...]] | None:
    """Phenotype columns of a local cohort, read without its matrix; None where they cannot be known yet.

    For cells, one row for each distinct combination of the columns with few levels. `files` are the patterns
    of the cohort sheet.
    """
    if not location.exists():
        return None
    root = location if location.is_dir() else location.parent
    listed = tuple((name, path) for path, name in local_files(location, patterns=files) if name != PROVENANCE)
    folder = raw_folder_of(root, listed)
    for kind, peek in _PEEKS.items():
        if folder.of_kind(kind) and (columns := peek(folder)) is not None:
            return columns
    return None


def _peek_geo(folder: RawFolder) -> dict[str, tuple[str, ...]] | None:
    from consilience.sources.geo.phenotypes import series_phenotypes

    if folder.of_kind("mtx", "tenx_h5", "h5ad", "loom"):
        return None  # the series tells of samples; what more is known of their cells stands elsewhere
    series = series_phenotypes(folder)
    return series.columns if series else None


def _peek_gdc(folder: RawFolder) -> dict[str, tuple[str, ...]] | None:
    from consilience.sources.gdc.read import peek_gdc

    return peek_gdc(folder)


def _peek_table(folder: RawFolder) -> dict[str, tuple[str, ...]] | None:
    from consilience.sources.bulk.tables import read_samples_table

    found = {samples_table_of(path) for _, path in folder.files} - {None}
    return read_samples_table(found.pop()) if len(found) == 1 else None  # type: ignore[arg-type]


def _peek_10x(folder: RawFolder) -> dict[str, tuple[str, ...]] | None:
    from consilience.sources.text import read_lines, split_line

    found = folder.named("cells.tsv.gz", "cells.tsv")
    if len(found) != 1:
        return None
    lines = read_lines(found[0])
    rows = [split_line(line, separator="\t") for line in lines if line]
    header = rows[0]
    if any(len(row) != len(header) for row in rows):
        return None  # the reader of the cells will say where
    return _distinct(dict(zip(header, zip(*rows[1:], strict=True), strict=True))) if len(rows) > 1 else None


def _peek_h5ad(folder: RawFolder) -> dict[str, tuple[str, ...]] | None:
    import h5py
    from anndata.io import read_elem

    found = [path for _, path in folder.files if path.suffix in {".h5ad", ".h5"}]
    if len(found) != 1:
        return None
    try:
        with h5py.File(found[0], "r") as handle:
            frame = read_elem(handle["obs"])
    except (OSError, KeyError, ValueError, RuntimeError) as error:
        raise DataError(f"the cell table cannot be read ({error})", where=shown(found[0])) from error
    return _distinct({str(name): tuple(map(str, frame[name])) for name in frame.columns})


def _distinct(columns: Mapping[str, Sequence[str]]) -> dict[str, tuple[str, ...]]:
    """One row for each combination that occurs, over the columns with few levels (no ids, no numbers)."""
    n_rows = len(next(iter(columns.values()), ()))
    few = {name: values for name, values in columns.items() if len(set(values)) <= max(50, n_rows // 10)}
    rows = dict.fromkeys(zip(*few.values(), strict=True))
    return dict(zip(few, map(tuple, zip(*rows, strict=True)), strict=True)) if rows else {}


_PEEKS: dict[FileKind, Callable[[RawFolder], dict[str, tuple[str, ...]] | None]] = {
    "mtx": _peek_10x, "h5ad": _peek_h5ad, "series_matrix": _peek_geo, "soft": _peek_geo,
    "gdc_answer": _peek_gdc, "star_counts": _peek_gdc, "htseq_counts": _peek_gdc,
    "parquet": _peek_table, "table": _peek_table,
}  # fmt: skip
"""Which file of a folder tells the phenotypes; the first kind that is there."""
