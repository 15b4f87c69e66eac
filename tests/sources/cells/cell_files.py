"""The same small cohort of cells written in every format that readers know."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from scipy import sparse

from consilience.sources.cells.matrix import CellMatrix
from consilience.sources.cells.read import read_cells
from consilience.sources.raw_folder import raw_folder_of
from consilience.study.cohorts import Cohort

COHORT = Cohort(name="c", kind="single_cell", source="local")
TEXT = h5py.string_dtype()
SYMBOLS = (
    "ACTB", "GAPDH", "B2M", "STAT1", "IRF1", "CD3D", "CD4", "CD8A", "MS4A1", "LYZ", "GNLY", "NKG7", "ISG15", "MX1",
    "IFI6", "CCL5", "CD14", "FCGR3A", "MT-CO1", "MT-ND1",
)  # fmt: skip


@dataclass(frozen=True)
class Truth:
    """What every file says: counts (cells, genes), barcodes, genes, donor of each cell."""

    counts: sparse.csr_matrix
    barcodes: tuple[str, ...]
    genes: tuple[str, ...] = SYMBOLS

    @property
    def donors(self) -> list[str]:
        return [f"D{k % 3}" for k in range(len(self.barcodes))]


def some_cells(n: int = 30, seed: int = 0) -> Truth:
    rng = np.random.default_rng(seed)
    counts = sparse.csr_matrix(rng.poisson(0.7, (n, len(SYMBOLS))).astype(np.int32))
    codes = rng.permutation(4**8)[:n]
    letters = ("".join("ACGT"[code >> 2 * k & 3] for k in range(8)) for code in codes)
    return Truth(counts, tuple(f"{text}-1" for text in letters))


def put(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(gzip.compress(text.encode(), mtime=0) if path.suffix == ".gz" else text.encode())
    return path


def strings(group: Any, name: str, values: Any) -> None:
    group.create_dataset(name, data=np.array(list(values), dtype=object), dtype=TEXT)


def write_mtx(folder: Path, truth: Truth, prefix: str = "") -> None:
    cells, genes = truth.counts.nonzero()
    lines = [f"{g + 1} {c + 1} {truth.counts[c, g]}\n" for c, g in zip(cells, genes, strict=True)]
    head = f"%%MatrixMarket matrix coordinate integer general\n{len(truth.genes)} {len(truth.barcodes)} {len(lines)}\n"
    put(folder / f"{prefix}matrix.mtx.gz", head + "".join(lines))
    put(folder / f"{prefix}features.tsv.gz", "".join(f"{g}\t{g}\tGene Expression\n" for g in truth.genes))
    put(folder / f"{prefix}barcodes.tsv.gz", "".join(f"{code}\n" for code in truth.barcodes))


def write_tenx_h5(
    path: Path, truth: Truth, *, version: int = 3, extra: int = 0, genome: str = "GRCh38"
) -> Path:
    """Version 2 or 3; with `extra` antibodies behind the genes (version 3)."""
    n_cells = len(truth.barcodes)
    counts = sparse.hstack([truth.counts, np.ones((n_cells, extra), dtype=np.int32)], format="csr")
    with h5py.File(path, "w") as file:
        group = file.create_group("matrix" if version == 3 else genome)
        group["barcodes"] = np.array([code.encode() for code in truth.barcodes])
        for name in ("data", "indices", "indptr"):
            group[name] = getattr(counts, name)
        group["shape"] = np.array([len(truth.genes) + extra, n_cells])
        names = [*truth.genes, *(f"antibody{k}" for k in range(extra))]
        if version == 2:
            group["genes"] = group["gene_names"] = np.array([name.encode() for name in names])
            return path
        features = group.create_group("features")
        features["id"] = features["name"] = np.array([name.encode() for name in names])
        kinds = ["Gene Expression"] * len(truth.genes) + ["Antibody Capture"] * extra
        features["feature_type"] = np.array([kind.encode() for kind in kinds])
        features["genome"] = np.array([genome.encode()] * len(truth.genes) + [b""] * extra)
    return path


def write_loom(
    path: Path, truth: Truth, *, chunks: tuple[int, int] | None = (8, 8), dtype: str = "i4"
) -> Path:
    values = truth.counts.T.toarray().astype(dtype)
    chunks = chunks and (min(chunks[0], values.shape[0]), min(chunks[1], values.shape[1]))
    with h5py.File(path, "w") as file:
        file.create_dataset("matrix", data=values, chunks=chunks)
        strings(file.create_group("row_attrs"), "Gene", truth.genes)
        strings(file.create_group("col_attrs"), "CellID", truth.barcodes)
        strings(file["col_attrs"], "donor", truth.donors)
        file["col_attrs/embedding"] = np.zeros((len(truth.barcodes), 2))
        file.create_group("layers")
    return path


def put_matrix(file: Any, key: str, matrix: Any, storage: str) -> None:
    if storage == "dense":
        file[key] = matrix.toarray().astype("f4")
        return
    turned = matrix.tocsc() if storage == "csc" else matrix.tocsr()
    group = file.create_group(key)
    group.attrs.update(
        {"encoding-type": f"{storage}_matrix", "encoding-version": "0.1.0", "shape": matrix.shape}
    )
    group["data"] = turned.data.astype("f4")
    group["indices"], group["indptr"] = turned.indices, turned.indptr


def write_h5ad(path: Path, truth: Truth, *, storage: str = "csr", place: str = "X") -> Path:
    """As anndata writes since 0.8; where the counts are not in X, X is their logarithm (of 5 genes for raw)."""
    with h5py.File(path, "w") as file:
        few = 5 if place.startswith("raw") else len(truth.genes)
        for frame, names in (("obs", truth.barcodes), ("var", truth.genes[:few])):
            group = file.create_group(frame)
            group.attrs.update(
                {"_index": "_index", "encoding-type": "dataframe", "encoding-version": "0.2.0"}
            )
            columns = np.array(["donor"] if frame == "obs" else [], dtype=object)
            group.attrs.create("column-order", columns, dtype=TEXT)
            strings(group, "_index", names)
        strings(file["obs"], "donor", truth.donors)
        if place != "X":
            put_matrix(file, "X", truth.counts.astype(float).log1p()[:, :few], storage)
        if place.startswith("raw"):
            put_matrix(file, "raw/X", truth.counts, storage)
            strings(file["raw"].create_group("var"), "_index", truth.genes)
            file["raw/var"].attrs["_index"] = "_index"
        else:
            put_matrix(file, place, truth.counts, storage)
    return path


def write_old_h5ad(path: Path, truth: Truth, *, storage: str = "csr", place: str = "X") -> Path:
    """As anndata 0.6 did: compound tables, codes whose levels lie in uns, raw.X and raw.var."""
    n = len(truth.barcodes)
    with h5py.File(path, "w") as file:
        obs = np.zeros(n, dtype=[("index", "S16"), ("donor", "i1")])
        obs["index"], obs["donor"] = [code.encode() for code in truth.barcodes], np.arange(n) % 3
        file["obs"] = obs
        file.create_group("uns")["donor_categories"] = np.array([b"D0", b"D1", b"D2"])
        var = np.array([(gene.encode(),) for gene in truth.genes], dtype=[("index", "S16")])
        places = (
            {"X": truth.counts.astype(float).log1p(), "raw.X": truth.counts}
            if place == "raw.X"
            else {"X": truth.counts}
        )
        for key, matrix in places.items():
            file["raw.var" if key == "raw.X" else "var"] = var
            if storage == "dense":
                file[key] = matrix.toarray().astype("f4")
                continue
            turned = matrix.tocsc() if storage == "csc" else matrix.tocsr()
            group = file.create_group(key)
            group.attrs.update({"h5sparse_format": storage, "h5sparse_shape": matrix.shape})
            group["data"], group["indices"], group["indptr"] = (
                turned.data.astype("f4"),
                turned.indices,
                turned.indptr,
            )
    return path


def write_table(
    path: Path, truth: Truth, *, genes_in_rows: bool, separator: str = ",", corner: bool = True
) -> Path:
    counts = truth.counts.toarray()
    rows, columns, values = (
        (truth.genes, truth.barcodes, counts.T) if genes_in_rows else (truth.barcodes, truth.genes, counts)
    )
    lines = [separator.join([*([""] if corner else []), *columns])]
    lines += [separator.join([row, *map(str, line)]) for row, line in zip(rows, values.tolist(), strict=True)]
    return put(path, "\n".join(lines) + "\n")


def read(root: Path, scratch: Path | None = None) -> CellMatrix:
    """Read a folder as `prepare` does."""
    files = tuple((p.relative_to(root).as_posix(), p) for p in sorted(root.rglob("*")) if p.is_file())
    scratch = scratch or root.parent / "scratch"
    scratch.mkdir(exist_ok=True)
    return read_cells(raw_folder_of(root, files), cohort=COHORT, scratch=scratch)


def counts_of(matrix: CellMatrix, size: int = 7) -> sparse.csr_matrix:
    return sparse.vstack([block for _, block in matrix.blocks(size)], format="csr")


def same(first: Any, second: Any) -> bool:
    return first.shape == second.shape and (first != second).nnz == 0


Writer = Callable[[Path, Truth], object]
ONE_FILE: dict[str, Writer] = {
    "10x_mtx": lambda folder, truth: write_mtx(folder, truth),
    "10x_h5_v2": lambda folder, truth: write_tenx_h5(folder / "a.h5", truth, version=2),
    "10x_h5_v3": lambda folder, truth: write_tenx_h5(folder / "a.h5", truth, extra=2),
    "loom": lambda folder, truth: write_loom(folder / "a.loom", truth),
    "loom_contiguous": lambda folder, truth: write_loom(folder / "a.loom", truth, chunks=None, dtype="f4"),
    "csv_genes": lambda folder, truth: write_table(folder / "a.csv.gz", truth, genes_in_rows=True),
    "csv_cells": lambda folder, truth: write_table(folder / "a.csv", truth, genes_in_rows=False),
    "tsv_genes_r": lambda folder, truth: write_table(
        folder / "a.txt.gz", truth, genes_in_rows=True, separator="\t", corner=False
    ),
} | {
    f"{name}_{storage}_{place.replace('/', '_')}": (
        lambda folder, truth, write=write, storage=storage, place=place: write(
            folder / "a.h5ad", truth, storage=storage, place=place
        )
    )
    for name, write, places in (
        ("h5ad", write_h5ad, ("X", "raw/X", "layers/counts")), ("old_h5ad", write_old_h5ad, ("X", "raw.X")),
    )
    for storage in ("csr", "csc", "dense")
    for place in places
}  # fmt: skip
WITH_DONOR = tuple(name for name in ONE_FILE if "h5ad" in name or "loom" in name)
