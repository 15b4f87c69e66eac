"""Mode collapse, class by class: patients that no synthetic sample is like, lost spread, repeated samples.

A class has collapsed where, beside the training patients of the class drawn to the same number,

- it is not drawn at all (`lost`); or
- its samples lie closer together than half the way (`diversity` / its ceiling below 0.5); or
- they leave a quarter or more of the held-out patients uncovered whom training patients cover, beyond
  chance (sign test, p below 0.05), though they are not spread wider by a quarter than patients are (then
  they are scattered, not missing): a part of the class is missing; or
- a tenth of the samples or more repeat others.

A held-out patient is covered when a sample lies nearer than its k-th nearest fellow (Naeem et al. 2020,
ICML). Here k is a quarter of the class, 1 to 5: with more, the ball of a patient of a rare part reaches over
into the common one and is always covered. Distances are taken in the leading principal components of the
real patients of the class, where its parts lie apart: in thousands of genes the noise of each gene alone
keeps samples of even a good sampler out of every ball. Diversity is that of all genes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from consilience.foundation.errors import DataError
from consilience.foundation.seeds import stream
from consilience.measures.distances import Space, canonical_order, distances, pairwise
from consilience.measures.gene_agreement import ratio
from consilience.measures.neighbours import fit_pca

if TYPE_CHECKING:
    import numpy.typing as npt

    from consilience.augment.generators.generator import Drawn
    from consilience.learning.samples import Samples

LEAST_DIVERSITY = 0.5
LEAST_COVERAGE = 0.75
LEAST_UNIQUE = 0.9
SCATTERED = 1.25
CHANCE = 0.05
MOST_K = 5
N_COMPONENTS = 5
LEAST_PATIENTS = 3


@dataclass(frozen=True, slots=True)
class ClassCollapse:
    """One class of `n_held_out` patients and `n_drawn` samples; figures NaN where they cannot be had.

    `diversity`, `density`, `coverage` of the samples with respect to held-out patients, and `_ceiling`s: of
    training patients. `unique_share`: of samples that differ when rounded to 3 decimals. `missed`:
    held-out patients covered by training patients but by no sample; `p`: that it is chance. `collapsed`:
    the verdict; `why`: which limit, "" for none. `seen`: whether so few patients could show a missing part.
    """

    label: str
    n_held_out: int
    n_drawn: int
    diversity: float
    diversity_ceiling: float
    density: float
    density_ceiling: float
    coverage: float
    coverage_ceiling: float
    unique_share: float
    missed: int
    p: float
    lost: bool
    collapsed: bool
    seen: bool
    why: str


def collapse(*, train: Samples, held_out: Samples, drawn: Drawn, seed: int = 0) -> tuple[ClassCollapse, ...]:
    """One entry per class of the held-out patients, by label; does not depend on the order of rows."""
    if drawn.values.shape[1:] != held_out.values.shape[1:] or train.genes != held_out.genes:
        raise DataError("the sets do not have the same genes", where="synthetic samples",
                        value=drawn.values.shape, allowed=f"(samples, {len(train.genes)})")  # fmt: skip
    if not np.isfinite(drawn.values).all():
        raise DataError("values that are no numbers", where="synthetic samples")
    return tuple(
        _one_class(
            str(label),
            _ordered(held_out.values[held_out.labels == label]),
            _ordered(train.values[train.labels == label]),
            _ordered(drawn.values[drawn.labels == label]),
            seed,
        )
        for label in np.unique(held_out.labels)
    )


def rows_of(found: Sequence[ClassCollapse]) -> list[dict[str, Any]]:
    """Flat rows for a table."""
    return [asdict(one) for one in found]


def _one_class(
    label: str,
    held_out: npt.NDArray[np.float32],
    train: npt.NDArray[np.float32],
    drawn: npt.NDArray[np.float32],
    seed: int,
) -> ClassCollapse:
    n = len(drawn)
    size = min(len(train), n)
    unique = len(np.unique(np.round(drawn, 3), axis=0)) / n if n else float("nan")
    # equally many of both: coverage grows with the number of samples
    place = fit_pca(np.concatenate([train, held_out]), n_components=N_COMPONENTS).transform
    some = [
        rows[np.sort(stream(seed, "collapse", label, name).permutation(len(rows))[:size])]
        for name, rows in (("drawn", drawn), ("train", train))
    ]
    made, real = (_lie(held_out, rows, place) for rows in some)
    missed, regained = int((real.covered & ~made.covered).sum()), int((made.covered & ~real.covered).sum())
    p = _sign_test(missed, missed + regained)
    most_seen = _sign_test(int(real.covered.sum()), int(real.covered.sum())) < CHANCE
    why = _why(made, real, unique, n, p)
    return ClassCollapse(
        label=label, n_held_out=len(held_out), n_drawn=n,
        diversity=made.diversity, diversity_ceiling=real.diversity,
        density=made.density, density_ceiling=real.density,
        coverage=made.coverage, coverage_ceiling=real.coverage,
        unique_share=unique, missed=missed, p=p, lost=n == 0, collapsed=bool(why), seen=bool(most_seen),
        why=why,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class _Lie:
    diversity: float
    density: float
    coverage: float
    covered: npt.NDArray[np.bool_]


def _lie(held_out: npt.NDArray[np.float32], rows: npt.NDArray[np.float32], place: Space) -> _Lie:
    """How `rows` (n, G) lie among held-out patients (m, G) of their class."""
    m, nan = len(held_out), float("nan")
    if m < LEAST_PATIENTS or not len(rows):
        return _Lie(nan, nan, nan, np.zeros(m, dtype=bool))
    near = place(held_out)
    own = pairwise(near)
    k = int(np.clip(m // 4, 1, MOST_K))
    radius = np.partition(own, k, axis=1)[:, k, None]
    inside = distances(a=near, b=place(rows)) <= radius
    covered: npt.NDArray[np.bool_] = np.any(inside, axis=1)
    spread = _mean_distance(pairwise(rows)) if len(rows) > 1 else nan
    density, coverage = float(inside.sum()) / (k * len(rows)), float(covered.mean())
    return _Lie(ratio(spread, _mean_distance(pairwise(held_out))), density, coverage, covered)


def _why(made: _Lie, real: _Lie, unique: float, n: int, p: float) -> str:
    if n == 0:
        return "no sample of this class"
    reasons = []
    if made.diversity < LEAST_DIVERSITY * real.diversity:
        reasons.append(f"diversity {made.diversity:.2f} below half of {real.diversity:.2f}")
    scattered = made.diversity > SCATTERED * real.diversity
    if made.coverage < LEAST_COVERAGE * real.coverage and p < CHANCE and not scattered:
        reasons.append(f"coverage {made.coverage:.2f} below three quarters of {real.coverage:.2f}")
    if unique < LEAST_UNIQUE:
        reasons.append(f"only {unique:.0%} of the samples differ")
    return "; ".join(reasons)


def _sign_test(more: int, n: int) -> float:
    """One-sided chance of `more` or more heads in `n` throws."""
    from scipy.stats import binom

    return float(binom.sf(more - 1, n, 0.5)) if n else 1.0


def _mean_distance(square: npt.NDArray[np.float64]) -> float:
    n = len(square)
    return float(square.sum() / (n * (n - 1)))


def _ordered(values: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    return values[canonical_order(values)]
