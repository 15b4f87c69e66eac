import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from consilience.foundation.errors import DataError
from consilience.measures import distances as module
from consilience.measures.distances import (
    blocks,
    canonical_order,
    correlation_space,
    distances,
    mean_pairwise,
    nearest,
    pairwise,
    standard_space,
)

matrices = hnp.arrays(np.float32, (7, 4), elements=st.floats(-50, 50, width=32))


def slow(a, b):
    return np.array([[np.sqrt(((x.astype(float) - y.astype(float)) ** 2).sum()) for y in b] for x in a])


@given(matrices, matrices)
def test_distances_are_those_of_the_definition(a, b):
    assert np.allclose(distances(a=a, b=b), slow(a, b), atol=1e-4)
    own = pairwise(a)
    assert (own == own.T).all()
    assert (np.diag(own) == 0).all()
    assert mean_pairwise(a) == pytest.approx(slow(a, a).sum() / 42, abs=1e-4)


@given(matrices, matrices, st.integers(1, 7))
def test_neighbours_are_those_of_a_full_sort(queries, references, k):
    found = nearest(queries=queries, references=references, k=k)
    assert np.allclose(found.distance, np.sort(slow(queries, references), axis=1)[:, :k], atol=1e-4)
    assert np.allclose(
        np.take_along_axis(slow(queries, references), found.place, axis=1), found.distance, atol=1e-4
    )


def test_blocks_change_nothing_and_cover_everything(monkeypatch):
    rng = np.random.default_rng(1)
    a, b = rng.standard_normal((23, 5)), rng.standard_normal((11, 5))
    whole, near = distances(a=a, b=b), nearest(queries=a, references=b, k=3)
    monkeypatch.setattr(module, "BLOCK_ENTRIES", 50)
    assert len(blocks(23, width=11)) > 4
    assert np.allclose(distances(a=a, b=b), whole)
    assert (nearest(queries=a, references=b, k=3).place == near.place).all()


def test_a_copy_is_at_distance_zero_even_far_from_the_origin():
    values = (1e4 + np.random.default_rng(0).standard_normal((40, 2000)) * 1e-2).astype(np.float32)
    found = nearest(queries=values[:5], references=values, k=1)
    assert (found.distance == 0).all()
    assert (found.place[:, 0] == np.arange(5)).all()


def test_rows_of_one_mark_do_not_see_each_other():
    values = np.array([[0.0], [0.1], [5.0], [5.2]])
    donors = np.array(["a", "a", "b", "b"])
    found = nearest(queries=values, references=values, k=3, apart=(donors, donors))
    assert found.place.tolist() == [[2, 3, -1], [2, 3, -1], [1, 0, -1], [1, 0, -1]]
    assert np.isinf(found.distance[:, 2]).all()


def test_equal_distances_are_resolved_by_row():
    references = np.array([[1.0], [-1.0], [1.0], [-1.0]])
    assert nearest(queries=np.zeros((1, 1)), references=references, k=3).place.tolist() == [[0, 1, 2]]


def test_bad_input_is_named():
    with pytest.raises(DataError, match="same genes"):
        distances(a=np.zeros((2, 3)), b=np.zeros((2, 4)))
    with pytest.raises(DataError, match="1 to 2"):
        nearest(queries=np.zeros((2, 3)), references=np.zeros((2, 3)), k=3)
    with pytest.raises(DataError, match="constant"):
        standard_space(np.ones((5, 3)))


def test_canonical_order_depends_on_content_only():
    rng = np.random.default_rng(0)
    values = rng.standard_normal((30, 3)).astype(np.float32)
    shuffled = values[rng.permutation(30)]
    assert (values[canonical_order(values)] == shuffled[canonical_order(shuffled)]).all()


def test_correlation_space_gives_correlations_of_standardised_profiles():
    rng = np.random.default_rng(0)
    pool = rng.standard_normal((12, 30)) * rng.uniform(0.1, 9, 30) + 5
    z = (pool - pool.mean(axis=0)) / pool.std(axis=0)
    placed = correlation_space(pool)(pool)
    assert np.allclose(pairwise(placed) ** 2, 2 * (1 - np.corrcoef(z)), atol=1e-9)
