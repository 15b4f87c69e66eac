"""Classifiers that try to tell synthetic samples from real ones the generator never saw; AUC 0.5 is ideal.

Design, so that two draws of one population give 0.5: equal numbers of both kinds; stratified folds; an
AUC per test fold, averaged (never one over all folds, whose offsets differ); everything that is not the
classifier itself (scaling, principal components) is computed without the kinds, so that under the null
the kinds of the test rows are exchangeable whatever was trained. Classes are dealt out evenly: two sets
of equal shares would else differ in opposite directions in training and test rows, and give less than
0.5. Rows must be different patients.

Three classifiers, because each is blind to something:
`linear`  ridge on all standardised genes: shifts of means, however small, when many genes agree;
`spread`  logistic on principal scores, their absolute values and the lengths: too little or too much spread,
          and directions without variance;
`joint`   kernel ridge on squared cosines of profiles: all products of two genes, hence their correlation.

References
----------
Lopez-Paz D, Oquab M. Revisiting classifier two-sample tests. ICLR 2017.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from consilience.foundation.seeds import stream
from consilience.measures.draws import dealt_folds, proportional_rows

if TYPE_CHECKING:
    import numpy.typing as npt

RIDGE = 0.1
"""Penalty, as a share of the mean eigenvalue of the training rows' kernel."""
N_COMPONENTS = 10
N_FOLDS = 5
LEAST_ROWS = 4
MOST_ROWS = 500
"""Rows of each kind beyond which a draw is taken: the kernels are square."""


@dataclass(frozen=True, slots=True)
class TwoSampleAuc:
    """Mean AUC of each classifier; 0.5: cannot be told apart. NaN with fewer than 4 rows of a kind."""

    linear: float
    spread: float
    joint: float


def two_sample_auc(
    *,
    real: npt.NDArray[np.floating],
    synthetic: npt.NDArray[np.floating],
    seed: int,
    labels: tuple[npt.NDArray[np.generic], npt.NDArray[np.generic]] | None = None,
    n_repeats: int = 3,
) -> TwoSampleAuc:
    """Tell `synthetic` (k, G) from `real` (m, G): equal random draws, new folds in every repeat.

    `labels`: classes of real and synthetic rows.
    """
    sets = list(zip((real, synthetic), labels or (None, None), strict=True))
    size = min(len(real), len(synthetic), MOST_ROWS)
    if size < LEAST_ROWS:
        return TwoSampleAuc(*[float("nan")] * 3)
    kind, n_folds = np.repeat([False, True], size), min(N_FOLDS, size // 2)
    found = []
    for repeat in range(n_repeats):
        rng = stream(seed, "two-sample", repeat)
        start = int(rng.integers(n_folds))
        rows, folds = [], []
        for values, of in sets:
            drawn = proportional_rows(n=len(values), size=size, labels=of, rng=rng)
            rows.append(values[drawn].astype(np.float64))
            classes = None if of is None else of[drawn]
            folds.append(dealt_folds(labels=classes, n=size, n_folds=n_folds, start=start, rng=rng))
        found.append(_aucs(np.concatenate(rows), kind, np.concatenate(folds)))
    return TwoSampleAuc(*np.mean(found, axis=0).tolist())


def _aucs(
    rows: npt.NDArray[np.float64], kind: npt.NDArray[np.bool_], fold: npt.NDArray[np.intp]
) -> list[float]:
    rows = rows - rows.mean(axis=0)
    sd = rows.std(axis=0)
    used = sd > 1e-6
    if not used.any():
        return [0.5] * 3
    rows = rows[:, used] / sd[used]
    kernel = rows @ rows.T
    length = np.sqrt(np.maximum(np.diag(kernel), 1e-12))
    squared_cosine = (kernel / np.outer(length, length)) ** 2
    features = _spread_features(kernel, length)
    parts = []
    for number in range(int(fold.max()) + 1):
        test = fold == number
        parts.append([
            _auc(_kernel_ridge(kernel, kind, test), kind[test]),
            _auc(_logistic(features, kind, test), kind[test]),
            _auc(_kernel_ridge(squared_cosine, kind, test), kind[test]),
        ])  # fmt: skip
    return [float(value) for value in np.mean(parts, axis=0)]


def _spread_features(
    kernel: npt.NDArray[np.float64], length: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Principal scores, their absolute values, log length, log length outside the components."""
    values, vectors = np.linalg.eigh(kernel)
    top = slice(len(kernel) - min(N_COMPONENTS, len(kernel) // 2), None)
    inside = (vectors[:, top] ** 2) @ values[top]
    outside = np.sqrt(np.maximum(length**2 - inside, 1e-6 * length.mean() ** 2))
    scores = vectors[:, top] * np.sqrt(len(kernel))
    return np.column_stack([scores, np.abs(scores), np.log(length), np.log(outside)])


def _kernel_ridge(
    kernel: npt.NDArray[np.float64], kind: npt.NDArray[np.bool_], test: npt.NDArray[np.bool_]
) -> npt.NDArray[np.float64]:
    """Scores of the test rows from ridge regression of ±1 on the training rows, centred in kernel space."""
    inner = kernel[np.ix_(~test, ~test)]
    outer = kernel[np.ix_(test, ~test)]
    mean = inner.mean(axis=0)
    outer = outer - outer.mean(axis=1, keepdims=True) - mean + mean.mean()
    inner = inner - mean - mean[:, None] + mean.mean()
    target = np.where(kind[~test], 1.0, -1.0)
    penalty = RIDGE * max(float(np.trace(inner)) / len(inner), 1e-12)
    scores: npt.NDArray[np.float64] = outer @ np.linalg.solve(
        inner + penalty * np.eye(len(inner)), target - target.mean()
    )
    return scores


def _logistic(
    features: npt.NDArray[np.float64], kind: npt.NDArray[np.bool_], test: npt.NDArray[np.bool_]
) -> npt.NDArray[np.float64]:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    centre, sd = features[~test].mean(axis=0), features[~test].std(axis=0)
    scaled = (features - centre) / np.maximum(sd, 1e-9)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model = LogisticRegression(C=0.1, max_iter=200).fit(scaled[~test], kind[~test])
    scores: npt.NDArray[np.float64] = model.decision_function(scaled[test])
    return scores


def _auc(scores: npt.NDArray[np.float64], kind: npt.NDArray[np.bool_]) -> float:
    """Share of pairs in which the synthetic row scores higher; ties (to rounding) count half."""
    difference = scores[kind][:, None] - scores[~kind]
    tie = np.abs(difference) <= 1e-9 * max(float(np.abs(scores).max()), 1e-300)
    return float(np.where(tie, 0.5, difference > 0).mean())
