"""Blocks of neighbours, their strata, and dealing them anew."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from consilience.causal.concordance.blocks import LONGEST, ld_blocks, strata_of_blocks
from consilience.causal.concordance.permutation import dealt, null_correlations, p_of, p_of_greatest


def test_neighbours_are_a_block_and_genes_without_a_place_are_alone() -> None:
    block = ld_blocks(
        chromosome=["1", "1", "1", "2", "", "1"],
        position=np.array([1e6, 1.5e6, 9e6, 1.2e6, np.nan, np.nan]),
        block_kb=1000,
    )
    assert block[0] == block[1]
    assert len(set(block.tolist())) == 5


@given(st.lists(st.floats(0, 3e7), min_size=1, max_size=60), st.randoms())
def test_blocks_neither_span_too_much_nor_depend_on_order(places: list[float], random) -> None:
    position = np.array(places)
    block = ld_blocks(chromosome=["7"] * len(places), position=position, block_kb=1000)
    for one in np.unique(block):
        assert np.ptp(position[block == one]) <= LONGEST * 1e6
    for a, b in pairwise(np.unique(block)):
        assert position[block == a].max() <= position[block == b].min()
    order = list(range(len(places)))
    random.shuffle(order)
    again = ld_blocks(chromosome=["7"] * len(places), position=position[order], block_kb=1000)
    assert (again == block[order]).all()


def test_far_genes_are_never_one_block_and_chains_are_cut() -> None:
    apart = ld_blocks(chromosome=["1"] * 4, position=np.array([0, 1e6, 2e6, 3e6]), block_kb=1000)
    assert len(set(apart.tolist())) == 4
    chain = ld_blocks(chromosome=["1"] * 300, position=np.arange(300) * 3e5 + 1, block_kb=1000)
    assert len(set(chain.tolist())) > 20


def test_strata_hold_whole_blocks_ordered_by_expression() -> None:
    block = np.repeat(np.arange(20), 2)
    level = np.repeat(np.arange(20.0), 2) + np.tile([0.0, 0.3], 20)
    stratum = strata_of_blocks(level=level, block=block, n_strata=5)
    assert stratum.tolist() == np.repeat(np.arange(5), 8).tolist()
    assert (strata_of_blocks(level=np.full(40, np.nan), block=block, n_strata=5) == 0).all()


@given(st.integers(0, 10_000))
def test_a_deal_moves_blocks_within_strata(seed: int) -> None:
    block = np.repeat(np.arange(8), [3, 1, 2, 1, 4, 1, 2, 2])
    stratum = (block >= 4).astype(int)
    (deal,) = dealt(block=block, stratum=stratum, n=5, seed=seed)
    for row in deal:
        assert sorted(row) == list(range(16))
        assert (stratum[row] == stratum).all()
        moved = block[row]
        # genes of a block stay side by side and in order
        assert sum(a != b for a, b in pairwise(moved)) == 7
        assert all(np.all(np.diff(row[moved == one]) == 1) for one in range(8))


def test_the_same_deals_however_many_are_asked_for() -> None:
    block = np.arange(30)
    few = np.concatenate(list(dealt(block=block, stratum=block * 0, n=260, seed=3)))
    more = np.concatenate(list(dealt(block=block, stratum=block * 0, n=400, seed=3)))
    assert (few == more[:260]).all()
    assert len(more) == 400


def test_null_correlations_are_those_of_each_deal() -> None:
    rng = np.random.default_rng(1)
    x, y = rng.normal(size=30), rng.normal(size=(3, 30))
    y[1, :10] = np.nan
    y[2] = np.nan
    block = np.repeat(np.arange(15), 2)
    null = null_correlations(x=x, y=y, block=block, stratum=block * 0, n=20, seed=1)
    (deal,) = dealt(block=block, stratum=block * 0, n=20, seed=1)
    for row, found in zip(deal, null, strict=True):
        assert found[0] == pytest.approx(np.corrcoef(x[row], y[0])[0, 1])
        assert found[1] == pytest.approx(np.corrcoef(x[row][10:], y[1, 10:])[0, 1])
        assert np.isnan(found[2])


def test_p_values_count_themselves_and_no_type_without_figures() -> None:
    null = np.array([[0.1, np.nan], [-0.4, np.nan], [0.3, np.nan]])
    assert p_of(np.array([0.3, np.nan]), null)[0] == pytest.approx(3 / 4)
    assert np.isnan(p_of(np.array([0.3, np.nan]), null)[1])
    assert p_of_greatest(np.array([0.5, np.nan]), null) == pytest.approx(1 / 4)
    assert np.isnan(p_of_greatest(np.array([np.nan, np.nan]), null))
