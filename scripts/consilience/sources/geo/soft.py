"""GEO's SOFT text: records that begin with "^", their attributes, and their tables, one record at a time."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from consilience.foundation.errors import DataError
from consilience.sources.geo.lines import text_lines
from consilience.sources.text import FETCH_AGAIN, shown

TABLES = ("PLATFORM", "SAMPLE", "DATASET")


@dataclass(slots=True)
class SoftRecord:
    """One record as it is read.

    `kind` in capitals (SERIES, PLATFORM, SAMPLE, DATASET, SUBSET …); `name` as after "^"; `attributes` with
    all their values by name, without the kind before them (title, not Sample_title); `described` columns of
    its table (after "#"); `header` and `rows` (line number, cells) of the table, () where it has none or
    where the kind was not asked for; `line` where it begins.
    """

    kind: str
    name: str
    line: int
    attributes: dict[str, list[str]] = field(default_factory=dict)
    described: dict[str, str] = field(default_factory=dict)
    header: tuple[str, ...] = ()
    rows: list[tuple[int, list[str]]] = field(default_factory=list)

    def first(self, name: str) -> str:
        """The first value of an attribute, "" where it has none."""
        return (self.attributes.get(name) or [""])[0]


def soft_records(path: Path, *, tables: Collection[str] = TABLES) -> Iterator[SoftRecord]:
    """Records of a SOFT file in their order; tables are kept for the kinds in `tables`, skipped for others.

    Raises
    ------
    DataError
        When a table begins and does not end, ends as the table of another kind of record, or has a row with
        more or fewer cells than column names; when a line belongs to no record.
    """
    where = shown(path)
    record: SoftRecord | None = None
    begun = 0
    for number, line in text_lines(path):
        mark = line.rstrip().casefold() if line.startswith("!") else ""
        if begun and record and not mark.endswith("_table_end") and not line.startswith("^"):
            if record.kind in tables and line.strip():
                _take_row(line, record, number=number, where=where)
        elif line.startswith("^"):
            if record:
                _refuse_open(record, begun, where=where)
                yield record
            kind, _, name = line[1:].partition("=")
            record = SoftRecord(kind.strip().upper(), name.strip(), number)
        elif not line.strip():
            continue
        elif record is None or not line.startswith(("!", "#")):
            raise DataError(
                "not a line of a SOFT file", where=f"{where}:{number}", value=line,
                allowed="lines that begin with ^, ! or #, and tables between their marks", mend=FETCH_AGAIN,
            )  # fmt: skip
        elif mark.endswith("_table_begin"):
            begun = number
        elif mark.endswith("_table_end"):
            if mark != f"!{record.kind.casefold()}_table_end" or not begun:
                _refuse_open(record, begun or number, where=where)
            begun = 0
        else:
            _take_attribute(line, record)
    if record:
        _refuse_open(record, begun, where=where)
        yield record


def _take_attribute(line: str, record: SoftRecord) -> None:
    name, _, value = line[1:].partition("=")
    if line.startswith("#"):
        record.described.setdefault(name.strip(), value.strip())
        return
    prefix, _, rest = name.strip().partition("_")
    key = rest if prefix.upper() == record.kind else name.strip()
    if value.strip():
        record.attributes.setdefault(key, []).append(value.strip())


def _take_row(line: str, record: SoftRecord, *, number: int, where: str) -> None:
    """Header or row of a table; SOFT quotes nothing, and an empty last cell may be missing."""
    cells = line.split("\t")
    if not record.header:
        record.header = tuple(cell.strip() for cell in cells)
        return
    if len(cells) == len(record.header) - 1:
        cells.append("")
    if len(cells) != len(record.header):
        raise DataError(
            f"{len(cells)} cells under {len(record.header)} column names in the table of {record.name}",
            where=f"{where}:{number}",
            mend="the table is cut or damaged; " + FETCH_AGAIN,
        )
    record.rows.append((number, cells))


def _refuse_open(record: SoftRecord, begun: int, *, where: str) -> None:
    if begun:
        raise DataError(
            f"the table of {record.name} does not end where it should: it is cut",
            where=f"{where}:{begun}",
            allowed=f"!{record.kind.casefold()}_table_begin, rows, !{record.kind.casefold()}_table_end",
            mend=FETCH_AGAIN,
        )
