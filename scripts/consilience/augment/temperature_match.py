"""How much wider or narrower synthetic samples are than real ones, from patients left out of the fit.

Four figures, each a ratio to what real patients reach in the same fold, so that 1 is a match:

`sd_slope`     slope of the synthetic gene-wise sd on that of the held-out patients / the same slope of the
               training patients. Few held-out patients make their sd noisy, which lowers any slope; it
               lowers both alike.
`spread`       within-class sd (all genes together) / that of held-out patients about the class means of the
               training patients (each counts, even the only one of its class in the fold).
`diversity`    mean distance of two synthetic samples of a class / that of a held-out from a training patient.
`correlation`  covariance of the synthetic gene-gene correlations (within classes, off the diagonal) with
               those of the held-out patients / the same of the training patients. The noise of the held-out
               ones is independent of both.

Numerators and denominators are summed over folds before they are divided: a ratio of one small fold is
skewed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from consilience.measures.correlation import most_variable
from consilience.measures.distances import distances, mean_pairwise
from consilience.measures.gene_agreement import line, sd_of, within_class

if TYPE_CHECKING:
    import numpy.typing as npt

    from consilience.augment.generators.generator import Drawn
    from consilience.learning.samples import Samples

FIGURES = ("sd_slope", "spread", "diversity", "correlation")
POWERS = np.array([1.0, 0.5, 1.0, 1.0])
"""The spread is summed as a variance."""
CORRELATION_GENES = 300
SMALLEST = 0.02
"""Ratios below are set to it: a logarithm is taken."""


@dataclass(frozen=True)
class Fold:
    """Real patients of one fold: what does not depend on what is drawn.

    `sds`: gene-wise sd (G,) of held-out and of training patients. `labels` (classes,) and `sizes`
    (classes,) of the held-out patients, of classes the training has too; `variances`, `distances`
    (classes,) of them. `correlations` (pairs,): of the held-out ones, centred; `own`: their covariance with
    the training ones.
    """

    sds: tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]
    labels: npt.NDArray[np.str_]
    sizes: npt.NDArray[np.float64]
    variances: npt.NDArray[np.float64]
    distances: npt.NDArray[np.float64]
    correlations: npt.NDArray[np.float64]
    own: float


@dataclass(frozen=True)
class Summary:
    """Synthetic samples: gene-wise `sd` (G,), by class their variance and mean distance, `correlations`."""

    sd: npt.NDArray[np.float64]
    variances: dict[str, float]
    distances: dict[str, float]
    correlations: npt.NDArray[np.float64]


def correlation_columns(train: Samples) -> npt.NDArray[np.intp]:
    """Genes whose correlations are compared."""
    return most_variable(train.values, train.labels, CORRELATION_GENES)


def fold_of(train: Samples, held_out: Samples, *, columns: npt.NDArray[np.intp]) -> Fold:
    """What the draws of a generator fitted to `train` are compared with."""
    labels, counts = np.unique(held_out.labels, return_counts=True)
    known = np.isin(labels, train.labels)
    labels, sizes = labels[known], counts[known].astype(np.float64)
    left = [np.empty((0, len(columns)))]
    variances, away = [], []
    for label in labels:
        mine, theirs = train.values[train.labels == label], held_out.values[held_out.labels == label]
        deviations = theirs - mine.mean(axis=0, dtype=np.float64)
        # a mean of n patients is itself off by 1/n of the variance
        variances.append(float((deviations**2).sum()) / len(theirs) / (1 + 1 / len(mine)))
        away.append(float(distances(a=theirs, b=mine).mean()))
        left.append(deviations[:, columns])
    held = _correlations(np.concatenate(left))
    held -= held.mean() if held.size else 0.0
    own = _correlations(within_class(train.values[:, columns], train.labels))
    return Fold(
        (sd_of(held_out.values), sd_of(train.values)), labels, sizes, np.array(variances),
        np.array(away), held, float(held @ own),
    )  # fmt: skip


def summary_of(drawn: Drawn, *, columns: npt.NDArray[np.intp]) -> Summary:
    """What of synthetic samples is compared."""
    groups = {str(label): drawn.values[drawn.labels == label] for label in np.unique(drawn.labels)}
    groups = {label: rows for label, rows in groups.items() if len(rows) > 1}
    return Summary(
        sd=sd_of(drawn.values),
        variances={
            label: float(rows.var(axis=0, ddof=1, dtype=np.float64).sum()) for label, rows in groups.items()
        },
        distances={label: mean_pairwise(rows) for label, rows in groups.items()},
        correlations=_correlations(within_class(drawn.values[:, columns], drawn.labels)),
    )


def compared(fold: Fold, drawn: Summary) -> npt.NDArray[np.float64]:
    """Numerators and denominators of FIGURES: (2, 4), weighted by the number of held-out patients."""
    weight = float(fold.sizes.sum())
    found = np.zeros((2, len(FIGURES)))
    held, own = fold.sds
    found[:, 0] = weight * line(x=held, y=drawn.sd).slope, weight * line(x=held, y=own).slope
    for place, label in enumerate(fold.labels.tolist()):
        if label in drawn.variances:
            size = fold.sizes[place]
            found[:, 1] += size * drawn.variances[label], size * fold.variances[place]
            found[:, 2] += size * drawn.distances[label], size * fold.distances[place]
    found[:, 3] = weight * float(fold.correlations @ drawn.correlations), weight * fold.own
    return found


def log_ratios(parts: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Logarithm of FIGURES from `parts` (folds, temperatures, 2, 4), pooled over folds: (temperatures, 4).

    NaN where real patients themselves do not agree, so that there is nothing to match.
    """
    above, below = parts.sum(axis=0).swapaxes(0, 1)
    usable = np.isfinite(below) & (below > 0) & np.isfinite(above)
    ratio = np.where(usable, above, 1.0) / np.where(usable, below, 1.0)
    logs = POWERS * np.log(np.maximum(ratio, SMALLEST))
    found: npt.NDArray[np.float64] = np.where(usable, logs, np.nan)
    return found


def _correlations(left: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """Off-diagonal correlations of centred rows (n, G): (G (G − 1) / 2,)."""
    size = np.linalg.norm(left, axis=0)
    scaled = left / np.where(size > 1e-9, size, np.inf)
    found: npt.NDArray[np.float64] = (scaled.T @ scaled)[np.triu_indices(scaled.shape[1], 1)]
    return found
