"""Gene by gene: how two sets of samples agree in mean, spread and share of zeros."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class Line:
    """y against x over genes: squared Pearson correlation, and slope and intercept of least squares.

    The squared correlation alone calls a generator of half the spread nearly perfect; slope and intercept do
    not. Noise in x (few samples) lowers the slope of even the true distribution: compare with the ceiling.
    """

    r2: float
    slope: float
    intercept: float


@dataclass(frozen=True, slots=True)
class GeneAgreement:
    """`mean`, `sd`: of `compared` (y) against `reference` (x), in their units.

    `spread_ratio`: root of the ratio of variances summed over genes (1 is ideal, not lowered by noise).
    `zero_fraction_error`: mean absolute difference, over genes, of the share of values at or below `zero`.
    """

    mean: Line
    sd: Line
    spread_ratio: float
    zero_fraction_error: float


def gene_agreement(
    *,
    reference: npt.NDArray[np.floating],
    compared: npt.NDArray[np.floating],
    every: npt.NDArray[np.floating] | None = None,
    zero: float = 0.0,
) -> GeneAgreement:
    """Agreement of `compared` (k, G) with `reference` (m, G).

    `every`: the samples that `compared` was drawn from, if it was: means and shares of zeros are theirs.
    """
    every = compared if every is None else every
    sds = sd_of(reference), sd_of(compared)
    zeros = np.abs((reference <= zero).mean(axis=0) - (every <= zero).mean(axis=0))
    return GeneAgreement(
        mean=line(x=mean_of(reference), y=mean_of(every)),
        sd=line(x=sds[0], y=sds[1]),
        spread_ratio=ratio(float(np.sqrt((sds[1] ** 2).sum())), float(np.sqrt((sds[0] ** 2).sum()))),
        zero_fraction_error=float(zeros.mean()),
    )


def line(*, x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]) -> Line:
    """Fit y on x, both (G,); NaN where x or y does not vary."""
    if len(x) < 2:
        return Line(float("nan"), float("nan"), float("nan"))
    dx, dy = x - x.mean(), y - y.mean()
    xx, yy, xy = float(dx @ dx), float(dy @ dy), float(dx @ dy)
    slope = ratio(xy, xx)
    return Line(ratio(xy * xy, xx * yy), slope, float(y.mean() - slope * x.mean()))


def fold_changes(
    *, values: npt.NDArray[np.floating], labels: npt.NDArray[np.generic], of: npt.NDArray[np.generic]
) -> npt.NDArray[np.float64]:
    """Mean of each class in `of` minus the mean of the other classes' means: (classes, G)."""
    means = np.stack([mean_of(values[labels == label]) for label in of])
    others = (means.sum(axis=0) - means) / max(1, len(of) - 1)
    difference: npt.NDArray[np.float64] = means - others
    return difference


def within_class(
    values: npt.NDArray[np.floating], labels: npt.NDArray[np.generic] | None
) -> npt.NDArray[np.float64]:
    """Rows minus the mean of their class (of all rows where `labels` is None): (n, G)."""
    left = np.array(values, dtype=np.float64)
    groups = [slice(None)] if labels is None else [labels == label for label in np.unique(labels)]
    for rows in groups:
        left[rows] -= left[rows].mean(axis=0)
    return left


def mean_of(values: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """Gene-wise mean (G,) in double precision."""
    found: npt.NDArray[np.float64] = values.mean(axis=0, dtype=np.float64)
    return found


def sd_of(values: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """Gene-wise standard deviation (G,), n − 1 in the denominator; NaN for one row."""
    if len(values) < 2:
        return np.full(values.shape[1], np.nan)
    found: npt.NDArray[np.float64] = values.std(axis=0, ddof=1, dtype=np.float64)
    return found


def ratio(above: float, below: float) -> float:
    """Quotient of `above` by `below`, NaN where `below` is 0."""
    return above / below if below > 0 else float("nan")
