"""Learners of nuisances: what they find, in any order; lasso against scikit-learn, doubleml as oracle."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import Lasso

from consilience.causal.dml.donor_scores import clustered_se
from consilience.causal.dml.folds import donor_folds
from consilience.causal.dml.learners import learner, learners
from consilience.causal.dml.learners.doubleml_backend import doubleml_effect
from consilience.causal.dml.learners.lasso import SHARES, Sums
from consilience.causal.dml.moments import columns_of, moments_in_blocks
from consilience.causal.dml.overlap import out_of_fold_r2
from consilience.causal.dml.ridge_scores import ridge_scores
from consilience.foundation.errors import ConfigError


def cells(n=900, p=6, donors=12, genes=6, seed=0):
    """Confounders, two curved and one product in expression, donors."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, p))
    f = np.sin(2 * x[:, :1]) * 1.5 + x[:, 1:2] * x[:, 2:3] + 0.5 * x[:, 3:4]
    return (
        x,
        f * np.linspace(0.7, 1.3, genes) + rng.standard_normal((n, genes)),
        np.repeat(np.arange(donors), n // donors),
    )


def predicted(key, x, y, groups, kind="value", seed=1):
    inside = groups < 9
    return learner(key).fit_predict(
        train=x[inside], targets=y[inside], test=x[~inside], groups=groups[inside], kind=kind, seed=seed
    ), y[~inside]


@pytest.fixture(autouse=True)
def short_training(monkeypatch):
    monkeypatch.setattr("consilience.causal.dml.learners.mlp.MOST_STEPS", 160)


def test_all_learners_are_found():
    assert set(learners()) >= {"ridge", "lasso", "mlp", "boosting"}


@pytest.mark.parametrize(("key", "least"), [("lasso", 0.05), ("mlp", 0.3), ("boosting", 0.3)])
def test_learners_find_what_they_can(key, least):
    x, y, groups = cells()
    genes = 2 if key == "boosting" else 6
    found, due = predicted(key, x, y[:, :genes], groups)
    assert np.median(out_of_fold_r2(due, found)) > least
    y[:, 0] = 3.0
    found, _ = predicted(key, x, y[:, :1], groups)
    np.testing.assert_allclose(found, 3.0, atol=1e-9)


@pytest.mark.parametrize("key", ["lasso", "mlp", "boosting"])
def test_probabilities_are_probabilities(key):
    x, _, groups = cells()
    y = (x[:, :1] + np.random.default_rng(1).standard_normal((len(x), 1)) > 0).astype(float)
    found, due = predicted(key, x, y, groups, kind="probability")
    assert found.min() >= 0
    assert found.max() <= 1
    assert ((found > 0.5) == due).mean() > 0.65


@pytest.mark.parametrize("key", ["lasso", "mlp", "boosting"])
def test_same_seed_same_numbers_and_order_of_cells_and_genes_does_not_matter(key):
    x, y, groups = cells(n=600, genes=3)
    genes = 1 if key == "boosting" else 3
    first, _ = predicted(key, x, y[:, :genes], groups)
    np.testing.assert_array_equal(predicted(key, x, y[:, :genes], groups)[0], first)
    inside = groups < 9
    order = np.random.default_rng(0).permutation(inside.sum())
    other = learner(key).fit_predict(
        train=x[inside][order], targets=y[inside][order][:, :genes][:, ::-1], test=x[~inside],
        groups=groups[inside][order], kind="value", seed=1,
    )  # fmt: skip
    np.testing.assert_allclose(other[:, ::-1], first, atol=2e-3 if key == "mlp" else 1e-8)


def test_lasso_paths_are_those_of_scikit_learn():
    x, y, _ = cells(n=300)
    x[:, 5] = 2 * x[:, 4] + 0.1 * x[:, 5] + 3
    sums = Sums.of(x, y)
    penalties = sums.penalties()
    paths = sums.paths(penalties)
    unit = (x - x.mean(0)) / x.std(0)
    for gene in (0, 3):
        for place in (3, 8, 15):
            fit = Lasso(alpha=penalties[gene, place], tol=1e-12, max_iter=200_000).fit(unit, y[:, gene])
            expected = fit.predict(unit)
            np.testing.assert_allclose(
                paths[place, gene, 0] + x @ paths[place, gene, 1:], expected, atol=1e-5
            )
    assert (paths[0][:, 1:] == 0).all()
    assert SHARES[0] == 1


def test_lasso_with_constant_columns_and_a_single_donor():
    x, y, groups = cells(n=240)
    x[:, 0] = 1.0
    found, _ = predicted("lasso", x, y, groups)
    assert np.isfinite(found).all()
    alone = learner("lasso").fit_predict(
        train=x, targets=y, test=x[:5], groups=np.zeros(len(x), dtype=np.intp), kind="value", seed=1
    )
    assert np.isfinite(alone).all()


@pytest.mark.parametrize("score", ["partialling_out", "iv_type"])
def test_doubleml_says_the_same_of_a_gene(score):
    x, y, groups = cells(n=480)
    names = tuple(f"d{one}" for one in range(12))
    disease = (np.arange(12) % 2).astype(float)
    folds = donor_folds(names, disease=disease, folds=3, repeat=0, seed=1)
    outcome = 2 * disease[groups] if score == "iv_type" else disease[groups]
    told = doubleml_effect(
        outcome=outcome, treatment=y[:, 0], confounders=x, donor=groups, folds=folds, score=score
    )
    ((_, moments),) = moments_in_blocks(
        columns=columns_of(x, outcome), expression=y[:, :1], donor=groups, n_donors=12
    )
    own = ridge_scores(moments, folds=folds, score=score, penalty=1.0)
    assert own.theta[0] == pytest.approx(told.theta, rel=1e-9)
    assert clustered_se(own)[0] == pytest.approx(told.se, rel=1e-9)
    if score == "partialling_out":
        assert told.scores.theta[0] == pytest.approx(told.theta, rel=1e-9)
        assert told.scores.r2_treatment[0] == pytest.approx(own.r2_treatment[0], rel=1e-8)
    cellwise = doubleml_effect(
        outcome=disease[groups], treatment=y[:, 0], confounders=x, donor=groups, folds=folds, clustered=False
    )
    assert cellwise.se > 0
    assert 0 <= cellwise.p <= 1
    for bad in ("plr", "iv_type"):
        with pytest.raises(ConfigError):
            doubleml_effect(outcome=disease[groups], treatment=y[:, 0], confounders=x, donor=groups, folds=folds,
                            score=bad)  # fmt: skip
