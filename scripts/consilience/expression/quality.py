"""Quality figures of samples and the limits beyond which a sample is set aside. Pure functions.

All limits are medians plus or minus a number of MADs (median absolute deviations, scaled so that they equal
the standard deviation of normal data), taken around the median of each group of samples with one common MAD.
Groups are the arms: a difference between cases and controls is what a study looks for and must never make
the smaller arm look like outliers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

MAD_TO_SD = 1.4826
MEAN_DEVIATION_TO_SD = 1.2533
MIN_SAMPLES_FOR_PCA = 6
MAX_COMPONENTS = 5
SUBGROUP_SHARE = 0.15


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of one metric: `low`, `high` (None: no limit) by group, in the metric's own units.

    `median` by group; `mad` common to all groups, on the scale of the judgement (log when `log`).
    """

    low: dict[str, float | None]
    high: dict[str, float | None]
    median: dict[str, float]
    mad: float
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
) -> Limits:
    """Limits of a metric; `values` (samples,), `groups` one name per sample, `low` and `high` which sides.

    With `log`, deviations are taken of the logarithm and zeros lie below every limit. Non-finite values are
    left out of the medians. When all residuals are equal there is no spread to judge by, and no limit.
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
    centre = np.array([centres[group] for group in groups])
    mad = mad_of((scaled - centre)[usable]) if usable.any() else 0.0
    back = np.exp if log else np.asarray

    def limit(name: str, sign: int, wanted: bool) -> float | None:
        usable_limit = wanted and mad > 0 and np.isfinite(centres[name])
        return float(back(centres[name] + sign * n_mads * mad)) if usable_limit else None

    return Limits(
        low={name: limit(name, -1, low) for name in names},
        high={name: limit(name, 1, high) for name in names},
        median={name: float(back(centres[name])) for name in names},
        mad=mad,
        n_mads=n_mads,
        log=log,
    )


@dataclass(frozen=True, slots=True)
class SampleDistances:
    """Robust PCA distances.

    `distance` (samples,), NaN for all when there are too few samples; `residuals` (samples, genes) log
    expression without group and batch medians.
    """

    distance: npt.NDArray[np.float64]
    residuals: npt.NDArray[np.float64]
    n_components: int


def pca_distances(
    *, log_expression: npt.NDArray[np.floating], groups: Sequence[str], batches: Sequence[str] | None = None
) -> SampleDistances:
    """How far each sample lies from its group in the space of the leading principal components.

    `log_expression` (samples, genes). From every gene the median of the sample's group is taken away, then
    the median of its batch, so that neither the studied difference nor a known batch counts as distance
    (in a group of one or two samples little is left: they are judged mildly, on purpose). Scores on each
    component are divided by their MAD, so that outliers, which pull components towards themselves, stand
    out instead of hiding; the distance is the Euclidean norm of these. Up to five components, at most a
    quarter of the samples.

    References
    ----------
    Hubert M, Rousseeuw PJ, Vanden Branden K. ROBPCA. Technometrics 47:64, 2005 (score distances).
    """
    residuals = np.array(log_expression, dtype=np.float64)
    n_samples = residuals.shape[0]
    for names in (groups, batches):
        for name in dict.fromkeys(names or ()):
            mine = np.array([one == name for one in names or ()])
            residuals[mine] -= np.median(residuals[mine], axis=0)
    if n_samples < MIN_SAMPLES_FOR_PCA or not residuals.any():
        return SampleDistances(np.full(n_samples, np.nan), residuals, 0)
    components = min(MAX_COMPONENTS, max(2, n_samples // 4))
    scores = principal_components(residuals, n_components=components).scores
    spread = np.array([mad_of(column - np.median(column)) for column in scores.T])
    used = spread > 1e-9 * max(spread.max(), 1e-300)
    centred = (scores - np.median(scores, axis=0))[:, used] / spread[used]
    return SampleDistances(np.sqrt((centred**2).sum(axis=1)), residuals, int(used.sum()))


@dataclass(frozen=True, slots=True)
class Components:
    """`scores` (samples, components); `explained` (components,) share of the total variance."""

    scores: npt.NDArray[np.float64]
    explained: npt.NDArray[np.float64]


def principal_components(values: npt.NDArray[np.floating], *, n_components: int) -> Components:
    """Exact principal components through the samples × samples product (few samples, many genes).

    The sign of a component is fixed by its largest score, which makes it positive.
    """
    centred = np.asarray(values, dtype=np.float64) - np.mean(values, axis=0, dtype=np.float64)
    roots, vectors = np.linalg.eigh(centred @ centred.T)
    order = np.argsort(roots)[::-1][:n_components]
    roots, total = np.clip(roots, 0, None), max(float(np.clip(roots, 0, None).sum()), 1e-300)
    scores = vectors[:, order] * np.sqrt(roots[order])
    largest = scores[np.argmax(np.abs(scores), axis=0), np.arange(len(order))]
    return Components(scores * np.where(largest < 0, -1.0, 1.0), roots[order] / total)


def subgroup_members(
    *, flagged: npt.NDArray[np.bool_], residuals: npt.NDArray[np.float64], groups: Sequence[str]
) -> npt.NDArray[np.bool_]:
    """Flagged samples that are not lone outliers but a subgroup of their group; (samples,).

    Outliers differ each in its own way or are few. When more than 15 % of a group (and more than two
    samples) lie apart in the same direction (cosine of residuals above 0.5), that is a subtype or an unknown
    batch: to remove it would change the question, so it is kept and reported.
    """
    members = np.zeros(len(groups), dtype=bool)
    rows = np.flatnonzero(flagged)
    if rows.size < 3:
        return members
    directions = residuals[rows]
    norms = np.linalg.norm(directions, axis=1, keepdims=True)
    directions = directions / np.where(norms > 0, norms, 1.0)
    alike = directions @ directions.T > 0.5
    sizes = Counter(groups)
    of_group = np.array([groups[row] for row in rows])
    for position, row in enumerate(rows):
        companions = int((alike[position] & (of_group == groups[row])).sum())
        members[row] = companions > max(2.0, SUBGROUP_SHARE * sizes[groups[row]])
    return members
