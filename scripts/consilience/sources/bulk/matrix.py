"""The common object of all bulk readers: values in stated units, and what is known of each sample."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from consilience.foundation.errors import DataError, Problem
from consilience.study.cohorts import Units

if TYPE_CHECKING:
    import numpy.typing as npt

MAX_COUNT = 2**53


@dataclass(frozen=True, slots=True)
class BulkMatrix:
    """What was measured in a bulk cohort, as its source gives it.

    `values` (samples, genes) in `units`: int64 for counts, float64 for all others; `samples` names of the
    rows; `genes` ids of the columns as in the source; `gene_columns` further id columns of the source by
    name, each (genes,); `columns` phenotype columns by their name in the source, each (samples,) of text;
    `metrics` quality figures that only the source knows (share of reads in genes), each (samples,) float;
    `notes` what a reader should be told.
    """

    values: npt.NDArray[Any]
    samples: tuple[str, ...]
    genes: tuple[str, ...]
    columns: Mapping[str, tuple[str, ...]]
    gene_columns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    metrics: Mapping[str, npt.NDArray[np.float64]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    units: Units = "counts"


def whole_counts(
    values: npt.NDArray[Any], *, genes: Sequence[str], samples: Sequence[str], where: str
) -> npt.NDArray[np.int64]:
    """Values (genes, samples) as whole numbers, or a `DataError` with the share that is none and the first.

    Nothing is rounded: a matrix with fractions is estimates or normalised values, and rounding would hide it.
    """
    numbers = np.asarray(values)
    if numbers.dtype.kind in "iu":
        bad = numbers < 0 if numbers.dtype.kind == "i" else np.zeros(numbers.shape, dtype=bool)
    else:
        with np.errstate(invalid="ignore"):
            bad = ~(np.isfinite(numbers) & (numbers >= 0) & (numbers == np.floor(numbers)))
    bad |= numbers > MAX_COUNT
    if bad.any():
        gene, sample = (int(axis[0]) for axis in np.nonzero(bad))
        raise DataError(
            f"not a table of counts: {bad.mean():.1%} of its {bad.size} values are not whole numbers >= 0"
            f" (first: gene {genes[gene]!r}, sample {samples[sample]!r})",
            where=where,
            value=_plain(numbers[gene, sample]),
            allowed="raw counts (0, 1, 2, …), none missing",
            mend="use the table of raw counts; expected counts (RSEM, salmon) must be rounded beforehand",
        )
    return numbers.astype(np.int64)


def _plain(value: object) -> str:
    return "missing (NaN)" if value != value else f"{value:g}" if isinstance(value, float) else str(value)


def refuse_duplicates(names: Sequence[str], *, what: str, where: str) -> None:
    """Refuse empty names and names that are equal without regard to case; all offenders at once."""
    seen: dict[str, int] = {}
    problems = []
    for position, name in enumerate(names, 1):
        if not name.strip() or not name.isprintable():
            problems.append(Problem(f"{what} {position} has no printable name", where, name))
        first = seen.setdefault(name.casefold(), position)
        if first != position:
            problems.append(
                Problem(
                    f"{what} {position} has the same name as {what} {first}",
                    where,
                    name,
                    "names that differ by more than upper and lower case",
                )
            )
    if problems:
        raise DataError.from_problems(problems)
