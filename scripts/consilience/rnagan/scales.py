"""On which scale new data are given, and how they come to the scale that a model was trained on.

A model knows one scale. Shares of reads (counts, TPM, logarithms of either) can be turned into each other, as
a sample's total does not matter; the fluorescence of an array is no share of reads, and nothing here pretends
that it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from consilience.expression.log_values import INTENSITY_OFFSET
from consilience.foundation.errors import DataError, ModelError, did_you_mean
from consilience.sources.bulk.evidence import Evidence, look_at
from consilience.sources.bulk.units import LOG_BELOW, guessed

if TYPE_CHECKING:
    import numpy.typing as npt

NATURAL = {"log1p_cp10k": 1e4, "log1p_cpm": 1e6}
"""Scales of models trained on reads: natural logarithm of 1 + the reads of a gene among so many."""
LOG2 = "log2"
"""The scale of models trained on arrays: logarithms to base 2 as `expression` prepares them."""
SCALES = (*NATURAL, LOG2)
SHARES = ("counts", "estimated_counts", "tpm", "fpkm", "cpm", "log1p", "log2p1")
"""Units in which a value is a share of its sample's reads, as such or as a logarithm of 1 + it."""
UNITS = (*SHARES, "intensity", "log2")
WORDS = {
    "counts": "raw counts", "estimated_counts": "estimated counts", "tpm": "transcripts per million",
    "fpkm": "fragments per kilobase and million", "cpm": "counts per million",
    "log1p": "natural logarithms of 1 + scaled counts", "log2p1": "logarithms to base 2 of 1 + scaled counts",
    "intensity": "linear array intensities", "log2": "logarithms to base 2 of array intensities",
    "log1p_cp10k": "log(1 + counts per 10,000)", "log1p_cpm": "log(1 + counts per million)",
}  # fmt: skip
STEPS_SHOWN = 200
NEAR_WHOLE = 0.02
WHOLE_SHARE = 0.9
SAME_SUM = 0.01
MAX_NEGATIVE = 0.2


@dataclass(frozen=True, slots=True)
class Told:
    """Units of given values, and why they are taken for it."""

    units: str
    why: str


def told_units(probe: npt.NDArray[Any], *, claimed: str = "", natural_log: bool = False, where: str) -> Told:
    """Units of values from a few samples (samples, ids): what is claimed, or what the values show.

    `natural_log` says that the file calls its values natural logarithms. Missing values do not count here.

    Raises
    ------
    DataError
        When the values cannot be in the units that are claimed, or in any.
    """
    if claimed and claimed not in (*UNITS, *SCALES):
        raise DataError("no such units", where="--units", value=claimed, allowed=", ".join(UNITS),
                        mend=did_you_mean(claimed, UNITS))  # fmt: skip
    evidence = look_at(np.asarray(probe, dtype=np.float64).T)
    if problem := _impossible(evidence, claimed):
        raise DataError(f"{problem} ({evidence.words()})", where=where, value=claimed or None,
                        allowed=", ".join(UNITS), mend=_mend(evidence, claimed))  # fmt: skip
    if claimed:
        return Told(claimed, "as was said")
    return _told(probe, evidence, natural_log=natural_log, where=where)


def _told(probe: npt.NDArray[Any], evidence: Evidence, *, natural_log: bool, where: str) -> Told:
    if evidence.highest < LOG_BELOW and evidence.n_fractions:
        return _kind_of_log(probe, natural_log=natural_log, negative=evidence.n_negative > 0)
    units = guessed(evidence)
    if not units or (evidence.n_negative and units != "intensity"):
        raise DataError("values in no known units", where=where, value=evidence.words(),
                        mend="say what they are by --units, or give the raw counts")  # fmt: skip
    return Told(units, evidence.words())


def _impossible(evidence: Evidence, claimed: str) -> str:
    """Why the values cannot be in these units; "" when they can."""
    logs = ("log2", "log1p", "log2p1", *SCALES)
    if evidence.centred:
        return f"{evidence.centred}: z-scores or ratios, in which the level of a gene is lost"
    too_many = evidence.n_negative > MAX_NEGATIVE * max(1, evidence.n_values)
    if evidence.n_negative and (claimed not in {"", "log2", "intensity"} or too_many):
        return "values below zero"
    if claimed in logs and evidence.highest >= LOG_BELOW:
        return f"not {WORDS[claimed]}: the largest value is {evidence.highest:.6g}"
    if claimed == "counts" and evidence.n_fractions:
        return "not counts: some values are not whole numbers"
    linear = claimed not in {"", "counts", *logs}
    if linear and evidence.highest < LOG_BELOW and evidence.n_fractions:
        return f"not {WORDS[claimed]}: the largest value is {evidence.highest:.6g}, they look like logarithms"
    return ""


def _mend(evidence: Evidence, claimed: str) -> str:
    guess = "" if evidence.centred or evidence.n_negative else guessed(evidence)
    if claimed and guess:
        return f"leave --units out: the values look like {guess}"
    return "give the raw counts, or the values before they were centred or subtracted"


def _kind_of_log(probe: npt.NDArray[Any], *, natural_log: bool, negative: bool) -> Told:
    """Which logarithm: 1 + scaled counts come in whole steps, and add up to the same in all samples."""
    if negative:
        return Told("log2", "logarithms, some below zero")
    found = {unit: _steps(probe, unit) for unit in ("log1p", "log2p1")}
    best = max(found, key=lambda unit: found[unit])
    if found[best] >= WHOLE_SHARE:
        return Told(best, f"{found[best]:.0%} of the small values are whole multiples of a sample's least")
    for unit in ("log1p", "log2p1"):
        sums = np.nansum(linear(np.asarray(probe, dtype=np.float64), units=unit), axis=1)
        if len(sums) > 1 and np.ptp(sums) <= SAME_SUM * sums.mean():
            return Told(unit, f"without the logarithm all samples add up to {sums.mean():,.0f}")
    if natural_log:
        return Told("log1p", "the file says that they are natural logarithms")
    return Told("log2", "logarithms whose base does not show: taken for base 2, of an array")


def _steps(probe: npt.NDArray[Any], unit: str) -> float:
    """Share of a sample's small values that are whole multiples of its least, averaged over samples."""
    shares = []
    for row in np.asarray(probe, dtype=np.float64):
        values = linear(row[row > 0], units=unit)
        if values.size < 20:
            continue
        ratio = values / values.min()
        ratio = ratio[(ratio > 1.5) & (ratio < STEPS_SHOWN)]
        if ratio.size >= 10:
            shares.append(float((np.abs(ratio - np.rint(ratio)) < NEAR_WHOLE).mean()))
    return float(np.mean(shares)) if shares else 0.0


def linear(values: npt.NDArray[Any], *, units: str) -> npt.NDArray[np.float64]:
    """Values without their logarithm; those that have none as they are; the same shape."""
    if units in {"log1p", *NATURAL}:
        return np.expm1(np.asarray(values, dtype=np.float64))
    if units == "log2p1":
        return np.exp2(np.asarray(values, dtype=np.float64)) - 1.0
    if units == "log2":
        return np.maximum(np.exp2(np.asarray(values, dtype=np.float64)) - INTENSITY_OFFSET, 0.0)
    return np.asarray(values, dtype=np.float64)


def route(units: str, *, scale: str, arrays: bool = False, where: str = "") -> str:
    """How `units` come to a model's `scale`: "as they are", "shares", "intensity" or "light".

    "light" are intensities treated as if they were reads, as they were in the training of a model that knows
    both (`arrays`).

    Raises
    ------
    DataError
        When there is no way: reads for a model of arrays, or an array for a model of reads.
    """
    if scale not in SCALES:
        raise ModelError("the model was trained on an unknown scale", value=scale, allowed=", ".join(SCALES))
    if units == scale:
        return "as they are"
    if scale in NATURAL and units in {*SHARES, *NATURAL}:
        return "shares"
    if scale == LOG2 and units == "intensity":
        return "intensity"
    if scale in NATURAL and arrays and units in {"intensity", "log2"}:
        return "light"
    trained = "reads" if scale in NATURAL else "array intensities"
    raise DataError(
        f"the model was trained on {WORDS[scale] if scale in NATURAL else 'logarithms of array intensities'}"
        f" and these are {WORDS[units]}: one cannot be turned into the other",
        where=where, value=units, allowed=", ".join(SHARES if scale in NATURAL else ("intensity", "log2")),
        mend=f"give data that were measured as {trained}, or use a model trained on such data; if the units"
        " were not recognised, say them by --units",
    )  # fmt: skip


def logarithms(
    values: npt.NDArray[np.float64], *, way: str, scale: str, totals: npt.NDArray[np.float64]
) -> npt.NDArray[np.float32]:
    """Linear values (n, genes) on a model's scale; `totals` (n,) the sum over all ids of each sample.

    `way` is what `route` gave. Values that come as they are must still have their logarithm.
    """
    if way == "as they are":
        return np.asarray(values, dtype=np.float32)
    if way == "intensity":
        return np.log2(values + INTENSITY_OFFSET).astype(np.float32)
    return np.log1p(values * (NATURAL[scale] / totals)[:, None]).astype(np.float32)
