"""How close synthetic samples come to real patients the generator never saw, beside what is possible.

Every figure is also computed for the training patients themselves as if they were synthetic (`ceiling`) and
for random halves of all real patients (`split_half`): with few patients, no generator can come closer.
A pooled figure hides a lost class, so with labels everything is judged class by class as well.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from consilience.foundation.errors import DataError
from consilience.foundation.seeds import stream
from consilience.measures.class_agreement import ClassAgreement, class_agreement
from consilience.measures.correlation import (
    CorrelationAgreement,
    correlation_agreement,
    most_variable,
    published_similarity,
)
from consilience.measures.distances import canonical_order
from consilience.measures.distributions import CloudAgreement, cloud_agreement, pathway_distances
from consilience.measures.draws import proportional_rows
from consilience.measures.gene_agreement import GeneAgreement, gene_agreement
from consilience.measures.plain import average
from consilience.measures.two_sample import TwoSampleAuc, two_sample_auc

if TYPE_CHECKING:
    import numpy.typing as npt

LEAST_ROWS = 4
MOST_ROWS = 2_000
"""Rows beyond which a draw is taken: the distances of all pairs are held at once."""
CORRELATION_GENES = 500


@dataclass(frozen=True, slots=True)
class PathwayAgreement:
    """Wasserstein-1 distance of pathway scores in real sd: median and 90 % quantile over pathways."""

    median: float
    high: float


@dataclass(frozen=True, slots=True)
class Agreement:
    """One set of samples (`n_compared` rows) against a reference (`n_reference` rows).

    `correlation` over all samples, `correlation_published` as the published measure has it; `pathways` None
    without membership, `classes` None without labels.
    """

    n_reference: int
    n_compared: int
    genes: GeneAgreement
    correlation: CorrelationAgreement
    correlation_published: float
    cloud: CloudAgreement
    two_sample: TwoSampleAuc
    pathways: PathwayAgreement | None
    classes: ClassAgreement | None


@dataclass(frozen=True, slots=True)
class Fidelity:
    """`synthetic`: against the held-out patients. `ceiling`: training against held-out patients.

    `split_half`: random halves of all real patients, stratified by class, mean over repeats.
    """

    synthetic: Agreement
    ceiling: Agreement
    split_half: Agreement


@dataclass(frozen=True, slots=True)
class _Settings:
    zero: float
    membership: Sequence[npt.NDArray[np.intp]] | None
    columns: npt.NDArray[np.intp]
    seed: int


@dataclass(frozen=True, slots=True)
class _Rows:
    values: npt.NDArray[np.floating]
    labels: npt.NDArray[np.generic] | None

    def __len__(self) -> int:
        return len(self.values)

    def take(self, rows: npt.NDArray[np.intp]) -> _Rows:
        return _Rows(self.values[rows], None if self.labels is None else self.labels[rows])


def fidelity(
    *,
    real_train: npt.NDArray[np.float32],
    real_held_out: npt.NDArray[np.float32],
    synthetic: npt.NDArray[np.float32],
    labels: tuple[npt.NDArray[np.generic], npt.NDArray[np.generic], npt.NDArray[np.generic]] | None = None,
    membership: Sequence[npt.NDArray[np.intp]] | None = None,
    zero: float = 0.0,
    n_correlation_genes: int = CORRELATION_GENES,
    n_halves: int = 2,
    seed: int = 0,
) -> Fidelity:
    """Judge `synthetic` (k, G) by `real_held_out` (m, G), beside `real_train` (n, G); all on one log scale.

    `labels`: classes of train, held-out and synthetic rows, (n,), (m,), (k,). `membership`: for every
    pathway the columns of its genes. `zero`: value at or below which a gene counts as not seen. More
    synthetic rows than training rows are drawn down (class by class) to their number, so that synthetic and
    ceiling carry the same sampling noise; only averages (means, fold changes, shares of zeros and of classes)
    are those of all synthetic rows, since a draw of n would add to them an error that the training rows do
    not have twice. Rows are one per patient; the result does not depend on their order.
    """
    given = labels or (None, None, None)
    train, held_out, made = (
        _checked(values, of, name, real_train.shape[-1])
        for values, of, name in zip(
            (real_train, real_held_out, synthetic), given, ("training", "held-out", "synthetic"), strict=True
        )
    )
    settings = _Settings(
        zero, membership, most_variable(train.values, train.labels, n_correlation_genes), seed
    )
    every, made = made, _draw(made, min(len(train), MOST_ROWS), seed, "synthetic")
    train, held_out = (_draw(rows, MOST_ROWS, seed, "real") for rows in (train, held_out))
    together = None if labels is None else np.concatenate([given[0], given[1]])
    pool = _checked(np.concatenate([real_train, real_held_out]), together, "real", real_train.shape[-1])
    halves = [_halves(pool, seed, number) for number in range(max(1, n_halves))]
    return Fidelity(
        synthetic=_agreement(held_out, made, settings, every=every),
        ceiling=_agreement(held_out, train, settings),
        split_half=average([_agreement(*pair, settings) for pair in halves]),
    )


def _agreement(
    reference: _Rows, compared: _Rows, settings: _Settings, *, every: _Rows | None = None
) -> Agreement:
    every = every or compared
    pair: dict[str, Any] = {"reference": reference.values, "compared": compared.values}
    pathways = classes = None
    if settings.membership is not None:
        away = pathway_distances(**pair, membership=settings.membership)
        away = away[np.isfinite(away)]
        pathways = PathwayAgreement(*(np.quantile(away, [0.5, 0.9]).tolist() if away.size else [np.nan] * 2))
    if reference.labels is not None and compared.labels is not None:
        classes = class_agreement(
            **pair, reference_labels=reference.labels, compared_labels=compared.labels,
            columns=settings.columns, zero=settings.zero, seed=settings.seed,
            every=None if every.labels is None else (every.values, every.labels),
        )  # fmt: skip
    return Agreement(
        n_reference=len(reference),
        n_compared=len(compared),
        genes=gene_agreement(**pair, every=every.values, zero=settings.zero),
        correlation=correlation_agreement(**pair, columns=settings.columns, seed=settings.seed),
        correlation_published=published_similarity(**pair),
        cloud=cloud_agreement(**pair),
        two_sample=two_sample_auc(
            real=reference.values,
            synthetic=compared.values,
            seed=settings.seed,
            labels=None
            if reference.labels is None or compared.labels is None
            else (reference.labels, compared.labels),
        ),
        pathways=pathways,
        classes=classes,
    )


def _checked(
    values: npt.NDArray[np.floating], labels: npt.NDArray[np.generic] | None, name: str, width: int
) -> _Rows:
    """Refuse what cannot be judged; put rows into an order that depends on their content only."""
    if values.ndim != 2 or values.shape[1] != width or not width:
        raise DataError("the sets do not have the same genes", where=f"{name} samples", value=values.shape,
                        allowed=f"(samples, {width})")  # fmt: skip
    if len(values) < LEAST_ROWS:
        raise DataError("too few samples to judge fidelity by", where=f"{name} samples", value=len(values),
                        allowed=f"{LEAST_ROWS} or more")  # fmt: skip
    if not np.isfinite(values).all():
        raise DataError("values that are no numbers", where=f"{name} samples",
                        value=f"{int((~np.isfinite(values)).sum())} of {values.size}")  # fmt: skip
    if labels is not None and len(labels) != len(values):
        raise DataError("not one label per sample", where=f"{name} samples", value=len(labels),
                        allowed=str(len(values)))  # fmt: skip
    return _Rows(values, labels).take(canonical_order(values))


def _draw(rows: _Rows, most: int, seed: int, name: str) -> _Rows:
    """At most `most` rows, every class in its share."""
    if len(rows) <= most:
        return rows
    rng = stream(seed, "fidelity-draw", name)
    return rows.take(proportional_rows(n=len(rows), size=most, labels=rows.labels, rng=rng))


def _halves(pool: _Rows, seed: int, number: int) -> tuple[_Rows, _Rows]:
    """Two disjoint halves, class by class."""
    rng = stream(seed, "fidelity-halves", number)
    groups = (
        [np.arange(len(pool))]
        if pool.labels is None
        else [np.flatnonzero(pool.labels == label) for label in np.unique(pool.labels)]
    )
    parts: tuple[list[npt.NDArray[np.intp]], list[npt.NDArray[np.intp]]] = ([], [])
    for place, group in enumerate(groups):
        shuffled = rng.permutation(group)
        cut = (len(group) + place % 2) // 2
        parts[0].append(shuffled[:cut])
        parts[1].append(shuffled[cut:])
    first, second = (pool.take(np.concatenate(part)[:MOST_ROWS]) for part in parts)
    return first, second
