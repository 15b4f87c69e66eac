"""What pretraining remembers: contrasts of genes that told kinds apart, merged to as many as fit a vector."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from consilience.rnagan.corpus import CohortTasks
from consilience.rnagan.corpus_tasks import Family

if TYPE_CHECKING:
    import numpy.typing as npt

MOST_ROWS = 200
"""Rows of a level that enter a contrast."""
MOST_LEVELS = 6
"""A family of more levels is asked each against all others, not pair by pair."""
MIN_DONORS = 5
"""A level of fewer donors is not remembered: its mean would say too much of each of them."""
FLOOR = 0.3
"""Share of the typical variance that is added to that of each gene."""


@dataclass(frozen=True)
class Moments:
    """Of the rows of one level: `mean`, `variance` (G,), and how many rows `n`."""

    mean: npt.NDArray[np.float32]
    variance: npt.NDArray[np.float32]
    n: int


@dataclass(frozen=True)
class Contrasts:
    """`directions` (k, G) float32 of length 1 over z-scores of genes; `names` (k,) the tasks merged in each."""

    directions: npt.NDArray[np.float32]
    names: tuple[tuple[str, ...], ...]


def softened(
    values: npt.NDArray[np.float32], observed: npt.NDArray[np.bool_], *, softening: float | None
) -> npt.NDArray[np.float32]:
    """log1p(linear value / (softening * the sample's mean linear value)), as the default network takes it.

    The values themselves where `softening` is None.
    """
    if softening is None:
        return values
    linear = np.expm1(np.clip(values, 0, 15)) * observed
    level = linear.sum(axis=1, keepdims=True) / max(int(observed.sum()), 1)
    return np.asarray(np.log1p(linear / (softening * level + 1e-6)), dtype=np.float32)


def moderated_contrast(one: Moments, other: Moments) -> npt.NDArray[np.float32]:
    """Difference of two levels over the moderated sd within them, of length 1: (G,).

    It is the vector of moderated t statistics, whose common factor of group sizes falls away.
    """
    freedom = max(one.n + other.n - 2, 1)
    variance = (one.variance * (one.n - 1) + other.variance * (other.n - 1)) / freedom
    measured = variance > 0
    typical = float(np.median(variance[measured])) if measured.any() else 1.0
    contrast = np.where(measured, (one.mean - other.mean) / np.sqrt(variance + FLOOR * typical), 0)
    length = float(np.linalg.norm(contrast))
    return np.asarray(contrast / length if length > 0 else contrast, dtype=np.float32)


def contrasts_of(
    cohort: CohortTasks, *, softening: float | None
) -> Iterator[tuple[str, npt.NDArray[np.float32]]]:
    """Every task of a cohort as (its name, its contrast (G,))."""
    for family in cohort.families:
        if family.column != "donor":
            for name, contrast in _family_contrasts(cohort, family, softening):
                yield f"{cohort.name}, {name}", contrast * cohort.observed


def _family_contrasts(
    cohort: CohortTasks, family: Family, softening: float | None
) -> Iterator[tuple[str, npt.NDArray[np.float32]]]:
    moments, levels = [], [level for level in family.levels if np.unique(level.donors).size >= MIN_DONORS]
    for level in levels:
        rows = level.rows[np.linspace(0, level.rows.size - 1, min(level.rows.size, MOST_ROWS)).astype(int)]
        values = softened(cohort.rows.dense(rows), cohort.observed, softening=softening)
        moments.append(Moments(values.mean(axis=0), values.var(axis=0, ddof=1), len(rows)))
    n = len(moments)
    if n <= MOST_LEVELS:
        for one in range(n):
            for other in range(one + 1, n):
                name = family.task_name(levels[one], levels[other])
                yield name, moderated_contrast(moments[one], moments[other])
        return
    for one in range(n):
        rest = [moment for place, moment in enumerate(moments) if place != one]
        mean = np.mean([moment.mean for moment in rest], axis=0)
        variance = np.mean([moment.variance for moment in rest], axis=0)
        yield (
            f"{family.column}: {levels[one].name} or any other",
            moderated_contrast(moments[one], Moments(mean, variance, sum(moment.n for moment in rest))),
        )


def merged(
    contrasts: npt.NDArray[np.float32], names: tuple[str, ...], *, most: int, alike: float = 0.8
) -> Contrasts:
    """Join the most similar contrasts (cosine, either sign) until at most `most` are left.

    Those more similar than `alike` are joined in any case: their mean is known better than each of them.
    """
    vectors = contrasts.astype(np.float64)
    weight = np.ones(len(vectors))
    members = [(name,) for name in names]
    cosine = vectors @ vectors.T
    np.fill_diagonal(cosine, 0)
    while len(members) > 1:
        one, other = (int(place) for place in np.unravel_index(np.abs(cosine).argmax(), cosine.shape))
        if len(members) <= most and abs(cosine[one, other]) <= alike:
            break
        one, other = min(one, other), max(one, other)
        sign = 1.0 if cosine[one, other] >= 0 else -1.0
        joint = weight[one] * vectors[one] + sign * weight[other] * vectors[other]
        vectors[one] = joint / max(float(np.linalg.norm(joint)), 1e-12)
        weight[one] += weight[other]
        members[one] += members.pop(other)
        vectors, weight = np.delete(vectors, other, axis=0), np.delete(weight, other)
        cosine = np.delete(np.delete(cosine, other, axis=0), other, axis=1)
        cosine[one] = cosine[:, one] = vectors @ vectors[one]
        cosine[one, one] = 0
    return Contrasts(vectors.astype(np.float32), tuple(members))


def remember(cohorts: tuple[CohortTasks, ...], *, most: int, softening: float | None) -> Contrasts:
    """Contrasts of all tasks of all cohorts, merged to at most `most`."""
    found = [pair for cohort in cohorts for pair in contrasts_of(cohort, softening=softening)]
    useful = [(name, contrast) for name, contrast in found if contrast.any()]
    n_genes = len(cohorts[0].observed)
    if not useful:
        return Contrasts(np.zeros((0, n_genes), dtype=np.float32), ())
    return merged(
        np.stack([contrast for _, contrast in useful]), tuple(name for name, _ in useful), most=most
    )
