"""Quality figures of samples and the limits beyond which a sample is set aside. Pure functions.

All limits are medians plus or minus a number of MADs (median absolute deviations, scaled so that they equal
the standard deviation of normal data), taken around the median of each group of samples. The MAD is the
group's own from 20 samples on, and below that the common one of all groups' residuals. Groups are the arms:
a difference between cases and controls is what a study looks for and must never make the smaller arm look
like outliers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from consilience.sources.bulk.stored import BLOCK_GENES, Matrix, blocks

if TYPE_CHECKING:
    import numpy.typing as npt

MAD_TO_SD = 1.4826
MEAN_DEVIATION_TO_SD = 1.2533
MIN_SAMPLES_FOR_PCA = 10
OWN_MAD_FROM = 20
MAX_COMPONENTS = 5
CORE_SHARE = 0.75
LEAVE_OUT_UP_TO = 100
SUBGROUP_SHARE = 0.15
SAME_DIRECTION = 0.5
ALL_VECTORS_UP_TO = 500


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of one metric: `low`, `high` (None: no limit) by group, in the metric's own units.

    `median` and `mad` by group, the MAD on the scale of the judgement (log when `log`).
    """

    low: dict[str, float | None]
    high: dict[str, float | None]
    median: dict[str, float]
    mad: dict[str, float]
    n_mads: float
    log: bool

    def outside(self, values: npt.NDArray[np.float64], *, groups: Sequence[str]) -> npt.NDArray[np.bool_]:
        """Which samples lie beyond the limits of their group; (samples,)."""
        lows = np.array([_or(self.low[group], -np.inf) for group in groups])
        highs = np.array([_or(self.high[group], np.inf) for group in groups])
        return (values < lows) | (values > highs)


def _or(value: float | None, default: float) -> float:
    return default if value is None else value


def mad_of(residuals: npt.NDArray[np.float64]) -> float:
    """Scaled median absolute deviation of residuals; where it is 0, the scaled mean absolute deviation.

    More than half the residuals may be equal (few samples, rounded values); the mean deviation is then the
    customary substitute. 0 only when all are equal.

    References
    ----------
    Iglewicz B, Hoaglin DC. How to Detect and Handle Outliers. ASQC, 1993.
    """
    absolute = np.abs(residuals)
    mad = MAD_TO_SD * float(np.median(absolute))
    return mad if mad > 0 else MEAN_DEVIATION_TO_SD * float(absolute.mean())


def mad_limits(
    *,
    values: npt.NDArray[np.float64],
    groups: Sequence[str],
    n_mads: float,
    low: bool,
    high: bool,
    log: bool,
    tolerance: float = 0.0,
) -> Limits:
    """Limits of a metric; `values` (samples,), `groups` one name per sample, `low` and `high` which sides.

    No limit is nearer to its median than `tolerance` (a share of the median; with `log` a natural logarithm):
    in a very even cohort a sound sample can be many MADs away. With `log`, deviations are taken of the
    logarithm and zeros lie below every limit. Non-finite values are left out of the medians. When all
    residuals are equal there is no spread to judge by, and no limit.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        scaled = np.log(values) if log else np.asarray(values, dtype=np.float64)
    names = list(dict.fromkeys(groups))
    group_of = np.array([names.index(group) for group in groups])
    usable = np.isfinite(scaled)
    centres = {
        name: float(np.median(scaled[mine])) if (mine := usable & (group_of == k)).any() else np.nan
        for k, name in enumerate(names)
    }
    residuals = scaled - np.array([centres[group] for group in groups])
    common = mad_of(residuals[usable]) if usable.any() else 0.0
    mads = {
        name: mad_of(residuals[mine]) if (mine := usable & (group_of == k)).sum() >= OWN_MAD_FROM else common
        for k, name in enumerate(names)
    }
    back = np.exp if log else np.asarray

    def limit(name: str, sign: int, wanted: bool) -> float | None:
        if not wanted or mads[name] <= 0 or not np.isfinite(centres[name]):
            return None
        least = tolerance if log else tolerance * abs(centres[name])
        return float(back(centres[name] + sign * max(n_mads * mads[name], least)))

    return Limits(
        low={name: limit(name, -1, low) for name in names},
        high={name: limit(name, 1, high) for name in names},
        median={name: float(back(centres[name])) for name in names},
        mad=mads,
        n_mads=n_mads,
        log=log,
    )


@dataclass(frozen=True, slots=True)
class SampleDistances:
    """Robust PCA distances.

    `distance` (samples,), NaN for all when there are too few samples; `products` (samples, samples) inner
    products of the residuals, log expression without group and batch medians; `core` (samples,) those that
    the components rest on.
    """

    distance: npt.NDArray[np.float64]
    products: npt.NDArray[np.float64]
    core: npt.NDArray[np.bool_]


def pca_distances(
    *, log_expression: Matrix, groups: Sequence[str], batches: Sequence[str] | None = None
) -> SampleDistances:
    """How far each sample lies from the space in which its cohort varies; `log_expression` (samples, genes).

    From every gene the median of the sample's group is taken away, then the median of its batch, so that
    neither the studied difference nor a known batch counts as distance (in a group of one or two samples
    little is left: they are judged mildly, on purpose). The leading components of the three quarters of
    samples nearest to their median, the core, span how sound samples vary; the distance of a sample is the
    root mean square, over genes, of what these components leave of it. Outliers are no part of the core, so
    they cannot pull the components towards themselves. Core samples helped to place the components; up to a
    core of 100, where that matters, each is therefore measured from the components of the core without it.

    References
    ----------
    Hubert M, Rousseeuw PJ, Vanden Branden K. ROBPCA. Technometrics 47:64, 2005 (orthogonal distance).
    """
    n_samples, n_genes = log_expression.shape
    sets = [
        np.array([one == name for one in names])
        for names in (groups, batches or ())
        for name in dict.fromkeys(names)
    ]
    products = np.zeros((n_samples, n_samples))
    for genes in blocks(n_genes, BLOCK_GENES):
        block = log_expression[:, genes].astype(np.float64)
        for mine in sets:
            block[mine] -= np.median(block[mine], axis=0)
        products += block @ block.T
    if n_samples < MIN_SAMPLES_FOR_PCA or not np.diag(products).any():
        return SampleDistances(np.full(n_samples, np.nan), products, np.ones(n_samples, dtype=bool))
    order = np.argsort(np.diag(products), kind="stable")
    core = np.zeros(n_samples, dtype=bool)
    core[order[: int(np.ceil(CORE_SHARE * n_samples))]] = True
    leave_out = int(core.sum()) <= LEAVE_OUT_UP_TO
    squares = (
        [
            _squares_left(products, rows=np.array([row]), core=core & (np.arange(n_samples) != row))
            for row in range(n_samples)
        ]
        if leave_out
        else [_squares_left(products, rows=np.arange(n_samples), core=core)]
    )
    return SampleDistances(np.sqrt(np.concatenate(squares) / n_genes), products, core)


def _squares_left(
    products: npt.NDArray[np.float64], *, rows: npt.NDArray[np.intp], core: npt.NDArray[np.bool_]
) -> npt.NDArray[np.float64]:
    """Squared lengths of samples beyond the leading components of a core, by inner products; (rows,)."""
    members = np.flatnonzero(core)
    n_components = min(MAX_COMPONENTS, max(1, members.size // 4))
    roots, vectors = _leading(products[np.ix_(members, members)], n_components=n_components)
    used = roots > 1e-12 * max(roots[-1], 1e-300)
    scores = (products[np.ix_(rows, members)] @ vectors[:, used]) / np.sqrt(roots[used])
    return np.asarray(np.maximum(np.diag(products)[rows] - (scores**2).sum(axis=1), 0.0))


@dataclass(frozen=True, slots=True)
class Components:
    """`scores` (samples, components); `explained` (components,) share of the total variance."""

    scores: npt.NDArray[np.float64]
    explained: npt.NDArray[np.float64]


def principal_components(values: Matrix, *, n_components: int) -> Components:
    """Exact principal components through the samples × samples product (few samples, many genes).

    The sign of a component is fixed by its largest score, which makes it positive.
    """
    products = np.zeros((values.shape[0], values.shape[0]))
    for genes in blocks(values.shape[1], BLOCK_GENES):
        block = values[:, genes].astype(np.float64)
        block -= block.mean(axis=0)
        products += block @ block.T
    total = max(float(np.trace(products)), 1e-300)
    roots, vectors = _leading(products, n_components=min(n_components, values.shape[0]))
    roots, vectors = np.clip(roots[::-1], 0, None), vectors[:, ::-1]
    scores = vectors * np.sqrt(roots)
    largest = scores[np.argmax(np.abs(scores), axis=0), np.arange(roots.size)]
    return Components(scores * np.where(largest < 0, -1.0, 1.0), roots / total)


def _leading(
    products: npt.NDArray[np.float64], *, n_components: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """The largest eigenvalues, ascending, and their vectors; in a large cohort only these are computed.

    What a large `products` held is lost: LAPACK works in it (in its transpose, which has LAPACK's order).
    """
    size = products.shape[0]
    if size <= ALL_VECTORS_UP_TO:
        roots, vectors = np.linalg.eigh(products)
        return roots[-n_components:], vectors[:, -n_components:]
    from scipy.linalg import eigh

    roots, vectors = eigh(products.T, subset_by_index=(size - n_components, size - 1), overwrite_a=True)
    return roots, vectors


def subgroup_members(
    *, flagged: npt.NDArray[np.bool_], products: npt.NDArray[np.float64], groups: Sequence[str]
) -> npt.NDArray[np.bool_]:
    """Flagged samples that are not lone outliers but a subgroup of their group; (samples,).

    Outliers differ each in its own way or are few. When more than 15 % of a group (and more than two
    samples) lie apart in the same direction (cosine of residuals above 0.5, from their inner `products`),
    that is a subtype or an unknown batch: to remove it would change the question, so it is kept and reported.
    """
    members = np.zeros(len(groups), dtype=bool)
    rows = [int(row) for row in np.flatnonzero(flagged)]
    if len(rows) < 3:
        return members
    norms = np.sqrt(np.diag(products)[rows])
    alike = products[np.ix_(rows, rows)] > SAME_DIRECTION * np.outer(norms, norms)
    sizes = Counter(groups)
    for position, row in enumerate(rows):
        companions = sum(
            groups[other] == groups[row] for other, near in zip(rows, alike[position], strict=True) if near
        )
        members[row] = companions > max(2.0, SUBGROUP_SHARE * sizes[groups[row]])
    return members
