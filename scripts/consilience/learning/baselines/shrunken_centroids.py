"""Nearest shrunken centroids: genes in units of their scatter, small differences set to zero."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from consilience.learning.baselines.baseline import Baseline
from consilience.learning.baselines.preparing import (
    can_be_tuned,
    checked,
    expit,
    log_loss,
    stratified_folds,
)

if TYPE_CHECKING:
    import numpy.typing as npt

    from consilience.learning.baselines.preparing import Flags, Floats

STEPS = 10
"""Thresholds tried, from none to nine tenths of the one that leaves no gene."""


def shrunken_logits(x: Floats, labels: Flags, query: Floats, *, shares: Floats) -> Floats:
    """Logits (shares, m), over √(genes left), at these shares of the largest threshold; equal priors.

    The sum over genes of squared distances would be far too certain, since genes are not independent: it is
    divided by the root of their number.
    """
    n_one, n_other = int(labels.sum()), int((~labels).sum())
    one, other = x[labels].mean(axis=0), x[~labels].mean(axis=0)
    middle = x.mean(axis=0)
    squares = ((x[labels] - one) ** 2).sum(axis=0) + ((x[~labels] - other) ** 2).sum(axis=0)
    sd = np.sqrt(squares / max(1, len(x) - 2))
    scatter = sd + float(np.median(sd))
    # nothing scatters where each kind has one sample or all of a kind are alike
    scatter = np.where(scatter > 0, scatter, 1.0)
    factor = np.array([np.sqrt(max(1 / n - 1 / len(x), 1e-12)) for n in (n_one, n_other)])[:, None]
    d = np.stack([one - middle, other - middle]) / (factor * scatter)
    result = np.zeros((len(shares), len(query)))
    for place, share in enumerate(shares):
        kept = np.sign(d) * np.maximum(np.abs(d) - share * np.abs(d).max(), 0.0)
        centres = middle / scatter + factor * kept
        weights = centres[0] - centres[1]
        left = max(1, int((kept != 0).any(axis=0).sum()))
        result[place] = (query / scatter - 0.5 * (centres[0] + centres[1])) @ weights / np.sqrt(left)
    return result


def fit_predict(
    train: npt.NDArray[np.floating],
    labels: npt.NDArray[np.bool_],
    test: npt.NDArray[np.floating],
    seed: int,
) -> Floats:
    """Probability-like score of the positive kind (m,)."""
    x, query = checked(train, labels, test)
    shares = np.arange(STEPS) / STEPS
    best = 0
    if can_be_tuned(labels):
        folds = stratified_folds(labels, seed=seed)
        losses = np.zeros(STEPS)
        for fold in np.unique(folds):
            inside = folds != fold
            logits = shrunken_logits(x[inside], labels[inside], x[~inside], shares=shares)
            losses += [log_loss(row, labels[~inside]) * len(row) for row in logits]
        best = int(np.argmin(losses))
    return expit(shrunken_logits(x, labels, query, shares=shares[[best]])[0])


BASELINE = Baseline(
    key="shrunken_centroids",
    title="Nearest shrunken centroids",
    reference="Tibshirani R, et al. Proc Natl Acad Sci USA 99:6567, 2002",
    doi="10.1073/pnas.082099299",
    assumes="Genes are independent given the kind, and only some of them differ.",
    limits="Correlated genes count several times, so its probabilities are too certain.",
    probability=False,
    fit_predict=fit_predict,
)
