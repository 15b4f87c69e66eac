"""Two-class classifiers asked about any number of classes, and how right their answers are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from consilience.measures.ranking import auc

if TYPE_CHECKING:
    import numpy.typing as npt

    from consilience.learning.baselines.baseline import Baseline

    Floats = npt.NDArray[np.float64]
    Text = npt.NDArray[np.str_]


@dataclass(frozen=True, slots=True)
class Scores:
    """How right scores are, NaN where not defined.

    `accuracy` and `balanced` (mean over classes): of the class of greatest score. `auc`: of each class
    against the rest, mean over the classes that the test has. `brier`: half the squared distance of the
    class probabilities from the outcome, which for two classes is the usual one.
    """

    accuracy: float
    balanced: float
    auc: float
    brier: float


def class_scores(
    classifier: Baseline, *, train: npt.NDArray[np.floating], labels: Text, test: npt.NDArray[np.floating],
    classes: tuple[str, ...], seed: int,
) -> Floats:  # fmt: skip
    """Scores (m, classes) of `test` (m, G) in 0..1 by a classifier trained on `train` (n, G), `labels` (n,).

    Two classes: one fit. More: each against the rest, divided by their sum. A class of which the training
    rows have none (a generator lost it) scores 0; the only one they have scores 1.
    """
    known = [name for name in classes if (labels == name).any()]
    scores = np.zeros((len(test), len(classes)))
    if len(known) == 1:
        scores[:, classes.index(known[0])] = 1.0
        return scores
    for name in known[1:] if len(known) == 2 else known:
        found = classifier.fit_predict(train, labels == name, test, seed)
        scores[:, classes.index(name)] = found
    if len(known) == 2:
        scores[:, classes.index(known[0])] = 1.0 - scores[:, classes.index(known[1])]
        return scores
    total = scores.sum(axis=1, keepdims=True)
    flat = np.isin(classes, known) / len(known)
    shares: Floats = np.where(total > 0, scores / np.where(total > 0, total, 1.0), flat)
    return shares


def judged_scores(scores: Floats, *, truth: Text, classes: tuple[str, ...], probability: bool) -> Scores:
    """How right `scores` (m, classes) are about `truth` (m,); no Brier score unless a `probability`."""
    # ties (a classifier that knows one class only) go to the first class in the alphabet
    said = np.array(classes)[scores.argmax(axis=1)]
    right = said == truth
    present = [place for place, name in enumerate(classes) if (truth == name).any()]
    areas = [
        auc(scores[:, place], truth == classes[place]) for place in present if (truth != classes[place]).any()
    ]
    outcome = truth[:, None] == np.array(classes)
    return Scores(
        accuracy=float(right.mean()),
        balanced=float(np.mean([right[truth == classes[place]].mean() for place in present])),
        auc=float(np.mean(areas)) if areas else float("nan"),
        brier=float(((scores - outcome) ** 2).sum(axis=1).mean() / 2) if probability else float("nan"),
    )
