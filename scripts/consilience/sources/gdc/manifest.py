"""Manifests: which files of the GDC a cohort is, with size and md5, as a table kept with the study."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

from consilience.foundation.errors import DataError, Problem
from consilience.sources.gdc.hits import FILE_ID, FILE_NAME, Hit, flatten, phenotype
from consilience.sources.text import read_lines, shown

CLIENT_COLUMNS = ("id", "filename", "md5", "size", "state")
OUR_COLUMNS = ("project", "case", "sample", "sample_type", "aliquot", "access", "release")
RENEW = "write the manifest again: `consilience manifest PROJECT … --out {path}`"
_MAX_PROBLEMS = 30


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of a manifest; what a manifest of gdc-client (five columns) does not say is ""."""

    id: str
    filename: str
    md5: str
    size: int
    state: str
    project: str = ""
    case: str = ""
    sample: str = ""
    sample_type: str = ""
    aliquot: str = ""
    access: str = ""
    release: str = ""


def manifest_text(hits: Sequence[Hit], *, release: str) -> str:
    """The manifest of these files: gdc-client reads its first five columns, people the others."""
    rows = [flatten(hit) for hit in hits]
    columns = phenotype(rows)
    types = columns.get("sample_type", ("",) * len(rows))
    lines = ["\t".join(CLIENT_COLUMNS + OUR_COLUMNS)]
    for k, (hit, row) in enumerate(zip(hits, rows, strict=True)):
        cells = (
            hit["file_id"], hit["file_name"], hit["md5sum"], hit["file_size"], row.get("state") or "released",
            row.get("cases.project.project_id", ""), columns["case_id"][k], columns["sample"][k], types[k],
            columns["aliquot"][k], row.get("access", ""), release,
        )  # fmt: skip
        lines.append("\t".join(re.sub(r"\s+", " ", str(cell)) for cell in cells))
    return "\n".join(lines) + "\n"


def read_manifest(path: Path) -> tuple[Entry, ...]:
    """Read a manifest strictly: ours, or one of gdc-client or the portal; every problem is told at once."""
    entries = manifest_entries(path)
    first: dict[str, int] = {}
    problems = [
        Problem(
            f"the file is already listed (as entry {first[entry.id]})",
            shown(path),
            entry.id,
            mend="remove one",
        )
        for number, entry in enumerate(entries, 1)
        if first.setdefault(entry.id, number) != number
    ]
    if problems:
        raise DataError.from_problems(problems[:_MAX_PROBLEMS])
    return entries


def manifest_entries(path: Path) -> tuple[Entry, ...]:
    """The entries of a manifest as they stand (MANIFEST.txt of an archive has folders in its names)."""
    where, lines = shown(path), read_lines(path)
    names = [name.strip() for name in lines[0].split("\t")]
    if tuple(names[: len(CLIENT_COLUMNS)]) != CLIENT_COLUMNS:
        raise DataError(
            "not a manifest of the GDC", where=f"{where}:1", value=lines[0],
            allowed=f"a table that begins with the columns {' '.join(CLIENT_COLUMNS)}, separated by tabs",
            mend="write one with `consilience manifest`, or take the portal's (Download Manifest)",
        )  # fmt: skip
    entries, problems = [], []
    for number, line in enumerate(lines[1:], 2):
        if not line.strip():
            continue
        cells = [cell.strip() for cell in line.split("\t")]
        if len(cells) != len(names):
            problems.append(
                Problem(f"{len(cells)} cells under {len(names)} column names", f"{where}:{number}")
            )
            continue
        row = dict(zip(names, cells, strict=True))
        found = _cell_problems(row, f"{where}:{number}")
        problems += found
        if not found:
            entries.append(_entry(row))
    if not entries and not problems:
        problems = [Problem("the manifest lists no files", where)]
    if problems:
        raise DataError.from_problems(problems[:_MAX_PROBLEMS])
    return tuple(entries)


def _cell_problems(row: Mapping[str, str], where: str) -> list[Problem]:
    allowed = {
        "id": (FILE_ID, "the file's id at the GDC"),
        "filename": (rf"(?:{FILE_ID}/)?{FILE_NAME}", "a file name"),
        "md5": ("[0-9a-fA-F]{32}", "32 hexadecimal digits"),
        "size": ("[1-9][0-9]{0,14}", "bytes, as a whole number"),
    }
    return [
        Problem(f"not a usable {column}", f"{where}:{column}", row[column], meant)
        for column, (pattern, meant) in allowed.items()
        if not re.fullmatch(pattern, row[column])
    ]


def _entry(row: Mapping[str, str]) -> Entry:
    texts = {one.name: row.get(one.name, "") for one in fields(Entry)}
    return Entry(**texts | {  # type: ignore[arg-type]
        "size": int(row["size"]), "md5": row["md5"].lower(), "filename": row["filename"].rpartition("/")[2],
    })  # fmt: skip
