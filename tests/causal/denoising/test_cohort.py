"""Reading cells: both kinds of storage, any order, bad input named."""

from __future__ import annotations

import numpy as np
import pytest

from causal.denoising.small_cells import cells, permuted, write
from consilience.causal.denoising.cohort import open_cells, pools, read_pool
from consilience.causal.denoising.folds import donor_groups
from consilience.foundation.errors import DataError


def test_pool_is_the_same_for_any_order_storage_and_block(tmp_path):
    counts, _, obs = cells(n_donors=3, per_donor=15, n_genes=20)
    rng = np.random.default_rng(1)
    rows, genes = rng.permutation(len(counts)), rng.permutation(20)
    first = open_cells(write(tmp_path / "a.h5ad", counts, obs), genes=12)
    shuffled, other_obs = permuted(counts, obs, rows, genes)
    names = [f"G{number:03d}" for number in genes]
    second = open_cells(write(tmp_path / "b.h5ad", shuffled, other_obs, genes=names, with_x=False), genes=12)
    assert first.genes == second.genes == tuple(sorted(first.genes))
    for one, two in zip(
        *(pools(x, np.ones(45, bool), size=20, seed=3) for x in (first, second)), strict=True
    ):
        a, b = read_pool(first, one), read_pool(second, two, size=7)
        assert (first.expression.names[a.rows] == second.expression.names[b.rows]).all()
        assert (a.counts != b.counts).nnz == 0


def test_pools_deal_every_allowed_cell_once(tmp_path):
    counts, _, obs = cells(n_donors=4, per_donor=25, n_genes=15)
    one = open_cells(write(tmp_path / "a.h5ad", counts, obs), genes=0)
    allowed = one.donor != 2
    dealt = pools(one, allowed, size=30, seed=0)
    assert len(dealt) == 3
    assert sorted(np.concatenate(dealt)) == np.flatnonzero(allowed).tolist()
    assert max(map(len, dealt)) - min(map(len, dealt)) <= 1


def test_most_variable_genes_are_taken(tmp_path):
    counts, _, obs = cells(n_donors=2, per_donor=20, n_genes=30)
    counts[:, 7] = 0
    one = open_cells(write(tmp_path / "a.h5ad", counts, obs), genes=11)
    wanted = np.sort(np.argsort(-counts.var(axis=0), kind="stable")[:11])
    assert one.columns.tolist() == wanted.tolist()
    assert 7 not in open_cells(tmp_path / "a.h5ad", genes=0).columns  # never seen: nothing to learn


@pytest.mark.parametrize("bad", [np.nan, -1.0, 0.5, np.inf])
def test_what_is_no_count_is_named(tmp_path, bad):
    counts, _, obs = cells(n_donors=2, per_donor=10, n_genes=15)
    counts = counts.astype(float)
    counts[3, 4] = bad
    with np.errstate(invalid="ignore"):
        path = write(tmp_path / "a.h5ad", counts, obs, dtype=np.float64)
    one = open_cells(path, genes=0)
    with pytest.raises(DataError, match=f"cell {obs.index[3]}, gene G004: not a count"):
        list(one.blocks())


@pytest.mark.parametrize("bad", [0.0, np.nan, -2.0])
def test_bad_size_factor_is_named(tmp_path, bad):
    counts, _, obs = cells(n_donors=2, per_donor=10, n_genes=15)
    obs.iloc[5, obs.columns.get_loc("size_factor")] = bad
    with pytest.raises(DataError, match=f"cell {obs.index[5]}: not a size factor"):
        open_cells(write(tmp_path / "a.h5ad", counts, obs), genes=0)


def test_missing_donors_and_too_few_genes_are_refused(tmp_path):
    counts, _, obs = cells(n_donors=2, per_donor=10, n_genes=15)
    with pytest.raises(DataError, match="cells without a donor"):
        open_cells(write(tmp_path / "a.h5ad", counts, obs.drop(columns="donor")), genes=0)
    with pytest.raises(DataError, match="too few genes"):
        open_cells(write(tmp_path / "b.h5ad", counts[:, :5], obs), genes=0)
    with pytest.raises(DataError, match="genes of the model are not in the file; found 'G999'"):
        open_cells(write(tmp_path / "c.h5ad", counts, obs), genes=0).of_genes(("G001", "G999"))


def test_folds_depend_on_names_alone():
    donors = tuple(f"D{number}" for number in range(11))
    found = donor_groups(donors, folds=3, seed=4)
    assert np.bincount(found).tolist() == [4, 4, 3]
    turned = donor_groups(donors[::-1], folds=3, seed=4)
    assert turned[::-1].tolist() == found.tolist()
    assert donor_groups(donors, folds=3, seed=5).tolist() != found.tolist()
    assert donor_groups(("one",), folds=3, seed=1).tolist() == [0]
    assert sorted(donor_groups(("a", "b"), folds=5, seed=1)) == [0, 1]
