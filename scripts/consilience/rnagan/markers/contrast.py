"""Differences between kinds of donors within batches, for all features at once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from consilience.learning.differential.moderated_t import VariancePrior, fit_prior, shrink

if TYPE_CHECKING:
    import numpy.typing as npt

    from consilience.learning.differential.donors import DonorUnits


@dataclass(frozen=True)
class Contrast:
    """One labelling of the units.

    `positive`, `block` (units,): a donor with both kinds is a block of its own, the others share their
    batch's block. `lean` (units,) label less its block's mean; 0 in blocks of one kind, which say nothing and
    are left out (`used` (units,) False). `freedom` residual degrees of freedom.
    """

    positive: npt.NDArray[np.bool_]
    block: npt.NDArray[np.intp]
    lean: npt.NDArray[np.float64]
    used: npt.NDArray[np.bool_]
    freedom: int

    @property
    def informative(self) -> bool:
        """Whether kinds can be compared within blocks, with a spread to compare the difference with."""
        return bool(self.used.any()) and self.freedom >= 1


def contrast(units: DonorUnits, positive: npt.NDArray[np.bool_]) -> Contrast:
    """Build the contrast of a labelling (units,)."""
    block = block_of_unit(units)
    size = np.bincount(block).astype(np.float64)
    share = np.bincount(block, weights=positive.astype(np.float64)) / size
    used = ((share > 0) & (share < 1))[block]
    lean = np.where(used, positive - share[block], 0.0)
    freedom = int(used.sum()) - len(set(block[used].tolist())) - 1
    return Contrast(positive, block, lean, used, freedom)


def block_of_unit(units: DonorUnits) -> npt.NDArray[np.intp]:
    """Blocks of units (units,): the donor where it has both kinds, else the batch."""
    paired = paired_donors(units)
    names = [
        ("donor", donor) if donor in paired else ("batch", batch)
        for donor, batch in zip(units.donors.tolist(), units.batches.tolist(), strict=True)
    ]
    place = {name: number for number, name in enumerate(sorted(set(names)))}
    return np.array([place[name] for name in names], dtype=np.intp)


def paired_donors(units: DonorUnits) -> set[str]:
    """Donors that have units of both kinds."""
    donors = units.donors
    return set(donors[units.positive].tolist()) & set(donors[~units.positive].tolist())


def block_means(
    values: npt.NDArray[np.float64], block: npt.NDArray[np.intp], rows: npt.NDArray[np.bool_]
) -> npt.NDArray[np.float64]:
    """Mean of the chosen rows of `values` (units, F) in each block (blocks, F); NaN where there are none."""
    n = int(block.max()) + 1
    chosen = np.zeros((n, len(block)))
    chosen[block, np.arange(len(block))] = rows
    count = chosen.sum(axis=1, keepdims=True)
    with np.errstate(invalid="ignore"):
        return np.asarray(chosen @ values / np.where(count > 0, count, np.nan))


def neutral_values(labels: Contrast, values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Halfway between the kinds in each unit's block (units, F); in blocks of one kind, halfway overall.

    The contributions of a gene that does not differ are then balanced between kinds exactly, even when the
    model is steeper for patients of one kind.
    """
    halfway = (
        block_means(values, labels.block, labels.positive)
        + block_means(values, labels.block, ~labels.positive)
    ) / 2
    overall = (values[labels.positive].mean(axis=0) + values[~labels.positive].mean(axis=0)) / 2
    found = halfway[labels.block]
    return np.asarray(np.where(np.isnan(found), overall, found))


def difference(labels: Contrast, values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Positive less negative kind, within blocks, least squares (F,); 0 where no block holds both kinds."""
    total = float((labels.lean**2).sum())
    return np.asarray(labels.lean @ values / total) if total else np.zeros(values.shape[1])


def spread(labels: Contrast, values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Standard deviation (F,) around the kinds' means within blocks (0 without degrees of freedom)."""
    return np.sqrt(_residual_variance(labels, values, difference(labels, values)))


def t_statistic(
    labels: Contrast, values: npt.NDArray[np.float64], *, prior: VariancePrior | None = None
) -> npt.NDArray[np.float64]:
    """Difference over its standard error (F,); 0 where nothing varies.

    A `prior` shrinks the variances towards it (Smyth 2004): see `prior_of`.
    """
    if not labels.informative:
        return np.zeros(values.shape[1])
    found, size = difference(labels, values), np.abs(values).max(axis=0)
    variance = _residual_variance(labels, values, found)
    varies = _varies(values)
    if prior is not None:
        variance = shrink(variance, freedom=labels.freedom, prior=prior, n_genes=int(varies.sum()))[0]
    # a difference without any spread is beyond doubt, but not beyond a finite number
    error = np.maximum(np.sqrt(variance / (labels.lean**2).sum()), 1e-9 * size)
    return np.asarray(np.divide(found, error, out=np.zeros_like(found), where=varies))


def prior_of(labels: Contrast, values: npt.NDArray[np.float64]) -> VariancePrior | None:
    """What the variances of features with one unit have in common; None when nothing varies."""
    varies = _varies(values)
    if not labels.informative or not varies.any():
        return None
    variance = _residual_variance(labels, values, difference(labels, values))
    return fit_prior(variance[varies], freedom=labels.freedom)


def _varies(values: npt.NDArray[np.float64]) -> npt.NDArray[np.bool_]:
    size = np.abs(values).max(axis=0)
    return np.asarray((np.ptp(values, axis=0) > 1e-9 * size) & (size > 0))


def _residual_variance(
    labels: Contrast, values: npt.NDArray[np.float64], found: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    if not labels.informative:
        return np.zeros(values.shape[1])
    rows, block = labels.used, labels.block[labels.used]
    inside = values[rows]
    inside = inside - block_means(inside, block, np.ones(len(block), dtype=bool))[block]
    left = (inside**2).sum(axis=0) - found**2 * (labels.lean**2).sum()
    return np.asarray(np.maximum(left, 0.0) / labels.freedom)
