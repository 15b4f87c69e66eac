"""Each simple classifier: what all must do, and one slow second way for what is computed in a clever way."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest

from consilience.foundation.errors import ConfigError, DataError
from consilience.learning.baselines import baseline, baselines
from consilience.learning.baselines.elastic_net import ABSOLUTE_SHARE, SHARES, path
from consilience.learning.baselines.logistic_ridge import ridge_weights
from consilience.learning.baselines.preparing import (
    expit,
    pareto_scaled,
    rotated,
    squashed,
    stratified_folds,
)
from consilience.learning.baselines.shrinkage_lda import shrinkage, weights
from consilience.learning.baselines.shrunken_centroids import shrunken_logits
from consilience.measures.ranking import auc

KEYS = sorted(baselines())


@pytest.fixture(autouse=True)
def small_forest(monkeypatch: pytest.MonkeyPatch) -> None:
    """A forest of 300 trees is no better a test than one of 60."""
    monkeypatch.setattr("consilience.learning.baselines.random_forest.TREES", 60)


def two_kinds(n: int, *, gap: float, seed: int = 0, n_genes: int = 300) -> tuple[np.ndarray, np.ndarray]:
    """Samples of which the first 20 genes differ by `gap` standard deviations."""
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 2 == 0
    x = rng.normal(6, 1, size=(n, n_genes))
    x[:, :20] += gap * labels[:, None]
    return x.astype(np.float32), labels


def test_registry_knows_those_asked_for() -> None:
    assert {"logistic_ridge", "elastic_net", "nearest_centroid", "random_forest", "pca_knn"} <= set(KEYS)
    for key in KEYS:
        one = baseline(key)
        assert one.key == key
        assert re.fullmatch(r"10\.\d{4,}/\S+", one.doi)
        assert all(len(text) > 10 for text in (one.title, one.reference, one.assumes, one.limits))
    with pytest.raises(ConfigError, match="random_forest"):
        baseline("random_forrest")


@pytest.mark.parametrize("key", KEYS)
def test_signal_is_learned_and_noise_is_not(key: str) -> None:
    method = baseline(key).fit_predict
    x, labels = two_kinds(240, gap=1.5)
    scores = method(x[:40], labels[:40], x[40:], 0)
    assert scores.shape == (200,)
    assert ((scores >= 0) & (scores <= 1)).all()
    assert auc(scores, labels[40:]) > (0.85 if key == "elastic_net" else 0.9)
    noise = [
        auc(method(x[:20], labels[:20], x[20:], 0), labels[20:])
        for x, labels in (two_kinds(140, gap=0.0, seed=seed) for seed in range(1, 7))
    ]
    # six AUCs of 60 against 60: standard error of their mean 0.02 and more, as they share no samples
    assert abs(np.mean(noise) - 0.5) < 0.08


@pytest.mark.parametrize("key", KEYS)
def test_each_sample_is_scored_alone_and_order_does_not_matter(key: str) -> None:
    method = baseline(key).fit_predict
    x, labels = two_kinds(60, gap=1.0, seed=3)
    train, test = np.arange(20), np.arange(20, 60)
    scores = method(x[train], labels[train], x[test], 7)
    np.testing.assert_array_equal(scores, method(x[train], labels[train], x[test], 7))
    np.testing.assert_allclose(
        scores[:5], method(x[train], labels[train], x[test[:5]], 7), rtol=1e-6, atol=1e-9
    )
    # the other kind asked for gives the other answer, up to inner folds drawn anew
    other = method(x[train], ~labels[train], x[test], 7)
    assert auc(-other, labels[test]) == pytest.approx(auc(scores, labels[test]), abs=0.06)
    tuned = key in {"logistic_ridge", "elastic_net", "shrunken_centroids"}
    if not tuned:
        shuffled = np.random.default_rng(0).permutation(train)
        again = method(x[shuffled], labels[shuffled], x[test], 7)
        np.testing.assert_allclose(scores, again, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("key", KEYS)
def test_odd_input_gives_finite_scores(key: str) -> None:
    method = baseline(key).fit_predict
    x, labels = two_kinds(12, gap=1.0)
    test = x.copy()
    test[0] = 0.0
    test[1] = 1e4
    cases: dict[str, tuple[Any, Any]] = {
        "one of each": (x[:2], labels[:2]),
        "one and many": (x[[0, 1, 3, 5, 7]], labels[[0, 1, 3, 5, 7]]),
        "nothing varies": (np.ones_like(x), labels),
        "parted by far": (x + 1e3 * labels[:, None], labels),
        "copies": (np.repeat(x[:2], 4, axis=0), np.repeat(labels[:2], 4)),
        "zero genes": (x * (np.arange(300) < 100), labels),
    }
    for name, (train, kinds) in cases.items():
        scores = method(train, kinds, test, 0)
        assert np.isfinite(scores).all(), name
        assert ((scores >= 0) & (scores <= 1)).all(), name


@pytest.mark.parametrize("key", KEYS)
def test_bad_input_is_explained(key: str) -> None:
    method = baseline(key).fit_predict
    x, labels = two_kinds(12, gap=1.0)
    with pytest.raises(DataError, match="both kinds"):
        method(x, np.ones(12, dtype=bool), x, 0)
    with pytest.raises(DataError, match="sizes"):
        method(x, labels[:5], x, 0)
    with pytest.raises(DataError, match="missing"):
        method(np.where(x > 8, np.nan, x), labels, x, 0)


def test_ridge_is_sklearns_on_all_genes() -> None:
    from sklearn.linear_model import LogisticRegression

    x, labels = two_kinds(40, gap=0.5)
    train, test = pareto_scaled(x[:20].astype(float), x[20:].astype(float))
    few, query = rotated(train, test)
    assert few.shape[1] <= 20
    w, b = ridge_weights(few, labels[:20], penalty=0.1)
    # the rotation divides by the root mean squared length, so all genes' penalty is that squared times 0.1
    length = float((train**2).sum(axis=1).mean())
    peer = LogisticRegression(C=1 / (0.1 * length), tol=1e-10, max_iter=5000).fit(train, labels[:20])
    np.testing.assert_allclose(query @ w + b, peer.decision_function(test), atol=2e-5)


def test_rotation_keeps_inner_products() -> None:
    x, _ = two_kinds(30, gap=0.0)
    train, test = x[:10] - x[:10].mean(axis=0), x[10:] - x[:10].mean(axis=0)
    few, query = rotated(train.astype(float), test.astype(float))
    scale = float((train**2).sum(axis=1).mean())
    np.testing.assert_allclose(few @ few.T, train @ train.T / scale, atol=1e-4)
    np.testing.assert_allclose(query @ few.T, test @ train.T / scale, atol=1e-4)
    assert (few**2).sum(axis=1).mean() == pytest.approx(1.0)


def test_pareto_scaling() -> None:
    x, _ = two_kinds(30, gap=0.0)
    x = x * np.geomspace(0.01, 10, 300)
    train, _ = pareto_scaled(x, x)
    assert train.var(axis=0).mean() == pytest.approx(1.0)
    # the spread left is the root of what it was
    np.testing.assert_allclose(
        np.diff(np.log(train.std(axis=0))), 0.5 * np.diff(np.log(x.std(axis=0))), atol=1e-6
    )


def test_elastic_net_path_meets_the_conditions_of_its_minimum() -> None:
    x, labels = two_kinds(30, gap=1.0)
    train, _ = pareto_scaled(x.astype(float), x.astype(float))
    found, intercepts = path(train, labels)
    most = np.abs(train.T @ (labels - labels.mean())).max() / len(train) / ABSOLUTE_SHARE
    sizes = (found != 0).sum(axis=1)
    assert sizes[0] >= 1
    assert sizes[-1] > sizes[0]
    for place, share in enumerate(SHARES):
        penalty = share * most
        w = found[place]
        slope = train.T @ (expit(train @ w + intercepts[place]) - labels) / len(train)
        slope += penalty * (1 - ABSOLUTE_SHARE) * w
        absolute = penalty * ABSOLUTE_SHARE
        assert (np.abs(slope[w == 0]) <= absolute * 1.01).all()
        np.testing.assert_allclose(slope[w != 0], -absolute * np.sign(w[w != 0]), atol=0.02 * absolute)


def test_elastic_net_is_sklearns() -> None:
    from sklearn.linear_model import LogisticRegression

    x, labels = two_kinds(40, gap=1.0, n_genes=60)
    train, _ = pareto_scaled(x.astype(float), x.astype(float))
    found, intercepts = path(train, labels)
    most = np.abs(train.T @ (labels - labels.mean())).max() / len(train) / ABSOLUTE_SHARE
    place = 5
    peer = LogisticRegression(
        l1_ratio=ABSOLUTE_SHARE,
        C=1 / (SHARES[place] * most * len(train)),
        solver="saga",
        max_iter=20_000,
        tol=1e-6,
        random_state=0,
    )
    import warnings

    with warnings.catch_warnings():
        # some releases of scikit-learn ask for a penalty's name with l1_ratio, others warn of it
        warnings.simplefilter("ignore")
        peer.set_params(penalty="elasticnet").fit(train, labels)
    np.testing.assert_allclose(found[place], peer.coef_[0], atol=5e-3)
    assert intercepts[place] == pytest.approx(peer.intercept_[0], abs=1e-2)


def test_shrinkage_is_sklearns() -> None:
    from sklearn.covariance import ledoit_wolf_shrinkage

    x, labels = two_kinds(15, gap=2.0, n_genes=40)
    centred = x.astype(float) - x.mean(axis=0)
    share, mu = shrinkage(centred @ centred.T, n_genes=40)
    assert share == pytest.approx(ledoit_wolf_shrinkage(centred, assume_centered=True), rel=1e-9)
    assert mu == pytest.approx((centred**2).mean())
    # and the weights are those of the matrix written out
    within = x - np.where(labels[:, None], x[labels].mean(axis=0), x[~labels].mean(axis=0))
    share, mu = shrinkage((within @ within.T).astype(float), n_genes=40)
    covariance = (1 - share) * within.T @ within / 15 + share * mu * np.eye(40)
    gap = x[labels].mean(axis=0) - x[~labels].mean(axis=0)
    np.testing.assert_allclose(
        weights(x.astype(float), labels), np.linalg.solve(covariance, gap), rtol=1e-3, atol=1e-3
    )


def test_unshrunken_centroids_are_diagonal_discriminants() -> None:
    x, labels = two_kinds(21, gap=1.0, n_genes=50)
    x = x.astype(float)
    logits = shrunken_logits(x, labels, x, shares=np.array([0.0, 0.99]))
    one, other = x[labels], x[~labels]
    pooled = ((one - one.mean(0)) ** 2).sum(0) + ((other - other.mean(0)) ** 2).sum(0)
    sd = np.sqrt(pooled / 19)
    scatter = sd + np.median(sd)
    distance = [(((x - kind.mean(0)) / scatter) ** 2).sum(axis=1) for kind in (one, other)]
    np.testing.assert_allclose(logits[0], 0.5 * (distance[1] - distance[0]) / np.sqrt(50), rtol=1e-9)
    # at nearly the largest threshold one gene is left, and scores are a function of it
    scores = logits[1]
    assert max(abs(np.corrcoef(scores, gene)[0, 1]) for gene in x.T) == pytest.approx(1.0)


def test_folds_hold_both_kinds_evenly() -> None:
    labels = np.arange(23) < 9
    folds = stratified_folds(labels, seed=0)
    for kind in (True, False):
        sizes = np.bincount(folds[labels == kind], minlength=5)
        assert sizes.max() - sizes.min() <= 1
    assert set(stratified_folds(np.arange(5) < 2, seed=0)) == {0, 1}


def test_squashing_keeps_ranks_far_out() -> None:
    scores = np.array([-1e9, -5.0, 0.0, 3.0, 1e6, 1e9])
    p = squashed(scores, among=np.array([1.0, -1.0]))
    assert (np.diff(p) > 0).all()
    assert p[2] == 0.5
    assert ((p >= 0) & (p <= 1)).all()
