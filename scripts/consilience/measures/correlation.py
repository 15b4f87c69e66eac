"""Gene-gene correlation: whether its structure is kept, and how strong it is.

A correlation estimated from n samples carries noise of about 1/√n, which lowers the agreement even of two
halves of one cohort. It is removed here without shrinking anything: the noise of two disjoint halves is
independent, so the product of their matrices estimates the square of the true one. The diagonal, which is 1
in any matrix and makes the published measure look good, is left out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from consilience.foundation.seeds import stream
from consilience.measures.gene_agreement import ratio, within_class

if TYPE_CHECKING:
    import numpy.typing as npt

LEAST_FREEDOM = 3
"""Degrees of freedom below which a half tells nothing of correlations."""
NO_STRUCTURE = 0.05
"""Below this share of the reference's structure there is nothing whose pattern could be compared."""


@dataclass(frozen=True, slots=True)
class CorrelationAgreement:
    """Agreement of the off-diagonal correlations of `compared` with those of `reference`.

    `raw`: Pearson, noise included. `similarity`: Pearson without noise (1: same pattern; may exceed 1 by
    chance; NaN where `compared` has no structure). `strength`: slope of compared on reference (1: as
    strong; 0: independent genes). `concordance`: 2⟨C,R⟩ / (⟨C,C⟩ + ⟨R,R⟩), pattern and strength in one (1
    is ideal; 0 for independent genes). NaN with too few samples.
    """

    raw: float
    similarity: float
    strength: float
    concordance: float


def published_similarity(
    *,
    reference: npt.NDArray[np.floating],
    compared: npt.NDArray[np.floating],
    n_genes: int = 50,
) -> float:
    """Pearson of the flattened correlation matrices of the 50 genes of most variance, diagonal included."""
    columns = np.argsort(-reference.var(axis=0, dtype=np.float64), kind="stable")[:n_genes]
    found = [_correlations(values[:, columns], None) for values in (reference, compared)]
    return _pearson(found[0].ravel(), found[1].ravel())


def correlation_agreement(
    *,
    reference: npt.NDArray[np.floating],
    compared: npt.NDArray[np.floating],
    columns: npt.NDArray[np.intp],
    seed: int,
    reference_labels: npt.NDArray[np.generic] | None = None,
    compared_labels: npt.NDArray[np.generic] | None = None,
    n_splits: int = 10,
) -> CorrelationAgreement:
    """Compare `compared` (k, G) with `reference` (m, G) on `columns`; within classes if labels are given."""
    sets = [(reference[:, columns], reference_labels), (compared[:, columns], compared_labels)]
    varies = np.all([within_class(*one).std(axis=0) > 0 for one in sets], axis=0)
    upper = np.triu_indices(int(varies.sum()), 1)
    sets = [(values[:, varies], labels) for values, labels in sets]
    whole = [_correlations(values, labels)[upper] for values, labels in sets]
    if len(upper[0]) < 3:
        return CorrelationAgreement(*[float("nan")] * 4)
    own = [
        np.mean(
            [
                _products(*(_correlations(values[half], _of(labels, half))[upper] for half in halves))
                for number in range(n_splits)
                if (halves := _halves(len(values), labels, seed, number)) is not None
            ]
            or [(np.nan, np.nan)],
            axis=0,
        )
        for values, labels in sets
    ]
    covariance, product = _products(whole[0], whole[1])
    (variance, square), (variance_compared, square_compared) = own
    if not variance > 0 or not square > 0:
        return CorrelationAgreement(_pearson(*whole), *[float("nan")] * 3)
    structured = variance_compared > NO_STRUCTURE * variance
    return CorrelationAgreement(
        raw=_pearson(*whole),
        similarity=covariance / np.sqrt(variance * variance_compared) if structured else float("nan"),
        strength=covariance / variance,
        concordance=ratio(2 * product, square + max(0.0, square_compared)),
    )


def most_variable(
    values: npt.NDArray[np.floating], labels: npt.NDArray[np.generic] | None, n_genes: int
) -> npt.NDArray[np.intp]:
    """Columns of the `n_genes` of most variance within classes, ascending."""
    variance = within_class(values, labels).var(axis=0)
    return np.sort(np.argsort(-variance, kind="stable")[: min(n_genes, int((variance > 0).sum()))])


def _correlations(
    values: npt.NDArray[np.floating], labels: npt.NDArray[np.generic] | None
) -> npt.NDArray[np.float64]:
    left = within_class(values, labels)
    size = np.linalg.norm(left, axis=0)
    left /= np.where(size > 1e-9, size, np.inf)
    found: npt.NDArray[np.float64] = left.T @ left
    return found


def _halves(
    n: int, labels: npt.NDArray[np.generic] | None, seed: int, number: int
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]] | None:
    """Two disjoint halves of every class; None where a half is too small."""
    rng = stream(seed, "correlation-halves", number)
    groups = (
        [np.arange(n)] if labels is None else [np.flatnonzero(labels == one) for one in np.unique(labels)]
    )
    shuffled = [rng.permutation(group) for group in groups]
    halves = (
        np.concatenate([group[: len(group) // 2] for group in shuffled]),
        np.concatenate([group[len(group) // 2 :] for group in shuffled]),
    )
    freedom = sum(max(0, len(group) // 2 - 1) for group in shuffled)
    return halves if freedom >= LEAST_FREEDOM else None


def _of(labels: npt.NDArray[np.generic] | None, rows: npt.NDArray[np.intp]) -> npt.NDArray[np.generic] | None:
    return None if labels is None else labels[rows]


def _products(a: npt.NDArray[np.float64], b: npt.NDArray[np.float64]) -> tuple[float, float]:
    """Covariance, and mean product, of two lists of correlations."""
    product = float(a @ b) / len(a)
    return product - float(a.mean() * b.mean()), product


def _pearson(a: npt.NDArray[np.float64], b: npt.NDArray[np.float64]) -> float:
    a, b = a - a.mean(), b - b.mean()
    return ratio(float(a @ b), float(np.sqrt((a @ a) * (b @ b))))
