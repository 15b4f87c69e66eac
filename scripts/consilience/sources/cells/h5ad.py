"""h5ad files: where the raw counts lie, what genes and cells are called, and the phenotype of each cell."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from consilience.foundation.errors import DataError
from consilience.sources.cells.h5_counts import Naming, open_counts, probe
from consilience.sources.cells.h5_frames import (
    explain_hdf5,
    frame_columns,
    n_rows,
    old_categories_of,
    read_column,
    read_index,
)
from consilience.sources.cells.matrix import CellMatrix, CountSource, Labels, LazyColumns
from consilience.sources.text import FETCH_AGAIN, refuse_page, shown

if TYPE_CHECKING:
    import numpy.typing as npt

COUNT_PLACES = ("layers/counts", "layers/raw_counts", "layers/raw", "raw/X", "raw.X", "X")
SAMPLE_COLUMNS = ("sample", "sample_id", "orig.ident", "library_id")
_ENSEMBL = re.compile(r"ENSG\d{11}(\.\d+)?(_PAR_Y)?")


def open_h5ad(path: Path, *, scratch: Path | None = None) -> CellMatrix:
    """Open an h5ad file of any anndata version; its counts stay in the file.

    `scratch` is a folder for counts that are stored gene by gene and too many to be turned round in memory.
    """
    where = shown(path)
    _refuse_other_content(path, where)
    import h5py

    with explain_hdf5(where), h5py.File(path, "r") as file:
        for part in ("obs", "var"):
            if part not in file:
                raise DataError(f"has no {part!r}: not an h5ad file", where=where, mend=FETCH_AGAIN)
        barcodes = read_index(file["obs"])
        names = frame_columns(file["obs"])
        place, counts, reasons = _counts(file, path=path, barcodes=barcodes, where=where, scratch=scratch)
        genes, second = _gene_ids(file, _gene_frame(place))
        notes = [*_cellxgene_notes(file, names), *_velocity_notes(file, place)]
    columns = LazyColumns(names, lambda name: _read_column(path, name, where))
    sample = next((name for name in SAMPLE_COLUMNS if name in names), "")
    notes = [f"counts are read from {place}", *(f"passed over {reason}" for reason in reasons), *notes]
    return CellMatrix(
        where=where, counts=counts, barcodes=barcodes, genes=genes, gene_names=second,
        samples=columns[sample] if sample else None, columns=columns, notes=tuple(notes),
    )  # fmt: skip


def _cellxgene_notes(file: Any, names: list[str]) -> list[str]:
    """What a file of CELLxGENE says of its cells that a reader should know."""
    notes = []
    if "is_primary_data" in names:
        primary = read_column(file["obs"], "is_primary_data", old_categories={})
        others = sum(level == "False" for level in primary.text())
        if others:
            notes.append(
                f"{others} of {primary.codes.size} cells are not primary data (they are in another data set "
                "too); is_primary_data=True in 'select' leaves them out"
            )
    for column in ("assay", "organism"):
        if column in names:
            levels = read_column(file["obs"], column, old_categories={}).compact().levels
            if len(levels) > 1:
                notes.append(f"cells of {len(levels)} kinds of {column}: {', '.join(levels[:6])}")
    return notes


def _velocity_notes(file: Any, place: str) -> list[str]:
    layers = set(file["layers"]) if "layers" in file else set()
    both = place == "X" and {"spliced", "unspliced"} <= layers
    return ["layers hold spliced and unspliced counts; X is read, whatever it is the sum of"] if both else []


def _refuse_other_content(path: Path, where: str) -> None:
    try:
        with path.open("rb") as handle:
            start = handle.read(512)
    except OSError as error:
        raise DataError(f"cannot be read ({error.strerror})", where=where, mend=FETCH_AGAIN) from error
    if not start:
        raise DataError("the file is empty", where=where, mend=FETCH_AGAIN)
    refuse_page(start, where=where)


def _read_column(path: Path, name: str, where: str) -> Labels:
    import h5py

    with explain_hdf5(where), h5py.File(path, "r") as file:
        return read_column(file["obs"], name, old_categories=old_categories_of(file, "obs"))


def _gene_frame(place: str) -> str:
    return {"raw/X": "raw/var", "raw.X": "raw.var"}.get(place, "var")


def _counts(
    file: Any, *, path: Path, barcodes: npt.NDArray[np.bytes_], where: str, scratch: Path | None
) -> tuple[str, CountSource, list[str]]:
    """First place whose values look like counts (every block is checked again when it is read)."""
    reasons: list[str] = []
    for place in COUNT_PLACES:
        if place not in file:
            continue
        genes = read_index(file[_gene_frame(place)])
        naming = Naming(f"{where}:{place}", _name_of(barcodes), _name_of(genes))
        shape = (barcodes.size, n_rows(file[_gene_frame(place)]))
        try:
            source = open_counts(file, path=path, key=place, shape=shape, naming=naming, scratch=scratch)
            reason = probe(source)
        except DataError as error:
            if "not raw counts" not in str(error):
                raise
            reason = error
        if reason is None:
            return place, source, reasons
        reasons.append(f"{place} ({reason.problems[0].what}: {reason.problems[0].value})")
    raise DataError(
        "holds no raw counts: " + ("; ".join(reasons) or "none of the usual places exists"), where=where,
        allowed="whole numbers in one of " + ", ".join(COUNT_PLACES),
        mend="write the raw counts into layers['counts'] and run again",
    )  # fmt: skip


def _name_of(names: npt.NDArray[np.bytes_]) -> Callable[[int], str]:
    return lambda number: str(names[number].decode())


def _gene_ids(file: Any, frame_name: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Ids of the genes, Ensembl ids first where the table has a column of them, and the other names."""
    frame = file[frame_name]
    index = tuple(name.decode() for name in read_index(frame))
    if _share_of_ensembl(index) > 0.5:
        names = next((name for name in ("feature_name", "gene_name", "gene_symbol", "gene_symbols", "symbol")
                      if name in frame_columns(frame)), "")  # fmt: skip
        second = (
            read_column(frame, names, old_categories=old_categories_of(file, frame_name)).text()
            if names
            else []
        )
        return index, tuple(second) or ("",) * len(index)
    for name in frame_columns(frame):
        if not hasattr(frame[name], "keys") and frame[name].dtype.kind in "fiub":
            continue
        values = tuple(read_column(frame, name, old_categories=old_categories_of(file, frame_name)).text())
        if _share_of_ensembl(values) > 0.5:
            return values, index
    return index, ("",) * len(index)


def _share_of_ensembl(names: tuple[str, ...]) -> float:
    return sum(_ENSEMBL.fullmatch(name) is not None for name in names) / max(1, len(names))
