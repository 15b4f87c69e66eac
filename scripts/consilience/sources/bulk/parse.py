"""The cells of a text table: fast where everything is in order, line by line where something is not."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from consilience.foundation.errors import DataError
from consilience.sources.bulk.layout import MISSING, Layout, is_number
from consilience.sources.text import FETCH_AGAIN, split_line

if TYPE_CHECKING:
    import numpy.typing as npt

Columns = tuple[tuple[str, ...], ...]
_DECIMAL_COMMA = re.compile(r"-?\d+,\d+([eE][-+]?\d+)?")
_ONE_GROUP = re.compile(r"-?[1-9]\d{0,2},\d{3}")
_THOUSANDS = re.compile(r"-?[1-9]\d{0,2}(,\d{3})+(\.\d+)?")
_DECIMAL_POINT = re.compile(r"-?\d*\.\d+([eE][-+]?\d+)?")


def parse_fast(content: bytes, layout: Layout, *, decimal: str) -> tuple[Columns, npt.NDArray[Any]] | None:
    """Ids and values (genes, samples) float64 of the whole table; None when anything is out of order.

    `content` is UTF-8 without byte order mark. Whatever this refuses is read once more by `parse_lines`,
    which accepts the same tables and says where they are wrong.
    """
    import pyarrow as pa
    from pyarrow import csv

    start = _offset_of_line(content, layout.first)
    names = [f"f{k}" for k in range(layout.n_cells)]
    types = {names[k]: pa.string() for k in layout.ids} | {names[k]: pa.float64() for k in layout.values}
    longest = content.find(b"\n", start) - start
    try:
        table = csv.read_csv(
            pa.BufferReader(pa.py_buffer(content).slice(start)),
            read_options=csv.ReadOptions(column_names=names, block_size=max(1 << 22, 16 * longest)),
            parse_options=csv.ParseOptions(delimiter=layout.separator),
            convert_options=csv.ConvertOptions(
                column_types=types, include_columns=list(types), null_values=sorted(MISSING),
                strings_can_be_null=False, decimal_point=decimal,
            ),
        )  # fmt: skip
    except (pa.ArrowException, ValueError):
        return None
    values = np.empty((len(layout.values), table.num_rows))
    for row, k in enumerate(layout.values):
        values[row] = table[names[k]].to_numpy()
    ids = tuple(tuple(cell.strip() for cell in table[names[k]].to_pylist()) for k in layout.ids)
    return ids, values.T


def _offset_of_line(content: bytes, number: int) -> int:
    offset = 0
    for _ in range(number - 1):
        offset = content.index(b"\n", offset) + 1
    return offset


def parse_lines(
    lines: Iterable[tuple[int, str]], layout: Layout, *, decimal: str, where: str
) -> tuple[Columns, npt.NDArray[Any]]:
    """The same by numbered lines of values; every error names its line and column."""
    ids, values = [], []
    for number, line in lines:
        cells = split_line(line, separator=layout.separator)
        if len(cells) != layout.n_cells:
            if line.startswith("#") or not line.strip():
                continue
            raise DataError(
                f"{len(cells)} cells under {layout.n_cells} column names",
                where=f"{where}:{number}",
                mend="the row is cut or has stray separators; " + FETCH_AGAIN,
            )
        ids.append([cells[k].strip() for k in layout.ids])
        wanted = [cells[k] for k in layout.values]
        values.append(
            _numbers(wanted, decimal=decimal, names=layout.samples, gene=cells[0], where=f"{where}:{number}")
        )
    if not values:
        raise DataError("the table has a header but no genes", where=where, mend=FETCH_AGAIN)
    return tuple(zip(*ids, strict=True)), np.stack(values)


def _numbers(
    cells: list[str], *, decimal: str, names: Sequence[str], gene: str, where: str
) -> npt.NDArray[np.float64]:
    """One row as numbers; missing ones become NaN."""
    if decimal == ",":
        cells = [cell.replace(",", ".") if "." not in cell else f"{cell} " + "?" for cell in cells]
    text = "".join(cells)
    try:
        if "_" in text or not text.isascii():  # "1_0" is a number to Python, not to anybody else
            raise ValueError
        return np.array(cells, dtype=np.float64)
    except ValueError:
        numbers = np.empty(len(cells))
        for position, cell in enumerate(cells):
            if not is_number(cell):
                raise DataError(
                    "not a number",
                    where=f"{where}:{names[position]}",
                    value=cell.removesuffix(" ?"),
                    allowed=f"a value of gene {gene!r}",
                    mend=FETCH_AGAIN,
                ) from None
            numbers[position] = np.nan if cell.strip() in MISSING else float(cell)
        return numbers


def find_decimal(lines: Iterable[tuple[int, str]], layout: Layout, *, where: str) -> str:
    """The decimal sign of a table: "," when it cannot be anything else, "." when no value holds a comma.

    Thousands separators, a table with both signs, and one in which every comma could be either are refused.
    """
    comma, point, sure = None, None, False
    for number, line in lines:
        if "," not in line and "." not in line:
            continue
        cells = split_line(line, separator=layout.separator)
        for k, sample in zip(layout.values, layout.samples, strict=True):
            cell = cells[k].strip() if k < len(cells) else ""
            if "," not in cell:
                if point is None and _DECIMAL_POINT.fullmatch(cell):
                    point = (f"{where}:{number}:{sample}", cell)
                continue
            if _THOUSANDS.fullmatch(cell) and not _ONE_GROUP.fullmatch(cell):
                raise _no_decimal("has thousands separators", (f"{where}:{number}:{sample}", cell))
            if not _DECIMAL_COMMA.fullmatch(cell):
                continue  # no number at all: `parse_lines` says so
            comma = comma or (f"{where}:{number}:{sample}", cell)
            sure = sure or not _ONE_GROUP.fullmatch(cell)
    if comma is None:
        return "."
    if point is not None:
        raise _no_decimal(f"has a comma, but {point[0]} has a decimal point ({point[1]})", comma)
    if not sure or layout.separator == ",":
        raise _no_decimal("has a comma that can be a decimal or a thousands separator", comma)
    return ","


def _no_decimal(problem: str, found: tuple[str, str]) -> DataError:
    return DataError(
        f"the value {problem}", where=found[0], value=found[1], allowed="numbers as 1234.5",
        mend="save the table with decimal points and without thousands separators",
    )  # fmt: skip
