"""Dense tables of counts (csv, tsv, txt), genes × cells or cells × genes, read line by line."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from consilience.foundation.errors import DataError
from consilience.sources.cells.file_names import sample_of
from consilience.sources.cells.gene_lists import human_genes, share_of_genes
from consilience.sources.cells.h5_counts import Naming, SparseRows, turned
from consilience.sources.cells.lines import Lines
from consilience.sources.cells.matrix import (
    MAX_COUNT,
    CellMatrix,
    CountSource,
    Labels,
    MemoryCounts,
    canonical,
    refuse_value,
)
from consilience.sources.cells.spool import Spool
from consilience.sources.cells.views import pick_genes
from consilience.sources.text import FETCH_AGAIN, shown, split_line

if TYPE_CHECKING:
    from scipy import sparse

SMALL_FILE = 16 << 20
"""A file of fewer bytes is kept in memory; a larger one goes to disk as it is read."""
BLOCK_ENTRIES = 1 << 20
MAX_LABELS = 4
FEW_GENES = 0.1
"""Neither axis is taken for genes when fewer of its names are known human genes."""
_SEPARATORS = ("\t", ",", ";", " ")


@dataclass(frozen=True, slots=True)
class Layout:
    """How a table is laid out: names of its counted columns, text columns before them, orientation."""

    separator: str
    columns: tuple[str, ...]
    label_names: tuple[str, ...]
    genes_in_rows: bool
    where: str


@dataclass(slots=True)
class _Rows:
    """Labels of the rows read so far and the counts of those not yet appended."""

    labels: list[list[str]] = field(default_factory=list)
    counts: list[Any] = field(default_factory=list)
    places: list[Any] = field(default_factory=list)
    sizes: list[int] = field(default_factory=list)
    waiting: int = 0


def open_dense_table(path: Path, *, scratch: Path) -> CellMatrix:
    """Read a dense table; which way round it lies is told from the names of human genes, and noted."""
    where = shown(path)
    rows = _Rows()
    with path.open("rb") as handle:
        lines = _table_lines(handle, where)
        header = next(lines, None)
        first = next(lines, None)
        if header is None or first is None:
            raise DataError("has no rows of counts", where=where, mend=FETCH_AGAIN)
        waiting = [first, *(line for _, line in zip(range(200), lines, strict=False))]
        layout = _layout(header[1], waiting, where)
        in_file = path.stat().st_size > SMALL_FILE
        scratch.mkdir(parents=True, exist_ok=True)
        spool_path = scratch / "rows.h5" if in_file else None
        with Spool(spool_path) as spool:
            for number, line in _chained(waiting, lines):
                _read_row(line, number, layout, rows)
                if rows.waiting >= BLOCK_ENTRIES:
                    spool.append(_block(rows, len(layout.columns)))
            spool.append(_block(rows, len(layout.columns)))
            matrix, n_entries = spool.finish(len(layout.columns))
    return _matrix(path, layout, rows, matrix, spool_path, n_entries, scratch)


def _table_lines(handle: Any, where: str) -> Iterator[tuple[int, bytes]]:
    """(number, line without end), without blank lines and comments."""
    lines = Lines(handle, where)
    for piece in lines.pieces():
        for line in piece.split(b"\n")[:-1]:
            lines.number += 1
            line = line.rstrip(b"\r")
            if line and not line.startswith(b"#"):
                yield lines.number, line


def _chained(
    first: list[tuple[int, bytes]], rest: Iterator[tuple[int, bytes]]
) -> Iterator[tuple[int, bytes]]:
    yield from first
    yield from rest


def _layout(header: bytes, rows: list[tuple[int, bytes]], where: str) -> Layout:
    """What the header and the first rows say."""
    text = _decoded(header, f"{where}:1")
    first = _decoded(rows[0][1], f"{where}:{rows[0][0]}") if rows else ""
    separator = next((one for line in (text, first) for one in _SEPARATORS if one in line), "")
    if not separator:  # (R's header of a table of one column has none, its rows have)
        raise DataError("has one column only: no table of counts", where=f"{where}:1", value=text[:60],
                        allowed="genes × cells or cells × genes, separated by tab or comma")  # fmt: skip
    names = [name.strip() for name in split_line(text, separator=separator)]
    cells = [split_line(_decoded(line, f"{where}:{number}"), separator=separator) for number, line in rows]
    width = len(cells[0])
    n_labels = max(1, next((k for k, cell in enumerate(cells[0][:MAX_LABELS]) if _is_number(cell) and k), 1))
    if len(names) not in {width, width - 1}:
        raise DataError(
            f"{width} cells under {len(names)} column names", where=f"{where}:{rows[0][0]}", mend=FETCH_AGAIN
        )
    if len(names) == width - 1:  # as R writes row names
        names = ["", *names]
    columns = tuple(names[n_labels:])
    share_of_columns = share_of_genes(columns[:: max(1, len(columns) // 2000)])
    share_of_rows = max(share_of_genes([row[k].strip() for row in cells if len(row) > k])
                        for k in range(n_labels))  # fmt: skip
    if max(share_of_rows, share_of_columns) < FEW_GENES:
        raise DataError(
            "neither the rows nor the columns are called like human genes", where=where,
            value=f"rows {', '.join(row[0] for row in cells[:3])}; columns {', '.join(columns[:3])}",
            allowed="human gene symbols or Ensembl ids on one side",
            mend="if this is no table of counts, leave it out by the cohort's 'files'",
        )  # fmt: skip
    return Layout(separator, columns, tuple(names[:n_labels]), share_of_rows >= share_of_columns, where)


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return cell.strip().upper() in {"", "NA"}
    return True


def _decoded(line: bytes, where: str) -> str:
    try:
        return line.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError("not UTF-8 text", where=where, mend=FETCH_AGAIN) from error


def _read_row(line: bytes, number: int, layout: Layout, rows: _Rows) -> None:
    """Parse one row: its labels, then its counts."""
    from consilience.sources.cells.table_kernels import COMPLETE, TOO_MANY, parse_counts

    separator, n = layout.separator.encode(), len(layout.columns)
    labels, start = _labels(line, separator, len(layout.label_names), f"{layout.where}:{number}")
    text = np.frombuffer(line, dtype=np.uint8)
    places, counts = np.empty(n, dtype=np.int32), np.empty(n, dtype=np.int32)
    done, found, position = 0, 0, start
    while True:
        done, found, position, code = parse_counts(text, position, separator[0], done, found, places, counts)
        if code in {COMPLETE, TOO_MANY} or done >= n:
            break
        end = line.find(separator, position)
        value = _unusual(line[position : len(line) if end < 0 else end], labels[0], done, number, layout)
        if value:
            places[found], counts[found] = done, value
            found += 1
        done += 1
        if end < 0:
            code = COMPLETE
            break
        position = end + 1
    if code != COMPLETE or done != n:
        n_cells = line.count(separator) + 1
        raise DataError(f"{n_cells} cells under {n + len(labels)} columns", where=f"{layout.where}:{number}",
                        mend=FETCH_AGAIN)  # fmt: skip
    rows.labels.append(labels)
    rows.counts.append(counts[:found].copy())
    rows.places.append(places[:found].copy())
    rows.sizes.append(found)
    rows.waiting += found


def _labels(line: bytes, separator: bytes, n_labels: int, where: str) -> tuple[list[str], int]:
    """The first cells of a line as text, and where the counts start."""
    start, labels = 0, []
    for _ in range(n_labels):
        if line[start : start + 1] == b'"':
            close = line.find(b'"', start + 1)
            end = line.find(separator, close + 1) if close > 0 else -1
        else:
            end = line.find(separator, start)
        if end < 0:
            raise DataError("a cut line", where=where, mend=FETCH_AGAIN)
        labels.append(_decoded(line[start:end], where).strip().strip('"'))
        start = end + 1
    return labels, start


def _unusual(field_text: bytes, label: str, place: int, number: int, layout: Layout) -> int:
    """A count that is written in another way ("3", 1e+05); everything else is refused by cell and gene."""
    text = field_text.decode("utf-8", "replace").strip().strip('"').strip()
    column = layout.columns[place]
    gene, cell = (label, column) if layout.genes_in_rows else (column, label)
    try:
        value = float(text)
    except ValueError:
        value = math.nan
        if text.upper() not in {"", "NA", "NAN"}:
            raise DataError(
                f"a field that is no number: cell {cell!r}, gene {gene!r}",
                where=f"{layout.where}:{number}", value=text[:60], allowed="counts", mend=FETCH_AGAIN,
            ) from None  # fmt: skip
    if not (0 <= value <= MAX_COUNT and value == math.floor(value)):
        refuse_value(value, cell=cell, gene=gene, where=f"{layout.where}:{number}")
    return int(value)


def _block(rows: _Rows, n_columns: int) -> sparse.csr_matrix:
    """The waiting rows as CSR; they wait no longer."""
    from scipy import sparse

    indptr = np.concatenate([[0], np.cumsum(rows.sizes)]).astype(np.int64)
    empty = np.empty(0, dtype=np.int32)
    block = sparse.csr_matrix(
        (np.concatenate([empty, *rows.counts]), np.concatenate([empty, *rows.places]), indptr),
        shape=(len(rows.sizes), n_columns),
    )
    rows.counts, rows.places, rows.sizes, rows.waiting = [], [], [], 0
    return block


def _matrix(
    path: Path, layout: Layout, rows: _Rows, matrix: sparse.csr_matrix | None, spooled: Path | None,
    n_entries: int, scratch: Path,
) -> CellMatrix:  # fmt: skip
    """The cells of the table, however it lies."""
    labels = [[row[k] for row in rows.labels] for k in range(len(layout.label_names))]
    gene_side = labels if layout.genes_in_rows else [list(layout.columns)]
    shares = [share_of_genes(names[:2000]) for names in gene_side]
    best = int(np.argmax(shares))
    ids = gene_side[best]
    second = gene_side[1 - best] if len(gene_side) == 2 else [""] * len(ids)
    names = list(layout.columns) if layout.genes_in_rows else labels[0]
    barcodes = np.array([name.encode() for name in names])
    genes = human_genes(ids=ids, names=second)
    naming = Naming(layout.where, lambda cell: names[cell], lambda gene: ids[gene])
    n_cells, n_genes = len(names), len(ids)
    counts: CountSource
    if matrix is not None:
        counts = MemoryCounts(canonical(matrix.T.tocsr() if layout.genes_in_rows else matrix))
    else:
        assert spooled is not None  # noqa: S101 - it is in the file where it is not in memory
        stored = SparseRows(spooled, "/", n_cells, n_genes, n_entries, naming)
        counts = turned(stored, scratch=scratch / "turned") if layout.genes_in_rows else stored
    columns = {"sample": Labels.constant(sample_of(path.name), n_cells)}
    if not layout.genes_in_rows:
        others = zip(layout.label_names[1:], labels[1:], strict=True)
        columns |= {name: Labels.from_text(values) for name, values in others if name}
    moved = np.full(n_genes, -1, dtype=np.int64)
    moved[genes.rows] = np.arange(len(genes.ids))
    lies = "genes × cells" if layout.genes_in_rows else "cells × genes"
    return CellMatrix(
        where=layout.where, counts=pick_genes(counts, moved, len(genes.ids)), barcodes=barcodes,
        genes=genes.ids, gene_names=genes.names, samples=columns["sample"], columns=columns,
        notes=(f"dense tables are {lies}, told from the names of genes", *genes.notes),
    )  # fmt: skip
