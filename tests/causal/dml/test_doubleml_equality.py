"""Effects, standard errors and p-values are those of DoubleML 0.11 with the same folds and learners."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from scipy.stats import norm
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.tree import DecisionTreeRegressor

from consilience.causal.dml.cell_errors import moments_cell_errors, ridge_cell_errors
from consilience.causal.dml.crossfit import crossfit_scores, interactive_nuisances
from consilience.causal.dml.donor_scores import clustered_se
from consilience.causal.dml.gathering import gather
from consilience.causal.dml.moments import columns_of, moments_in_blocks
from consilience.causal.dml.ridge_scores import choose, ridge_scores
from consilience.causal.dml.scores import cell_level, clipped, doubly_robust, normalised

N, P, G, DONORS, FOLDS = 500, 5, 3, 11, 4
EXACT = 1e-10


def drawn(seed: int = 0, *, continuous: bool = False):
    """Cells of donors in no order, expression with many zeros, an outcome per donor (or per cell)."""
    rng = np.random.default_rng(seed)
    donor = rng.integers(0, DONORS, N)
    x = rng.normal(size=(N, P)) + rng.normal(size=(DONORS, P))[donor]
    shift = 0.4 * x[:, :1] + rng.normal(size=(N, G))
    expression = np.where(rng.random((N, G)) < 0.6, np.exp(0.3 * shift), 0.0).astype(np.float32)
    outcome = (np.arange(DONORS) % 2).astype(float)[donor]
    if continuous:
        outcome = 0.3 * expression[:, 0] + x[:, 1] + rng.normal(size=N)
    folds = rng.permutation(np.arange(DONORS) % FOLDS)
    return x, outcome, expression.astype(float), donor, folds


def table_of(x, outcome, treatment, donor):
    table = pd.DataFrame(x, columns=[f"x{one}" for one in range(P)])
    return table.assign(y=outcome, d=treatment, donor=donor)


def peer(model, x, outcome, treatment, donor, folds, *, clustered, learners, **more):
    """Coefficient, error and p-value of DoubleML; `folds` one or several divisions of donors or cells."""
    import doubleml

    data = doubleml.DoubleMLData(
        table_of(x, outcome, treatment, donor),
        "y",
        "d",
        x_cols=[f"x{one}" for one in range(P)],
        cluster_cols="donor" if clustered else None,
    )
    repeats = folds if isinstance(folds, list) else [folds]
    samples, groups = [], []
    for each in repeats:
        of_cell = each[donor] if clustered else each
        samples.append(
            [(np.flatnonzero(of_cell != one), np.flatnonzero(of_cell == one)) for one in range(FOLDS)]
        )
        groups.append(
            [([np.flatnonzero(each != one)], [np.flatnonzero(each == one)]) for one in range(FOLDS)]
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        fitted = getattr(doubleml, model)(
            data, **learners, n_folds=FOLDS, n_rep=len(repeats), draw_sample_splitting=False, **more
        )
        fitted.set_sample_splitting(samples, groups if clustered else None)
        fitted.fit()
    return float(fitted.coef[0]), float(fitted.se[0]), float(fitted.pval[0])


def moments(x, outcome, expression, donor):
    held = sparse.csr_matrix(expression.astype(np.float32))
    given = {"columns": columns_of(x, outcome), "donor": donor, "n_donors": int(donor.max()) + 1}
    return next(iter(moments_in_blocks(expression=held, **given)))[1]


def by_sklearn(regressor, classifier=None):
    """Learners of scikit-learn as ours, one target at a time."""

    def fit_predict(*, train, targets, test, groups, kind, seed):
        made = []
        for target in targets.T:
            if kind == "probability":
                made.append(classifier().fit(train, target).predict_proba(test)[:, 1])
            else:
                made.append(regressor().fit(train, target).predict(test))
        return np.column_stack(made)

    return fit_predict


def ridge():
    return Ridge(1.0)


def tree():
    return DecisionTreeRegressor(max_depth=3, random_state=0)


def logistic():
    return LogisticRegression(C=1.0)


@pytest.mark.parametrize("score", ["partialling_out", "iv_type"])
def test_sums_within_donors_give_clustered_estimates(score):
    x, outcome, expression, donor, folds = drawn(continuous=True)
    found = ridge_scores(moments(x, outcome, expression, donor), folds=folds, score=score, penalty=1.0)
    theta, se = found.theta, clustered_se(found)
    iv = score == "iv_type"
    for gene in range(G):
        learners = {"ml_l": ridge(), "ml_m": ridge(), **({"ml_g": ridge()} if iv else {})}
        coefficient, error, p = peer(
            "DoubleMLPLR", x, outcome, expression[:, gene], donor, folds, clustered=True,
            learners=learners, score="IV-type" if iv else "partialling out",
        )  # fmt: skip
        assert theta[gene] == pytest.approx(coefficient, rel=EXACT)
        assert se[gene] == pytest.approx(error, rel=EXACT)
        assert 2 * norm.sf(abs(theta[gene] / se[gene])) == pytest.approx(p, rel=EXACT)


def test_disease_of_donors_with_several_divisions():
    x, outcome, expression, donor, _ = drawn()
    rng = np.random.default_rng(3)
    divisions = [rng.permutation(np.arange(DONORS) % FOLDS) for _ in range(4)]
    held = moments(x, outcome, expression, donor)
    found = [ridge_scores(held, folds=folds, penalty=1.0) for folds in divisions]
    thetas, errors = np.stack([one.theta for one in found]), np.stack([clustered_se(one) for one in found])
    theta, se = gather(thetas, errors)
    older = gather(thetas, errors, rule="spread")[1]
    for gene in range(G):
        coefficient, error, _ = peer(
            "DoubleMLPLR", x, outcome, expression[:, gene], donor, divisions, clustered=True,
            learners={"ml_l": ridge(), "ml_m": ridge()},
        )  # fmt: skip
        assert theta[gene] == pytest.approx(coefficient, rel=EXACT)
        assert se[gene] == pytest.approx(error, rel=EXACT)
        by_hand = np.median(errors[:, gene] ** 2 + (thetas[:, gene] - np.median(thetas[:, gene])) ** 2)
        assert older[gene] == pytest.approx(np.sqrt(by_hand), rel=EXACT)


@pytest.mark.parametrize("form", ["sparse", "dense"])
def test_robust_errors_of_cells(form):
    x, outcome, expression, donor, _ = drawn()
    fold = np.random.default_rng(4).permutation(np.arange(N) % FOLDS)
    given = sparse.csr_matrix(expression.astype(np.float32)) if form == "sparse" else expression
    theta, se = ridge_cell_errors(confounders=x, outcome=outcome, expression=given, fold=fold, penalty=1.0)
    for gene in range(G):
        coefficient, error, p = peer(
            "DoubleMLPLR", x, outcome, expression[:, gene], donor, fold, clustered=False,
            learners={"ml_l": ridge(), "ml_m": ridge()},
        )  # fmt: skip
        assert theta[gene] == pytest.approx(coefficient, rel=EXACT)
        assert se[gene] == pytest.approx(error, rel=EXACT)
        assert 2 * norm.sf(abs(theta[gene] / se[gene])) == pytest.approx(p, rel=EXACT)


def test_cells_in_tiles_are_cells_all_at_once():
    """Chosen penalties, folds of donors: errors of cells against residuals that are written out."""
    x, outcome, expression, donor, folds = drawn()
    held = moments(x, outcome, expression, donor)
    chosen = choose(held, folds)
    theta, se = moments_cell_errors(
        moments=held, columns=columns_of(x, outcome), donor=donor, folds=folds, penalty=chosen,
        expression=sparse.csr_matrix(expression.astype(np.float32)),
    )  # fmt: skip
    found = ridge_scores(held, folds=folds, penalty=chosen)
    assert theta == pytest.approx(found.b.sum(0) / found.a.sum(0), rel=EXACT)
    from consilience.causal.dml.ridge_solving import PENALTIES

    left = np.empty((N, G + 1))
    for fold in range(FOLDS):
        train, test = folds[donor] != fold, folds[donor] == fold
        places = [*chosen.treatment[fold], chosen.outcome[fold]]
        for column, (place, target) in enumerate(zip(places, [*expression.T, outcome], strict=True)):
            model = Ridge(PENALTIES[place] * train.sum()).fit(x[train], target[train])
            left[test, column] = target[test] - model.predict(x[test])
    b, a = left[:, :G] * left[:, G:], left[:, :G] ** 2
    by_hand = cell_level(b=b, a=a)
    assert theta == pytest.approx(by_hand[0], rel=EXACT)
    assert se == pytest.approx(by_hand[1], rel=EXACT)


@pytest.mark.parametrize("score", ["partialling_out", "iv_type"])
def test_any_learner_clustered(score):
    x, outcome, expression, donor, folds = drawn(continuous=True)
    found = crossfit_scores(
        confounders=x, outcome=outcome, treatment=expression, donor=donor, folds=folds,
        fit_predict=by_sklearn(tree), score=score, seed=1,
    )  # fmt: skip
    iv = score == "iv_type"
    learners = {"ml_l": tree(), "ml_m": tree(), **({"ml_g": tree()} if iv else {})}
    for gene in range(G):
        coefficient, error, _ = peer(
            "DoubleMLPLR", x, outcome, expression[:, gene], donor, folds, clustered=True,
            learners=learners, score="IV-type" if iv else "partialling out",
        )  # fmt: skip
        assert found.theta[gene] == pytest.approx(coefficient, rel=EXACT)
        assert clustered_se(found)[gene] == pytest.approx(error, rel=EXACT)


@pytest.mark.parametrize("normalise", [False, True])
@pytest.mark.parametrize("clustered", [False, True])
def test_interactive_model(clustered, normalise):
    x, outcome, expression, donor, folds = drawn(continuous=True)
    x = x * 2.5  # some propensities leave 0.01 … 0.99 and are clipped
    treatment = (expression > np.median(expression, axis=0)).astype(float)
    treatment[:, 0] = (x[:, 0] + np.random.default_rng(5).normal(size=N) > 0).astype(float)
    if not clustered:
        folds = np.random.default_rng(4).permutation(np.arange(N) % FOLDS)
    fit_predict = by_sklearn(ridge, logistic)
    given = {"confounders": x, "outcome": outcome, "treatment": treatment, "folds": folds,
             "donor": donor if clustered else np.arange(N), "fit_predict": fit_predict, "seed": 1}  # fmt: skip
    if clustered:
        found = crossfit_scores(score="irm", normalise=normalise, **given)
        theta, se = found.theta, clustered_se(found)
    else:
        g0, g1, raw = interactive_nuisances(**given)
        weighting = clipped(raw)
        assert ((raw < 0.01) | (raw > 0.99)).any()
        if normalise:
            weighting = normalised(weighting, treatment=treatment)
        b, a = doubly_robust(outcome=outcome, treatment=treatment, g0=g0, g1=g1, propensity=weighting)
        theta, se = cell_level(b=b, a=a)
    for gene in range(G):
        coefficient, error, p = peer(
            "DoubleMLIRM", x, outcome, treatment[:, gene], donor, folds, clustered=clustered,
            learners={"ml_g": ridge(), "ml_m": logistic()}, normalize_ipw=normalise,
        )  # fmt: skip
        assert theta[gene] == pytest.approx(coefficient, rel=EXACT)
        assert se[gene] == pytest.approx(error, rel=EXACT)
        assert 2 * norm.sf(abs(theta[gene] / se[gene])) == pytest.approx(p, rel=1e-9)
