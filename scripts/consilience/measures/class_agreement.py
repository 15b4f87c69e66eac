"""Fidelity class by class: a class that is dropped or blurred into another does not show in pooled ones."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from consilience.measures.correlation import CorrelationAgreement, correlation_agreement
from consilience.measures.distributions import diversity_within
from consilience.measures.gene_agreement import (
    GeneAgreement,
    Line,
    fold_changes,
    gene_agreement,
    line,
    ratio,
    within_class,
)

if TYPE_CHECKING:
    import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class OneClass:
    """One class of `n_reference` and `n_compared` rows; `diversity`: ratio of mean pairwise distances."""

    label: str
    n_reference: int
    n_compared: int
    genes: GeneAgreement
    diversity: float


@dataclass(frozen=True, slots=True)
class ClassAgreement:
    """Agreement within and between classes.

    `lost`: classes of the reference of which nothing was compared. `share_error`: total variation distance
    of the class shares. `mean_r2`: mean over the reference's classes, a lost class counting 0.
    `fold_change`: line of compared on reference over all genes and classes (class mean − mean of the other
    classes; NaN with one class or a lost one). `spread_ratio`, `diversity`: within classes, mean weighted
    by the reference's sizes, of classes with at least 2 rows. `correlation`: within classes. `each`: one
    entry per class not lost, by label.
    """

    lost: tuple[str, ...]
    share_error: float
    mean_r2: float
    fold_change: Line
    spread_ratio: float
    diversity: float
    correlation: CorrelationAgreement
    each: tuple[OneClass, ...]


def class_agreement(
    *,
    reference: npt.NDArray[np.floating],
    compared: npt.NDArray[np.floating],
    reference_labels: npt.NDArray[np.generic],
    compared_labels: npt.NDArray[np.generic],
    columns: npt.NDArray[np.intp],
    zero: float,
    seed: int,
    every: tuple[npt.NDArray[np.floating], npt.NDArray[np.generic]] | None = None,
) -> ClassAgreement:
    """Compare `compared` (k, G) with `reference` (m, G) by class; `columns`: genes for the correlation.

    `every`: rows and labels that `compared` was drawn from, if it was: class means, shares of zeros and of
    classes are theirs.
    """
    all_rows, all_labels = every or (compared, compared_labels)
    classes = np.unique(reference_labels)
    there = np.isin(classes, compared_labels)
    each = []
    for label in classes[there]:
        rows = {
            "reference": reference[reference_labels == label],
            "compared": compared[compared_labels == label],
        }
        each.append(
            OneClass(
                str(label), len(rows["reference"]), len(rows["compared"]),
                gene_agreement(**rows, every=all_rows[all_labels == label], zero=zero),
                diversity_within(**rows),
            )
        )  # fmt: skip
    kept = np.isin(reference_labels, classes[there]), np.isin(compared_labels, classes[there])
    return ClassAgreement(
        lost=tuple(str(label) for label in classes[~there]),
        share_error=_share_error(reference_labels, all_labels),
        mean_r2=sum(one.genes.mean.r2 for one in each) / len(classes),
        fold_change=_fold_change(reference, all_rows, reference_labels, all_labels),
        spread_ratio=_spread_ratio(each, reference, compared, reference_labels, compared_labels),
        diversity=_weighted([one.diversity for one in each], [one.n_reference for one in each]),
        correlation=correlation_agreement(
            reference=reference[kept[0]], compared=compared[kept[1]], columns=columns, seed=seed,
            reference_labels=reference_labels[kept[0]], compared_labels=compared_labels[kept[1]],
        ) if there.any() else CorrelationAgreement(*[float("nan")] * 4),
        each=tuple(each),
    )  # fmt: skip


def _share_error(a: npt.NDArray[np.generic], b: npt.NDArray[np.generic]) -> float:
    labels = np.union1d(a, b)
    return float(sum(abs((a == label).mean() - (b == label).mean()) for label in labels) / 2)


def _fold_change(
    reference: npt.NDArray[np.floating], compared: npt.NDArray[np.floating],
    reference_labels: npt.NDArray[np.generic], compared_labels: npt.NDArray[np.generic],
) -> Line:  # fmt: skip
    classes = np.unique(reference_labels)
    if len(classes) < 2 or not np.isin(classes, compared_labels).all():
        return Line(float("nan"), float("nan"), float("nan"))
    found = [
        fold_changes(values=values, labels=labels, of=classes)
        for values, labels in ((reference, reference_labels), (compared, compared_labels))
    ]
    # of two classes the second is the first with the sign turned
    first, second = (one[: max(1, len(classes) - 1)] if len(classes) == 2 else one for one in found)
    return line(x=first.ravel(), y=second.ravel())


def _spread_ratio(
    each: list[OneClass], reference: npt.NDArray[np.floating], compared: npt.NDArray[np.floating],
    reference_labels: npt.NDArray[np.generic], compared_labels: npt.NDArray[np.generic],
) -> float:  # fmt: skip
    """Root of the ratio of variances within classes, summed over genes, weighted by the reference's sizes."""
    sums = np.zeros(2)
    for one in each:
        if min(one.n_reference, one.n_compared) < 2:
            continue
        for place, (values, labels) in enumerate(
            ((reference, reference_labels), (compared, compared_labels))
        ):
            rows = values[labels.astype(str) == one.label]
            sums[place] += one.n_reference * float((within_class(rows, None) ** 2).sum()) / (len(rows) - 1)
    return ratio(float(np.sqrt(sums[1])), float(np.sqrt(sums[0])))


def _weighted(values: list[float], weights: list[int]) -> float:
    finite = [(value, weight) for value, weight in zip(values, weights, strict=True) if np.isfinite(value)]
    return ratio(sum(value * weight for value, weight in finite), float(sum(weight for _, weight in finite)))
