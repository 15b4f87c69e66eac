"""Plain tables: a matrix genes × samples (text or parquet) and the samples table beside it.

Everything is read as text first in the sense that counts: `001`, `NA` and `1e5` in a samples table stay as
typed, and a value that is no number is reported with file, row and column, never turned into a gap.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from consilience.foundation.errors import DataError, Problem, did_you_mean
from consilience.sources.bulk.layout import GENE_COLUMNS, HEAD_LINES, POSITIONS, Layout, find_layout
from consilience.sources.bulk.matrix import BulkMatrix, refuse_duplicates
from consilience.sources.bulk.parse import find_decimal, parse_fast, parse_lines
from consilience.sources.bulk.units import Settled, settle_units
from consilience.sources.formats import PARQUET_MAGIC, samples_table_of
from consilience.sources.raw_folder import RawFolder
from consilience.sources.text import (
    FETCH_AGAIN,
    read_bytes,
    read_noted_lines,
    refuse_broken_text,
    separator_of,
    shown,
    split_line,
    utf8_bytes,
)

if TYPE_CHECKING:
    import numpy.typing as npt

MAX_LISTED = 8
UNASSIGNED = ("N_unmapped", "N_multimapping", "N_noFeature", "N_ambiguous")
TOTALS = frozenset({"", "total", "totals", "sum", "all", "grand total"})


@dataclass(frozen=True, slots=True)
class CountTable:
    """A table as written: `values` (genes, samples), columns of gene `ids` by name, sample names, `notes`."""

    values: npt.NDArray[Any]
    ids: dict[str, tuple[str, ...]]
    samples: tuple[str, ...]
    where: str
    notes: tuple[str, ...] = ()

    @property
    def genes(self) -> tuple[str, ...]:
        """The first id column."""
        return next(iter(self.ids.values()))

    @property
    def gene_columns(self) -> dict[str, tuple[str, ...]]:
        """The further columns that can name a gene."""
        return {name: ids for name, ids in list(self.ids.items())[1:] if name.casefold() not in POSITIONS}

    def settled(self, units: str = "", *, array: bool = False) -> Settled:
        """Values (genes, samples) in the units that the sheet claims or the values tell."""
        return settle_units(
            self.values, claimed=units, array=array, genes=self.genes, samples=self.samples, where=self.where
        )

    def counts(self) -> npt.NDArray[np.integer]:
        """Counts (samples, genes); refuses what is not a whole number."""
        return np.ascontiguousarray(self.settled().values.T)


def read_tables(folder: RawFolder, *, units: str = "") -> BulkMatrix:
    """Read the table of a raw folder and the samples table beside it, joined by sample name.

    `units` is what the cohort sheet claims of the values.
    """
    counts_path, samples_path = _find_tables(folder)
    columns, notes = noted_samples_table(samples_path)
    table = read_count_table(counts_path, samples=columns["sample"])
    joined, absent = join_columns(table.samples, columns, beside=samples_path.name, where=table.where)
    settled = table.settled(units)
    return BulkMatrix(
        values=np.ascontiguousarray(settled.values.T),
        samples=table.samples,
        genes=table.genes,
        gene_columns=table.gene_columns,
        columns=joined,
        notes=(*absent, *notes, *table.notes, *settled.notes),
        units=settled.units,
    )


def join_columns(
    samples: Sequence[str], columns: Mapping[str, Sequence[str]], *, beside: str, where: str
) -> tuple[dict[str, tuple[str, ...]], tuple[str, ...]]:
    """The phenotype columns in the order of `samples`, and a note on rows without values.

    Parameters
    ----------
    samples
        Names of the measured samples; one without a row is refused.
    columns
        Columns of the samples table `beside`, one of them "sample".
    """
    names = columns["sample"]
    rows = {name: row for row, name in enumerate(names)}
    lost = [name for name in samples if name not in rows]
    if lost:
        raise DataError(
            f"{len(lost)} of {len(samples)} samples have no row in {beside}: {listed(lost)}",
            where=where,
            value=lost[0],
            mend=" ".join(
                filter(None, (did_you_mean(lost[0], names), "add the rows, or remove the columns"))
            ),
        )
    measured = set(samples)
    absent = [name for name in names if name not in measured]
    notes = (f"{len(absent)} samples of {beside} have no values: {listed(absent)}",) if absent else ()
    order = [rows[name] for name in samples]
    return {key: tuple(values[row] for row in order) for key, values in columns.items()}, notes


def _find_tables(folder: RawFolder) -> tuple[Path, Path]:
    tables = folder.of_kind("table", "parquet")
    known = {path for _, path in folder.files}
    beside = {path: samples_table_of(path) for path in tables}
    pairs = [(path, samples) for path, samples in beside.items() if samples in known and samples != path]
    counts = [(path, samples) for path, samples in pairs if samples and path not in beside.values()]
    if len(counts) == 1 and counts[0][1] is not None:
        return counts[0][0], counts[0][1]
    names = ", ".join(path.name for path in ([path for path, _ in counts] or tables))
    problem = "several tables of values" if counts else "no table of values with a samples table beside it"
    raise DataError(
        f"{problem}: {names}",
        where=shown(folder.path),
        allowed="one <stem>.tsv (.csv, .txt, .parquet; also .gz) and its <stem>.samples.tsv",
        mend="name the wanted files in 'files' of the cohort sheet"
        if counts
        else "put the samples table beside the values; patterns in 'files' must fit both",
    )


def read_samples_table(path: Path) -> dict[str, tuple[str, ...]]:
    """Columns of a samples table as text; the column 'sample' is the one of that name, else the first."""
    return noted_samples_table(path)[0]


def noted_samples_table(path: Path) -> tuple[dict[str, tuple[str, ...]], tuple[str, ...]]:
    """`read_samples_table`, and a note where the text had to be decoded."""
    where = shown(path)
    lines, notes = read_noted_lines(path)
    separator = separator_of(path, lines[0])
    header = [cell.strip() for cell in split_line(lines[0], separator=separator)]
    sample_column = header.index("sample") if "sample" in header else 0
    header[sample_column] = "sample"
    refuse_duplicates(header, what="column", where=f"{where}:1")
    rows, problems = [], []
    for number, line in enumerate(lines[1:], 2):
        if not line.strip():
            continue
        cells = [cell.strip() for cell in split_line(line, separator=separator)]
        if len(cells) != len(header):
            problems.append(
                Problem(f"{len(cells)} cells under {len(header)} column names", f"{where}:{number}")
            )
        rows.append(cells)
    if problems:
        raise DataError.from_problems(problems[:20])
    if not rows:
        raise DataError("the samples table has no rows", where=where)
    columns = {name: tuple(cells[index] for cells in rows) for index, name in enumerate(header)}
    refuse_duplicates(columns["sample"], what="sample", where=where)
    return columns, notes


def read_count_table(path: Path, *, samples: Collection[str] = ()) -> CountTable:
    """Read a table genes × samples with one or more id columns; see `layout.find_layout` for text.

    Rows that are no genes (reads in no gene, totals) are left out with a note.
    """
    with path.open("rb") as handle:
        parquet = handle.read(4) == PARQUET_MAGIC or path.suffix == ".parquet"
    table = _read_parquet(path, samples=samples) if parquet else _read_text_table(path, samples=samples)
    refuse_duplicates(table.samples, what="sample column", where=table.where)
    if not table.samples or not table.values.shape[0]:
        raise DataError("the count table has no samples or no genes", where=table.where)
    return _without_other_rows(table)


def _read_text_table(path: Path, *, samples: Collection[str]) -> CountTable:
    where = shown(path)
    content, notes = utf8_bytes(read_bytes(path), path)
    refuse_broken_text(content, path)
    head = [line.decode().rstrip("\r\n") for line in islice(BytesIO(content), HEAD_LINES)]
    layout = find_layout(head, samples=samples, where=where, name=path.name)

    def lines() -> Iterator[tuple[int, str]]:
        numbered = enumerate(BytesIO(content), 1)
        return ((k, line.decode().rstrip("\r\n")) for k, line in numbered if k >= layout.first)

    decimal = "."
    parsed = parse_fast(content, layout, decimal=decimal)
    if parsed is None:
        decimal = find_decimal(lines(), layout, where=where)
        parsed = parse_fast(content, layout, decimal=decimal) if decimal == "," else None
    ids, values = parsed or parse_lines(lines(), layout, decimal=decimal, where=where)
    if layout.announced not in {None, values.shape}:
        raise DataError(
            f"has {values.shape[0]} genes and {values.shape[1]} samples, but its second line says"
            f" {' and '.join(map(str, layout.announced or ()))}",
            where=where, mend=FETCH_AGAIN,
        )  # fmt: skip
    if decimal == ",":
        notes += (f"{path.name} has decimal commas, which were read as decimal points",)
    return _table(layout, ids, values, where=where, notes=notes)


def _table(
    layout: Layout,
    ids: tuple[tuple[str, ...], ...],
    values: npt.NDArray[Any],
    *,
    where: str,
    notes: tuple[str, ...] = (),
) -> CountTable:
    named = dict(zip(layout.id_names, ids, strict=True))
    return CountTable(values, named, layout.samples, where, (*notes, *layout.notes))


def _without_other_rows(table: CountTable) -> CountTable:
    """Leave out rows of reads in no gene (HTSeq, STAR) and a last row of totals."""
    genes = table.genes
    other = [row for row, gene in enumerate(genes) if gene.startswith("__") or gene in UNASSIGNED]
    last = len(genes) - 1
    if genes[last].casefold() in TOTALS and last > 1:
        above = np.nansum(np.delete(table.values, [*other, last], axis=0), axis=0)
        if np.allclose(above, table.values[last], rtol=1e-6):
            other.append(last)
    if not other:
        return table
    names = listed([genes[row] or "(a row of totals)" for row in other])
    kept = np.setdiff1d(np.arange(len(genes)), other)
    ids = {name: tuple(column[row] for row in kept) for name, column in table.ids.items()}
    note = f"{len(other)} rows are no genes and were left out: {names}"
    return replace(table, values=table.values[kept], ids=ids, notes=(*table.notes, note))


def _read_parquet(path: Path, *, samples: Collection[str]) -> CountTable:
    import pyarrow as pa
    import pyarrow.parquet as pq

    where = shown(path)
    try:
        table = pq.read_table(path, page_checksum_verification=True)
        frame = table.to_pandas(ignore_metadata=True)
    except (pa.ArrowException, OSError, ValueError, MemoryError) as error:
        raise DataError(
            f"not a readable parquet file ({str(error)[:200]})", where=where, mend=FETCH_AGAIN
        ) from error
    names = [str(name) for name in frame.columns]
    if not len(frame):
        raise DataError("the count table has no genes", where=where)
    columns = [frame.iloc[:, position] for position in range(len(names))]
    text_like = [column.dtype.kind not in "iuf" for column in columns]
    at = _id_positions(names, text_like=text_like, samples=samples)
    values = [k for k in range(len(names)) if k not in at]
    for k in values:
        if text_like[k]:
            raise DataError(
                f"the column holds {columns[k].dtype}, not numbers",
                where=f"{where}: column {names[k]}",
                allowed="integer columns",
            )
    ids = {names[k]: tuple("" if one is None else str(one) for one in columns[k]) for k in at}
    matrix = np.empty(
        (len(values), len(frame)), dtype=np.result_type(*(columns[k].dtype for k in values), "i4")
    )
    for row, k in enumerate(values):
        matrix[row] = columns[k].to_numpy()
    return CountTable(matrix.T, ids, tuple(names[k] for k in values), where)


def _id_positions(names: Sequence[str], *, text_like: Sequence[bool], samples: Collection[str]) -> list[int]:
    """Columns of ids: the leading ones as in text tables, and the row names that pandas writes last."""
    leading = 0
    while (
        leading < len(names)
        and names[leading] not in samples
        and (leading == 0 or text_like[leading] or names[leading].casefold() in GENE_COLUMNS)
    ):
        leading += 1
    last = len(names) - 1
    indexed = text_like[last] and (
        names[last].startswith("__index_level_") or names[last].casefold() in GENE_COLUMNS
    )
    if indexed and last >= leading and not text_like[0]:
        return [last]  # the first column is a sample then
    return [*range(leading), *([last] if indexed and last >= leading else [])]


def listed(names: Sequence[str]) -> str:
    """The first few names and how many more there are."""
    return ", ".join(names[:MAX_LISTED]) + (
        f" and {len(names) - MAX_LISTED} more" if len(names) > MAX_LISTED else ""
    )
