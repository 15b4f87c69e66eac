"""Ridge regression (for probabilities: logistic), its strength chosen on donors left out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from consilience.causal.dml.learners.learner import Kind, Learner
from consilience.causal.dml.ridge_solving import PENALTIES, choose_penalties, solve_each

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

GROUPS = 4
"""Groups of donors, each left out once, on which the penalty is chosen."""
MAX_STEPS = 25


def donor_groups(groups: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
    """Number 0 … of the group (n,) of each cell's donor: donors dealt out by their cells, largest first."""
    _, donor, cells = np.unique(groups, return_inverse=True, return_counts=True)
    dealt = np.empty(cells.size, dtype=np.intp)
    dealt[np.argsort(-cells, kind="stable")] = np.arange(cells.size) % GROUPS
    return dealt[donor]


def fit_predict(
    *, train: Floats, targets: Floats, test: Floats, groups: npt.NDArray[np.intp], kind: Kind, seed: int
) -> Floats:
    """Predictions (m, g); see `learner.FitPredict`. The seed is not used: nothing is random."""
    del seed
    design = np.column_stack([np.ones(len(train)), train])
    parts = donor_groups(groups)
    each = [(design[parts == part], targets[parts == part]) for part in np.unique(parts)]
    grams = np.stack([x.T @ x for x, _ in each])
    crosses = np.stack([t.T @ x for x, t in each])
    squares = np.stack([(t**2).sum(0) for _, t in each])
    chosen = choose_penalties(grams=grams, crosses=crosses, squares=squares)
    grid = np.array(PENALTIES) * len(train)
    query = np.column_stack([np.ones(len(test)), test])
    linear = solve_each(grams.sum(0), crosses.sum(0), chosen=chosen, grid=grid)
    if kind == "value":
        return query @ linear.T
    made = np.empty((len(test), targets.shape[1]))
    for place, target in enumerate(targets.T):
        share = float(target.mean())
        if share in (0.0, 1.0):
            made[:, place] = share
            continue
        # near the middle a logistic curve rises by a quarter, so a quarter of the penalty shrinks as much
        weights = logistic_weights(design, target, penalty=float(grid[chosen[place]]) / 4)
        made[:, place] = expit(query @ weights)
    return made


def expit(logits: Floats) -> Floats:
    """1 / (1 + exp(-logits)), without overflow."""
    return 0.5 * (1.0 + np.tanh(0.5 * logits))


def logistic_weights(design: Floats, target: Floats, *, penalty: float) -> Floats:
    """Weights (q,) at the minimum of -log likelihood + penalty/2·Σ weight² (the constant's weight is free).

    Newton's method with halved steps where a whole one would not descend.
    """
    ridge = np.full(design.shape[1], penalty)
    ridge[0] = 1e-8

    def cost(at: Floats) -> float:
        logits = design @ at
        return float((np.logaddexp(0.0, logits) - target * logits).sum() + 0.5 * ridge @ at**2)

    weights = np.zeros(design.shape[1])
    now = cost(weights)
    for _ in range(MAX_STEPS):
        p = expit(design @ weights)
        gradient = design.T @ (p - target) + ridge * weights
        step = np.linalg.solve((design.T * (p * (1 - p))) @ design + np.diag(ridge), gradient)
        decrease = float(gradient @ step)
        if decrease < 1e-9 * len(target):
            break
        size = 1.0
        while (after := cost(weights - size * step)) > now - 1e-4 * size * decrease and size > 1e-4:
            size *= 0.5
        weights, now = weights - size * step, min(now, after)
    return weights


LEARNER = Learner(
    key="ridge",
    title="Ridge regression",
    reference="Hoerl AE, Kennard RW. Technometrics 12:55, 1970",
    doi="10.1080/00401706.1970.10488634",
    assumes="Confounders act linearly (for probabilities: linearly on the log odds).",
    limits="What confounders do in curves or together is missed and stays in the effect.",
    fit_predict=fit_predict,
    sums=True,
)
