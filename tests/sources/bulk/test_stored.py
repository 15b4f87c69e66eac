"""A matrix in a scratch file gives what an array gives, block by block."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consilience.foundation.errors import DataError
from consilience.foundation.seeds import stream
from consilience.sources.bulk.stored import (
    BLOCK,
    StoredMatrix,
    new_matrix,
    part,
    released,
    row_totals,
    whole,
    widened,
)
from consilience.sources.gdc.counts import join_counts
from fake_gdc import star_text
from sources.gdc.test_counts import files

N, P = 2 * BLOCK + 7, 700
COUNTS = stream(1, "stored").poisson(3.0, (N, P)).astype(np.int32)


def stored(path: Path, values: np.ndarray = COUNTS) -> StoredMatrix:
    matrix = new_matrix((values.shape[0], values.shape[1]), dtype=values.dtype, path=path)
    assert isinstance(matrix, StoredMatrix)
    for start in range(0, values.shape[0], 100):
        matrix[slice(start, min(start + 100, values.shape[0]))] = values[start : start + 100]
    return matrix


@pytest.fixture(scope="module")
def matrix(tmp_path_factory: pytest.TempPathFactory) -> StoredMatrix:
    return stored(tmp_path_factory.mktemp("stored") / "m.h5")


def places(n: int) -> st.SearchStrategy[slice | np.ndarray]:
    """A slice, or ascending positions, none too."""
    position = st.integers(0, n - 1)
    return st.one_of(
        st.tuples(position, position).map(lambda ends: slice(min(ends), max(ends))),
        st.lists(position, unique=True, max_size=40).map(
            lambda found: np.array(sorted(found), dtype=np.intp)
        ),
    )


@given(places(N), places(P))
def test_any_block_is_the_arrays(
    matrix: StoredMatrix, rows: slice | np.ndarray, columns: slice | np.ndarray
) -> None:
    np.testing.assert_array_equal(matrix[rows, columns], COUNTS[rows][:, columns])
    np.testing.assert_array_equal(matrix[rows], COUNTS[rows])
    assert matrix[rows, columns].dtype == np.int32


@given(places(N), places(P), st.integers(0, 30), st.integers(0, 300))
def test_a_part_of_a_part_is_read_as_one(
    matrix: StoredMatrix, rows: slice | np.ndarray, columns: slice | np.ndarray, first: int, gene: int
) -> None:
    expected = part(COUNTS, rows=rows, columns=columns)
    found = part(part(matrix, rows=rows), columns=columns)
    assert isinstance(found, StoredMatrix)
    assert found.shape == expected.shape
    np.testing.assert_array_equal(found[first:, gene:], expected[first:, gene:])
    np.testing.assert_array_equal(row_totals(found), expected.sum(axis=1))


def test_a_wider_one_replaces_it_and_a_released_one_leaves_no_file(tmp_path: Path) -> None:
    narrow = stored(tmp_path / "m.h5")
    wide = widened(narrow)
    assert wide.dtype == np.int64
    assert not narrow.path.exists()
    np.testing.assert_array_equal(whole(wide), COUNTS)
    assert released(wide).shape == (0, P)
    assert not list(tmp_path.iterdir())


def test_an_array_that_was_released_is_not_kept_by_a_view() -> None:
    assert released(COUNTS).base is None
    assert released(COUNTS).shape == (0, P)


@pytest.mark.parametrize("shape", [(0, 5), (4, 0)])
def test_a_matrix_may_be_empty(tmp_path: Path, shape: tuple[int, int]) -> None:
    empty = new_matrix(shape, dtype=np.int32, path=tmp_path / "m.h5")
    assert empty[:].shape == shape
    assert row_totals(empty).tolist() == [0] * shape[0]


def test_a_full_disk_is_met_before_hdf5_meets_it(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="the disk is full"):
        new_matrix((1 << 20, 1 << 30), dtype=np.int32, path=tmp_path / "m.h5")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("large_at", [None, 3, 70, 129])
def test_gdc_files_gathered_in_a_file_are_those_gathered_in_memory(
    tmp_path: Path, large_at: int | None
) -> None:
    """130 files, three blocks; the first count beyond int32 may come in any of them."""
    rng = stream(2, "files")
    texts = [star_text(rng.integers(0, 99, 3).tolist(), unassigned=[k, 1, 2, 3]) for k in range(130)]
    if large_at is not None:
        texts[large_at] = star_text((2**40, 1, 2))
    listed, scratch = files(tmp_path, *texts), tmp_path / "scratch"
    scratch.mkdir()
    inside, outside = join_counts(listed), join_counts(listed, scratch=scratch)
    assert isinstance(inside.values, np.ndarray)
    assert isinstance(outside.values, StoredMatrix)
    assert outside.values.dtype == inside.values.dtype == (np.int32 if large_at is None else np.int64)
    np.testing.assert_array_equal(whole(outside.values), inside.values)
    assert len(list(scratch.iterdir())) == 1
    for name, values in inside.shares().items():
        np.testing.assert_array_equal(outside.shares()[name], values)
    if large_at is not None:
        assert inside.values[large_at, 0] == 2**40
