"""Matrices stored gene by gene, turned round on disk: what scipy makes of them in memory."""

from __future__ import annotations

import tempfile
from pathlib import Path

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from consilience.foundation.errors import DataError
from consilience.sources.cells.h5ad import open_h5ad
from consilience.sources.cells.turn import Entries, turn_round
from sources.cells.cell_files import counts_of, read, same, some_cells, write_h5ad


def pieces_of(matrix: sparse.csc_matrix, size: int) -> list[Entries]:
    """Entries gene by gene, in pieces."""
    entries = matrix.tocoo()
    order = np.lexsort((entries.row, entries.col))
    parts = [order[start : start + size] for start in range(0, order.size, size)]
    return [Entries(entries.row[p], entries.col[p], entries.data[p].astype(np.int32)) for p in parts]


@given(
    cells=st.integers(1, 40), genes=st.integers(1, 12), density=st.floats(0, 1), piece=st.integers(1, 50),
    band=st.integers(1, 60), seed=st.integers(0, 999),
)  # fmt: skip
@settings(max_examples=80)
def test_any_matrix_piece_and_band(
    cells: int, genes: int, density: float, piece: int, band: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    counts = sparse.csr_matrix(
        np.where(rng.random((cells, genes)) < density, rng.integers(1, 9, (cells, genes)), 0)
    )
    with tempfile.TemporaryDirectory() as folder:
        path, n = turn_round(
            lambda: iter(pieces_of(counts.tocsc(), piece)), n_cells=cells, n_genes=genes, folder=Path(folder) / "t",
            band_entries=band,
        )  # fmt: skip
        assert sorted(one.name for one in path.parent.iterdir()) == ["turned.h5"]
        with h5py.File(path) as file:
            found = sparse.csr_matrix(
                (file["data"][()], file["indices"][()], file["indptr"][()]), (cells, genes)
            )
    assert n == counts.nnz
    assert found.has_canonical_format
    assert same(found, counts)


def test_a_large_column_wise_h5ad_is_turned_on_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("consilience.sources.cells.h5_counts.CACHED_ENTRIES", 10)
    monkeypatch.setattr("consilience.sources.cells.h5_counts.PIECE", 37)
    monkeypatch.setattr("consilience.sources.cells.h5_counts.turn_round.__kwdefaults__", {"band_entries": 50})
    truth = some_cells(200)
    (tmp_path / "raw").mkdir()
    write_h5ad(tmp_path / "raw" / "a.h5ad", truth, storage="csc", place="raw/X")
    matrix = read(tmp_path / "raw")
    assert type(matrix.counts).__name__ == "SparseRows"
    assert matrix.counts.path.is_relative_to(tmp_path / "scratch")
    assert same(counts_of(matrix), truth.counts)


@pytest.mark.parametrize(
    ("part", "value", "message"),
    [
        ("data", 1.5, r"cell '[ACGT]+-1', gene '\w"),
        ("indices", 200, "a cell outside"),
        ("indices", -1, "a cell outside"),
    ],
)
def test_what_is_wrong_in_it_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, part: str, value: float, message: str
) -> None:
    monkeypatch.setattr("consilience.sources.cells.h5_counts.CACHED_ENTRIES", 10)
    path = write_h5ad(tmp_path / "a.h5ad", some_cells(200), storage="csc")
    with h5py.File(path, "r+") as file:
        file[f"X/{part}"][1000] = value
    with pytest.raises(DataError, match=message):
        open_h5ad(path, scratch=tmp_path / "scratch")
