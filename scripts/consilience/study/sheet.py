"""The cohort sheet: read as text, checked cell by cell, all problems reported at once."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from consilience.foundation.errors import Problem, SheetError, did_you_mean, printable
from consilience.study.cohorts import KINDS, NAME_PATTERN, ROLES, SOURCES, UNITS, Cohort
from consilience.study.selection import selection_problems

COLUMNS: dict[str, str] = {
    "cohort": "name of the cohort: letters, digits, '_', '.', '-', at most 64, unique without regard to case",
    "kind": "bulk, single_cell, perturbation or summary_statistics",
    "source": "simulated, local, url, geo or gdc",
    "location": "local: a path; geo: a series (GSE55235); gdc: project(s) joined by |, or a manifest written "
    "by `consilience manifest`; url: address(es) joined by |, or a name from resources/datasets.tsv; "
    "simulated: the format served",
    "condition": "phenotype column that holds the condition",
    "case": "level(s) of the condition that are cases, several joined by |",
    "control": "level(s) that are controls (perturbation cohorts: the unperturbed levels)",
    "donor": "phenotype column that names the donor (patient)",
    "cell_type": "phenotype column that holds the cell type (perturbation cohorts: the cell line)",
    "batch": "phenotype column that holds the batch",
    "perturbation": "phenotype column that names the perturbed gene",
    "files": "which files of the source are wanted: shell patterns joined by | (empty: its own choice)",
    "select": "which samples are wanted: column=level|level; column=level (empty: all)",
    "units": "what a bulk matrix holds: counts, estimated_counts, tpm, fpkm, cpm, intensity (linear array "
    "values) or log2 (empty: counts for sequencing, else what the values tell)",
    "role": "pretrain, study (default) or both",
    "label": "free text for the report",
}
REQUIRED_COLUMNS = ("cohort", "kind", "source", "location")
SERVED_FORMATS: dict[str, tuple[str, ...]] = {
    "bulk": ("geo", "gdc"),
    "single_cell": ("10x", "h5ad"),
    "perturbation": ("h5ad", "10x"),
    "summary_statistics": ("gwas_ssf",),
}
_RESERVED = {"con", "prn", "aux", "nul", *(f"{port}{n}" for port in ("com", "lpt") for n in range(1, 10))}
_PROJECT = r"[A-Z0-9]{2,20}(-[A-Z0-9_]+){1,4}"
_LOCATION_PATTERNS = {
    "url": (
        rf"https?://[^\s|]+(\|https?://[^\s|]+)*|{NAME_PATTERN}",
        "http:// or https:// address(es) joined by |, or a name from resources/datasets.tsv",
    ),
    "geo": (r"GSE[0-9]{1,8}", "a GEO series accession such as GSE55235"),
    "gdc": (
        rf"{_PROJECT}(\|{_PROJECT})*|[^|]+\.(tsv|txt)",
        "GDC project(s) such as TCGA-KICH joined by |, or the path of a manifest (.tsv, .txt)",
    ),
}


@dataclass(slots=True)
class _Row:
    """One line of the sheet while it is being checked."""

    sheet: str
    line: int
    cells: dict[str, str]
    problems: list[Problem] = field(default_factory=list)

    def refuse(self, column: str, what: str, *, allowed: str = "", mend: str = "") -> None:
        where = f"{self.sheet}:{self.line}:{column}"
        value = self.cells.get(column, "")
        self.problems.append(Problem(what, where, value, allowed, mend))

    def levels(self, column: str) -> tuple[str, ...]:
        text = self.cells.get(column, "")
        return tuple(text.split("|")) if text else ()


def read_sheet(path: str | Path, *, folder: Path | None = None) -> list[Cohort]:
    """Read and check a cohort sheet; raise one `SheetError` that lists every problem.

    Parameters
    ----------
    path
        Tab-separated text, UTF-8, first line the column names. Cells are text: ``001``, ``NA`` and ``1e5``
        stay as they are. Empty lines and lines that start with ``#`` are skipped.
    folder
        What relative paths of local cohorts are relative to (default: the current folder).
    """
    checked = check_sheet(path, folder=folder)
    if checked.problems:
        raise SheetError.from_problems(checked.problems)
    return checked.cohorts


@dataclass(frozen=True, slots=True)
class CheckedSheet:
    """Cohorts of the rows that are right with the `lines` they stand in, and the problems of all others."""

    cohorts: list[Cohort]
    problems: list[Problem]
    lines: dict[str, int]


def check_sheet(path: str | Path, *, folder: Path | None = None) -> CheckedSheet:
    """Check every cell of a sheet without stopping at the first problem (see `read_sheet`)."""
    sheet = str(path)
    rows, problems = _parse(sheet, _read_text(Path(path)))
    seen: dict[str, tuple[str, int]] = {}
    cohorts, lines = [], {}
    for row in rows:
        _check_name(row, seen)
        _check_choices(row)
        if not row.problems:
            _check_location(row, folder or Path())
            _check_design_columns(row)
        if row.problems:
            problems.extend(row.problems)
        else:
            cohorts.append(_to_cohort(row))
            lines[row.cells["cohort"]] = row.line
    if not rows and not problems:
        problems.append(Problem("the sheet has no cohort", f"{sheet}:2", mend="add a row"))
    return CheckedSheet(cohorts, problems, lines)


def _read_text(path: Path) -> str:
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise SheetError(
            "there is no such cohort sheet", where=str(path), mend="check study.cohorts in the configuration"
        ) from None
    except OSError as error:
        raise SheetError(f"cannot be read ({error.strerror})", where=str(path)) from None
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise SheetError(
            "not UTF-8 text",
            where=f"{path}:{line}",
            value=repr(content[error.start : error.start + 8]),
            mend="save the sheet as tab-separated text in UTF-8 (in Excel: 'Unicode text', then UTF-8)",
        ) from None


def _parse(sheet: str, text: str) -> tuple[list[_Row], list[Problem]]:
    """Split into rows; lines that do not have the header's number of cells are problems."""
    lines = [(number, line.removesuffix("\r")) for number, line in enumerate(text.split("\n"), 1)]
    lines = [(number, line) for number, line in lines if line.strip(" \t") and not line.startswith("#")]
    if not lines:
        return [], [Problem("the sheet is empty", f"{sheet}:1", mend=f"first line: {' '.join(COLUMNS)}")]
    header_line, header_text = lines[0]
    header = header_text.split("\t")
    problems = _header_problems(f"{sheet}:{header_line}", header)
    if problems:
        return [], problems
    rows = []
    for number, line in lines[1:]:
        cells = line.split("\t")
        if len(cells) != len(header):
            problems.append(
                Problem(
                    f"the row has {len(cells)} cells but the header has {len(header)}",
                    f"{sheet}:{number}",
                    cells[0],
                    mend="separate cells by one tab each; leave unused cells empty",
                )
            )
            continue
        row = _Row(sheet, number, dict(zip(header, cells, strict=True)))
        for column, cell in row.cells.items():
            if not cell.isprintable():
                row.refuse(
                    column, "control or invisible characters", mend="type the cell again as plain text"
                )
            elif cell != cell.strip():
                row.refuse(column, "blanks at the start or end of the cell", mend="remove them")
        rows.append(row)
    return rows, problems


def _header_problems(where: str, header: Sequence[str]) -> list[Problem]:
    problems = []
    for column in dict.fromkeys(header):
        if column not in COLUMNS:
            mend = did_you_mean(column, COLUMNS) or f"the columns are {', '.join(COLUMNS)}"
            problems.append(Problem("unknown column", f"{where}:{column[:30]}", column, mend=mend))
        elif header.count(column) > 1:
            problems.append(Problem("the column appears twice", f"{where}:{column}", column))
    missing = [column for column in REQUIRED_COLUMNS if column not in header]
    if missing:
        problems.append(
            Problem(f"missing column(s) {', '.join(missing)}", where, mend="add them to the first line")
        )
    return problems


def _check_name(row: _Row, seen: dict[str, tuple[str, int]]) -> None:
    name = row.cells["cohort"]
    if not re.fullmatch(NAME_PATTERN, name):
        allowed = "a letter or digit, then letters, digits, '_', '.', '-'; at most 64 in all"
        row.refuse("cohort", "not a usable name", allowed=allowed, mend="put the long name into 'label'")
        return
    if name.casefold().split(".")[0] in _RESERVED or name.endswith("."):
        row.refuse("cohort", "this name cannot be a folder on every system", mend="choose another")
    if name.casefold() in seen:
        other, line = seen[name.casefold()]
        twin = "" if other == name else f" (as {printable(other)}; names differ only in case)"
        row.refuse("cohort", f"the name is already used in line {line}{twin}", mend="choose another")
    seen.setdefault(name.casefold(), (name, row.line))


def _check_choices(row: _Row) -> None:
    row.cells["role"] = row.cells.get("role", "") or "study"
    row.cells.setdefault("units", "")
    for column, allowed in (("kind", KINDS), ("source", SOURCES), ("role", ROLES), ("units", UNITS)):
        if row.cells[column] not in allowed:
            mend = did_you_mean(row.cells[column], allowed)
            row.refuse(column, f"unknown {column}", allowed=", ".join(filter(None, allowed)), mend=mend)


def _check_location(row: _Row, folder: Path) -> None:
    source, location = row.cells["source"], row.cells["location"]
    if source == "simulated":
        formats = SERVED_FORMATS[row.cells["kind"]]
        if location not in formats:
            row.refuse("location", "not a format in which this kind is simulated", allowed=", ".join(formats))
    elif source == "local":
        if not location or "\0" in location:
            row.refuse("location", "a local cohort needs the path of its file or folder")
        elif not _exists(folder / location):
            row.refuse(
                "location", f"no such file or folder (seen from {folder.resolve()})", mend="mend the path"
            )
    else:
        pattern, allowed = _LOCATION_PATTERNS[source]
        if not re.fullmatch(pattern, location):
            capitals = location.upper()
            mend = f"did you mean {capitals!r}?" if re.fullmatch(pattern, capitals) else ""
            row.refuse("location", f"not an address for source {source!r}", allowed=allowed, mend=mend)
        elif source == "gdc" and location.endswith((".tsv", ".txt")) and not _exists(folder / location):
            row.refuse(
                "location",
                f"no such manifest (seen from {folder.resolve()})",
                mend="mend the path, or write one with `consilience manifest`",
            )


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:  # a path of 300 characters is not a traceback
        return False


def _check_design_columns(row: _Row) -> None:
    kind, role = row.cells["kind"], row.cells["role"]
    if kind in {"bulk", "single_cell"} and role != "pretrain":
        needed = ["condition", "case", "control"] + (["donor"] if kind == "single_cell" else [])
        unused = ["perturbation"]
    elif kind == "perturbation":
        needed, unused = ["perturbation", "control"], ["condition", "case"]
    elif kind == "summary_statistics":
        needed, unused = [], ["condition", "case", "control", "donor", "cell_type", "batch", "perturbation"]
    else:
        needed, unused = [], ["perturbation"]
    for column in needed:
        if not row.cells.get(column):
            row.refuse(
                column, f"empty, but a {kind} cohort with role {role!r} needs it", allowed=COLUMNS[column]
            )
    for column in unused:
        if row.cells.get(column):
            row.refuse(column, f"has no meaning for kind {kind!r}", mend="leave it empty")
    _check_levels(row)
    _check_choice_of_data(row)


def _check_choice_of_data(row: _Row) -> None:
    """Columns `files`, `select` and `units`: what of the source is wanted, and what it is said to be."""
    kind = row.cells["kind"]
    if row.cells["units"] not in {"", "counts"} and kind != "bulk":
        row.refuse("units", f"a {kind} cohort is always counts", mend="leave it empty")
    if row.cells.get("select") and kind == "summary_statistics":
        row.refuse("select", f"has no meaning for kind {kind!r}", mend="leave it empty")
    if row.cells["source"] == "simulated":
        for column in ("files", "select", "units"):
            if row.cells.get(column):
                row.refuse(column, "has no meaning for a simulated cohort", mend="leave it empty")
    if any(not pattern.strip() for pattern in row.levels("files")):
        row.refuse("files", "an empty pattern", mend="join patterns by a single |")
    for problem in selection_problems(row.cells.get("select", "")):
        row.refuse("select", problem, allowed="column=level|level; column=level")


def _check_levels(row: _Row) -> None:
    for column in ("case", "control"):
        levels = row.levels(column)
        if any(not level.strip() for level in levels):
            row.refuse(column, "an empty level", mend="join levels by a single |")
        if len(set(levels)) != len(levels):
            row.refuse(column, "the same level twice", mend="name each level once")
    both = sorted(set(row.levels("case")) & set(row.levels("control")))
    if both:
        row.refuse("control", f"level {printable(both[0])} is both case and control", mend="keep it in one")
    used = [row.cells.get(column, "") for column in ("condition", "batch", "perturbation")]
    named = [column for column in used if column]
    if len(set(named)) != len(named):
        row.refuse("batch", "one phenotype column serves two purposes", mend="name different columns")


def _to_cohort(row: _Row) -> Cohort:
    texts = {column: row.cells.get(column, "") for column in COLUMNS}
    return Cohort(
        name=texts["cohort"],
        kind=texts["kind"],  # type: ignore[arg-type]  # checked against KINDS above
        source=texts["source"],  # type: ignore[arg-type]
        location=texts["location"],
        condition=texts["condition"],
        case=row.levels("case"),
        control=row.levels("control"),
        donor=texts["donor"],
        cell_type=texts["cell_type"],
        batch=texts["batch"],
        perturbation=texts["perturbation"],
        files=row.levels("files"),
        select=texts["select"],
        units=texts["units"],  # type: ignore[arg-type]
        role=texts["role"],  # type: ignore[arg-type]
        label=texts["label"] or texts["cohort"],
    )


def sheet_columns_table() -> Iterable[tuple[str, str]]:
    """(column, meaning) for the generated documentation."""
    return COLUMNS.items()
