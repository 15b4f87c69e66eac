"""The donors whose markers are asked for: checked, in an order of their own, with the kinds they are of."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from consilience.foundation.errors import DataError, did_you_mean
from consilience.learning.differential.donors import DonorUnits, donor_units

if TYPE_CHECKING:
    import numpy.typing as npt

    from consilience.learning.samples import Samples

LEAST_DONORS = 2


@dataclass(frozen=True)
class Cohort:
    """Samples of two kinds, sorted by name.

    `positive` (n,) labels; `units` donors x kind x batch; `notes` for people.
    """

    samples: Samples
    positive: npt.NDArray[np.bool_]
    units: DonorUnits
    notes: tuple[str, ...] = ()

    def relabelled(self, unit_positive: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
        """Labels of the samples (n,) when units have these (units,)."""
        return unit_positive[self.units.unit]

    def take(self, rows: npt.NDArray[np.intp]) -> Cohort:
        """These samples only, in the order of their names."""
        rows = np.sort(rows)
        samples, positive = self.samples.take(rows), self.positive[rows]
        units = donor_units(positive=positive, donors=samples.donors, batches=samples.batches)
        return Cohort(samples, positive, units, self.notes)


def build_cohort(
    samples: Samples, *, positive: str, negative: str | Collection[str] | None = None, per_unit: int = 16
) -> Cohort:
    """Check the samples and take at most `per_unit` of each donor, kind and batch (the first by name).

    Without `negative`, all other labels are the other kind.
    """
    _check_values(samples)
    levels = sorted(set(samples.labels.tolist()))
    wanted = {positive} | (set(levels) - {positive} if negative is None else _levels(negative))
    for level in sorted(wanted | {positive}):
        if level not in levels:
            raise DataError("no sample has this label", value=level, allowed=", ".join(levels),
                            mend=did_you_mean(level, levels))  # fmt: skip
    if len(wanted) < 2:
        raise DataError("only one kind of samples: markers need a second kind to compare with",
                        value=", ".join(levels), mend="add samples of another kind")  # fmt: skip
    rows = np.flatnonzero(np.isin(samples.labels, sorted(wanted)))
    rows = rows[np.argsort(samples.names[rows], kind="stable")]
    samples = samples.take(rows)
    is_positive = samples.labels == positive
    samples, notes = _join_copies(samples, is_positive)
    units = donor_units(positive=is_positive, donors=samples.donors, batches=samples.batches)
    rank = np.zeros(len(samples), dtype=np.intp)
    seen: dict[int, int] = defaultdict(int)
    for row, unit in enumerate(units.unit.tolist()):
        rank[row] = seen[unit]
        seen[unit] += 1
    cohort = Cohort(samples, is_positive, units, notes).take(np.flatnonzero(rank < per_unit))
    _check_donors(cohort)
    return cohort


def _levels(negative: str | Collection[str]) -> set[str]:
    return {negative} if isinstance(negative, str) else set(negative)


def _check_values(samples: Samples) -> None:
    if not len(samples) or not samples.genes:
        raise DataError("no samples or no genes", value=f"{len(samples)} samples, {len(samples.genes)} genes")
    for what, names in (("gene", samples.genes), ("sample", samples.names.tolist())):
        if len(set(names)) < len(names):
            once: set[str] = set()
            twice = sorted({name for name in names if name in once or once.add(name)})  # type: ignore[func-returns-value]
            raise DataError(f"some {what}s are there twice", value=", ".join(twice[:5]),
                            mend=f"give every {what} once")  # fmt: skip
    bad = ~np.isfinite(samples.values)
    if bad.any():
        row, gene = np.argwhere(bad)[0]
        raise DataError("values that are not numbers (NaN or infinite)",
                        where=f"sample {samples.names[row]}, gene {samples.genes[gene]}",
                        value=f"{int(bad.sum())} values in {int(bad.any(axis=0).sum())} genes",
                        mend="leave out genes that were not measured in all samples")  # fmt: skip


def _join_copies(samples: Samples, positive: npt.NDArray[np.bool_]) -> tuple[Samples, tuple[str, ...]]:
    """Samples with identical values are one donor, whatever their names say; with both labels, an error."""
    groups: dict[bytes, list[int]] = defaultdict(list)
    for row in range(len(samples)):
        if np.ptp(samples.values[row]) > 0:
            groups[samples.values[row].tobytes()].append(row)
    copies = [rows for rows in groups.values() if len(rows) > 1]
    donors, notes = samples.donors.astype(object), []
    for rows in copies:
        names = ", ".join(samples.names[rows].tolist())
        if len(set(positive[rows].tolist())) > 1:
            raise DataError("the same measurement has both labels", value=names, mend="remove the wrong one")
        known = sorted(set(donors[rows]))
        if len(known) > 1:
            donors[np.isin(donors, known)] = known[0]
            notes.append(f"copies of one measurement under several donors were joined into one: {names}")
    return replace(samples, donors=donors.astype(str)), tuple(notes)


def _check_donors(cohort: Cohort) -> None:
    for kind, name in ((True, "the positive kind"), (False, "the other kind")):
        n = len(set(cohort.units.donors[cohort.units.positive == kind].tolist()))
        if n < LEAST_DONORS:
            raise DataError(f"too few donors of {name} for markers", value=n,
                            allowed=f"{LEAST_DONORS} or more (one to ask about, one to compare with)",
                            mend="add donors; samples of one donor count as one")  # fmt: skip
