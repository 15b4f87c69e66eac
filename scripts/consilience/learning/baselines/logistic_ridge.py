"""Logistic regression with a squared penalty, its strength chosen by inner cross-validation."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from consilience.learning.baselines.baseline import Baseline
from consilience.learning.baselines.preparing import (
    can_be_tuned,
    checked,
    expit,
    log_loss,
    pareto_scaled,
    rotated,
    stratified_folds,
)

if TYPE_CHECKING:
    import numpy.typing as npt

    from consilience.learning.baselines.preparing import Flags, Floats

PENALTIES = (0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0)
"""λ in Σ loss + λ/2·|w|², samples scaled to mean squared length 1."""
UNTUNED = 0.1
MAX_STEPS = 100


def ridge_weights(x: Floats, labels: Flags, *, penalty: float) -> tuple[Floats, float]:
    """Weights (k,) and intercept at the minimum of Σ log(1 + exp(∓logit)) + penalty/2·|weights|².

    Newton's method with halved steps where a whole one would not descend; the intercept is free.
    """
    design = np.column_stack([x, np.ones(len(x))])
    ridge = np.full(design.shape[1], penalty)
    ridge[-1] = 1e-8
    w = np.zeros(design.shape[1])

    def cost(at: Floats) -> float:
        return log_loss(design @ at, labels) * len(x) + 0.5 * float(ridge @ at**2)

    now = cost(w)
    for _ in range(MAX_STEPS):
        p = expit(design @ w)
        gradient = design.T @ (p - labels) + ridge * w
        hessian = (design.T * (p * (1 - p))) @ design + np.diag(ridge)
        step = np.linalg.solve(hessian, gradient)
        decrease = float(gradient @ step)
        if decrease < 1e-12:
            break
        size = 1.0
        while (after := cost(w - size * step)) > now - 1e-4 * size * decrease and size > 1e-6:
            size *= 0.5
        w, now = w - size * step, min(now, after)
    return w[:-1], float(w[-1])


def _best_penalty(x: Floats, labels: Flags, *, seed: int) -> float:
    """The penalty of least log loss on inner folds."""
    if not can_be_tuned(labels):
        return UNTUNED
    folds = stratified_folds(labels, seed=seed)
    losses = np.zeros(len(PENALTIES))
    for fold in np.unique(folds):
        inside = folds != fold
        for place, penalty in enumerate(PENALTIES):
            w, b = ridge_weights(x[inside], labels[inside], penalty=penalty)
            losses[place] += log_loss(x[~inside] @ w + b, labels[~inside]) * int((~inside).sum())
    return PENALTIES[int(np.argmin(losses))]


def fit_predict(
    train: npt.NDArray[np.floating],
    labels: npt.NDArray[np.bool_],
    test: npt.NDArray[np.floating],
    seed: int,
) -> Floats:
    """Probability of the positive kind (m,)."""
    x, query = rotated(*pareto_scaled(*checked(train, labels, test)))
    w, b = ridge_weights(x, labels, penalty=_best_penalty(x, labels, seed=seed))
    return expit(query @ w + b)


BASELINE = Baseline(
    key="logistic_ridge",
    title="Logistic regression, squared penalty",
    reference="Hastie T, Tibshirani R. Biostatistics 5:329, 2004",
    doi="10.1093/biostatistics/kxh010",
    assumes="Log odds are a sum over genes; many genes carry a little.",
    limits="No interactions; few samples choose the penalty badly; the references' shares are its prior.",
    probability=True,
    fit_predict=fit_predict,
)
