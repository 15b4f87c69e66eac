"""Tables of values as GEO writes them: a column of ids, then one number for each sample."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from consilience.foundation.errors import DataError
from consilience.sources.text import FETCH_AGAIN, split_line

if TYPE_CHECKING:
    import numpy.typing as npt

MISSING = frozenset({"", "null", "na", "n/a", "nan", "#n/a", "#num!", "#value!", "#div/0!", "none", "-", "."})


@dataclass(frozen=True, slots=True)
class ValueTable:
    """`values` (ids, samples) as float64, NaN where GEO has none; `ids` of the rows; `samples` accessions.

    `symbols`, one for each id, where the table itself names the genes (GEO DataSets do), else ().
    """

    ids: tuple[str, ...]
    values: npt.NDArray[np.float64]
    samples: tuple[str, ...]
    where: str
    symbols: tuple[str, ...] = ()

    def columns(self, wanted: Sequence[str]) -> npt.NDArray[np.float64]:
        """Values (ids, wanted) of these samples, in this order."""
        place = {sample: column for column, sample in enumerate(self.samples)}
        return self.values[:, [place[sample] for sample in wanted]]


class Rows:
    """Collects rows (ids, then numbers) as they are read; `where` is the file."""

    def __init__(self, *, n_ids: int, names: Sequence[str], where: str) -> None:
        self.n_ids, self.names, self.where = n_ids, tuple(names), where
        self.ids: list[list[str]] = []
        self.numbers: list[npt.NDArray[np.float64]] = []

    def add(self, line: str, *, number: int) -> None:
        """One line; every row has as many cells as there are column names."""
        first, tab, rest = line.partition("\t")
        plain = tab and '"' not in rest  # as GEO writes it: the id in quotes, the numbers without
        cells = [first.strip('"'), *rest.split("\t")] if plain else split_line(line, separator="\t")
        if len(cells) != self.n_ids + len(self.names):
            raise DataError(
                f"{len(cells)} cells under {self.n_ids + len(self.names)} column names",
                where=f"{self.where}:{number}",
                mend="the row is cut or has stray separators; " + FETCH_AGAIN,
            )
        self.ids.append([cell.strip() for cell in cells[: self.n_ids]])
        place = f"{self.where}:{number}"
        self.numbers.append(numbers_of(cells[self.n_ids :], names=self.names, where=place))

    def stacked(self) -> npt.NDArray[np.float64]:
        """All rows, (rows, names)."""
        return np.stack(self.numbers) if self.numbers else np.empty((0, len(self.names)))

    def column_of_ids(self, position: int) -> tuple[str, ...]:
        """One of the id columns."""
        return tuple(row[position] for row in self.ids)


def numbers_of(cells: Sequence[str], *, names: Sequence[str], where: str) -> npt.NDArray[np.float64]:
    """Cells as numbers; what GEO and spreadsheets write for a missing value becomes NaN."""
    text = "".join(cells)
    try:
        if "_" in text or not text.isascii():  # "1_0" is a number to Python, not to anybody else
            raise ValueError
        return np.fromiter(map(float, cells), dtype=np.float64, count=len(cells))
    except ValueError:
        return np.array(
            [_number(cell, where=f"{where}:{name}") for cell, name in zip(cells, names, strict=True)]
        )


def _number(cell: str, *, where: str) -> float:
    if cell.strip().casefold() in MISSING:
        return np.nan
    try:
        if "_" in cell or not cell.isascii():
            raise ValueError
        return float(cell)
    except ValueError:
        raise DataError(
            "not a number", where=where, value=cell,
            allowed="a number, or nothing where the value is missing", mend=FETCH_AGAIN,
        ) from None  # fmt: skip


def one_value_per_id(ids: Iterable[str], *, where: str) -> None:
    """Refuse ids that stand in several rows: nobody could say which value is meant."""
    seen: set[str] = set()
    for name in ids:
        if name in seen:
            raise DataError(
                "an id stands in two rows", where=where, value=name, allowed="each id once", mend=FETCH_AGAIN
            )
        seen.add(name)


def joined(tables: Sequence[ValueTable], *, samples: Sequence[str], where: str) -> ValueTable | None:
    """One table of these samples, from the one that holds them all or from several with the same ids.

    None where a sample has no values, or where no id is common to all tables.
    """
    for table in tables:
        if set(samples) <= set(table.samples):
            kept = table.columns(samples)
            return ValueTable(table.ids, kept, tuple(samples), table.where, table.symbols)
    parts = [table for table in tables if set(samples) & set(table.samples)]
    if not parts or not set(samples) <= {name for table in parts for name in table.samples}:
        return None
    shared = set(parts[0].ids).intersection(*(one.ids for one in parts[1:]))
    common = [name for name in parts[0].ids if name in shared]
    if not common:
        return None
    names = [name for table in parts for name in table.samples]
    blocks = []
    for table in parts:
        row = {name: position for position, name in enumerate(table.ids)}
        blocks.append(table.values[[row[name] for name in common]])
    whole = ValueTable(tuple(common), np.concatenate(blocks, axis=1), tuple(names), where)
    return ValueTable(whole.ids, whole.columns(samples), tuple(samples), where)
