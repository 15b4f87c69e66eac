"""Confounders of cells: numbers standardised, words as columns of 0 and 1; what says nothing new is named."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from consilience.causal.dml.cells import samples_of, within_donors
from consilience.foundation.errors import DataError

if TYPE_CHECKING:
    import numpy.typing as npt

    from consilience.sources.cells.matrix import Labels

    Floats = npt.NDArray[np.float64]

LOGGED = ("library_size", "total_counts", "n_counts", "n_genes", "n_genes_by_counts")
"""Columns that are taken on the logarithm (of 1 + value)."""
WORDS = ("batch", "sample", "donor", "sex", "site", "centre", "chemistry")
"""Columns that are names even where they look like numbers."""
MIN_LEVELS_OF_NUMBERS = 3
ALIASED = 1e-6
"""A column of which the others leave less than this share of variance says nothing new."""


@dataclass(frozen=True)
class Confounders:
    """`values` (n, p) standardised columns called `names` (p,).

    `dropped` name -> why; `used` covariates that are in; `gaps` column -> share of cells without a value
    (filled with the mean, and told by a column of their own).
    """

    values: Floats
    names: tuple[str, ...]
    dropped: Mapping[str, str] = field(default_factory=dict)
    used: tuple[str, ...] = ()
    gaps: Mapping[str, float] = field(default_factory=dict)

    @property
    def aliased_with_disease(self) -> tuple[str, ...]:
        """Covariates left out because each of their levels has donors of one arm alone."""
        return tuple(name for name, why in self.dropped.items() if why == ONE_ARM)


ONE_ARM = "every level has donors of one arm alone: it cannot be told from disease"
ONE_DONOR = "every level is of one donor: it tells nothing of others"
CONSTANT = "the same for all cells"
REPEATED = "already told by the columns before it"
OF_DONORS = "does not vary within donors: in pairs the donor's own level is taken out anyway"
ONE_SAMPLE = "every level is of one sample: it tells nothing of others"


def make_confounders(
    columns: Mapping[str, Labels], *, latents: Floats | None, donor: npt.NDArray[np.intp],
    disease: Floats, arm: Floats | None = None,
) -> Confounders:  # fmt: skip
    """Confounders of n cells. `columns` covariates (n,), `latents` (n, L), `donor` (n,), `disease` (m,).

    `arm` (n,) of cells in pairs: what is of donors is out then, all else a deviation from the donor's mean.
    """
    parts: list[tuple[str, Floats]] = []
    dropped: dict[str, str] = {}
    gaps: dict[str, float] = {}
    for name, labels in columns.items():
        numbers = as_numbers(name, labels)
        if numbers is None:
            if why := _useless(labels, donor, disease, arm):
                dropped[name] = why
            else:
                parts += one_hot(name, labels)
            continue
        if np.isinf(numbers).any():
            raise DataError("a covariate holds infinite numbers", where=name)
        missing = np.isnan(numbers)
        if missing.all():
            dropped[name] = "no values"
            continue
        if missing.any():
            gaps[name] = float(missing.mean())
            numbers = np.where(missing, numbers[~missing].mean(), numbers)
            parts.append((f"{name} (missing)", missing.astype(np.float64)))
        parts.append((name, numbers))
    if latents is not None:
        parts += [(f"latent {place}", column) for place, column in enumerate(latents.T)]
    if arm is not None:
        parts, of_donors = _deviations(parts, donor)
        dropped |= dict.fromkeys(of_donors, OF_DONORS)
    values, names, also = independent(parts, n=donor.size)
    used = tuple(name for name in columns if any(_belongs(column, name) for column in names))
    dropped |= {name: why for name, why in also.items() if not (name in columns and name in used)}
    return Confounders(values, names, dropped, used, gaps)


def _deviations(
    parts: list[tuple[str, Floats]], donor: npt.NDArray[np.intp]
) -> tuple[list[tuple[str, Floats]], list[str]]:
    """Columns less their donors' means; the names of those of which nothing is left."""
    kept: list[tuple[str, Floats]] = []
    gone: list[str] = []
    for name, column in parts:
        left = within_donors(column, donor)
        total = float(np.square(column - column.mean()).sum())
        if total > 0 and float(left @ left) <= ALIASED * total:
            gone.append(name.partition("=")[0])
        else:
            kept.append((name, left))
    still = {name.partition("=")[0] for name, _ in kept}
    return kept, [name for name in dict.fromkeys(gone) if name not in still]


def _belongs(column: str, name: str) -> bool:
    return column == name or column.startswith((f"{name}=", f"{name} (missing)"))


def as_numbers(name: str, labels: Labels) -> Floats | None:
    """Numbers (n,) of a numeric column, NaN where missing; None for words.

    A column of text is numeric where each level is a number and there are at least 3, except WORDS.
    """
    if name in WORDS:
        return None
    levels = [level for level in labels.levels if level]
    if not labels.numeric:
        if len(levels) < MIN_LEVELS_OF_NUMBERS:
            return None
        try:
            _ = [float(level) for level in levels]
        except ValueError:
            return None
    numbers = labels.numbers()
    return np.log1p(numbers) if name in LOGGED and np.nanmin(numbers, initial=0.0) >= 0 else numbers


def one_hot(name: str, labels: Labels) -> list[tuple[str, Floats]]:
    """A column of 0 and 1 (n,) for each level but the most frequent; cells without a value are a level."""
    text = [level or "missing" for level in labels.levels] + ["missing"]
    codes = np.where(labels.codes < 0, len(labels.levels), labels.codes)
    names, codes = np.unique(np.array(text)[codes], return_inverse=True)
    counts = np.bincount(codes)
    reference = int(np.argmax(counts))
    return [
        (f"{name}={level}", (codes == place).astype(np.float64))
        for place, level in enumerate(names)
        if place != reference
    ]


def _useless(labels: Labels, donor: npt.NDArray[np.intp], disease: Floats, arm: Floats | None = None) -> str:
    """Why a column of words is no confounder, or ""; in pairs samples stand where donors do else."""
    codes = np.unique(labels.codes)
    if arm is not None:
        samples = samples_of(donor, arm)
        levels = [np.unique(samples[labels.codes == level]) for level in codes]
        if len(levels) < 2:
            return CONSTANT
        if all(one.size == 1 for one in levels):
            return ONE_SAMPLE
        return ONE_ARM if all(np.ptp(one % 2) == 0 for one in levels) else ""
    levels = [np.unique(donor[labels.codes == level]) for level in codes]
    if len(levels) < 2:
        return CONSTANT
    if all(donors.size == 1 for donors in levels):
        return ONE_DONOR
    return ONE_ARM if all(np.ptp(disease[donors]) == 0 for donors in levels) else ""


def independent(parts: list[tuple[str, Floats]], *, n: int) -> tuple[Floats, tuple[str, ...], dict[str, str]]:
    """Standardised columns (n, p) that are no sums of those before them; their names.

    Also what was left out and why.
    """
    dropped: dict[str, str] = {}
    kept: list[tuple[str, Floats]] = []
    basis = np.empty((n, 0))
    for name, column in parts:
        centred = column - column.mean()
        length = float(np.linalg.norm(centred))
        if length <= 1e-9 * max(1.0, float(np.abs(column).max(initial=0.0))) * np.sqrt(n):
            dropped[name] = CONSTANT
            continue
        left = centred / length
        for _ in range(2):  # once more against rounding
            left = left - basis @ (basis.T @ left)
        size = float(np.linalg.norm(left))
        if size**2 < ALIASED:
            dropped[name] = REPEATED
            continue
        basis = np.column_stack([basis, left / size])
        kept.append((name, centred / (length / np.sqrt(n))))
    values = np.column_stack([column for _, column in kept]) if kept else np.empty((n, 0))
    return values, tuple(name for name, _ in kept), dropped
