"""Somebody's own samples as they are: all their genes, in their own units, with classes and patients."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from consilience.augment.checks import checked
from consilience.augment.units import Units, logged, units_of
from consilience.commands.inputs import BATCH_COLUMNS, DONOR_COLUMNS
from consilience.foundation.errors import DataError
from consilience.learning.samples import Samples
from consilience.rnagan.gathering import dense, refuse_value
from consilience.rnagan.reading import BLOCK, Given, column_of, read_given
from consilience.rnagan.scales import WORDS, Told, told_units

if TYPE_CHECKING:
    import numpy.typing as npt

PROBE = 64


@dataclass(frozen=True)
class Own:
    """`samples` as logarithms, of patients who are there once; `genes` (G,) as the file names them.

    `units`: what the file held, and the way back; `why_units` in words; `notes` on what was found.
    """

    samples: Samples
    genes: tuple[str, ...]
    units: Units
    why_units: str
    notes: tuple[str, ...]


def own_samples(
    path: Path, *, label: str, donor: str = "", labels: Path | None = None, units: str = ""
) -> Own:  # fmt: skip
    """Read and check a file of samples.

    Raises
    ------
    DataError
        For what cannot be read, is in no known units, or cannot be augmented.
    """
    given = read_given(path, labels=labels)
    classes = column_of(given, label)
    donors, told_donors = _donors(given, donor)
    raw = np.concatenate([dense(block) for _, block in given.blocks(BLOCK, None)])
    told = _units(given, raw, claimed=units)
    # array intensities may lie below zero after subtraction, but not by a guess
    negative = told.units == "log2" or (told.units == "intensity" and units == "intensity")
    _refuse_wrong(given, raw, may_be_negative=negative)
    genes, notes = _genes(given)
    batch = next((name for name in BATCH_COLUMNS if name in given.columns), "")
    way_back = units_of(raw, units=told.units, labels=classes)
    samples = Samples(
        logged(raw, units=told.units), genes, given.names, classes, donors,
        given.columns[batch] if batch else np.full(len(given), ""), way_back.scale,
    )  # fmt: skip
    found = checked(samples)
    return Own(
        found.samples,
        tuple(given.ids[0]),
        way_back,
        told.why,
        (*given.notes, *told_donors, *notes, *found.notes),
    )


def describe(own: Own, path: Path) -> list[str]:
    """Lines that say what was read."""
    samples = own.samples
    classes, sizes = np.unique(samples.labels, return_counts=True)
    told = ", ".join(f"{label} {n}" for label, n in zip(classes.tolist(), sizes.tolist(), strict=True))
    n_donors = np.unique(samples.donors).size
    return [
        f"{path.name}: {len(samples):,} samples of {n_donors:,} patients ({told}); {len(own.genes):,} genes",
        f"  units: {own.units.units}, {WORDS.get(own.units.units, own.units.units)} ({own.why_units})",
        *(f"  note: {note}" for note in own.notes),
    ]


def _donors(given: Given, donor: str) -> tuple[npt.NDArray[np.str_], list[str]]:
    """The patient of each sample; each sample its own where no column says otherwise."""
    if donor:
        return column_of(given, donor, option="--donor"), []
    found = next((name for name in DONOR_COLUMNS if name in given.columns), "")
    if not found:
        return given.names, [
            "every sample counts as a patient of its own (no column says otherwise: --donor)"
        ]
    values = given.columns[found]
    return np.where(values == "", given.names, values), [f"patients are read from column {found!r}"]


def _units(given: Given, raw: npt.NDArray[Any], *, claimed: str) -> Told:
    """Units of the values; the samples that are looked at are chosen by name."""
    if given.units == "counts" and claimed in {"", "counts"}:
        return Told("counts", "whole numbers")
    digests = [hashlib.sha256(str(name).encode()).digest() for name in given.names]
    some = np.array(sorted(range(len(given)), key=digests.__getitem__)[:PROBE], dtype=np.intp)
    probe = np.asarray(raw[np.sort(some)], dtype=np.float64)
    if not np.isfinite(probe).all():
        refuse_value(~np.isfinite(probe), probe, rows=np.sort(some), given=given, ids=given.ids[0])
    return told_units(probe, claimed=claimed or given.units, natural_log=given.natural_log, where=given.where)


def _refuse_wrong(given: Given, raw: npt.NDArray[Any], *, may_be_negative: bool) -> None:
    """Missing, infinite and negative values, by sample and gene."""
    wrong = ~np.isfinite(np.asarray(raw, dtype=np.float64))
    if not may_be_negative:
        wrong |= raw < 0
    if wrong.any():
        refuse_value(wrong, raw, rows=np.arange(len(given)), given=given, ids=given.ids[0])


def _genes(given: Given) -> tuple[tuple[str, ...], list[str]]:
    """Distinct names of the genes; of ids that occur twice the later ones are numbered."""
    ids = given.ids[0]
    if not ids:
        raise DataError("holds no genes", where=given.where)
    if len(set(ids)) == len(ids):
        return ids, []
    seen: dict[str, int] = {}
    names = []
    for name in ids:
        seen[name] = seen.get(name, 0) + 1
        names.append(name if seen[name] == 1 else f"{name}#{seen[name]}")
    n = len(ids) - len(seen)
    return tuple(names), [f"{n:,} gene ids occur more than once; each of their columns is kept as it is"]
