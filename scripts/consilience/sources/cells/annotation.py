"""Tables of cells that authors put beside their matrices: recognised by the barcodes that they list."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from consilience.sources.cells.cell_table import read_text_columns
from consilience.sources.cells.file_names import accession_of
from consilience.sources.cells.matrix import Labels
from consilience.sources.raw_folder import RawFolder

if TYPE_CHECKING:
    import numpy.typing as npt

ENOUGH = 0.9
"""Share of a column's values that must be barcodes of the matrices."""
_NAMED = re.compile(
    r"meta_?data|annot|cell_?info|cell_?types?|clusters?|(^|[_.-])(meta|obs|pheno[a-z]*|cells|barcode_?info)"
    r"([_.-]|$)",
    re.IGNORECASE,
)
_CORE = re.compile(rb"[ACGTN]{8,}(?:-\d+)?")
_WELL = re.compile(rb"-\d+$")
_SEPARATORS = b"_-:.#|/ "


@dataclass(frozen=True, slots=True)
class Annotation:
    """Columns for all cells (missing where a cell has no row), cells with a row (mask (n,)), notes."""

    columns: dict[str, Labels]
    described: npt.NDArray[np.bool_]
    notes: tuple[str, ...]


def is_annotation(name: str) -> bool:
    """Whether a table's name says that it describes cells."""
    return _NAMED.search(name.rsplit("/", 1)[-1]) is not None


def read_annotations(
    folder: RawFolder, *, barcodes: npt.NDArray[np.bytes_], samples: Labels
) -> Annotation | None:
    """Join every table that lists the barcodes, whole or of one sample; None where there is none."""
    columns: dict[str, Labels] = {}
    described, notes = np.zeros(barcodes.size, dtype=bool), []
    for path in folder.of_kind("table", "cell_table"):
        if not is_annotation(path.name):
            continue
        mine = _cells_of(path.name, samples)
        table = read_text_columns(path)
        key, rows, share = _best_column(table, barcodes[mine], samples.take(mine))
        if share < ENOUGH:
            notes.append(f"{path.name} was left out: only {share:.0%} of its column {key!r} are barcodes of "
                         "the matrices")  # fmt: skip
            continue
        placed = np.full(barcodes.size, -1, dtype=np.int64)
        placed[mine] = rows
        described |= placed >= 0
        for name, column in table.items():
            if name != key:
                found = column.take(placed)
                columns[name] = filled(columns[name], found) if name in columns else found
        n = int((rows >= 0).sum())
        notes.append(
            f"{path.name} describes {n} of {mine.size} cells: {share:.0%} of its column {key!r} are barcodes"
        )
    return Annotation(columns, described, tuple(notes)) if described.any() or notes else None


def _cells_of(name: str, samples: Labels) -> npt.NDArray[np.int64]:
    """Cells that a table can be about: those of the sample whose accession its name bears, else all."""
    accession = accession_of(name)
    codes = [
        code for code, level in enumerate(samples.levels) if accession and accession_of(level) == accession
    ]
    return np.flatnonzero(np.isin(samples.codes, codes)) if codes else np.arange(samples.codes.size)


def _best_column(
    table: dict[str, Labels], barcodes: npt.NDArray[np.bytes_], samples: Labels
) -> tuple[str, npt.NDArray[np.int64], float]:
    best = ("", np.full(barcodes.size, -1, dtype=np.int64), 0.0)
    for name, column in table.items():
        n_rows = column.codes.size
        if not n_rows or len(column.levels) < ENOUGH * n_rows:
            continue
        values = np.array([level.encode() for level in column.levels])[column.codes]
        rows = rows_of_cells(values, barcodes=barcodes, samples=samples)
        share = np.unique(rows[rows >= 0]).size / n_rows
        if share > best[2] or not best[0]:
            best = (name, rows, share)
    return best


def rows_of_cells(
    values: npt.NDArray[np.bytes_], *, barcodes: npt.NDArray[np.bytes_], samples: Labels
) -> npt.NDArray[np.int64]:
    """Row of each cell (n,), -1 where it has none.

    `values` (rows,) are compared with the barcodes as they are, and without the "-1" of the well and with the
    sample before or behind (sample_ACGT…, ACGT…-1_sample) where that fits more of them.
    """
    samples = samples.compact()
    exact = _matched(values, barcodes)
    tags, cores = _taken_apart(values)
    code_of = _code_of_tag(sorted(set(tags)), samples.levels)
    known = np.array([code_of.get(tag, -1) for tag in tags], dtype=np.int64)
    bare = np.array([_WELL.sub(b"", code) for code in barcodes.tolist()] or [b""])[: barcodes.size]
    by_sample = _matched(
        _keys(known, cores), _keys(np.where(samples.codes < 0, -2, samples.codes), bare.tolist())
    )
    return exact if (exact >= 0).sum() >= (by_sample >= 0).sum() else by_sample


def _keys(codes: npt.NDArray[Any], names: Sequence[bytes]) -> npt.NDArray[np.bytes_]:
    """Sample and barcode as one text (n,)."""
    pairs = [b"%d|%s" % pair for pair in zip(codes.tolist(), names, strict=True)]
    return np.array(pairs) if pairs else np.empty(0, dtype="S1")


def _taken_apart(values: npt.NDArray[np.bytes_]) -> tuple[list[bytes], list[bytes]]:
    """What stands around the barcode of each value, and the barcode without its well."""
    tags, cores = [], []
    for value in values.tolist():
        found = _CORE.search(value)
        core = found.group() if found else value
        around = value.replace(core, b"", 1) if found else b""
        tags.append(around.strip(_SEPARATORS))
        cores.append(_WELL.sub(b"", core))
    return tags, cores


def _code_of_tag(tags: Sequence[bytes], levels: Sequence[str]) -> dict[bytes, int]:
    """Sample of each tag: the only sample there is, or the one that is called so (also without its GSM)."""
    if len(levels) == 1:
        return dict.fromkeys(tags, 0)
    names: dict[bytes, int] = {}
    for code, level in enumerate(levels):
        accession = accession_of(level)
        for name in (level, accession, level.removeprefix(accession).lstrip("_-. ")):
            if name:
                names.setdefault(name.encode(), code)
    return {tag: names[tag] for tag in tags if tag in names}


def _matched(keys: npt.NDArray[np.bytes_], wanted: npt.NDArray[np.bytes_]) -> npt.NDArray[np.int64]:
    """Place of each of `wanted` among `keys`, -1 where it is absent or stands there twice."""
    rows = np.full(wanted.size, -1, dtype=np.int64)
    if not keys.size or np.unique(wanted).size < wanted.size:
        return rows
    order = np.argsort(keys, kind="stable")
    ordered = keys[order]
    place = np.minimum(np.searchsorted(ordered, wanted), keys.size - 1)
    twice = np.searchsorted(ordered, wanted, side="right") - np.searchsorted(ordered, wanted) > 1
    found = (ordered[place] == wanted) & ~twice
    rows[found] = order[place[found]]
    return rows


def filled(first: Labels, second: Labels) -> Labels:
    """The first column, its missing values taken from the second."""
    levels = tuple(sorted({*first.levels, *second.levels}))
    code_of = {level: code for code, level in enumerate(levels)}
    recoded = [
        np.array([*(code_of[level] for level in one.levels), -1], dtype=np.int32)[one.codes]
        for one in (first, second)
    ]
    return Labels(np.where(recoded[0] >= 0, recoded[0], recoded[1]), levels, first.numeric and second.numeric)
