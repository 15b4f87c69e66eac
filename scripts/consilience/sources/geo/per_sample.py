"""Counts that come as one table for each sample (GSM…_name.txt.gz), joined into one matrix."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from consilience.foundation.errors import DataError
from consilience.sources.geo.joining import accession_in
from consilience.sources.geo.lines import text_lines
from consilience.sources.geo.values import numbers_of, one_value_per_id
from consilience.sources.text import FETCH_AGAIN, separator_of, shown, split_line

if TYPE_CHECKING:
    import numpy.typing as npt

VALUE_COLUMNS: dict[str, tuple[str, ...]] = {
    "counts": ("rawcount", "rawcounts", "count", "counts", "readcount", "readcounts", "reads", "unstranded"),
    "estimated_counts": ("expectedcount", "estcounts", "numreads", "estcount"),
    "tpm": ("tpm",),
    "fpkm": ("fpkm", "rpkm"),
    "cpm": ("cpm",),
}
"""Names of value columns without blanks and signs, by the units that they hold."""
ID_NAMES = (
    "geneid",
    "gene",
    "genename",
    "genesymbol",
    "symbol",
    "ensemblid",
    "id",
    "name",
    "targetid",
    "ensg",
)
NO_GENE = re.compile(
    r"__\w+|N_(unmapped|multimapping|noFeature|ambiguous)|_?(no_feature|ambiguous|too_low_aQual|not_aligned)"
    r"|_?alignment_not_unique"
)
"""What HTSeq and STAR call reads that lie in no gene."""


@dataclass(frozen=True, slots=True)
class SampleTable:
    """One sample's `genes` and `values`; `elsewhere` reads in no gene (None if not told)."""

    sample: str
    genes: tuple[str, ...]
    values: npt.NDArray[np.float64]
    elsewhere: float | None
    column: str
    where: str


@dataclass(frozen=True, slots=True)
class JoinedTables:
    """`values` (genes, samples) of all samples; `metrics` by name, each (samples,); `notes`."""

    values: npt.NDArray[np.float64]
    genes: tuple[str, ...]
    samples: tuple[str, ...]
    metrics: dict[str, npt.NDArray[np.float64]]
    notes: tuple[str, ...]
    where: str


def are_per_sample(paths: Sequence[Path]) -> bool:
    """True when every file's name holds one GSM accession, each another one."""
    accessions = [accession_in(path.name) for path in paths]
    return bool(paths) and all(accessions) and len(set(accessions)) == len(paths)


def join_tables(paths: Sequence[Path], *, units: str) -> JoinedTables:
    """Read and join the tables of all samples; their genes must agree, their order may differ."""
    tables = [read_sample(path, units=units) for path in paths]
    first = tables[0]
    named = sorted({table.column for table in tables})
    if len(named) > 1:
        raise DataError(
            "the tables of the samples have different columns of values", where=first.where,
            value=", ".join(named), mend="choose tables of one kind by 'files' in the cohort sheet",
        )  # fmt: skip
    columns = [_in_order(table, first) for table in tables]
    in_genes = np.array([column.sum() for column in columns])
    told = [table.elsewhere for table in tables if table.elsewhere is not None]
    metrics = {}
    if len(told) == len(tables):
        total = in_genes + np.array(told)
        metrics["assigned_share"] = np.divide(in_genes, total, out=np.zeros_like(total), where=total > 0)
    return JoinedTables(
        values=np.stack(columns, axis=1),
        genes=first.genes,
        samples=tuple(table.sample for table in tables),
        metrics=metrics,
        notes=(f"{len(tables)} tables of one sample each were joined by gene; values are of {named[0]}",),
        where=first.where,
    )


def _in_order(table: SampleTable, first: SampleTable) -> npt.NDArray[np.float64]:
    """The values of a table in the order of the first table's genes."""
    if table.genes == first.genes:
        return table.values
    place = {gene: position for position, gene in enumerate(table.genes)}
    if strangers := set(place) ^ set(first.genes):
        raise DataError(
            f"its genes are not those of {first.where.rpartition('/')[2]}: {len(strangers)} genes stand in"
            " only one of both", where=table.where, value=", ".join(sorted(strangers)[:3]),
            mend="choose tables of one kind by 'files' in the cohort sheet",
        )  # fmt: skip
    return table.values[[place[gene] for gene in first.genes]]


def read_sample(path: Path, *, units: str) -> SampleTable:
    """One sample's table: gene and value with or without names (HTSeq), or more columns (RSEM, STAR)."""
    where = shown(path)
    lines = _cells(path)
    number, first = next(lines, (0, []))
    if not first:
        raise DataError("the table holds no genes", where=where, mend=FETCH_AGAIN)
    header = [] if _is_data(first) else first
    id_at, value_at = _columns(header, len(first), units=units, where=f"{where}:{number}")
    genes, cells, elsewhere = [], [], []
    for line, row in lines if header else chain([(number, first)], lines):
        if len(row) <= max(id_at, value_at) or abs(len(row) - len(first)) > 1:
            raise DataError(
                f"{len(row)} cells in this row, {len(first)} in the first", where=f"{where}:{line}",
                mend="the row is cut or has stray separators; " + FETCH_AGAIN,
            )  # fmt: skip
        if NO_GENE.fullmatch(row[id_at]):
            elsewhere.append(row[value_at])
            continue
        genes.append(row[id_at])
        cells.append(row[value_at])
    if not genes:
        raise DataError("the table holds no genes", where=where, mend=FETCH_AGAIN)
    one_value_per_id(genes, where=where)
    return SampleTable(
        sample=accession_in(path.name),
        genes=tuple(genes),
        values=numbers_of(cells, names=genes, where=where),
        elsewhere=float(numbers_of(elsewhere, names=elsewhere, where=where).sum()) if elsewhere else None,
        column=repr(header[value_at]) if len(header) > 2 else f"column {value_at + 1}",
        where=where,
    )


def _cells(path: Path) -> Iterator[tuple[int, list[str]]]:
    """Cells of each line that is neither empty nor a comment; the first line tells what parts them."""
    separator = ""
    for number, line in text_lines(path):
        if line.strip() and not line.startswith(("#", "!")):
            if not separator:
                separator = " " if "\t" not in line and "," not in line else separator_of(path, line)
            yield number, [cell.strip() for cell in split_line(line, separator=separator)]


def _is_data(cells: Sequence[str]) -> bool:
    """A first line is data when all its cells but the first are numbers."""
    try:
        numbers_of(cells[1:], names=cells[1:], where="")
    except DataError:
        return False
    return len(cells) > 1


def _columns(header: Sequence[str], n_cells: int, *, units: str, where: str) -> tuple[int, int]:
    """Where the gene and its value stand: in a table without names the first two, else by their names."""
    if n_cells < 2:
        raise DataError(
            "one column only", where=where, allowed="a gene and its value in each row", mend=FETCH_AGAIN
        )
    if not header or n_cells == 2:
        return 0, 1
    keys = [re.sub(r"[^a-z0-9]", "", name.casefold()) for name in header]
    id_at = next((keys.index(name) for name in ID_NAMES if name in keys), 0)
    wanted = [units] if units else ["counts", "estimated_counts"]
    for name in (name for kind in wanted for name in VALUE_COLUMNS.get(kind, ())):
        if name in keys:
            return id_at, keys.index(name)
    if keys[1:6] == ["chr", "start", "end", "strand", "length"] and len(keys) == 7:
        return id_at, 6  # featureCounts names the column after the file it counted
    raise DataError(
        "no column of this sample's table is known to hold the values wanted", where=where,
        value=", ".join(header), allowed=f"a column of {' or '.join(wanted)}",
        mend="say in 'units' of the cohort sheet which of counts, estimated_counts, tpm, fpkm to take",
    )  # fmt: skip
