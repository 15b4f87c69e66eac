"""Ridge as a learner of nuisances, and the registry it is found by."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression, Ridge

from consilience.causal.dml.learners import learner, learners
from consilience.causal.dml.learners.ridge import LEARNER, donor_groups, logistic_weights
from consilience.causal.dml.ridge_solving import PENALTIES
from consilience.foundation.errors import ConfigError


def drawn(n: int = 240, p: int = 4):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(n, p))
    groups = np.arange(n) % 12
    values = np.column_stack([x[:, 0] + rng.normal(size=n), rng.normal(size=n)])
    return x, values, groups, rng.normal(size=(30, p))


def predicted(x, values, groups, test, kind="value"):
    return LEARNER.fit_predict(train=x, targets=values, test=test, groups=groups, kind=kind, seed=1)


def test_it_is_scikit_learns_ridge_with_one_of_the_penalties():
    x, values, groups, test = drawn()
    found = predicted(x, values, groups, test)
    for column in range(2):
        options = [Ridge(penalty * len(x)).fit(x, values[:, column]).predict(test) for penalty in PENALTIES]
        assert min(np.abs(found[:, column] - one).max() for one in options) < 1e-9
    weak, strong = (np.ptp(found[:, column]) for column in (0, 1))
    assert weak > strong


def test_logistic_weights_are_scikit_learns():
    x, values, _, _ = drawn()
    target = (values[:, 0] > 0).astype(float)
    found = logistic_weights(np.column_stack([np.ones(len(x)), x]), target, penalty=2.0)
    model = LogisticRegression(C=0.5, tol=1e-10, max_iter=1_000).fit(x, target)
    assert found[1:] == pytest.approx(model.coef_[0], abs=1e-5)
    assert found[0] == pytest.approx(model.intercept_[0], abs=1e-5)


def test_probabilities_and_targets_that_do_not_vary():
    x, values, groups, test = drawn()
    targets = np.column_stack([values[:, 0] > 0, np.zeros(len(x)), np.ones(len(x))]).astype(float)
    found = predicted(x, targets, groups, test, "probability")
    assert ((found >= 0) & (found <= 1)).all()
    assert np.corrcoef(found[:, 0], test[:, 0])[0, 1] > 0.95
    assert (found[:, 1] == 0).all()
    assert (found[:, 2] == 1).all()


def test_the_order_of_cells_and_targets_does_not_matter():
    x, values, groups, test = drawn()
    order = np.random.default_rng(1).permutation(len(x))
    again = predicted(x[order], values[order][:, ::-1], groups[order], test)[:, ::-1]
    assert again == pytest.approx(predicted(x, values, groups, test), rel=1e-9)


def test_donors_stay_together():
    groups = np.array([5, 5, 5, 7, 7, 9, 2, 2, 2, 2])
    dealt = donor_groups(groups)
    assert [len(set(dealt[groups == one])) for one in (2, 5, 7, 9)] == [1, 1, 1, 1]
    assert len(set(dealt)) == 4


def test_every_learner_says_what_it_is():
    assert learners()["ridge"] is LEARNER
    for key, one in learners().items():
        assert key == one.key
        assert all([one.title, one.reference, one.assumes, one.limits])


def test_an_unknown_learner_is_named():
    with pytest.raises(ConfigError, match="did you mean 'ridge'"):
        learner("rigde")
