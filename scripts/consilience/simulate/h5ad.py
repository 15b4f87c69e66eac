"""One .h5ad file written by appending: raw counts in X (CSR), phenotypes in obs; memory does not grow."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from consilience.foundation.files import require_space
from consilience.simulate.cells import Block

if TYPE_CHECKING:
    import h5py

CHUNK = 1 << 16


def write_h5ad(path: Path, blocks: Iterable[Block], *, symbols: list[str], ensembl_ids: list[str]) -> None:
    """Write blocks in order to an anndata file (on-disk format 0.1.0)."""
    import h5py

    with h5py.File(path, "w") as file:
        _mark(file, "anndata", "0.1.0")
        matrix, obs = file.create_group("X"), file.create_group("obs")
        parts = {name: _growing(matrix, name, kind) for name, kind in (("data", "f4"), ("indices", "i4"))}
        index = _growing(obs, "_index", h5py.string_dtype())
        codes: dict[str, h5py.Dataset] = {}
        categories: dict[str, dict[str, int]] = {}
        indptr: list[np.ndarray[Any, np.dtype[np.int64]]] = [np.zeros(1, dtype=np.int64)]
        for block in blocks:
            require_space(path, block.counts.genes.size * 8 + len(block.barcodes) * 64)
            _append(parts["data"], block.counts.values.astype(np.float32))
            _append(parts["indices"], block.counts.genes)
            indptr.append(block.counts.indptr[1:] + indptr[-1][-1])
            _append(index, np.array(block.barcodes, dtype=object))
            for name, values in block.columns.items():
                if name not in codes:
                    group = obs.create_group(name)
                    codes[name], categories[name] = _growing(group, "codes", "i4"), {}
                known = categories[name]
                _append(
                    codes[name], np.array([known.setdefault(v, len(known)) for v in values], dtype=np.int32)
                )
        rows = np.concatenate(indptr)
        matrix.create_dataset("indptr", data=rows)
        _mark(matrix, "csr_matrix", "0.1.0")
        matrix.attrs["shape"] = np.array([rows.size - 1, len(symbols)], dtype=np.int64)
        _finish_frame(obs, list(codes))
        for name, known in categories.items():
            _finish_categories(obs[name], list(known))
        _write_genes(file.create_group("var"), symbols=symbols, ensembl_ids=ensembl_ids)


def _mark(item: Any, kind: str, version: str) -> None:
    item.attrs["encoding-type"] = kind
    item.attrs["encoding-version"] = version


def _growing(group: Any, name: str, kind: Any) -> Any:
    return group.create_dataset(
        name,
        shape=(0,),
        maxshape=(None,),
        chunks=(CHUNK,),
        dtype=kind,
        compression="gzip",
        compression_opts=1,
    )


def _append(dataset: Any, values: Any) -> None:
    start = dataset.shape[0]
    dataset.resize((start + len(values),))
    dataset[start:] = values


def _finish_frame(group: Any, columns: list[str]) -> None:
    import h5py

    _mark(group, "dataframe", "0.2.0")
    _mark(group["_index"], "string-array", "0.2.0")
    group.attrs["_index"] = "_index"
    group.attrs.create("column-order", np.array(columns, dtype=object), dtype=h5py.string_dtype())


def _finish_categories(group: Any, names: list[str]) -> None:
    import h5py

    _mark(group, "categorical", "0.2.0")
    group.attrs["ordered"] = False
    _mark(group["codes"], "array", "0.2.0")
    words = group.create_dataset("categories", data=np.array(names, dtype=object), dtype=h5py.string_dtype())
    _mark(words, "string-array", "0.2.0")


def _write_genes(group: Any, *, symbols: list[str], ensembl_ids: list[str]) -> None:
    import h5py

    for name, values in (("_index", symbols), ("gene_id", ensembl_ids)):
        column = group.create_dataset(name, data=np.array(values, dtype=object), dtype=h5py.string_dtype())
        _mark(column, "string-array", "0.2.0")
    _finish_frame(group, ["gene_id"])
