"""Tables of summary statistics, read in batches; a bad cell is named by file, line and column."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from consilience.foundation.errors import DataError, did_you_mean
from consilience.sources.formats import PARQUET_MAGIC
from consilience.sources.summary_statistics.blocks import first_lines, line_blocks
from consilience.sources.text import FETCH_AGAIN, shown, split_line

if TYPE_CHECKING:
    import pyarrow as pa

MISSING = ("", "NA", "#NA", "NaN", "nan", "-nan", "null", "NULL", "N/A", ".")
PARQUET_ROWS = 1 << 18
Floats = npt.NDArray[np.float64]
Words = npt.NDArray[np.object_]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Header:
    r"""Column names of a table; `separator` is "\t", ",", ";", " " (any run of blanks) or "" (parquet).

    `line` is the header's line in the file: lines above it are comments.
    """

    path: Path
    names: tuple[str, ...]
    separator: str
    line: int = 1
    quoted: bool = False

    @property
    def where(self) -> str:
        """The file as messages name it."""
        return shown(self.path)


@dataclass(frozen=True)
class TextTable:
    """Some rows of a table; columns are text or numbers. `lines` (n,) are the rows' lines in the file."""

    where: str
    table: pa.Table
    lines: npt.NDArray[np.int64]

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        return int(self.table.num_rows)

    def has(self, name: str) -> bool:
        """True when the table has this column."""
        return name in self.table.column_names

    def only(self, kept: Flags) -> TextTable:
        """The rows (n,) that are kept."""
        import pyarrow as pa

        if kept.all():
            return self
        return replace(self, table=self.table.filter(pa.array(kept)), lines=self.lines[kept])

    def text(self, name: str) -> pa.StringArray:
        """One column as an Arrow array of text, missing cells empty."""
        import pyarrow as pa
        import pyarrow.compute as pc

        column = self.table.column(name).combine_chunks()
        if isinstance(column, pa.ChunkedArray):
            column = pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], column.type)
        return pc.fill_null(column if pa.types.is_string(column.type) else column.cast(pa.string()), "")

    def words(self, name: str) -> Words:
        """One column as text."""
        return np.asarray(self.text(name).to_numpy(zero_copy_only=False), dtype=object)

    def levels(self, name: str) -> tuple[npt.NDArray[np.int64], list[str]]:
        """One column as indices (n,) into different words, not all of which need occur."""
        import pyarrow as pa

        column = self.table.column(name).combine_chunks()
        coded = column if column.type == _levels_type() else self.text(name).dictionary_encode()
        if isinstance(coded, pa.ChunkedArray):  # of no chunks
            coded = pa.array([], pa.string()).dictionary_encode()
        return np.asarray(coded.indices.to_numpy(), dtype=np.int64), coded.dictionary.to_pylist()

    def numbers(self, name: str, *, fits: Callable[[Floats], Any], allowed: str) -> Floats:
        """One column as numbers, missing ones as NaN; `fits` tells which present values may stand."""
        import pyarrow as pa

        column = self.table.column(name)
        if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
            values, given = self._parsed(name, allowed=allowed)
        else:
            try:
                column = column.cast(pa.float64())
            except (pa.ArrowInvalid, pa.ArrowNotImplementedError, pa.ArrowTypeError):
                raise DataError(
                    "a column that cannot be read as numbers",
                    where=f"{self.where}:{name}",
                    value=column.type,
                    allowed=allowed,
                ) from None
            values = np.array(column.to_numpy(), dtype=np.float64)
            given = np.asarray(column.is_valid().to_numpy())
        with np.errstate(invalid="ignore"):
            bad = given & ~(np.isfinite(values) & np.asarray(fits(values)))
        self.refuse_any(bad, name, "the value cannot be", allowed=allowed)
        return values

    def _parsed(self, name: str, *, allowed: str) -> tuple[Floats, Flags]:
        cells = self.words(name)
        given = ~np.isin(cells, MISSING)
        bad = next((row for row in np.flatnonzero(given) if not _is_number(cells[row])), None)
        if bad is not None:
            raise self.refused(int(bad), name, "not a number", allowed=allowed)
        values = np.array([float(cell) if ok else np.nan for cell, ok in zip(cells, given, strict=True)])
        return values.astype(np.float64), given

    def refuse_any(self, bad: Flags, name: str, what: str, *, allowed: str = "") -> None:
        """Refuse the table at its first bad row and say how many there are."""
        rows = np.flatnonzero(bad)
        if rows.size:
            more = f" ({rows.size:,} rows like this)" if rows.size > 1 else ""
            raise self.refused(int(rows[0]), name, what + more, allowed=allowed)

    def refused(self, row: int, name: str, what: str, *, allowed: str = "") -> DataError:
        """The error for one cell."""
        value = self.table.column(name)[row].as_py()
        comma = isinstance(value, str) and re.fullmatch(r"-?\d+,\d+([eE][+-]?\d+)?", value)
        return DataError(
            what,
            where=f"{self.where}:{self.lines[row]}:{name}",
            value=f"{value:g}" if isinstance(value, float) else value,
            allowed=allowed,
            mend="write decimal points, not commas"
            if comma
            else "mend or remove the row; if the file should be whole, fetch it again",
        )


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return "_" not in cell


def read_header(path: Path) -> Header | None:
    """The header of a table of text or parquet; None where the file is neither.

    Lines that start with ## are comments; so is a line that starts with one # unless the line below it has
    as many cells (a header such as `#CHROM POS`).
    """
    with path.open("rb") as handle:
        if handle.read(4) == PARQUET_MAGIC:
            return Header(path, _parquet_names(path), "")
    lines = first_lines(path)
    if lines is None:
        return None
    at = 0
    while at < len(lines) and (lines[at].startswith("##") or _is_comment(lines[at : at + 2])):
        at += 1
    if at == len(lines) or not lines[at].strip():
        return None
    line = lines[at]
    separator = next((mark for mark in "\t,;" if mark in line), " ")
    cells = split_line(line, separator=separator) if separator != " " else line.replace('"', "").split()
    names = (cells[0].removeprefix("#"), *cells[1:])
    return Header(path, tuple(name.strip() for name in names), separator, at + 1, quoted='"' in line)


def _is_comment(lines: Sequence[str]) -> bool:
    if not lines[0].startswith("#"):
        return False
    return len(lines) < 2 or lines[1].startswith("#") or len(lines[0].split()) != len(lines[1].split())


def _parquet_names(path: Path) -> tuple[str, ...]:
    import pyarrow as pa
    from pyarrow import parquet

    try:
        return tuple(parquet.read_schema(path).names)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"not a whole parquet file ({error})", where=shown(path), mend=FETCH_AGAIN) from None


def read_batches(
    header: Header, *, words: Sequence[str], levels: Sequence[str] = (), numbers: Sequence[str] = ()
) -> Iterator[TextTable]:
    """The named columns of a table, some hundred thousand rows at a time; `levels` are of few words each."""
    refuse_header(header, required=[*words, *levels, *numbers])
    found = 0
    batches = _parquet_batches if not header.separator else _text_batches
    for batch in batches(header, words=words, levels=levels, numbers=numbers):
        found += batch.n_rows
        yield batch
    if not found:
        raise DataError("the table has a header but no rows", where=header.where, mend=FETCH_AGAIN)


def _parquet_batches(
    header: Header, *, words: Sequence[str], levels: Sequence[str], numbers: Sequence[str]
) -> Iterator[TextTable]:
    import pyarrow as pa

    row = 1
    for batch in _record_batches(header, PARQUET_ROWS, list(dict.fromkeys([*words, *levels, *numbers]))):
        yield TextTable(header.where, pa.Table.from_batches([batch]), np.arange(row, row + batch.num_rows))
        row += batch.num_rows


def _record_batches(header: Header, size: int, columns: list[str] | None) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa
    from pyarrow import parquet

    try:
        for batch in parquet.ParquetFile(header.path).iter_batches(size, columns=columns):
            batch.validate(full=True)
            yield batch
    except (pa.ArrowException, OSError) as error:
        raise DataError(
            f"the parquet file is damaged ({error})", where=header.where, mend=FETCH_AGAIN
        ) from None


def _text_batches(
    header: Header, *, words: Sequence[str], levels: Sequence[str], numbers: Sequence[str]
) -> Iterator[TextTable]:
    for first, block in line_blocks(header.path):
        line, content = first, block
        while line <= header.line and content:  # the header and the comments above it
            content, line = content.partition(b"\n")[2], line + 1
        if not content:
            continue
        if header.separator == " ":
            content = re.sub(rb"[ \t]+", b"\t", re.sub(rb"(?m)^[ \t]+|[ \t]+$", b"", content))
        table = _parse(content, header, line=line, words=words, levels=levels, numbers=numbers)
        yield TextTable(header.where, table, np.arange(line, line + table.num_rows))


def _parse(
    content: bytes,
    header: Header,
    *,
    line: int,
    words: Sequence[str],
    levels: Sequence[str],
    numbers: Sequence[str],
) -> pa.Table:
    import pyarrow as pa
    from pyarrow import csv

    ragged: list[tuple[int, int]] = []

    def note(row: Any) -> str:
        ragged.append((int(row.number or 0), int(row.actual_columns)))
        return "skip"

    def parsed(types: dict[str, pa.DataType]) -> pa.Table:
        return csv.read_csv(
            pa.py_buffer(content),
            read_options=csv.ReadOptions(
                use_threads=False, column_names=header.names, block_size=max(len(content), 1)
            ),
            parse_options=csv.ParseOptions(
                delimiter="\t" if header.separator == " " else header.separator,
                quote_char='"' if header.quoted or header.separator in ",;" else False,
                ignore_empty_lines=False,
                invalid_row_handler=note,
            ),
            convert_options=csv.ConvertOptions(
                column_types=types,
                include_columns=list(types),
                null_values=MISSING,
                strings_can_be_null=False,
            ),
        )

    texts = dict.fromkeys([*words, *levels, *numbers], pa.string())
    few = dict.fromkeys((name for name in levels if name not in words), _levels_type())
    try:
        table = parsed(texts | few | dict.fromkeys(numbers, pa.float64()))
    except pa.ArrowInvalid:  # a cell that is no number: as text, so that it can be shown
        ragged.clear()
        table = _or_refused(lambda: parsed(texts), where=header.where)
    if ragged:
        row, cells = ragged[0]
        raise DataError(
            f"{cells} cells under {len(header.names)} column names",
            where=f"{header.where}:{line + row - 1}",
            mend="the first column seems to hold row names: write the table without them"
            if cells == len(header.names) + 1
            else FETCH_AGAIN,
        )
    return table


def _levels_type() -> pa.DataType:
    import pyarrow as pa

    return pa.dictionary(pa.int32(), pa.string())


def _or_refused(parsed: Callable[[], pa.Table], *, where: str) -> pa.Table:
    import pyarrow as pa

    try:
        return parsed()
    except pa.ArrowInvalid as error:
        raise DataError(f"not a table of text ({error})", where=where, mend=FETCH_AGAIN) from None


def refuse_header(header: Header, *, required: Sequence[str]) -> None:
    """Refuse a header that lacks a required column or has one name twice."""
    twice = sorted({name for name in header.names if header.names.count(name) > 1})
    if twice:
        raise DataError(
            "two columns have the same name", where=f"{header.where}:{header.line}", value=twice[0]
        )
    missing = [name for name in required if name not in header.names]
    if missing:
        raise DataError(
            f"no column {' and no column '.join(missing)}",
            where=f"{header.where}:{header.line}",
            value="\t".join(header.names),
            allowed=" ".join(required),
            mend=did_you_mean(missing[0], header.names),
        )


def read_text_table(path: Path, *, required: Sequence[str]) -> TextTable:
    """A small table (a list of variants) whole, all columns as text."""
    import pyarrow as pa

    header = read_header(path)
    if header is None:
        raise DataError("not a table of text", where=shown(path), mend=FETCH_AGAIN)
    refuse_header(header, required=required)
    batches = list(read_batches(header, words=header.names))
    return TextTable(
        header.where,
        pa.concat_tables([batch.table for batch in batches]),
        np.concatenate([batch.lines for batch in batches]),
    )


def sample_words(header: Header) -> list[str]:
    """The cells of the first row, for what their spelling tells."""
    if header.separator:
        lines = first_lines(header.path) or []
        row = lines[header.line] if len(lines) > header.line else ""
        return split_line(row, separator=header.separator) if header.separator != " " else row.split()
    batch = next(_record_batches(header, 1, None), None)
    return [] if batch is None else [str(value) for row in batch.to_pylist() for value in row.values()]
