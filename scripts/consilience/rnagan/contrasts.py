"""What pretraining remembers: contrasts of genes that told kinds apart, merged to as many as fit a vector."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from consilience.rnagan.corpus import CohortTasks
from consilience.rnagan.corpus_tasks import Family, Level

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
    """`directions` (k, G) float32 of length 1 over z-scores of genes; `names` (k,) the tasks in each."""

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


def evenly(n: int, most: int) -> npt.NDArray[np.intp]:
    """At most `most` of the places 0 ... n - 1, evenly spread."""
    return np.linspace(0, n - 1, min(n, most)).astype(np.intp)


def _level_moments(cohort: CohortTasks, level: Level, softening: float | None) -> Moments:
    rows = level.rows[evenly(level.rows.size, MOST_ROWS)]
    values = softened(cohort.rows.dense(rows), cohort.observed, softening=softening)
    return Moments(values.mean(axis=0), values.var(axis=0, ddof=1), len(rows))


def _family_contrasts(
    cohort: CohortTasks, family: Family, softening: float | None
) -> Iterator[tuple[str, npt.NDArray[np.float32]]]:
    levels = [level for level in family.levels if np.unique(level.donors).size >= MIN_DONORS]
    moments = [_level_moments(cohort, level, softening) for level in levels]
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

    contrasts (k, G) of length 1. Those more similar than `alike` are joined in any case: their mean is known
    better than each of them. A joint contrast is the mean of its members, each with the sign that it was
    joined by, scaled to length 1; its own sign is that of its first member.
    """
    count = len(contrasts)
    vectors = contrasts.astype(np.float64)
    # all joins follow from inner products, so that genes are needed only before and after
    inner, size = vectors @ vectors.T, np.ones(count)
    members: list[tuple[str, ...]] = [(name,) for name in names]
    mix = np.eye(count)
    left = list(range(count))
    similar = np.abs(inner)
    np.fill_diagonal(similar, -1.0)
    while len(left) > 1:
        one, other = sorted(int(place) for place in np.unravel_index(similar.argmax(), similar.shape))
        if len(left) <= most and similar[one, other] <= alike:
            break
        share = size[other] if inner[one, other] >= 0 else -size[other]
        square = size[one] ** 2 + share**2 + 2 * size[one] * share * inner[one, other]
        length = max(float(np.sqrt(max(square, 0.0))), 1e-12)
        mix[one] = (size[one] * mix[one] + share * mix[other]) / length
        inner[one] = inner[:, one] = (size[one] * inner[one] + share * inner[other]) / length
        inner[one, one] = 1.0
        size[one] += size[other]
        members[one] += members[other]
        left.remove(other)
        similar[one] = similar[:, one] = np.where(similar[one] < 0, -1.0, np.abs(inner[one]))
        similar[other] = similar[:, other] = -1.0
    directions = mix[left] @ vectors
    return Contrasts(directions.astype(np.float32), tuple(members[place] for place in left))


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
