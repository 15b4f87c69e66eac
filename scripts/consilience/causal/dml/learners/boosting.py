"""Gradient boosted trees, one model per target: slow (about a second per gene and fold), for single genes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from consilience.causal.dml.learners.learner import Kind, Learner
from consilience.causal.dml.learners.ridge import donor_groups

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

MOST_TREES, RATE, LEAVES, LEAST_CELLS = 100, 0.1, 15, 20
SEED = 0
"""Trees see all cells and columns: nothing is random but the bins of more than 200,000 cells."""


def fit_predict(
    *, train: Floats, targets: Floats, test: Floats, groups: npt.NDArray[np.intp], kind: Kind, seed: int
) -> Floats:
    """Predictions (m, g).

    See `learner.FitPredict`. The number of trees is that of least error on donors left out.
    """
    del seed
    held = donor_groups(groups) == 0
    made = np.empty((len(test), targets.shape[1]))
    for place, target in enumerate(targets.T):
        if np.ptp(target) == 0:
            made[:, place] = target[0]
            continue
        trees = MOST_TREES // 2
        if not held.all() and np.ptp(target[~held]) > 0:
            trees = _trees(train, target, held, kind)
        made[:, place] = target.mean() if trees == 0 else _predicted(
            _model(kind, trees).fit(train, target), test, kind
        )  # fmt: skip
    return made


def _trees(x: Floats, target: Floats, held: npt.NDArray[np.bool_], kind: Kind) -> int:
    """Number of trees (0: the mean is best) of least squared error on cells that are `held` out."""
    model = _model(kind, MOST_TREES).fit(x[~held], target[~held])
    stages = model.staged_predict_proba(x[held]) if kind == "probability" else model.staged_predict(x[held])
    errors = [float(((target[held] - target[~held].mean()) ** 2).sum())]
    errors += [
        float(((target[held] - (one[:, 1] if kind == "probability" else one)) ** 2).sum()) for one in stages
    ]
    return int(np.argmin(errors))


def _model(kind: Kind, trees: int):  # type: ignore[no-untyped-def]
    from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

    which = HistGradientBoostingClassifier if kind == "probability" else HistGradientBoostingRegressor
    return which(max_iter=trees, learning_rate=RATE, max_leaf_nodes=LEAVES, min_samples_leaf=LEAST_CELLS,
                 early_stopping=False, random_state=SEED)  # fmt: skip


def _predicted(model, x: Floats, kind: Kind) -> Floats:  # type: ignore[no-untyped-def]
    return np.asarray(model.predict_proba(x)[:, 1] if kind == "probability" else model.predict(x))


LEARNER = Learner(
    key="boosting",
    title="Gradient boosted trees",
    reference="Ke G, et al. LightGBM. NeurIPS 30, 2017 (histograms); Friedman JH. Ann Stat 29:1189, 2001",
    doi="10.1214/aos/1013203451",
    assumes="Confounders act in steps and together.",
    limits="One model per gene and fold, about a second each: for single genes, not for thousands.",
    fit_predict=fit_predict,
)
