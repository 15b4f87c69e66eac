"""Values as a file has them, as logarithms for generators, and back in the file's own units.

Reads (counts, TPM, CPM, FPKM) become log(1 + reads per 10,000 of the sample); logarithms stay as they are;
intensities of arrays become log2(x + 16). On the way back reads get a total of their own: it is drawn from a
log-normal of the totals of the class, so that no patient's library size is handed on. Counts are rounded up
or down at random (an expectation of 0.3 reads is one read in three samples of ten), and so are whole.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from consilience.expression.log_values import INTENSITY_OFFSET
from consilience.foundation.errors import DataError
from consilience.foundation.seeds import stream
from consilience.rnagan.scales import NATURAL, linear

if TYPE_CHECKING:
    import numpy.typing as npt

    from consilience.learning.samples import Samples

    Values = npt.NDArray[np.floating]
    Text = npt.NDArray[np.str_]

READS = ("counts", "estimated_counts", "tpm", "fpkm", "cpm")
"""Units of which a sample's share is what counts."""
LOGS = ("log1p", "log2p1", "log2", *NATURAL)
READS_SCALE = "log1p_cp10k"
SAME_TOTAL = 0.01
"""Totals that differ by less than this share are taken for one total, to which samples were scaled."""
FARTHEST = 2.5
"""Totals are drawn within so many sd of the mean: a library beyond is a failed one."""


@dataclass(frozen=True)
class Units:
    """The units of a file, and what a way back needs.

    `scale`: of the logarithms. `totals`: mean and sd of log(total of a sample) by class, for reads. `total`:
    what all samples of logarithms add up to without them, 0 where they differ. `least`: of the file's values.
    """

    units: str
    scale: str
    totals: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    total: float = 0.0
    least: float = 0.0

    @property
    def whole(self) -> bool:
        """Whether values are whole numbers."""
        return self.units == "counts"

    def record(self) -> dict[str, Any]:
        """As JSON."""
        return asdict(self) | {"totals": {label: list(pair) for label, pair in self.totals.items()}}


def scale_of(units: str) -> str:
    """The scale on which generators see values of these units."""
    if units in READS:
        return READS_SCALE
    if units in {"intensity", "log2"}:
        return "log2"
    if units not in LOGS:
        raise DataError("no such units", value=units, allowed=", ".join((*READS, "intensity", *LOGS)))
    return units


def logged(values: Values, *, units: str) -> npt.NDArray[np.float32]:
    """Values (n, G) of a file as logarithms, (n, G)."""
    scale_of(units)
    if units in LOGS:
        return np.asarray(values, dtype=np.float32)
    raw = np.asarray(values, dtype=np.float64)
    if units == "intensity":
        return np.asarray(np.log2(np.maximum(raw, 0.0) + INTENSITY_OFFSET), dtype=np.float32)
    totals = raw.sum(axis=1, keepdims=True)
    if (totals <= 0).any():
        raise DataError("a sample is zero in all genes", value=f"{int((totals <= 0).sum())} samples",
                        mend="leave failed samples out")  # fmt: skip
    return np.asarray(np.log1p(raw / totals * NATURAL[READS_SCALE]), dtype=np.float32)


def units_of(values: Values, *, units: str, labels: Text) -> Units:
    """What a way back to these values (n, G) of a file needs; `labels` (n,) are classes."""
    least = float(np.min(values))
    if units in READS:
        totals = np.log(np.asarray(values, dtype=np.float64).sum(axis=1))
        return Units(units, scale_of(units), _by_class(totals, labels), least=least)
    total = 0.0
    if units in {"log1p", "log2p1", *NATURAL}:
        sums = linear(values, units=units).sum(axis=1)
        if np.ptp(sums) <= SAME_TOTAL * sums.mean():
            total = float(sums.mean())
    return Units(units, scale_of(units), total=total, least=least)


def totals_of(samples: Samples, *, units: str, totals: npt.NDArray[np.float64]) -> Units:
    """The same for samples that are logarithms already, and the totals (n,) of their reads."""
    return Units(units, samples.units, _by_class(np.log(totals), samples.labels), least=0.0)


def unlogged(logs: Values, *, labels: Text, units: Units, seed: int) -> npt.NDArray[np.float32]:
    """Logarithms (k, G) of synthetic samples of `labels` (k,) in the units of the file, (k, G)."""
    if units.units == "intensity":
        return np.maximum(np.exp2(logs.astype(np.float64)) - INTENSITY_OFFSET, units.least).astype(np.float32)
    if units.totals:
        return _reads(logs, labels=labels, units=units, seed=seed)
    if units.total:
        raw = np.maximum(linear(logs, units=units.units), 0.0)
        raw *= units.total / np.maximum(raw.sum(axis=1, keepdims=True), 1e-12)
        base = np.log(2.0) if units.units == "log2p1" else 1.0
        return (np.log1p(raw) / base).astype(np.float32)
    return np.asarray(logs, dtype=np.float32)


def _reads(logs: Values, *, labels: Text, units: Units, seed: int) -> npt.NDArray[np.float32]:
    """Shares times a total of their own; whole numbers where the file has counts."""
    shares = np.maximum(np.expm1(logs.astype(np.float64)), 0.0)
    shares /= np.maximum(shares.sum(axis=1, keepdims=True), 1e-12)
    totals = np.empty(len(logs))
    for label in np.unique(labels).tolist():
        rows = np.flatnonzero(labels == label)
        if label not in units.totals:
            raise DataError("no totals are known of this class", value=label, allowed=", ".join(units.totals))
        mean, sd = units.totals[label]
        away = stream(seed, "totals", label).standard_normal(len(rows))
        totals[rows] = np.exp(mean + sd * np.clip(away, -FARTHEST, FARTHEST))
    raw = shares * totals[:, None]
    if units.whole:
        raw = np.floor(raw + stream(seed, "whole reads").random(raw.shape))
    return raw.astype(np.float32)


def _by_class(logs: npt.NDArray[np.float64], labels: Text) -> dict[str, tuple[float, float]]:
    """Mean and sd by class; a class of one has the sd of all about their class means."""
    classes = np.unique(labels).tolist()
    away = logs - np.array([logs[labels == label].mean() for label in labels])
    common = float(np.sqrt((away**2).sum() / max(1, len(logs) - len(classes))))
    found = {}
    for label in classes:
        mine = logs[labels == label]
        found[str(label)] = (float(mine.mean()), float(mine.std(ddof=1)) if len(mine) > 1 else common)
    return found
