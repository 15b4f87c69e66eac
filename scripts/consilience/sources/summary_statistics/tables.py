"""Large text tables of summary statistics: read as columns, every bad cell named by file, line and column."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from consilience.foundation.errors import DataError, did_you_mean
from consilience.sources.text import FETCH_AGAIN, read_bytes, shown

if TYPE_CHECKING:
    import pyarrow as pa

MISSING = ("", "NA", "#NA", "NaN", "nan", "null", ".")
Floats = npt.NDArray[np.float64]
Words = npt.NDArray[np.object_]


@dataclass(frozen=True)
class TextTable:
    """A table whose cells are text; `columns` by name, row k of the table is line k + 2 of the file."""

    where: str
    table: pa.Table

    @property
    def n_rows(self) -> int:
        """Number of rows below the header."""
        return int(self.table.num_rows)

    def has(self, name: str) -> bool:
        """True when the table has this column."""
        return name in self.table.column_names

    def words(self, name: str) -> Words:
        """One column as text."""
        return np.asarray(self.table.column(name).to_numpy(zero_copy_only=False), dtype=object)

    def numbers(self, name: str, *, fits: Callable[[Floats], Any], allowed: str) -> Floats:
        """One column as numbers, missing ones as NaN; `fits` tells which present values may stand."""
        import pyarrow as pa
        import pyarrow.compute as pc

        column = self.table.column(name).combine_chunks()
        present = pc.invert(pc.is_in(column, value_set=pa.array(MISSING)))
        kept = pc.if_else(present, column, pa.scalar(None, pa.string()))
        try:
            values = np.array(pc.cast(kept, pa.float64()).to_numpy(zero_copy_only=False), dtype=np.float64)
        except pa.ArrowInvalid:
            cells = kept.to_pylist()
            bad_row = next(
                (row for row, cell in enumerate(cells) if cell is not None and not _is_number(cell)), None
            )
            if bad_row is not None:
                raise self.refused(bad_row, name, "not a number", allowed=allowed) from None
            values = np.array([np.nan if cell is None else float(cell) for cell in cells])
        given = np.asarray(present.to_numpy(zero_copy_only=False))
        with np.errstate(invalid="ignore"):
            bad = given & ~(np.isfinite(values) & np.asarray(fits(values)))
        self.refuse_any(bad, name, "the value cannot be", allowed=allowed)
        return values

    def refuse_any(self, bad: npt.NDArray[np.bool_], name: str, what: str, *, allowed: str = "") -> None:
        """Refuse the table at its first bad row and say how many there are."""
        rows = np.flatnonzero(bad)
        if rows.size:
            more = f" ({rows.size:,} rows like this)" if rows.size > 1 else ""
            raise self.refused(int(rows[0]), name, what + more, allowed=allowed)

    def refused(self, row: int, name: str, what: str, *, allowed: str = "") -> DataError:
        """The error for one cell."""
        value = self.table.column(name)[row].as_py()
        return DataError(
            what,
            where=f"{self.where}:{row + 2}:{name}",
            value=value,
            allowed=allowed,
            mend="mend or remove the row; if the file should be whole, fetch it again",
        )


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return "_" not in cell


def read_text_table(path: Path, *, required: Sequence[str]) -> TextTable:
    """Read a tab-separated table (gzip or not) with a header that has the `required` columns."""
    import pyarrow as pa
    from pyarrow import csv

    where = shown(path)
    content = read_bytes(path).removeprefix(b"\xef\xbb\xbf")
    if not content.endswith(b"\n"):
        raise DataError(
            "the last line has no line end, so the file may have been cut", where=where, mend=FETCH_AGAIN
        )
    if b"\0" in content:
        line = content.count(b"\n", 0, content.index(b"\0")) + 1
        raise DataError("a NUL character inside the text", where=f"{where}:{line}", mend=FETCH_AGAIN)
    if not content.isascii():
        try:
            content.decode("utf-8")
        except UnicodeDecodeError as error:
            line = content.count(b"\n", 0, error.start) + 1
            raise DataError("not UTF-8 text", where=f"{where}:{line}", mend=FETCH_AGAIN) from None
    header = content.split(b"\n", 1)[0].decode("utf-8").rstrip("\r").split("\t")
    _refuse_header(header, required=required, where=where)
    ragged: list[tuple[int, int]] = []

    def note(row: Any) -> str:
        ragged.append((int(row.number or 0), int(row.actual_columns)))
        return "skip"

    try:
        table = csv.read_csv(
            pa.py_buffer(content),
            read_options=csv.ReadOptions(use_threads=False),
            parse_options=csv.ParseOptions(
                delimiter="\t", quote_char=False, ignore_empty_lines=False, invalid_row_handler=note
            ),
            convert_options=csv.ConvertOptions(
                column_types=dict.fromkeys(header, pa.string()), strings_can_be_null=False
            ),
        )
    except pa.ArrowInvalid as error:
        raise DataError(f"not a table of text ({error})", where=where, mend=FETCH_AGAIN) from None
    if ragged:
        line, cells = ragged[0]
        raise DataError(
            f"{cells} cells under {len(header)} column names", where=f"{where}:{line}", mend=FETCH_AGAIN
        )
    if not table.num_rows:
        raise DataError("the table has a header but no rows", where=where, mend=FETCH_AGAIN)
    return TextTable(where, table)


def _refuse_header(header: Sequence[str], *, required: Sequence[str], where: str) -> None:
    twice = sorted({name for name in header if header.count(name) > 1})
    if twice:
        raise DataError("two columns have the same name", where=f"{where}:1", value=twice[0])
    missing = [name for name in required if name not in header]
    if missing:
        raise DataError(
            f"no column {' and no column '.join(missing)}", where=f"{where}:1", value="\t".join(header),
            allowed=" ".join(required), mend=did_you_mean(missing[0], header),
        )  # fmt: skip
