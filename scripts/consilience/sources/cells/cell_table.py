"""The table of cells beside 10x matrices: one row a barcode (or a sample), joined to the cells by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from consilience.foundation.errors import DataError, did_you_mean
from consilience.sources.cells.file_names import accession_of
from consilience.sources.cells.matrix import Labels
from consilience.sources.text import FETCH_AGAIN, read_bytes, read_lines, shown, split_line

if TYPE_CHECKING:
    import numpy.typing as npt

BARCODE_COLUMNS = ("barcode", "cell_barcode", "cell", "cell_id")
MAX_LISTED = 5


@dataclass(frozen=True, slots=True)
class CellTable:
    """Phenotype rows: `columns` by name; `barcodes` (rows,), None for a table of samples; `samples`."""

    where: str
    columns: Mapping[str, Labels]
    barcodes: npt.NDArray[np.bytes_] | None
    samples: Labels | None


@dataclass(frozen=True, slots=True)
class JoinedCells:
    """Phenotype of each cell of the matrices; see `CellMatrix` for the fields."""

    samples: Labels
    columns: dict[str, Labels]
    unannotated: npt.NDArray[np.bool_]
    notes: tuple[str, ...]


def read_cell_table(path: Path) -> CellTable:
    """Read the table as text; `001`, `NA` and `1e5` stay as they are written."""
    where = shown(path)
    header = read_bytes(path).split(b"\n", 1)[0].rstrip(b"\r").decode("utf-8-sig", "replace")
    names = [name.strip() for name in split_line(header, separator="\t")]
    columns = _read_columns(path, where, names)
    barcode = next((name for name in BARCODE_COLUMNS if name in names), "")
    sample = "sample" if "sample" in names else ""
    if not barcode and not sample:
        raise DataError(
            "has neither a column 'barcode' nor a column 'sample'",
            where=f"{where}:1",
            value=", ".join(names)[:200],
            mend=did_you_mean("barcode", names) or "name one of them so",
        )
    labels = {name: _labels(columns[name]) for name in names if name != barcode}
    barcodes = _fixed_width(columns[barcode]) if barcode else None
    return CellTable(where, labels, barcodes, labels.get("sample"))


def read_text_columns(path: Path) -> dict[str, Labels]:
    """Every column of a table with any separator; row names without a header are called "row"."""
    where = shown(path)
    header, *rest = read_bytes(path).split(b"\n", 2)
    text = header.decode("utf-8-sig", "replace").rstrip("\r")
    separator = next((one for one in ("\t", ",", ";", " ") if one in text), "\t")
    names = [name.strip() for name in split_line(text, separator=separator)]
    first = split_line(rest[0].decode("utf-8", "replace"), separator=separator) if rest else []
    names = ["row", *names] if len(first) == len(names) + 1 else [names[0] or "row", *names[1:]]
    columns = _read_columns(path, where, names, separator=separator)
    return {name: _labels(columns[name]) for name in names}


def _read_columns(path: Path, where: str, names: list[str], *, separator: str = "\t") -> dict[str, Any]:
    """Columns as dictionary-encoded text."""
    import pyarrow as pa
    from pyarrow import csv

    content = read_bytes(path)
    if len(set(names)) != len(names) or not all(names):
        raise DataError(
            "a column name is empty or given twice", where=f"{where}:1", value=", ".join(names)[:200]
        )
    if not content.endswith(b"\n"):
        raise DataError("the last line has no line end, so the file may have been cut",
                        where=f"{where}:{content.count(chr(10).encode()) + 1}", mend=FETCH_AGAIN)  # fmt: skip
    if b"\0" in content:
        raise DataError("a control character inside the text", where=where, mend=FETCH_AGAIN)
    try:
        table = csv.read_csv(
            pa.BufferReader(content),
            read_options=csv.ReadOptions(column_names=names, skip_rows=1, use_threads=False),
            parse_options=csv.ParseOptions(delimiter=separator, quote_char='"'),
            convert_options=csv.ConvertOptions(
                column_types={
                    name: pa.string() if name in BARCODE_COLUMNS else pa.dictionary(pa.int32(), pa.string())
                    for name in names
                },
                strings_can_be_null=False,
                quoted_strings_can_be_null=False,
            ),
        )
    except (pa.ArrowInvalid, pa.ArrowKeyError) as error:
        _refuse_ragged_row(path, where, len(names), separator)
        raise DataError(f"the table cannot be read ({error})", where=where, mend=FETCH_AGAIN) from error
    return {name: table.column(name) for name in names}


def _refuse_ragged_row(path: Path, where: str, width: int, separator: str) -> None:
    """Name the first row with too few or too many cells."""
    for number, line in enumerate(read_lines(path), 1):
        found = len(split_line(line, separator=separator))
        if line and found != width:
            raise DataError(
                f"{found} cells under {width} column names", where=f"{where}:{number}", mend=FETCH_AGAIN
            )


def _labels(column: Any) -> Labels:
    import pyarrow as pa

    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    whole = column.unify_dictionaries().combine_chunks()
    if isinstance(whole, pa.ChunkedArray):
        whole = whole.chunk(0) if whole.num_chunks else pa.array([], pa.string()).dictionary_encode()
    levels = [str(level).strip() for level in whole.dictionary.to_pylist()]
    codes = whole.indices.to_numpy(zero_copy_only=False).astype(np.int32)
    return Labels(codes, tuple(levels))


def _fixed_width(column: Any) -> npt.NDArray[np.bytes_]:
    parts = [np.array(chunk.cast("binary").to_pylist()) for chunk in column.chunks if len(chunk)]
    return np.char.strip(np.concatenate(parts)) if parts else np.empty(0, dtype="S1")


def join_cells(*, table: CellTable, samples: Labels, barcodes: npt.NDArray[np.bytes_]) -> JoinedCells:
    """Find the row of each cell: by sample and barcode, by barcode alone (one matrix), or by sample alone.

    Cells without a row are marked, rows without a cell are only counted; no match at all is refused.
    """
    by_barcode = table.barcodes is not None
    rows = _rows_by_barcode(table, samples, barcodes) if by_barcode else _rows_by_sample(table, samples)
    lost = rows < 0
    unit = "barcodes" if by_barcode else "samples"
    if lost.all():
        raise DataError(
            f"none of the {barcodes.size} cells of the matrices has a row in the table of {unit}",
            where=table.where,
            value=_first_names(table),
            allowed=f"{samples.levels[0]}: {barcodes[0].decode()}" if barcodes.size else "",
            mend="write samples and barcodes as they are in the folders and barcodes.tsv",
        )
    columns = {name: column.take(rows) for name, column in table.columns.items()}
    one_matrix = len(samples.levels) == 1
    of_cell = columns["sample"] if one_matrix and "sample" in columns else samples
    return JoinedCells(
        of_cell, columns | {"sample": of_cell}, lost, tuple(_join_notes(table, rows, samples, barcodes))
    )


def _rows_by_barcode(
    table: CellTable, samples: Labels, barcodes: npt.NDArray[np.bytes_]
) -> npt.NDArray[np.int64]:
    assert table.barcodes is not None  # noqa: S101 - said by the caller
    by_sample = table.samples is not None and len(samples.levels) > 1
    if table.samples is None and len(samples.levels) > 1 and np.unique(barcodes).size < barcodes.size:
        raise DataError(
            "there are several samples but the table has no column 'sample'",
            where=f"{table.where}:1",
            value=", ".join(table.columns)[:200],
            mend=did_you_mean("sample", table.columns) or "add the column",
        )
    rows = np.full(barcodes.size, -1, dtype=np.int64)
    for code, name in enumerate(samples.levels if by_sample else ("all",)):
        mine = np.flatnonzero(samples.codes == code) if by_sample else np.arange(barcodes.size)
        if not by_sample or table.samples is None:
            theirs = np.arange(table.barcodes.size)
        else:
            wanted = [k for k, level in enumerate(table.samples.levels) if level == name]
            theirs = np.flatnonzero(np.isin(table.samples.codes, wanted))
        if not theirs.size or not mine.size:
            continue
        order = theirs[np.argsort(table.barcodes[theirs], kind="stable")]
        keys = table.barcodes[order]
        twice = np.flatnonzero(keys[1:] == keys[:-1])
        if twice.size:
            raise DataError(
                "a barcode has two rows",
                where=f"{table.where}:{int(order[twice[0] + 1]) + 2}",
                value=f"{name}: {keys[twice[0]].decode()}",
                allowed="one row for each sample and barcode",
            )
        place = np.minimum(np.searchsorted(keys, barcodes[mine]), keys.size - 1)
        rows[mine] = np.where(keys[place] == barcodes[mine], order[place], -1)
    return rows


def _rows_by_sample(table: CellTable, samples: Labels) -> npt.NDArray[np.int64]:
    assert table.samples is not None  # noqa: S101 - refused where neither column exists
    row_of: dict[str, int] = {}
    for row, code in enumerate(table.samples.codes):
        name = table.samples.levels[code]
        if row_of.setdefault(name, row) != row:
            raise DataError("a sample has two rows", where=f"{table.where}:{row + 2}", value=name)
    of_level = np.array(
        [row_of.get(name, row_of.get(accession_of(name), -1)) for name in samples.levels], dtype=np.int64
    )
    return np.asarray(of_level[samples.codes])


def _join_notes(
    table: CellTable, rows: npt.NDArray[np.int64], samples: Labels, barcodes: npt.NDArray[np.bytes_]
) -> list[str]:
    lost = np.flatnonzero(rows < 0)
    notes = []
    if lost.size:
        names = [
            f"{samples.levels[samples.codes[row]]}/{barcodes[row].decode()}" for row in lost[:MAX_LISTED]
        ]
        more = f" and {lost.size - MAX_LISTED} more" if lost.size > MAX_LISTED else ""
        notes.append(f"{lost.size} cells have no row in {Path(table.where).name} and were left out: "
                     f"{', '.join(names)}{more}")  # fmt: skip
    n_rows = len(next(iter(table.columns.values())).codes) if table.columns else 0
    idle = n_rows - np.unique(rows[rows >= 0]).size
    if idle:
        notes.append(f"{idle} rows of {Path(table.where).name} have no cell in the matrices")
    return notes


def _first_names(table: CellTable) -> str:
    sample = (
        ""
        if table.samples is None or not table.samples.codes.size
        else table.samples.levels[table.samples.codes[0]]
    )
    barcode = "" if table.barcodes is None or not table.barcodes.size else table.barcodes[0].decode()
    return f"{sample}: {barcode}"
