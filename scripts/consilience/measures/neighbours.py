"""What vectors of samples are worth: neighbours should share the label, mix the batches, stay neighbours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from consilience.foundation.errors import DataError
from consilience.measures.distances import nearest, pairwise

if TYPE_CHECKING:
    import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class LabelAccuracy:
    """Labels of `n` queries guessed from their neighbours.

    `accuracy`: share guessed right. `balanced`: mean over labels of the share right. `chance`: accuracy of
    always guessing the references' commonest label. `guess` (n,): the guessed labels.
    """

    n: int
    accuracy: float
    balanced: float
    chance: float
    guess: npt.NDArray[np.str_]


@dataclass(frozen=True, slots=True)
class Mixing:
    """How well batches mix among the `k` nearest neighbours of other donors.

    `entropy`: entropy of the neighbours' batches / that of all possible neighbours (1: mixed, 0: apart).
    `lisi`: inverse Simpson index of the neighbours' batches, unbiased, scaled so that 1 is one batch only
    and the number of batches is perfect mixing of equal batches; `lisi_mixed` is its value for perfect
    mixing of these batches. `rejection`: share of samples whose neighbourhood differs from the whole by a
    χ² test at 5 % (0.05 or, with few neighbours, less if mixed). NaN with one batch.
    """

    entropy: float
    lisi: float
    lisi_mixed: float
    rejection: float


@dataclass(frozen=True, slots=True)
class Stability:
    """Two sets of vectors of the same samples: mean share of common neighbours, beside that by chance.

    `distances`: Pearson correlation of the distances of all pairs.
    """

    overlap: float
    chance: float
    distances: float


@dataclass(frozen=True, slots=True)
class Pca:
    """Principal components fitted on training rows: `mean` (G,), `components` (d, G) of unit length."""

    mean: npt.NDArray[np.float64]
    components: npt.NDArray[np.float64]

    def transform(self, values: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
        """Scores (n, d) of rows (n, G)."""
        scores: npt.NDArray[np.float64] = (values - self.mean) @ self.components.T
        return scores


def fit_pca(values: npt.NDArray[np.floating], n_components: int = 64) -> Pca:
    """Components of training rows (n, G); fewer where the rows have fewer directions."""
    mean = values.mean(axis=0, dtype=np.float64)
    left = values - mean
    if len(left) <= left.shape[1]:
        # the small square matrix has the same components
        eigen, vectors = np.linalg.eigh(left @ left.T)
        keep = _leading(eigen, n_components)
        components = (vectors[:, keep].T @ left) / np.sqrt(eigen[keep])[:, None]
    else:
        eigen, vectors = np.linalg.eigh(left.T @ left)
        components = vectors[:, _leading(eigen, n_components)].T
    largest = np.abs(components).argmax(axis=1)
    signs = np.sign(components[np.arange(len(components)), largest])
    return Pca(mean, components * signs[:, None])


def _leading(eigen: npt.NDArray[np.float64], n: int) -> npt.NDArray[np.intp]:
    order = np.argsort(-eigen, kind="stable")[:n]
    return order[eigen[order] > 1e-10 * max(float(eigen.max(initial=0)), 1e-300)]


def label_accuracy(
    *,
    queries: npt.NDArray[np.floating],
    query_labels: npt.NDArray[np.generic],
    query_donors: npt.NDArray[np.generic],
    references: npt.NDArray[np.floating],
    reference_labels: npt.NDArray[np.generic],
    reference_donors: npt.NDArray[np.generic],
    k: int = 15,
) -> LabelAccuracy:
    """Guess labels of `queries` (n, d) from the `k` nearest `references` (m, d) of other donors.

    Queries and references may be the same rows. The commonest label among the neighbours wins; of equally
    common ones that of the nearest neighbour among them.
    """
    levels, codes = np.unique(reference_labels.astype(str), return_inverse=True)
    found = nearest(
        queries=queries, references=references, k=min(k, len(references)),
        apart=(query_donors, reference_donors),
    )  # fmt: skip
    if not np.isfinite(found.distance[:, 0]).all():
        raise DataError(
            "a sample has no neighbour of another donor", mend="give samples of two donors or more"
        )
    there = found.place >= 0
    votes = np.zeros((len(queries), len(levels)))
    weight = 1 - np.arange(found.place.shape[1]) * 1e-3 / found.place.shape[1]
    first = np.full(votes.shape, -np.inf)
    rows = np.arange(len(queries))
    for column in range(found.place.shape[1]):
        code = codes[found.place[:, column]]
        votes[rows, code] += there[:, column]
        first[rows, code] = np.maximum(first[rows, code], np.where(there[:, column], weight[column], -np.inf))
    guess = levels[(votes + np.where(np.isfinite(first), first * 1e-2, 0)).argmax(axis=1)]
    truth = query_labels.astype(str)
    right = guess == truth
    common = levels[np.bincount(codes).argmax()]
    return LabelAccuracy(
        n=len(queries),
        accuracy=float(right.mean()),
        balanced=float(np.mean([right[truth == label].mean() for label in np.unique(truth)])),
        chance=float((truth == common).mean()),
        guess=guess,
    )


def batch_mixing(
    *,
    vectors: npt.NDArray[np.floating],
    batches: npt.NDArray[np.generic],
    donors: npt.NDArray[np.generic],
    labels: npt.NDArray[np.generic] | None = None,
    k: int = 15,
) -> Mixing:
    """Mixing of `batches` (n,) among neighbours in `vectors` (n, d).

    With `labels`, within each label that more than one batch has (a label of one batch only must not look
    like a batch effect), mean weighted by samples.
    """
    groups = [np.arange(len(vectors))] if labels is None else [
        np.flatnonzero(labels == label) for label in np.unique(labels)
    ]  # fmt: skip
    parts, weights = [], []
    for rows in groups:
        if len(np.unique(batches[rows])) > 1 and len(rows) > 3:
            parts.append(_mixing(vectors[rows], batches[rows], donors[rows], k))
            weights.append(len(rows))
    if not parts:
        return Mixing(*[float("nan")] * 4)
    return Mixing(*np.average(np.array(parts), axis=0, weights=weights).tolist())


def _mixing(
    vectors: npt.NDArray[np.floating],
    batches: npt.NDArray[np.generic],
    donors: npt.NDArray[np.generic],
    k: int,
) -> tuple[float, float, float, float]:
    from scipy.stats import chi2

    _, code = np.unique(batches, return_inverse=True)
    k = min(k, len(vectors) - 2)
    found = nearest(queries=vectors, references=vectors, k=k, apart=(donors, donors))
    there = found.place >= 0
    counts = np.stack(
        [((code[found.place] == one) & there).sum(axis=1) for one in range(code.max() + 1)], axis=1
    )
    size = counts.sum(axis=1)
    # what a sample could have as neighbours: everybody but its own donor
    who, whose = np.unique(donors, return_inverse=True)
    table = np.zeros((len(who), code.max() + 1), dtype=np.intp)
    np.add.at(table, (whose, code), 1)
    same = table[whose]
    possible = np.bincount(code) - same
    share = possible / np.maximum(1, possible.sum(axis=1, keepdims=True))
    used = (size > 1) & ((share > 0).sum(axis=1) > 1)
    if not used.any():
        return (float("nan"),) * 4
    counts, size, share = counts[used], size[used, None], share[used]
    expected = size * share
    statistic = np.where(expected > 0, (counts - expected) ** 2 / np.where(expected > 0, expected, 1), 0).sum(
        axis=1
    )
    # drawn without replacement, so the counts vary less than a multinomial's
    total = possible[used].sum(axis=1)
    statistic *= (total - 1) / np.maximum(1, total - size[:, 0])
    p = chi2.sf(statistic, (share > 0).sum(axis=1) - 1)
    simpson = (counts * (counts - 1)).sum(axis=1) / (size[:, 0] * (size[:, 0] - 1))
    inside = possible[used]
    mixed = (inside * (inside - 1)).sum(axis=1) / np.maximum(1, total * (total - 1))
    return (
        float((_entropy(counts / size) / _entropy(share)).mean()),
        float(1 / simpson.mean()) if simpson.mean() > 0 else float(code.max() + 1),
        float(1 / mixed.mean()) if mixed.mean() > 0 else float(code.max() + 1),
        float((p < 0.05).mean()),
    )


def _entropy(shares: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    entropy: npt.NDArray[np.float64] = -(shares * np.log(np.where(shares > 0, shares, 1))).sum(axis=1)
    return entropy


def stability(*, first: npt.NDArray[np.floating], second: npt.NDArray[np.floating], k: int = 15) -> Stability:
    """Compare two sets of vectors, (n, d) and (n, d'), of the same samples; only distances matter."""
    n = len(first)
    if n != len(second) or n < 3:
        raise DataError(
            "stability needs two vectors each of the same three samples or more", value=(n, len(second))
        )
    k = min(k, n - 2)
    marks = np.arange(n)
    near = [
        np.sort(nearest(queries=one, references=one, k=k, apart=(marks, marks)).place, axis=1)
        for one in (first, second)
    ]
    common = [len(np.intersect1d(a, b, assume_unique=True)) for a, b in zip(*near, strict=True)]
    upper = np.triu_indices(n, 1)
    away = [pairwise(one)[upper] for one in (first, second)]
    away = [one - one.mean() for one in away]
    length = float(np.sqrt((away[0] @ away[0]) * (away[1] @ away[1])))
    return Stability(
        overlap=float(np.mean(common)) / k,
        chance=k / (n - 1),
        distances=float(away[0] @ away[1]) / length if length > 0 else float("nan"),
    )
