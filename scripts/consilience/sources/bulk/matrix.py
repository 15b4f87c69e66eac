"""The common object of all bulk readers: values in stated units, and what is known of each sample."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from consilience.foundation.errors import DataError, Problem
from consilience.sources.bulk.stored import StoredMatrix
from consilience.study.cohorts import Units

if TYPE_CHECKING:
    import numpy.typing as npt

MAX_COUNT = 2**53
BLOCK_GENES = 4096


@dataclass(frozen=True, slots=True)
class BulkMatrix:
    """What was measured in a bulk cohort, as its source gives it.

    `values` (samples, genes) in `units`: whole numbers for (estimated) counts, which may lie in a file, and
    float64 for all others, where NaN is a missing value; `samples` names of the rows; `genes` ids of the
    columns as in the source; `gene_columns` further id columns of the source by name, each (genes,);
    `columns` phenotype columns by their name in the source, each (samples,) of text; `metrics` quality
    figures that only the source knows (share of reads in genes), each (samples,) float; `notes` what a reader
    should be told.
    """

    values: npt.NDArray[Any] | StoredMatrix
    samples: tuple[str, ...]
    genes: tuple[str, ...]
    columns: Mapping[str, tuple[str, ...]]
    gene_columns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    metrics: Mapping[str, npt.NDArray[np.float64]] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    units: Units = "counts"


def whole_counts(
    values: npt.NDArray[Any], *, genes: Sequence[str], samples: Sequence[str], where: str
) -> npt.NDArray[np.integer]:
    """Values (genes, samples) as whole numbers, or a `DataError` with the share that is none and the first.

    Nothing is rounded here: a matrix with fractions is estimates or normalised values, and rounding would
    hide it. The counts are int32, which halves the memory of a large cohort, and int64 where one is larger.
    """
    n_bad = sum(int(_bad_counts(block).sum()) for _, block in _blocks(values))
    if n_bad:
        found = first_bad_count(values, genes=genes, samples=samples)
        place, value = found or ("", None)
        raise DataError(
            f"not a table of counts: {n_bad / values.size:.1%} of its {values.size} values are not whole"
            f" numbers >= 0 (first: {place})",
            where=where,
            value=value,
            allowed="raw counts (0, 1, 2, …), none missing",
            mend="use the table of raw counts",
        )
    small = not values.size or values.max() <= np.iinfo(np.int32).max
    return np.asarray(values).astype(np.int32 if small else np.int64)


def first_bad_count(
    values: npt.NDArray[Any], *, genes: Sequence[str], samples: Sequence[str]
) -> tuple[str, str] | None:
    """Place ("gene …, sample …") and text of the first value that is no count; None when all are."""
    for start, block in _blocks(values):
        bad = _bad_counts(block)
        if bad.any():
            gene, sample = (int(axis[0]) for axis in np.nonzero(bad))
            return f"gene {genes[start + gene]!r}, sample {samples[sample]!r}", _plain(block[gene, sample])
    return None


def _blocks(values: npt.NDArray[Any]) -> Iterator[tuple[int, npt.NDArray[Any]]]:
    """Rows in blocks, so that no temporary is as large as the matrix."""
    for start in range(0, values.shape[0], BLOCK_GENES):
        yield start, np.asarray(values[start : start + BLOCK_GENES])


def _bad_counts(block: npt.NDArray[Any]) -> npt.NDArray[np.bool_]:
    if block.dtype.kind in "iu":
        return np.asarray((block < 0) | (block > MAX_COUNT))
    with np.errstate(invalid="ignore"):
        return np.asarray(~((block >= 0) & (block <= MAX_COUNT) & (block == np.floor(block))))


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
