"""Scores from sums within donors against residuals of every cell, and what they may not depend on."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from sklearn.linear_model import Ridge

from consilience.causal.dml.donor_scores import clustered_se
from consilience.causal.dml.moments import columns_of, gene_blocks, moments_in_blocks
from consilience.causal.dml.ridge_scores import choose, inner_groups, ridge_scores
from consilience.causal.dml.ridge_solving import PENALTIES, choose_penalties, solve_ridge
from consilience.foundation.errors import DataError

DONORS, G, P = 9, 7, 4
FOLDS = np.array([0, 1, 2, 0, 1, 2, 0, 1, 2])


def drawn(seed: int = 0, n: int = 300):
    rng = np.random.default_rng(seed)
    donor = rng.integers(0, DONORS, n)
    x = rng.normal(size=(n, P)) + rng.normal(size=(DONORS, P))[donor]
    expression = np.where(rng.random((n, G)) < 0.5, np.exp(0.3 * x[:, :1] + rng.normal(size=(n, G))), 0)
    return x, (np.arange(DONORS) % 2).astype(float)[donor], expression.astype(np.float32), donor


def sums(x, outcome, expression, donor, *, n_donors=DONORS, limit=2**28, dense=False):
    """All blocks of genes: (genes, moments)."""
    held = expression if dense else sparse.csr_matrix(expression)
    return list(moments_in_blocks(
        columns=columns_of(x, outcome), expression=held, donor=donor, n_donors=n_donors, limit=limit
    ))  # fmt: skip


def scored(data, **more):
    return ridge_scores(sums(*data)[0][1], folds=more.pop("folds", FOLDS), **more)


def test_sums_are_those_of_residuals():
    x, outcome, expression, donor = data = drawn()
    held = sums(*data)[0][1]
    chosen = choose(held, FOLDS)
    found = ridge_scores(held, folds=FOLDS)
    u, v = np.empty(len(x)), np.empty(expression.shape)
    for fold in range(3):
        train, test = FOLDS[donor] != fold, FOLDS[donor] == fold
        size = train.sum()
        model = Ridge(PENALTIES[chosen.outcome[fold]] * size).fit(x[train], outcome[train])
        u[test] = outcome[test] - model.predict(x[test])
        for gene in range(G):
            model = Ridge(PENALTIES[chosen.treatment[fold, gene]] * size).fit(
                x[train], expression[train, gene]
            )
            v[test, gene] = expression[test, gene] - model.predict(x[test])
    for one in range(DONORS):
        mine = donor == one
        assert found.b[one] == pytest.approx((v * u[:, None])[mine].sum(0), rel=1e-9, abs=1e-9)
        assert found.a[one] == pytest.approx((v**2)[mine].sum(0), rel=1e-9)
        assert found.outcome_residuals[one] == pytest.approx((u**2)[mine].sum(), rel=1e-9)
    spread = ((expression - expression.mean(0, dtype=float)) ** 2).sum(0)
    r2 = 1 - (v**2).sum(0) / spread
    assert found.r2_treatment == pytest.approx(r2, rel=1e-6)
    assert found.r2_outcome == pytest.approx(1 - (u**2).sum() / ((outcome - outcome.mean()) ** 2).sum())
    assert found.treatment_sd == pytest.approx(np.sqrt((v**2).mean(0)))


def test_penalties_are_the_best_on_donors_left_out():
    x, outcome, expression, donor = data = drawn(1)
    chosen = choose(sums(*data)[0][1], FOLDS)
    for fold in range(3):
        others = [one for one in range(3) if one != fold]
        for place, target in [(chosen.outcome[fold], outcome), (chosen.treatment[fold, 2], expression[:, 2])]:
            errors = np.zeros(len(PENALTIES))
            for held_out in others:
                train = np.isin(FOLDS[donor], [one for one in others if one != held_out])
                test = FOLDS[donor] == held_out
                for number, penalty in enumerate(PENALTIES):
                    model = Ridge(penalty * train.sum()).fit(x[train], target[train])
                    errors[number] += ((target[test] - model.predict(x[test])) ** 2).sum()
            assert place == np.argmin(errors)


def test_a_fold_never_chooses_for_itself():
    """Other outcomes and expression in the donors held out change nothing that was fitted for them."""
    x, outcome, expression, donor = drawn(2)
    before = choose(sums(x, outcome, expression, donor)[0][1], FOLDS)
    mine = FOLDS[donor] == 0
    expression[mine], outcome[mine] = 7 * expression[mine][::-1], 1 - outcome[mine]
    after = choose(sums(x, outcome, expression, donor)[0][1], FOLDS)
    assert before.outcome[0] == after.outcome[0]
    assert (before.treatment[0] == after.treatment[0]).all()


@pytest.mark.parametrize("score", ["partialling_out", "iv_type"])
def test_without_a_donor_is_as_if_it_had_never_been(score):
    x, outcome, expression, donor = data = drawn(3)
    folds = FOLDS.copy()
    folds[4] = -1
    found = ridge_scores(sums(*data)[0][1], folds=folds, score=score)
    there = donor != 4
    smaller = sums(x[there], outcome[there], expression[there], donor[there] - (donor[there] > 4),
                   n_donors=DONORS - 1)[0][1]  # fmt: skip
    alone = ridge_scores(smaller, folds=np.delete(FOLDS, 4), score=score)
    assert found.theta == pytest.approx(alone.theta, rel=1e-9)
    assert clustered_se(found) == pytest.approx(clustered_se(alone), rel=1e-9)


def test_a_fold_without_donors_is_no_fold():
    folds = FOLDS.copy()
    folds[folds == 1] = -1
    assert np.unique(scored(drawn(), folds=folds).folds).tolist() == [0, 1]


@settings(max_examples=15)
@given(st.integers(200, 40_000), st.booleans())
def test_blocks_of_genes_do_not_matter(limit, dense):
    data = drawn(4)
    whole = ridge_scores(sums(*data)[0][1], folds=FOLDS, penalty=2.0).theta
    for genes, held in sums(*data, limit=limit, dense=dense):
        theta = ridge_scores(held, folds=FOLDS, penalty=2.0).theta
        assert theta == pytest.approx(whole[genes], rel=1e-9)


def test_blocks_cover_all_genes_within_the_limit():
    blocks = gene_blocks(1_000, donors=10, columns=9, limit=8 * 10 * 10 * 64)
    assert [one for block in blocks for one in range(block.start, block.stop)] == list(range(1_000))
    assert max(block.stop - block.start for block in blocks) == 64


@settings(max_examples=10)
@given(st.integers(0, 2**31), st.floats(0.01, 100))
def test_order_and_units_do_not_matter(seed, unit):
    x, outcome, expression, donor = data = drawn(5)
    rng = np.random.default_rng(seed)
    cells, genes = rng.permutation(len(x)), rng.permutation(G)
    before = scored(data)
    after = scored(
        (3 + x[cells], outcome[cells], expression[cells][:, genes] * np.float32(unit), donor[cells])
    )
    assert after.theta * float(np.float32(unit)) == pytest.approx(before.theta[genes], rel=1e-4, abs=1e-9)
    assert clustered_se(after) * unit == pytest.approx(clustered_se(before)[genes], rel=1e-4)


def test_a_gene_that_does_not_vary_has_no_effect():
    x, outcome, expression, donor = drawn(6)
    expression[:, 3] = 0
    theta = scored((x, outcome, expression, donor)).theta
    assert np.isnan(theta[3])
    assert np.isfinite(np.delete(theta, 3)).all()


def test_two_folds_choose_on_thirds():
    assert inner_groups(np.array([0, 1, 0, 1, 1, 1]), 0).tolist() == [-1, 0, -1, 1, 2, 0]
    assert np.isfinite(scored(drawn(), folds=FOLDS % 2).theta).all()


def test_ridge_with_more_columns_than_cells():
    """Perfectly collinear columns share their weight; the penalty sees to that."""
    rng = np.random.default_rng(0)
    x = np.column_stack([np.ones(6), np.repeat(rng.normal(size=(6, 1)), 9, axis=1)])
    target = rng.normal(size=(6, 1))
    found = solve_ridge(x.T @ x, target.T @ x, penalty=0.5)[0]
    model = Ridge(0.5).fit(x[:, 1:], target[:, 0])
    assert found[1:] == pytest.approx(model.coef_)
    assert found[0] == pytest.approx(model.intercept_)


def test_ridge_without_penalty_is_refused():
    with pytest.raises(DataError, match="positive penalty"):
        solve_ridge(np.eye(2), np.ones((1, 2)), penalty=0.0)


def test_one_group_takes_the_middle_penalty():
    chosen = choose_penalties(grams=np.ones((1, 2, 2)), crosses=np.ones((1, 3, 2)), squares=np.ones((1, 3)))
    assert chosen.tolist() == [len(PENALTIES) // 2] * 3
