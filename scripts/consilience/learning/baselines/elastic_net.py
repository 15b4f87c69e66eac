"""Logistic regression with a mixed penalty (half absolute, half squared), along a path of strengths."""

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
    stratified_folds,
)

if TYPE_CHECKING:
    import numpy.typing as npt

    from consilience.learning.baselines.preparing import Flags, Floats

ABSOLUTE_SHARE = 0.5
SHARES = tuple(float(share) for share in np.geomspace(0.9, 0.05, 10))
"""Penalties as shares of the least one at which no gene has a weight."""
UNTUNED_PLACE = 6
MAX_STEPS = 2_000
TOLERANCE = 1e-4
"""A path is followed until no weight moves by more than this share of the largest."""


def path(x: Floats, labels: Flags) -> tuple[Floats, Floats]:
    """Weights (10, genes) and intercepts (10,) along the falling penalties, each started from the last.

    Minimises mean log loss + λ (½ Σ|w| + ¼ Σw²). Only genes that pass the sequential strong rule enter; those
    it left out wrongly are found by the conditions of the minimum and added.
    """
    n, n_genes = x.shape
    share = float(labels.mean())
    b = float(np.log(share / (1 - share)))
    w = np.zeros(n_genes)
    pull = np.abs(x.T @ (labels - share)) / n
    most = float(pull.max()) / ABSOLUTE_SHARE
    weights, intercepts = np.zeros((len(SHARES), n_genes)), np.zeros(len(SHARES))
    before = most
    for place, part in enumerate(SHARES):
        penalty = part * most
        absolute = penalty * ABSOLUTE_SHARE
        active = (pull >= ABSOLUTE_SHARE * (2 * penalty - before)) | (w != 0)
        while True:
            w[active], b = _solve(x[:, active], labels, penalty=penalty, start=w[active], intercept=b)
            pull = np.abs(x.T @ (labels - expit(x[:, active] @ w[active] + b))) / n
            missed = ~active & (pull > absolute * (1 + TOLERANCE))
            if not missed.any():
                break
            active |= missed
        weights[place], intercepts[place], before = w, b, penalty
    return weights, intercepts


def _solve(
    x: Floats, labels: Flags, *, penalty: float, start: Floats, intercept: float
) -> tuple[Floats, float]:
    """Accelerated proximal gradient with restarts; the intercept is not penalised."""
    n = len(x)
    design = np.column_stack([x, np.ones(n)])
    absolute = np.append(np.full(x.shape[1], penalty * ABSOLUTE_SHARE), 0.0)
    squared = np.append(np.full(x.shape[1], penalty * (1 - ABSOLUTE_SHARE)), 0.0)
    lipschitz = 0.25 * float(np.linalg.eigvalsh(design @ design.T)[-1]) / n + float(squared.max(initial=0.0))
    w = np.append(start, intercept)
    ahead, momentum = w, 1.0
    for _ in range(MAX_STEPS):
        slope = design.T @ (expit(design @ ahead) - labels) / n + squared * ahead
        moved = ahead - slope / lipschitz
        new = np.sign(moved) * np.maximum(np.abs(moved) - absolute / lipschitz, 0.0)
        change = new - w
        if np.abs(change).max() <= TOLERANCE * max(float(np.abs(new).max()), 1e-12):
            w = new
            break
        if float((ahead - new) @ change) > 0:
            momentum = 1.0
        following = 0.5 * (1 + np.sqrt(1 + 4 * momentum**2))
        ahead = new + (momentum - 1) / following * change
        w, momentum = new, following
    return w[:-1], float(w[-1])


def _best_place(x: Floats, labels: Flags, *, seed: int) -> int:
    """The place on the path of least log loss on inner folds."""
    if not can_be_tuned(labels):
        return UNTUNED_PLACE
    folds = stratified_folds(labels, seed=seed)
    losses = np.zeros(len(SHARES))
    for fold in np.unique(folds):
        inside = folds != fold
        weights, intercepts = path(x[inside], labels[inside])
        logits = x[~inside] @ weights.T + intercepts
        losses += [log_loss(logits[:, place], labels[~inside]) * len(logits) for place in range(len(SHARES))]
    return int(np.argmin(losses))


def fit_predict(
    train: npt.NDArray[np.floating],
    labels: npt.NDArray[np.bool_],
    test: npt.NDArray[np.floating],
    seed: int,
) -> Floats:
    """Probability of the positive kind (m,)."""
    x, query = pareto_scaled(*checked(train, labels, test))
    place = _best_place(x, labels, seed=seed)
    weights, intercepts = path(x, labels)
    return expit(query @ weights[place] + intercepts[place])


BASELINE = Baseline(
    key="elastic_net",
    title="Elastic net logistic regression",
    reference="Zou H, Hastie T. J R Stat Soc B 67:301, 2005; Friedman J, et al. J Stat Softw 33:1, 2010",
    doi="10.1111/j.1467-9868.2005.00503.x",
    assumes="Log odds are a sum over few genes and their correlated neighbours.",
    limits="Which genes are chosen is unstable with few samples; weak signal spread over many genes is lost.",
    probability=True,
    fit_predict=fit_predict,
)
