"""A GEO series: who its samples are, and the values that its series matrix holds (one file per platform)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from consilience.foundation.errors import DataError
from consilience.sources.bulk.matrix import refuse_duplicates
from consilience.sources.geo.lines import text_lines
from consilience.sources.geo.values import Rows, ValueTable, one_value_per_id
from consilience.sources.text import FETCH_AGAIN, shown, split_line

KEPT_ROWS = (
    "title", "geo_accession", "source_name_ch1", "source_name_ch2", "organism_ch1", "organism_ch2",
    "molecule_ch1", "description", "platform_id", "taxid_ch1", "type", "library_strategy", "library_source",
    "instrument_model",
)  # fmt: skip
"""Rows of !Sample_ that become columns; all others (protocols, contacts) are the same for all samples."""


@dataclass(frozen=True, slots=True)
class Series:
    """One series, or what one of its files holds of it.

    `accession` of the series; `samples` GSM accessions; `columns` by name, each (samples,) of text: the
    characteristics under their keys, then GEO's own rows (title, platform_id …) under names that no
    characteristic has taken; `fields` GEO's own rows alone; `facts` what is said of the series as a whole
    (type, relation, supplementary_file …), each with all its values; `tables` of values, one for each
    platform that has one; `notes` on what was odd.
    """

    accession: str
    samples: tuple[str, ...]
    columns: dict[str, tuple[str, ...]]
    fields: dict[str, tuple[str, ...]]
    facts: Mapping[str, tuple[str, ...]]
    tables: tuple[ValueTable, ...]
    where: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Lines:
    """What was read so far: rows of !Sample_ (line number, name, cells) and values of !Series_ by name."""

    rows: list[tuple[int, str, list[str]]]
    facts: dict[str, list[str]]


def parse_series_matrix(path: Path, *, values: bool = True) -> Series:
    """Parse a series matrix; characteristics are taken by their key, because rows may be shifted.

    `values=False` reads only as far as the table, which is fast however large the file is.
    """
    where = shown(path)
    head, ended = _Lines([], {}), False
    rows: Rows | None = None
    samples: tuple[str, ...] = ()
    for number, line in text_lines(path):
        if ended or (rows is not None and line == "!series_matrix_table_end"):
            if ended and line.strip():
                raise _not_a_line(line, place=f"{where}:{number}")
            ended = True  # and on to the end of the file: cut gzip shows only there
        elif rows is not None:
            if not (header := rows.names):
                header = _header_of(line, samples=samples, where=f"{where}:{number}")
                rows = Rows(n_ids=1, names=header, where=where)
            elif line:
                rows.add(line, number=number)
        elif line == "!series_matrix_table_begin":
            samples = _samples_of(head, where=where)
            if not values:
                break
            rows = Rows(n_ids=1, names=(), where=where)
        else:
            _take_line(line, head, place=f"{where}:{number}", number=number)
    if (values and not ended) or not samples:
        raise DataError(
            "the file ends before !series_matrix_table_end: it is cut", where=where, mend=FETCH_AGAIN
        )
    return _series(head, samples=samples, table=_table(rows, where), where=where)


def _take_line(line: str, head: _Lines, *, place: str, number: int) -> None:
    """One line before the table."""
    if line.startswith(("!Sample_", '"!Sample_')):
        name, *cells = split_line(line, separator="\t")
        head.rows.append((number, name.removeprefix("!Sample_"), [cell.strip() for cell in cells]))
    elif line.startswith(("!Series_", '"!Series_')):
        name, *cells = split_line(line, separator="\t")
        head.facts.setdefault(name.removeprefix("!Series_"), []).extend(filter(None, map(str.strip, cells)))
    elif line.strip() and not line.startswith(("#", "^")):
        raise _not_a_line(line, place=place)


def _not_a_line(line: str, *, place: str) -> DataError:
    return DataError(
        "not a line of a GEO series matrix", where=place, value=line,
        allowed="lines that begin with !Series_ or !Sample_, then the table", mend=FETCH_AGAIN,
    )  # fmt: skip


def _samples_of(head: _Lines, *, where: str) -> tuple[str, ...]:
    """The accessions; refuses rows of !Sample_ that are shorter or longer than theirs."""
    samples = next((cells for _, name, cells in head.rows if name == "geo_accession"), [])
    if not samples:
        raise DataError("no line !Sample_geo_accession", where=where, mend=FETCH_AGAIN)
    for number, name, cells in head.rows:
        if len(cells) != len(samples):
            raise DataError(
                f"!Sample_{name} has {len(cells)} cells for {len(samples)} samples",
                where=f"{where}:{number}",
                mend=FETCH_AGAIN,
            )
    refuse_duplicates(samples, what="sample", where=where)
    return tuple(samples)


def _header_of(line: str, *, samples: tuple[str, ...], where: str) -> tuple[str, ...]:
    header = [cell.strip() for cell in split_line(line, separator="\t")]
    if tuple(header[1:]) != samples:
        raise DataError(
            "the table's header does not list the samples of !Sample_geo_accession in their order",
            where=where,
            value=" ".join(header[1:4]),
            mend=FETCH_AGAIN,
        )
    return samples


def _table(rows: Rows | None, where: str) -> tuple[ValueTable, ...]:
    if rows is None or not rows.ids:
        return ()
    ids = rows.column_of_ids(0)
    one_value_per_id(ids, where=where)
    return (ValueTable(ids, rows.stacked(), rows.names, where),)


def _series(head: _Lines, *, samples: tuple[str, ...], table: tuple[ValueTable, ...], where: str) -> Series:
    facts = {name: tuple(values) for name, values in head.facts.items()}
    columns, fields = sample_columns([(name, cells) for _, name, cells in head.rows])
    accession = (facts.get("geo_accession") or ("",))[-1]
    return Series(accession, samples, columns, fields, facts, table, where)


def sample_columns(
    rows: Sequence[tuple[str, Sequence[str]]],
) -> tuple[dict[str, tuple[str, ...]], dict[str, tuple[str, ...]]]:
    """Columns and fields (see `Series`) from rows of !Sample_, each with its name and (samples,) cells.

    A name that comes twice (a second !Sample_description) becomes description.1, description.2 …; the
    organisms of one sample are joined instead, so that a graft of human cells in a mouse shows.
    """
    columns = characteristics([cells for name, cells in rows if name == "characteristics_ch1"])
    second = characteristics([cells for name, cells in rows if name == "characteristics_ch2"])
    columns |= {f"{key} (ch2)": values for key, values in second.items()}
    fields: dict[str, tuple[str, ...]] = {}
    for name, cells in rows:
        if name not in KEPT_ROWS:
            continue
        if name not in fields:
            fields[name] = tuple(cells)
        elif name in {"organism_ch1", "organism_ch2", "taxid_ch1"}:
            fields[name] = tuple(map(_both, fields[name], cells))
        else:
            copy = next(f"{name}.{k}" for k in range(1, len(rows) + 1) if f"{name}.{k}" not in fields)
            fields[copy] = tuple(cells)
    return columns | {name: values for name, values in fields.items() if name not in columns}, fields


def _both(first: str, second: str) -> str:
    return f"{first}; {second}" if second and second != first else first


def characteristics(rows: Sequence[Sequence[str]]) -> dict[str, tuple[str, ...]]:
    """Columns by key from rows of "key: value" cells in which a key may stand in any row.

    A cell without a key is filed under "characteristics"; a key that one sample has twice keeps both
    values, joined by "; ". A sample without the key has "".
    """
    n_samples = len(rows[0]) if rows else 0
    columns: dict[str, list[str]] = {}
    for row in rows:
        for sample, cell in enumerate(row):
            if not cell:
                continue
            key, colon, value = (part.strip() for part in cell.partition(":"))
            if not (colon and key):
                key, value = "characteristics", cell
            column = columns.setdefault(key, [""] * n_samples)
            same = not column[sample] or column[sample] == value
            column[sample] = value if same else f"{column[sample]}; {value}"
    return {key: tuple(column) for key, column in columns.items()}


def join_series(parts: Sequence[Series]) -> Series:
    """One series from the files of its platforms; a column that one file lacks is "" for its samples."""
    if len(parts) == 1:
        return parts[0]
    where = ", ".join(part.where.rpartition("/")[2] for part in parts)
    accessions = {part.accession for part in parts} - {""}
    if len(accessions) > 1:
        raise DataError(
            "files of several series lie together", where=where, value=" ".join(sorted(accessions)),
            allowed="one series a cohort", mend="give each series a row of its own in the cohort sheet",
        )  # fmt: skip
    samples = tuple(sample for part in parts for sample in part.samples)
    refuse_duplicates(samples, what="sample", where=where)
    facts: dict[str, tuple[str, ...]] = {}
    for part in parts:
        for name, values in part.facts.items():
            facts[name] = tuple(dict.fromkeys((*facts.get(name, ()), *values)))
    return replace(
        parts[0],
        accession="".join(accessions),
        samples=samples,
        columns=_stacked([(part.columns, len(part.samples)) for part in parts]),
        fields=_stacked([(part.fields, len(part.samples)) for part in parts]),
        facts=facts,
        tables=tuple(table for part in parts for table in part.tables),
        where=where,
        notes=tuple(note for part in parts for note in part.notes),
    )


def _stacked(parts: Sequence[tuple[Mapping[str, tuple[str, ...]], int]]) -> dict[str, tuple[str, ...]]:
    names = dict.fromkeys(name for columns, _ in parts for name in columns)
    return {name: tuple(v for columns, n in parts for v in columns.get(name, ("",) * n)) for name in names}
