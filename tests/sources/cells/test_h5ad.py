"""Readers of h5ad files: every storage and layout gives the same counts, and what is no count is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from scipy import sparse

from consilience.foundation.errors import DataError
from consilience.sources.cells.h5ad import open_h5ad
from consilience.sources.cells.matrix import MemoryCounts, kept_in_memory

N_CELLS, N_GENES = 300, 40
TEXT = h5py.string_dtype()


def some_counts(seed: int = 0) -> sparse.csr_matrix:
    rng = np.random.default_rng(seed)
    return sparse.csr_matrix(rng.poisson(0.4, (N_CELLS, N_GENES)).astype(np.int32))


def strings(group: h5py.Group, name: str, values: list[str]) -> None:
    group.create_dataset(name, data=np.array(values, dtype=object), dtype=TEXT)


def sparse_group(file: h5py.File, key: str, matrix: Any, kind: str = "csr", dtype: str = "f4") -> None:
    group = file.create_group(key)
    group.attrs.update(
        {"encoding-type": f"{kind}_matrix", "encoding-version": "0.1.0", "shape": matrix.shape}
    )
    for name in ("data", "indices", "indptr"):
        values = getattr(matrix, name)
        group.create_dataset(name, data=values.astype(dtype) if name == "data" else values)


def frames(file: h5py.File, n_cells: int = N_CELLS, n_genes: int = N_GENES) -> None:
    for name, n, stem in (("obs", n_cells, "cell"), ("var", n_genes, "gene")):
        group = file.create_group(name)
        group.attrs.update({"_index": "_index", "encoding-type": "dataframe", "encoding-version": "0.2.0"})
        group.attrs.create("column-order", np.array([], dtype=object), dtype=TEXT)
        strings(group, "_index", [f"{stem}{k}" for k in range(n)])


def as_matrix(path: Path, size: int = 64) -> sparse.csr_matrix:
    return sparse.vstack([block for _, block in open_h5ad(path).blocks(size)], format="csr")


def same(first: Any, second: Any) -> bool:
    return bool((first != second).nnz == 0) and first.shape == second.shape


@pytest.mark.parametrize("storage", ["csr", "csc", "dense"])
@pytest.mark.parametrize("dtype", ["f4", "f8", "i8", "u2"])
def test_every_storage_gives_the_same_counts(tmp_path: Path, storage: str, dtype: str) -> None:
    counts = some_counts()
    with h5py.File(tmp_path / "a.h5ad", "w") as file:
        frames(file)
        if storage == "dense":
            file["X"] = counts.toarray().astype(dtype)
        else:
            sparse_group(file, "X", counts.tocsc() if storage == "csc" else counts, storage, dtype)
    assert same(as_matrix(tmp_path / "a.h5ad"), counts)


@pytest.mark.parametrize("size", [1, 7, 299, 300, 5000])
def test_block_size_changes_nothing(tmp_path: Path, size: int) -> None:
    counts = some_counts()
    with h5py.File(tmp_path / "a.h5ad", "w") as file:
        frames(file)
        sparse_group(file, "X", counts)
    matrix = open_h5ad(tmp_path / "a.h5ad")
    blocks = list(matrix.blocks(size))
    assert [start for start, _ in blocks] == list(range(0, N_CELLS, size))
    assert same(sparse.vstack([block for _, block in blocks]), counts)
    in_memory = kept_in_memory(matrix.counts)
    assert isinstance(in_memory, MemoryCounts)
    assert all(
        same(mine, theirs) for (_, mine), (_, theirs) in zip(blocks, in_memory.blocks(size), strict=True)
    )


def test_only_wanted_blocks_are_read(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5ad", "w") as file:
        frames(file)
        sparse_group(file, "X", some_counts())
    wanted = np.zeros(N_CELLS, dtype=bool)
    wanted[[130, 290]] = True
    assert [start for start, _ in open_h5ad(tmp_path / "a.h5ad").blocks(64, wanted)] == [128, 256]


def test_counts_are_found_where_they_are(tmp_path: Path) -> None:
    counts = some_counts()
    normalised = counts.astype(np.float64).log1p()
    with h5py.File(tmp_path / "layer.h5ad", "w") as file:
        frames(file)
        sparse_group(file, "X", normalised)
        sparse_group(file, "layers/counts", counts)
    with h5py.File(tmp_path / "raw.h5ad", "w") as file:
        frames(file, n_genes=10)
        sparse_group(file, "X", normalised[:, :10].tocsr())
        sparse_group(file, "raw/X", counts)
        file["raw"].create_group("var")
        strings(file["raw/var"], "_index", [f"raw{k}" for k in range(N_GENES)])
        file["raw/var"].attrs.update({"_index": "_index"})
    assert same(as_matrix(tmp_path / "layer.h5ad"), counts)
    raw = open_h5ad(tmp_path / "raw.h5ad")
    assert raw.genes[:2] == ("raw0", "raw1")
    assert same(as_matrix(tmp_path / "raw.h5ad"), counts)


def test_normalised_values_are_refused_with_what_was_found(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5ad", "w") as file:
        frames(file)
        sparse_group(file, "X", some_counts().astype(np.float64).log1p())
    with pytest.raises(DataError, match=r"holds no raw counts: X \(not raw counts: cell 'cell"):
        open_h5ad(tmp_path / "a.h5ad")


@pytest.mark.parametrize("value", [1.5, -1.0, np.nan, np.inf, 3e9])
@pytest.mark.parametrize("storage", ["csr", "csc", "dense"])
def test_a_single_bad_value_far_inside_names_cell_and_gene(
    tmp_path: Path, value: float, storage: str
) -> None:
    counts = some_counts().astype(np.float64).tolil()
    counts[100, 17] = value
    counts = counts.tocsr()
    with h5py.File(tmp_path / "a.h5ad", "w") as file:
        frames(file)
        if storage == "dense":
            file["X"] = counts.toarray()
        else:
            sparse_group(file, "X", counts.tocsc() if storage == "csc" else counts, storage, "f8")
    with pytest.raises(DataError, match=r"cell 'cell100'.*gene 'gene17'"):
        list(open_h5ad(tmp_path / "a.h5ad").blocks(64))


def test_damaged_structure_is_refused(tmp_path: Path) -> None:
    def write(name: str, change: Any) -> Path:
        counts = some_counts()
        with h5py.File(tmp_path / name, "w") as file:
            frames(file)
            sparse_group(file, "X", counts)
            change(file)
        return tmp_path / name

    def index_outside(file: h5py.File) -> None:
        file["X/indices"][1000] = N_GENES

    def pointers_back(file: h5py.File) -> None:
        file["X/indptr"][150] = 10**6

    def wrong_shape(file: h5py.File) -> None:
        file["X"].attrs["shape"] = (N_CELLS, N_GENES + 1)

    def cut_data(file: h5py.File) -> None:
        values = file["X/data"][:-5]
        del file["X/data"]
        file["X/data"] = values

    for k, change in enumerate((index_outside, pointers_back, wrong_shape, cut_data)):
        with pytest.raises(DataError, match=r"damaged|does not fit"):
            list(open_h5ad(write(f"{k}.h5ad", change)).blocks(64))


def test_entries_in_any_order_and_given_twice_become_canonical(tmp_path: Path) -> None:
    counts = sparse.csr_matrix(
        (np.array([1, 2, 3, 4]), np.array([5, 2, 2, 0]), np.array([0, 3, 4])), shape=(2, N_GENES)
    )
    with h5py.File(tmp_path / "a.h5ad", "w") as file:
        frames(file, n_cells=2)
        sparse_group(file, "X", counts)
    found = as_matrix(tmp_path / "a.h5ad")
    assert found.has_canonical_format
    assert same(found, sparse.csr_matrix(counts.toarray()))


def test_phenotypes_of_today(tmp_path: Path) -> None:
    import anndata
    import pandas as pd

    obs = pd.DataFrame({
        "donor": pd.Categorical(["a", "b", None] * 100), "text": [f"t{k % 3}" for k in range(N_CELLS)],
        "age": np.where(np.arange(N_CELLS) % 2, 65.0, np.nan), "n": np.arange(N_CELLS),
        "flag": np.arange(N_CELLS) % 2 == 0, "maybe": pd.array([1, None, 3] * 100, dtype="Int64"),
    }, index=[f"cell{k}" for k in range(N_CELLS)])  # fmt: skip
    data = anndata.AnnData(some_counts().astype(np.float32), obs=obs)
    data.var_names = [f"gene{k}" for k in range(N_GENES)]
    data.write_h5ad(tmp_path / "a.h5ad")
    columns = open_h5ad(tmp_path / "a.h5ad").columns
    assert list(columns) == list(obs)
    assert columns["donor"].text()[:4] == ["a", "b", "", "a"]
    assert columns["text"].text()[:4] == ["t0", "t1", "t2", "t0"]
    assert columns["age"].text()[:3] == ["", "65", ""]
    assert np.array_equal(columns["age"].numbers(), obs["age"], equal_nan=True)
    assert columns["n"].text()[:2] == ["0", "1"]
    assert columns["flag"].text()[:2] == ["True", "False"]
    assert columns["maybe"].text()[:3] == ["1", "", "3"]
    with pytest.raises(KeyError):
        columns["sex"]


def test_phenotypes_of_old_files(tmp_path: Path) -> None:
    counts = some_counts()
    with h5py.File(tmp_path / "v06.h5ad", "w") as file:
        kind = np.dtype([("index", "S8"), ("donor", "i1"), ("age", "f4")])
        obs = np.zeros(N_CELLS, dtype=kind)
        obs["index"], obs["donor"] = [f"cell{k}".encode() for k in range(N_CELLS)], np.arange(N_CELLS) % 2
        obs["age"] = 50
        file["obs"] = obs
        file["var"] = np.array([(f"gene{k}".encode(),) for k in range(N_GENES)], dtype=[("index", "S8")])
        file.create_group("uns")["donor_categories"] = np.array([b"D1", b"D2"])
        group = file.create_group("X")
        group.attrs.update({"h5sparse_format": "csr", "h5sparse_shape": counts.shape})
        for name in ("data", "indices", "indptr"):
            group[name] = getattr(counts, name)
    old = open_h5ad(tmp_path / "v06.h5ad")
    assert list(old.columns) == ["donor", "age"]
    assert old.columns["donor"].text()[:3] == ["D1", "D2", "D1"]
    assert old.columns["age"].text()[0] == "50"
    assert same(as_matrix(tmp_path / "v06.h5ad"), counts)

    with h5py.File(tmp_path / "v07.h5ad", "w") as file:
        frames(file)
        sparse_group(file, "X", counts)
        strings(file["obs"].create_group("__categories"), "donor", ["D1", "D2"])
        file["obs/donor"] = (np.arange(N_CELLS) % 2).astype(np.int8)
        file["obs/donor"].attrs["categories"] = file["obs/__categories/donor"].ref
        file["obs"].attrs.create("column-order", np.array(["donor"], dtype=object), dtype=TEXT)
    assert open_h5ad(tmp_path / "v07.h5ad").columns["donor"].text()[:3] == ["D1", "D2", "D1"]


def test_ensembl_ids_are_preferred(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5ad", "w") as file:
        frames(file)
        sparse_group(file, "X", some_counts())
        strings(file["var"], "gene_id", [f"ENSG{k:011d}" for k in range(N_GENES)])
        file["var"].attrs.create("column-order", np.array(["gene_id"], dtype=object), dtype=TEXT)
    matrix = open_h5ad(tmp_path / "a.h5ad")
    assert matrix.genes[1] == "ENSG00000000001"
    assert matrix.gene_names[1] == "gene1"


def test_what_is_no_h5ad_is_refused_by_name(tmp_path: Path) -> None:
    contents = {"empty": b"", "page": b"<!DOCTYPE html><html>sorry</html>", "text": b"gene\tA\n" * 99}
    for name, content in contents.items():
        path = tmp_path / f"{name}.h5ad"
        path.write_bytes(content)
        with pytest.raises(DataError, match=f"{name}.h5ad"):
            open_h5ad(path)
    with h5py.File(tmp_path / "other.h5ad", "w") as file:
        file["table"] = np.arange(3)
    with pytest.raises(DataError, match="no 'obs': not an h5ad file"):
        open_h5ad(tmp_path / "other.h5ad")


def test_a_large_column_wise_matrix_is_refused_with_its_cost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("consilience.sources.cells.h5_counts.TURNED_ENTRIES", 10)
    with h5py.File(tmp_path / "a.h5ad", "w") as file:
        frames(file)
        sparse_group(file, "X", some_counts().tocsc(), "csc")
    with pytest.raises(DataError, match=r"gene by gene \(CSC\).*GB.*tocsr"):
        open_h5ad(tmp_path / "a.h5ad")
