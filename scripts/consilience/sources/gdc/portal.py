"""Folders that people already have: gdc-client trees with the portal's sample sheet and clinical table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from consilience.foundation.errors import DataError, Problem
from consilience.sources.gdc.counts import CountFile
from consilience.sources.gdc.hits import annotation_notes, is_counts, phenotype, some, type_notes
from consilience.sources.gdc.manifest import Entry, manifest_entries
from consilience.sources.raw_folder import RawFolder
from consilience.sources.text import read_lines, shown, split_line

SHEET_PATHS = {
    "case id": "cases.submitter_id", "project id": "cases.project.project_id",
    "sample id": "cases.samples.submitter_id", "sample type": "cases.samples.sample_type",
    "tissue type": "cases.samples.tissue_type", "tumor descriptor": "cases.samples.tumor_descriptor",
    "specimen type": "cases.samples.specimen_type",
    "preservation method": "cases.samples.preservation_method",
}  # fmt: skip
"""Columns of a sample sheet by their place in an answer of the files service."""
MISSING = frozenset({"'--", "--", "NA"})
CASE_COLUMNS = ("case_submitter_id", "cases.submitter_id", "submitter_id")
_MAX_PROBLEMS = 20


@dataclass(frozen=True, slots=True)
class Table:
    """A tab-separated table: `names` of the columns as written, and `rows` of text cells."""

    where: str
    names: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def column(self, *names: str) -> int | None:
        """The first column that has one of these names, without regard to case and to _ for a blank."""
        plain = [_plain(name) for name in self.names]
        return next((plain.index(_plain(one)) for one in names if _plain(one) in plain), None)


def _plain(name: str) -> str:
    return name.casefold().replace("_", " ")


def listed_files(
    folder: RawFolder,
) -> tuple[tuple[CountFile, ...], dict[str, tuple[str, ...]], tuple[str, ...]]:
    """The count files of a folder without files.json, their phenotype columns (files,), and notes."""
    refuse_unfinished(folder)
    files = [(name, path) for name, path in folder.files if is_counts(PurePosixPath(name).name)]
    tables = [table for path in folder.of_kind("table") if (table := read_portal_table(path))]
    sheets = [table for table in tables if table.column("file id", "file name") is not None]
    rows, notes = _sheet_rows([name for name, _ in files], sheets=sheets, where=shown(folder.path))
    for table in tables:
        if table not in sheets:
            notes += _add_clinical(rows, table)
    columns = phenotype(rows)
    known, more = _known_entries(folder, rows=rows)
    counts = tuple(
        CountFile(path, entry.size if entry else None, entry.md5 if entry else "")
        for (_, path), entry in zip(files, known, strict=True)
    )
    notes += more + _annotations(folder) + type_notes(samples=columns["sample"], columns=columns)
    return counts, _filled(columns), tuple(notes)


def refuse_unfinished(folder: RawFolder) -> None:
    """gdc-client leaves NAME.partial where a download did not end."""
    left = [name for name, _ in folder.files if name.endswith(".partial")]
    if left:
        raise DataError(
            f"{len(left)} downloads of gdc-client are not finished: {some(left)}", where=shown(folder.path),
            mend="run gdc-client with the same manifest again; it goes on where it stopped",
        )  # fmt: skip


def read_portal_table(path: Path) -> Table | None:
    """A sample sheet or clinical table, or None for a table that says nothing of files or cases."""
    lines = read_lines(path)
    where, header = shown(path), [name.strip() for name in split_line(lines[0], separator="\t")]
    has_files = Table(where, tuple(header), ()).column("file id", "file name") is not None
    if not has_files and not set(CASE_COLUMNS) & set(map(str.casefold, header)):
        return None
    rows, problems = [], []
    for number, line in enumerate(lines[1:], 2):
        if not line.strip():
            continue
        cells = [cell.strip() for cell in split_line(line, separator="\t")]
        if len(cells) != len(header):
            problems.append(
                Problem(f"{len(cells)} cells under {len(header)} column names", f"{where}:{number}")
            )
            continue
        rows.append(tuple("" if cell in MISSING else cell for cell in cells))
    if problems:
        raise DataError.from_problems(problems[:_MAX_PROBLEMS])
    return Table(where, tuple(header), tuple(rows))


def _sheet_rows(
    names: Sequence[str], *, sheets: Sequence[Table], where: str
) -> tuple[list[dict[str, str]], list[str]]:
    """One row for each count file, by dotted path as in an answer of the files service, and notes."""
    rows = [{"file_id": _file_id(name), "file_name": PurePosixPath(name).name} for name in names]
    if not sheets:
        return rows, [
            "no sample sheet lies beside the files, so nothing but their ids is known of them "
            "(the portal gives one as gdc_sample_sheet.<date>.tsv)"
        ]
    notes = []
    for sheet in sheets:
        found, lost = _rows_of_files(sheet, rows=rows), []
        for row, cells in zip(rows, found, strict=True):
            if cells is None:
                lost.append(f"{row['file_id']}/{row['file_name']}")
                continue
            for name, cell in zip(sheet.names, cells, strict=True):
                plain = _plain(name)
                if plain not in {"file id", "file name"}:
                    row.setdefault(SHEET_PATHS.get(plain, plain.replace(" ", "_")), cell)
        if lost:
            raise DataError(
                f"{len(lost)} of {len(rows)} count files have no row in {sheet.where}: {some(lost)}",
                where=where, mend="download the sample sheet of the same cart, or remove the files",
            )  # fmt: skip
        n_more = len(sheet.rows) - len(rows)
        if n_more > 0:
            notes.append(f"{n_more} rows of {sheet.where} have no count file here and were left out")
    return rows, notes + _first_of_several(rows)


def _file_id(name: str) -> str:
    """The folder in which gdc-client puts a file; where there is none, the name up to its first dot."""
    path = PurePosixPath(name)
    return path.parent.name or path.name.split(".")[0]


def _rows_of_files(sheet: Table, *, rows: Sequence[Mapping[str, str]]) -> list[tuple[str, ...] | None]:
    """The sheet's row of each file, by its id, else by its name; two rows for one file are refused."""
    found: dict[str, tuple[str, ...]] = {}
    problems = []
    for kind in ("file id", "file name"):
        column = sheet.column(kind)
        for number, cells in enumerate(sheet.rows if column is not None else (), 2):
            key = cells[column]  # type: ignore[index]
            if found.setdefault(key, cells) != cells and key:
                problems.append(Problem(f"a second row for this {kind}", f"{sheet.where}:{number}", key))
    if problems:
        raise DataError.from_problems(problems[:_MAX_PROBLEMS])
    return [found.get(row["file_id"]) or found.get(row["file_name"]) for row in rows]


def _first_of_several(rows: Sequence[dict[str, str]]) -> list[str]:
    """A file of several samples has lists such as "A-01, A-02": the sample first by name, with its cells."""
    pooled = []
    for row in rows:
        samples = row.get("cases.samples.submitter_id", "").split(", ")
        if len(samples) < 2:
            continue
        pooled.append(row["file_id"])
        first = samples.index(min(samples))
        for path in SHEET_PATHS.values():
            cells = row.get(path, "").split(", ")
            if len(cells) == len(samples):
                row[path] = cells[first]
    if not pooled:
        return []
    return [f"{len(pooled)} files come from several samples and bear the first one's name and phenotype: "
            f"{some(pooled)}"]  # fmt: skip


def _add_clinical(rows: Sequence[dict[str, str]], table: Table) -> list[str]:
    """Join a clinical table by the case's barcode; of several rows of a case (one a treatment) the first."""
    cases = {row.get("cases.submitter_id", "") for row in rows} - {""}
    columns = [at for at, name in enumerate(table.names) if name.casefold() in CASE_COLUMNS]
    # tables of annotations and treatments have columns of these names too: the one with most of our cases
    column = max(columns, key=lambda at: len(cases & {cells[at] for cells in table.rows}))
    of_case: dict[str, tuple[str, ...]] = {}
    for cells in table.rows:
        of_case.setdefault(cells[column], cells)
    several = len(table.rows) - len(of_case)
    for row in rows:
        cells = of_case.get(row.get("cases.submitter_id", ""), ())
        for name, cell in zip(table.names, cells, strict=False):
            row.setdefault(f"cases.clinical.{name.rpartition('.')[2]}", cell)
    lost = sorted(cases - set(of_case))
    notes = []
    if several:
        notes.append(f"{table.where} has several rows for some cases; the first of each was used "
                     f"({several} were left out)")  # fmt: skip
    if lost:
        notes.append(f"{len(lost)} cases have no row in {table.where}: {some(lost)}")
    return notes


def _known_entries(
    folder: RawFolder, *, rows: Sequence[Mapping[str, str]]
) -> tuple[list[Entry | None], list[str]]:
    """Size and md5 of each file, from the manifests that lie beside."""
    manifests = [*folder.of_kind("gdc_manifest"), *folder.named("MANIFEST.txt")]
    entries = {entry.id: entry for path in manifests for entry in manifest_entries(path)}
    found = [entries.get(row["file_id"]) for row in rows]
    if not manifests:
        return found, ["no manifest lies beside the files, so that no md5 of theirs could be checked"]
    n_lost, n_unknown = len(set(entries) - {row["file_id"] for row in rows}), found.count(None)
    notes = [f"{n_lost} files of the manifest are not here, or are no counts"] if n_lost else []
    return found, notes + ([f"{n_unknown} count files are in no manifest; their md5 was not checked"]
                           if n_unknown else [])  # fmt: skip


def _annotations(folder: RawFolder) -> list[str]:
    """What gdc-client's annotations.txt say, by kind and file id (its folder)."""
    flags = []
    for name, path in folder.files:
        if PurePosixPath(name).name == "annotations.txt":
            lines = read_lines(path)
            names = lines[0].split("\t")
            for line in filter(None, lines[1:]):
                flags.append((_file_id(name), dict(zip(names, line.split("\t"), strict=False))))
    return annotation_notes(flags)


def _filled(columns: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    """Without the columns that are empty for every file (most of a clinical table)."""
    return {name: values for name, values in columns.items() if name in {"sample", "case_id"} or any(values)}
