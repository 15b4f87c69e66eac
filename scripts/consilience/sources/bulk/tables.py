"""Plain tables: counts (genes × samples; text or parquet) and the samples table beside them.

Everything is read as text first in the sense that counts: `001`, `NA` and `1e5` in a samples table stay as
typed, and a count that is no number is reported with file, row and column, never turned into a gap.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from consilience.foundation.errors import DataError, Problem, did_you_mean
from consilience.sources.bulk.matrix import BulkMatrix, refuse_duplicates, whole_counts
from consilience.sources.formats import PARQUET_MAGIC, TABLE_SUFFIXES, samples_table_of
from consilience.sources.raw_folder import RawFolder
from consilience.sources.text import FETCH_AGAIN, read_lines, separator_of, shown, split_line

if TYPE_CHECKING:
    import numpy.typing as npt

GENE_COLUMNS = frozenset(
    [
        "gene",
        "geneid",
        "gene_id",
        "gene_name",
        "gene_symbol",
        "symbol",
        "hugo_symbol",
        "entrez",
        "entrez_gene_id",
        "entrezid",
        "entrez_id",
        "ensembl",
        "ensembl_id",
        "ensembl_gene_id",
        "id",
        "id_ref",
        "name",
        "description",
        "gene_type",
        "gene_biotype",
        "chr",
        "start",
        "end",
        "strand",
        "length",
        "external_gene_name",
        "hgnc_symbol",
    ]
)
MISSING = frozenset({"", "NA", "N/A", "null"})
MAX_LISTED = 8


@dataclass(frozen=True, slots=True)
class CountTable:
    """A count table as written: `values` (genes, samples), columns of gene `ids` by name, sample names."""

    values: npt.NDArray[Any]
    ids: dict[str, tuple[str, ...]]
    samples: tuple[str, ...]
    where: str

    @property
    def genes(self) -> tuple[str, ...]:
        """The first id column."""
        return next(iter(self.ids.values()))

    def counts(self) -> npt.NDArray[np.int64]:
        """Counts (samples, genes); refuses what is not a whole number."""
        counts = whole_counts(self.values, genes=self.genes, samples=self.samples, where=self.where)
        return np.ascontiguousarray(counts.T)


def read_tables(folder: RawFolder) -> BulkMatrix:
    """Read the count table of a raw folder and the samples table beside it, joined by sample name."""
    counts_path, samples_path = _find_tables(folder)
    columns = read_samples_table(samples_path)
    names = columns["sample"]
    table = read_count_table(counts_path, samples=names)
    rows = {name: row for row, name in enumerate(names)}
    lost = [name for name in table.samples if name not in rows]
    if lost:
        raise DataError(
            f"{len(lost)} of {len(table.samples)} samples have no row in {samples_path.name}: {listed(lost)}",
            where=table.where,
            value=lost[0],
            mend=" ".join(
                filter(None, (did_you_mean(lost[0], names), "add the rows, or remove the columns"))
            ),
        )
    order = [rows[name] for name in table.samples]
    absent = [name for name in names if name not in set(table.samples)]
    notes = (
        (f"{len(absent)} samples of {samples_path.name} have no counts: {listed(absent)}",) if absent else ()
    )
    return BulkMatrix(
        values=table.counts(),
        samples=table.samples,
        genes=table.genes,
        gene_columns=dict(list(table.ids.items())[1:]),
        columns={key: tuple(values[row] for row in order) for key, values in columns.items()},
        notes=notes,
    )


def _find_tables(folder: RawFolder) -> tuple[Path, Path]:
    tables = folder.named(*TABLE_SUFFIXES)
    listed = {path for _, path in folder.files}
    beside = {path: samples_table_of(path) for path in tables}
    pairs = [(path, samples) for path, samples in beside.items() if samples in listed and samples != path]
    counts = [(path, samples) for path, samples in pairs if samples and path not in beside.values()]
    if len(counts) == 1 and counts[0][1] is not None:
        return counts[0][0], counts[0][1]
    names = ", ".join(path.name for path in tables)
    raise DataError(
        f"{'several count tables' if counts else 'no count table with a samples table beside it'}: {names}",
        where=shown(folder.path),
        allowed="one <stem>.tsv (.csv, .parquet; also .gz) and its <stem>.samples.tsv",
    )


def read_samples_table(path: Path) -> dict[str, tuple[str, ...]]:
    """Columns of a samples table as text; the column 'sample' is the one of that name, else the first."""
    where = shown(path)
    lines = read_lines(path)
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
    return columns


def read_count_table(path: Path, *, samples: Collection[str] = ()) -> CountTable:
    """Read a table genes × samples with one or more leading id columns.

    `samples`: names known from elsewhere; a leading column is an id column when it is not one of them and
    it is the first, bears the name of an id column, or holds something other than numbers.
    """
    with path.open("rb") as handle:
        parquet = handle.read(4) == PARQUET_MAGIC or path.suffix == ".parquet"
    table = _read_parquet(path, samples=samples) if parquet else _read_text_counts(path, samples=samples)
    refuse_duplicates(table.samples, what="sample column", where=table.where)
    if not table.samples or not table.values.shape[0]:
        raise DataError("the count table has no samples or no genes", where=table.where)
    return table


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return text.strip() in MISSING
    return "_" not in text and text.isascii()


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
    n_ids = 0
    for position, name in enumerate(names):
        text_like = frame.dtypes.iloc[position].kind not in "iuf"
        if name in samples or not (position == 0 or text_like or name.casefold() in GENE_COLUMNS):
            break
        n_ids += 1
    columns = [frame.iloc[:, position] for position in range(n_ids, len(names))]
    for name, column in zip(names[n_ids:], columns, strict=True):
        if column.dtype.kind not in "iuf":
            raise DataError(
                f"the column holds {column.dtype}, not numbers",
                where=f"{where}: column {name}",
                allowed="integer columns",
            )
    ids = {names[k]: tuple("" if one is None else str(one) for one in frame.iloc[:, k]) for k in range(n_ids)}
    values = np.stack([column.to_numpy() for column in columns], axis=1) if columns else np.empty((0, 0))
    return CountTable(values, ids, tuple(names[n_ids:]), where)


def _read_text_counts(path: Path, *, samples: Collection[str]) -> CountTable:
    lines = read_lines(path, whole_last_line=True)
    numbered = [(number, line) for number, line in enumerate(lines, 1) if line and not line.startswith("#")]
    separator = separator_of(path, numbered[0][1] if numbered else "")
    return parse_counts(numbered, samples=samples, where=shown(path), separator=separator)


def parse_counts(
    lines: Sequence[tuple[int, str]], *, samples: Collection[str], where: str, separator: str
) -> CountTable:
    """A count table from numbered lines, header first; every row must have as many cells as the header."""
    if len(lines) < 2:
        raise DataError("the count table has a header but no genes", where=where, mend=FETCH_AGAIN)
    header = [cell.strip() for cell in split_line(lines[0][1], separator=separator)]
    start = split_line(lines[1][1], separator=separator)
    if len(header) == len(start) - 1:  # as R's write.table leaves it: row names without a column name
        header = ["", *header]
    n_ids = _count_id_columns(header, start=start, samples=samples)
    names, ids, values = header[n_ids:], [], []
    for number, line in lines[1:]:
        cells = split_line(line, separator=separator)
        if len(cells) != len(header):
            raise DataError(
                f"{len(cells)} cells under {len(header)} column names",
                where=f"{where}:{number}",
                mend="the row is cut or has stray separators; " + FETCH_AGAIN,
            )
        ids.append(cells[:n_ids])
        values.append(_numbers(cells[n_ids:], names=names, gene=cells[0], where=f"{where}:{number}"))
    columns = {header[k] or f"id{k + 1}": tuple(row[k].strip() for row in ids) for k in range(n_ids)}
    return CountTable(np.stack(values), columns, tuple(names), where)


def _count_id_columns(header: Sequence[str], *, start: Sequence[str], samples: Collection[str]) -> int:
    """How many leading columns are ids: not known samples, and first, or named so, or not numbers."""
    for position, (name, value) in enumerate(zip(header, start, strict=False)):
        named = name.casefold() in GENE_COLUMNS
        if name in samples or not (position == 0 or named or not _is_number(value)):
            return position
    return min(len(header), len(start))


def _numbers(cells: list[str], *, names: Sequence[str], gene: str, where: str) -> npt.NDArray[np.float64]:
    """One row as numbers; missing ones become NaN here and are refused with their share by `whole_counts`."""
    text = "".join(cells)
    try:
        if "_" in text or not text.isascii():  # "1_0" is a number to Python, not to anybody else
            raise ValueError
        return np.array(cells, dtype=np.float64)
    except ValueError:
        numbers = np.empty(len(cells))
        for position, cell in enumerate(cells):
            if not _is_number(cell):
                raise DataError(
                    "not a number",
                    where=f"{where}:{names[position]}",
                    value=cell,
                    allowed=f"a count of gene {gene!r}",
                    mend=FETCH_AGAIN,
                ) from None
            numbers[position] = np.nan if cell.strip() in MISSING else float(cell)
        return numbers


def listed(names: Sequence[str]) -> str:
    """The first few names and how many more there are."""
    return ", ".join(names[:MAX_LISTED]) + (
        f" and {len(names) - MAX_LISTED} more" if len(names) > MAX_LISTED else ""
    )
