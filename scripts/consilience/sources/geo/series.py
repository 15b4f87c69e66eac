"""GEO: the series matrix (who the samples are) and the supplementary table of counts (what was measured)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from consilience.foundation.errors import DataError, did_you_mean
from consilience.sources.bulk.matrix import BulkMatrix, refuse_duplicates
from consilience.sources.bulk.tables import CountTable, listed, parse_counts, read_count_table
from consilience.sources.formats import TABLE_SUFFIXES
from consilience.sources.raw_folder import RawFolder
from consilience.sources.text import FETCH_AGAIN, read_lines, shown, split_line

KEPT_ROWS = (
    "title",
    "geo_accession",
    "source_name_ch1",
    "organism_ch1",
    "molecule_ch1",
    "description",
    "platform_id",
    "taxid_ch1",
)
HUMAN = {"9606", "Homo sapiens"}


@dataclass(frozen=True, slots=True)
class SeriesMatrix:
    """One series matrix file.

    `accession` of the series; `samples` GSM accessions; `columns` by name, each (samples,) of text: the
    characteristics under their keys, then title, geo_accession and a few others under GEO's names;
    `table_lines` the numbered lines between table_begin and table_end (only a header for RNA-seq).
    """

    accession: str
    samples: tuple[str, ...]
    columns: dict[str, tuple[str, ...]]
    table_lines: tuple[tuple[int, str], ...]
    where: str


def read_geo(folder: RawFolder) -> BulkMatrix:
    """Read the series matrix and the counts table of a raw folder, joined by title or accession."""
    headers = [path for path in folder.named(".txt", ".txt.gz") if "series_matrix" in path.name]
    if len(headers) != 1:
        found = ", ".join(path.name for path in headers) or "none"
        raise DataError(
            f"one series matrix is needed, found {found}",
            where=shown(folder.path),
            mend="a series on several platforms has one per platform: let the location name one of them",
        )
    series = parse_series_matrix(headers[0])
    table = _counts_table(folder, series=series)
    rows, key = join_samples(table.samples, columns=series.columns, where=table.where)
    absent = [series.samples[row] for row in range(len(series.samples)) if row not in set(rows)]
    notes = [f"the columns of the counts table were joined to the samples of {series.accession} by {key}"]
    if absent:
        notes.append(f"{len(absent)} samples of {series.accession} have no counts: {listed(absent)}")
    columns = {name: tuple(values[row] for row in rows) for name, values in series.columns.items()}
    _refuse_other_species(columns, samples=table.samples, where=series.where)
    return BulkMatrix(
        values=table.counts(),
        samples=table.samples,
        genes=table.genes,
        gene_columns=dict(list(table.ids.items())[1:]),
        columns=columns,
        notes=tuple(notes),
    )


def parse_series_matrix(path: Path) -> SeriesMatrix:
    """Parse a series matrix; characteristics are taken by their key, because rows may be shifted."""
    where = shown(path)
    rows, accession, table, inside, ended = [], "", [], False, False
    for number, line in enumerate(read_lines(path), 1):
        if line == "!series_matrix_table_begin":
            inside = True
        elif line == "!series_matrix_table_end":
            inside, ended = False, True
        elif inside:
            table.append((number, line))
        elif line.startswith("!Sample_"):
            name, *cells = split_line(line, separator="\t")
            rows.append((number, name.removeprefix("!Sample_"), [cell.strip() for cell in cells]))
        elif line.startswith("!Series_geo_accession"):
            accession = split_line(line, separator="\t")[-1].strip()
        elif line.strip() and not line.startswith(("!Series_", "#", "^")):
            raise DataError(
                "not a line of a GEO series matrix",
                where=f"{where}:{number}",
                value=line,
                allowed="lines that begin with !Series_ or !Sample_, then the table",
                mend=FETCH_AGAIN,
            )
    if not ended:
        raise DataError(
            "the file ends before !series_matrix_table_end: it is cut", where=where, mend=FETCH_AGAIN
        )
    samples = next((cells for _, name, cells in rows if name == "geo_accession"), [])
    if not samples:
        raise DataError("no line !Sample_geo_accession", where=where, mend=FETCH_AGAIN)
    for number, name, cells in rows:
        if len(cells) != len(samples):
            raise DataError(
                f"!Sample_{name} has {len(cells)} cells for {len(samples)} samples",
                where=f"{where}:{number}",
                mend=FETCH_AGAIN,
            )
    refuse_duplicates(samples, what="sample", where=where)
    _refuse_other_header(table, samples=samples, where=where)
    columns = characteristics([cells for _, name, cells in rows if name == "characteristics_ch1"])
    columns |= {
        f"{key} (ch2)": values
        for key, values in characteristics(
            [cells for _, name, cells in rows if name == "characteristics_ch2"]
        ).items()
    }
    for _, name, cells in rows:
        if name in KEPT_ROWS and name not in columns:
            columns[name] = tuple(cells)
    return SeriesMatrix(accession, tuple(samples), columns, tuple(table), where)


def _refuse_other_header(table: Sequence[tuple[int, str]], *, samples: Sequence[str], where: str) -> None:
    if table and (header := split_line(table[0][1], separator="\t"))[1:] != list(samples):
        raise DataError(
            "the table's header does not list the samples of !Sample_geo_accession in their order",
            where=f"{where}:{table[0][0]}",
            value=" ".join(header[1:4]),
            mend=FETCH_AGAIN,
        )


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


def join_samples(
    names: Sequence[str], *, columns: Mapping[str, Sequence[str]], where: str
) -> tuple[list[int], str]:
    """For each counts column the row of its sample, and the field by which all of them were found.

    Fields are tried in the order title, accession, what stands in brackets at the end of the title,
    description. A field is used only when it finds every column, each exactly once.
    """
    best, best_found = "", -1
    for key, values in _join_fields(columns):
        rows: dict[str, list[int]] = {}
        for row, value in enumerate(values):
            rows.setdefault(value, []).append(row)
        found = [rows.get(name, []) for name in names]
        if all(len(one) == 1 for one in found):
            return [one[0] for one in found], key
        n_found = sum(len(one) == 1 for one in found)
        if n_found > best_found:
            best, best_found = key, n_found
    values = dict(_join_fields(columns)).get(best, ())
    lost = [name for name in names if list(values).count(name) != 1]
    raise DataError(
        f"{len(lost)} of {len(names)} columns of the counts table belong to no sample: {listed(lost)}"
        f" (closest field: {best})",
        where=where,
        value=lost[0] if lost else None,
        allowed="columns named by !Sample_title or !Sample_geo_accession",
        mend=" ".join(
            filter(
                None, (did_you_mean(lost[0], values) if lost else "", "check that both files belong together")
            )
        ),
    )


def _join_fields(columns: Mapping[str, Sequence[str]]) -> Iterator[tuple[str, Sequence[str]]]:
    titles = columns.get("title", ())
    yield "title", titles
    yield "accession", columns.get("geo_accession", ())
    brackets = (re.search(r"[(\[]([^()\[\]]+)[)\]]\s*$", title) for title in titles)
    yield "the bracket at the end of the title", [found.group(1) if found else "" for found in brackets]
    yield "description", columns.get("description", ())


def _counts_table(folder: RawFolder, *, series: SeriesMatrix) -> CountTable:
    """The supplementary counts; without one, the series matrix' own table."""
    tables = [path for path in folder.named(*TABLE_SUFFIXES) if "series_matrix" not in path.name]
    named = [path for path in tables if "count" in path.name.casefold()]
    candidates = named if len(tables) > 1 and named else tables
    if len(candidates) == 1:
        return read_count_table(candidates[0], samples=_known_names(series))
    if candidates:
        raise DataError(
            f"several tables could hold the counts: {', '.join(path.name for path in candidates)}",
            where=shown(folder.path),
            mend="let the location name the one with raw counts",
        )
    if len(series.table_lines) > 1:
        return own_table(series)
    raise DataError(
        "no counts: the series matrix holds no table and no supplementary table lies beside it",
        where=series.where,
        mend="let the location name the series' table of raw counts too",
    )


def own_table(series: SeriesMatrix) -> CountTable:
    """The table inside the series matrix (array intensities, sometimes counts)."""
    return parse_counts(series.table_lines, samples=series.samples, where=series.where, separator="\t")


def _known_names(series: SeriesMatrix) -> set[str]:
    return {value for _, values in _join_fields(series.columns) for value in values if value}


def _refuse_other_species(
    columns: Mapping[str, Sequence[str]], *, samples: Sequence[str], where: str
) -> None:
    for key in ("organism_ch1", "taxid_ch1"):
        for sample, value in zip(samples, columns.get(key, ()), strict=False):
            if value and value not in HUMAN:
                raise DataError(
                    f"sample {sample!r} is not human",
                    where=where,
                    value=value,
                    allowed="Homo sapiens",
                    mend="leave this series out, or give a table with its human samples only",
                )
