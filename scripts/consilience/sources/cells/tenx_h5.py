"""10x .h5 files: Cell Ranger 2 (one group for each genome) and 3 or later (one matrix with features)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from consilience.foundation.errors import DataError
from consilience.sources.cells.file_names import sample_of
from consilience.sources.cells.gene_lists import GeneList, human_genes
from consilience.sources.cells.h5_counts import Naming, SparseRows
from consilience.sources.cells.h5_frames import explain_hdf5, read_text
from consilience.sources.cells.matrix import CellMatrix, Labels
from consilience.sources.cells.views import pick_genes
from consilience.sources.text import FETCH_AGAIN, shown

_HUMAN = ("GRCh38", "GRCh37", "hg19", "hg38")


def open_tenx_h5(path: Path) -> CellMatrix:
    """Open a 10x .h5 file; its counts (columns of genes × cells, so rows of cells) stay in the file."""
    import h5py

    where = shown(path)
    with explain_hdf5(where, kind="a 10x .h5 file"), h5py.File(path, "r") as file:
        key, notes = _matrix_key(file, where)
        group = file[key]
        barcodes, n_features = read_text(group["barcodes"]), int(group["shape"][0])
        genes = _features(group)
        n_cells, n_entries = barcodes.size, int(group["data"].shape[0])
        _refuse_sizes(group, genes, n_cells=n_cells, n_features=n_features, where=where)
    naming = Naming(where, lambda cell: barcodes[cell].decode(), lambda gene: _feature_name(genes, gene))
    rows = SparseRows(path, key, n_cells, n_features, n_entries, naming)
    wells = Labels.from_text([code.decode().rpartition("-")[2] for code in barcodes] if n_cells else [])
    columns = {"sample": Labels.constant(sample_of(path.name), n_cells)}
    if 1 < len(wells.levels) <= 1000 and all(level.isdigit() for level in wells.levels):
        columns["gem_well"] = wells
        notes.append(f"barcodes end in {len(wells.levels)} different numbers (wells of cellranger aggr): "
                     "they are in the column gem_well")  # fmt: skip
    return CellMatrix(
        where=where, counts=pick_genes(rows, _columns(genes), len(genes.ids)), barcodes=barcodes,
        genes=genes.ids, gene_names=genes.names, samples=columns["sample"], columns=columns,
        notes=(*notes, *genes.notes),
    )  # fmt: skip


def _matrix_key(file: Any, where: str) -> tuple[str, list[str]]:
    """The group of the matrix; of several genomes (Cell Ranger 2) the human one, and a note on the others."""
    if "matrix" in file and "barcodes" in file["matrix"]:
        return "matrix", []
    genomes = [key for key in file if hasattr(file[key], "keys") and "barcodes" in file[key]]
    human = [key for key in genomes if key.startswith(_HUMAN)]
    chosen = human if len(genomes) > 1 else genomes
    if len(chosen) != 1:
        raise DataError("has no group of human counts", where=where, value=", ".join(file),
                        allowed="matrix, or one human genome: " + ", ".join(_HUMAN))  # fmt: skip
    others = [f"{key} ({file[key]['barcodes'].shape[0]} barcodes)" for key in genomes if key != chosen[0]]
    return chosen[0], [f"other genomes were left out: {', '.join(others)}"] if others else []


def _features(group: Any) -> GeneList:
    """Genes among the features; the genome of a group of Cell Ranger 2 is that of all its genes."""
    if "features" not in group:
        ids = [name.decode() for name in read_text(group["genes"])]
        return GeneList.whole(ids, [name.decode() for name in read_text(group["gene_names"])])
    told = group["features"]
    columns = {name: [text.decode() for text in read_text(told[name])]
               for name in ("id", "name", "feature_type", "genome") if name in told}  # fmt: skip
    return human_genes(
        ids=columns["id"], names=columns["name"],
        types=columns.get("feature_type", ()), genomes=columns.get("genome", ()),
    )  # fmt: skip


def _columns(genes: GeneList) -> Any:
    columns = np.full(genes.n_features, -1, dtype=np.int64)
    columns[genes.rows] = np.arange(len(genes.ids))
    return columns


def _feature_name(genes: GeneList, feature: int) -> str:
    found = np.flatnonzero(genes.rows == feature)
    return genes.ids[int(found[0])] if found.size else f"feature {feature + 1}"


def _refuse_sizes(group: Any, genes: GeneList, *, n_cells: int, n_features: int, where: str) -> None:
    """Refuse parts that do not belong together."""
    n_entries, pointers = int(group["data"].shape[0]), group["indptr"]
    found = {
        "features": (genes.n_features, n_features), "cells": (n_cells, int(group["shape"][1])),
        "row pointers": (int(pointers.shape[0]), n_cells + 1), "first entry": (int(pointers[0]), 0),
        "last entry": (int(pointers[-1]), n_entries), "indices": (int(group["indices"].shape[0]), n_entries),
    }  # fmt: skip
    for what, (seen, expected) in found.items():
        if seen != expected:
            raise DataError(f"the sparse matrix is damaged: {what}", where=where, value=seen,
                            allowed=str(expected), mend=FETCH_AGAIN)  # fmt: skip
