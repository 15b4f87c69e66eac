"""What a bulk matrix is given in: told from its values, and compared with what the cohort sheet claims.

Values can contradict a unit (fractions are no counts, 18067 is no logarithm) but rarely prove one. A matrix
of sequencing is therefore taken for counts only, unless the sheet says otherwise; one of an array is linear
or logarithmic, which its largest value tells.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from consilience.foundation.errors import DataError
from consilience.sources.bulk.evidence import (
    PER_MILLION,
    SUM_TOLERANCE,
    Evidence,
    look_at,
    percent,
    span,
)
from consilience.sources.bulk.matrix import first_bad_count, whole_counts
from consilience.study.cohorts import UNITS, Units

if TYPE_CHECKING:
    import numpy.typing as npt

LOG_BELOW = 30.0
"""No logarithm to base 2 of a measured expression is larger: it would be 1,073,741,824 reads of one gene."""
SUM_LEAST = 0.5
"""Share of a million that TPM may add up to when genes were left out of the table."""
SEVERAL_SAMPLES = 3
"""The counts of fewer samples than this may all add up to a million by chance."""
MAX_MISSING = 0.2
WHOLE_OF_ESTIMATES = 0.2
DEPTH_LEAST = 2e6
FEW_ZEROS = 0.02
NAMES = {
    "counts": "raw counts", "estimated_counts": "estimated counts (RSEM, salmon, kallisto)",
    "tpm": "transcripts per million", "fpkm": "fragments per kilobase and million",
    "cpm": "counts per million",
    "intensity": "linear array intensities", "log2": "logarithms to base 2",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Settled:
    """`values` (genes, samples) in `units`: whole numbers for counts, float64 for all others; `notes`."""

    values: npt.NDArray[Any]
    units: Units
    notes: tuple[str, ...]


def settle_units(
    values: npt.NDArray[Any],
    *,
    claimed: str,
    array: bool,
    genes: Sequence[str],
    samples: Sequence[str],
    where: str,
) -> Settled:
    """Settle the units of `values` (genes, samples): the sheet's claim, or without one ("") what they show.

    Counts come back as whole numbers (int32, or int64 where needed); estimated counts are rounded to whole
    counts. All other units come back unchanged as float64; there, missing values (NaN) are left as they are.

    Raises
    ------
    DataError
        When the values contradict the claim; without a claim, when those of sequencing are no counts, or
        when those of an array are neither intensities nor logarithms.
    """
    if claimed not in UNITS:
        raise ValueError(f"no such units: {claimed!r}")
    evidence = look_at(values)
    if evidence.n_infinite:
        raise _infinite(values, genes=genes, samples=samples, where=where)
    units: Units = claimed or _without_claim(evidence, array=array)  # type: ignore[assignment]
    if problem := contradiction(units, evidence):
        if units == "counts":
            first = first_bad_count(values, genes=genes, samples=samples)
            raise _no_counts(evidence, problem, first=first, claimed=claimed, where=where)
        raise DataError(
            f"not {NAMES[units]}: {problem} ({evidence.words()})", where=where, value=claimed or None,
            allowed=_allowed(evidence), mend=_mend(evidence, claimed=claimed),
        )  # fmt: skip
    if units in {"counts", "estimated_counts"}:
        return _as_counts(values, evidence, units=units, genes=genes, samples=samples, where=where)
    return Settled(
        np.asarray(values, dtype=np.float64), units, tuple(_notes(units, evidence, claimed=claimed))
    )


def contradiction(units: str, evidence: Evidence) -> str:
    """Why values cannot be in these units; "" when they can."""
    if problem := _common_problem(units, evidence):
        return problem
    if units in {"tpm", "cpm"}:
        sums = evidence.sums / PER_MILLION
        if sums.max() > 1 + SUM_TOLERANCE or sums.min() < SUM_LEAST:
            return f"the values of a sample add up to {span(evidence.sums)}, not to a million"
        return ""
    if units == "log2":
        if evidence.highest >= LOG_BELOW:
            return (
                f"the largest value is {evidence.highest:.6g}; no logarithm to base 2 reaches {LOG_BELOW:g}"
            )
        return ""
    if units == "counts":
        # one library, or two, may well have a million reads
        scaled = evidence.per_million and evidence.sums.size >= SEVERAL_SAMPLES
        return "every sample adds up to a million" if scaled else ""
    if evidence.highest < LOG_BELOW and evidence.n_fractions:
        return f"the largest value is {evidence.highest:.6g}: they look like logarithms"
    if units != "intensity" and evidence.per_million:
        return "every sample adds up to a million"
    return ""


def _common_problem(units: str, evidence: Evidence) -> str:
    """What several units have in common: nothing missing in counts, nothing negative but logarithms."""
    n = max(1, evidence.n_values)
    if evidence.n_missing and units in {"counts", "estimated_counts"}:
        return f"{percent(evidence.n_missing / n)} of the values are missing"
    if evidence.n_missing > MAX_MISSING * n:
        return f"{percent(evidence.n_missing / n)} of the values are missing, more than {MAX_MISSING:.0%}"
    if evidence.centred:
        return f"{evidence.centred}: z-scores, ratios or centred values, in which the level of a gene is lost"
    if evidence.n_negative and units not in {"log2", "intensity"}:
        return f"{percent(evidence.n_negative / n)} of the values are negative"
    if evidence.n_fractions and units == "counts":
        return f"{percent(evidence.n_fractions / n)} of {n:,} values are not whole numbers"
    if not evidence.n_fractions and units in {"fpkm", "log2"}:
        return "all values are whole numbers"
    return ""


def guessed(evidence: Evidence) -> str:
    """The units that values most look like; "" for those that no units explain."""
    if evidence.centred:
        return ""
    if evidence.highest < LOG_BELOW and evidence.n_fractions:
        return "log2"
    if evidence.n_negative:
        return "intensity" if evidence.n_negative < 0.5 * evidence.n_values else ""
    if evidence.per_million:
        return "tpm"
    if evidence.whole_of_positive >= WHOLE_OF_ESTIMATES:
        return "estimated_counts" if evidence.n_fractions else "counts"
    if evidence.n_zero < FEW_ZEROS * evidence.n_values:
        return "intensity"
    return "estimated_counts" if float(np.median(evidence.sums)) >= DEPTH_LEAST else "fpkm"


def _without_claim(evidence: Evidence, *, array: bool) -> str:
    if not array:
        return "counts"
    return "log2" if evidence.highest < LOG_BELOW else "intensity"


def _no_counts(
    evidence: Evidence, problem: str, *, first: tuple[str, str] | None, claimed: str, where: str
) -> DataError:
    """The error for values that are no counts, with the `first` value that is none, where there is one."""
    place = f" (first: {first[0]})" if first else ""
    return DataError(
        f"not a table of counts: {problem}{place}; {evidence.extent()}", where=where,
        value=first[1] if first else None, allowed=_allowed(evidence), mend=_mend(evidence, claimed=claimed),
    )  # fmt: skip


def _allowed(evidence: Evidence) -> str:
    fitting = [one for one in UNITS if one and not contradiction(one, evidence)]
    return f"'units' that these values could be in: {', '.join(fitting) or 'none of those that are known'}"


def _mend(evidence: Evidence, *, claimed: str) -> str:
    """What to do: name the units that the values look like, or give other values."""
    guess = guessed(evidence)
    if not guess or contradiction(guess, evidence):
        before = " or the values before they were centred" if evidence.centred else ""
        return f"give the table of raw counts{before}"
    if guess == "counts":
        return "leave 'units' of the cohort sheet empty" if claimed else "give the table of raw counts"
    likely = "tpm (or cpm)" if guess == "tpm" else guess
    return (
        f"give the table of raw counts; or, as the values look like {likely}, say so in 'units' of the"
        " cohort sheet"
    )


def _infinite(
    values: npt.NDArray[Any], *, genes: Sequence[str], samples: Sequence[str], where: str
) -> DataError:
    found = np.isinf(np.asarray(values, dtype=np.float64))
    gene, sample = (int(axis[0]) for axis in np.nonzero(found))
    return DataError(
        f"{int(found.sum()):,} of {values.size:,} values are infinite"
        f" (first: gene {genes[gene]!r}, sample {samples[sample]!r})",
        where=where, value=f"{float(values[gene, sample]):g}", allowed="finite numbers",
        mend="logarithms of 0 were taken: give the values before the logarithm, or add an offset to them",
    )  # fmt: skip


def _as_counts(
    values: npt.NDArray[Any],
    evidence: Evidence,
    *,
    units: Units,
    genes: Sequence[str],
    samples: Sequence[str],
    where: str,
) -> Settled:
    """Whole counts; estimates are rounded, and how much that changes is told."""
    if not evidence.n_fractions:
        return Settled(whole_counts(values, genes=genes, samples=samples, where=where), units, ())
    rounded = np.rint(np.asarray(values))
    change = float(np.abs(rounded - values).sum())
    total = max(float(evidence.sums.sum()), 1.0)
    note = (
        f"estimated counts were rounded to whole counts: {evidence.n_fractions:,} of {evidence.n_values:,}"
        f" values ({percent(evidence.n_fractions / evidence.n_values)}) changed, by {change:,.0f} in all,"
        f" {percent(change / total)} of their sum; column sums {span(evidence.sums)}"
    )
    return Settled(whole_counts(rounded, genes=genes, samples=samples, where=where), units, (note,))


def _notes(units: str, evidence: Evidence, *, claimed: str) -> list[str]:
    source = "as the cohort sheet says" if claimed else "told from the values"
    notes = [f"units are {units} ({NAMES[units]}), {source}: {evidence.words()}"]
    if units == "log2":
        notes.append(
            "the base of logarithms cannot be told from their values; it is taken to be 2"
            + (f", though the largest is only {evidence.highest:.3g}" if evidence.highest < 8 else "")
        )
    if units in {"tpm", "cpm"} and not evidence.per_million:
        notes.append(
            f"the values of a sample add up to {span(evidence.sums)}, not to a million: the table seems to"
            " lack genes"
        )
    if units in {"tpm", "fpkm", "cpm"}:
        notes.append(
            "these are no counts: later stages get log2(1 + value), and no method that needs counts is used"
            " on this cohort"
        )
    if units == "intensity" and evidence.n_negative:
        notes.append(f"{evidence.n_negative:,} intensities below zero count as zero")
    return notes
