"""Queries beside references: checked, aligned, and which references are the query's own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from consilience.foundation.errors import DataError
from consilience.learning.samples import Samples

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats32 = npt.NDArray[np.float32]
    Flags = npt.NDArray[np.bool_]
    Text = npt.NDArray[np.str_]

NO_DONOR = frozenset({"", "na", "nan", "none", "unknown"})
"""Donor names (in lower case) that name nobody: such a sample is its own patient."""
FEW_REFERENCES = 5


@dataclass(frozen=True)
class Reference:
    """A reference left out for one query, and why (`the same name`, `patient` or `profile`)."""

    query: str
    reference: str
    why: str


@dataclass(frozen=True)
class Comparison:
    """Queries (n, G) and references, genes alike, references in an order of their own.

    `positive_units` (N,), `negative_units` (M,) the patient of each reference (or the sample itself where
    patients are not told apart); `conflicts` for each query the units it may not be compared with;
    `left_out` the same in words; `usable_genes` (n,) genes that vary among the references and lie above the
    query's lowest value; `notes` what a reader of the result must know.
    """

    queries: Samples
    positives: Samples
    negatives: Samples | None
    positive_units: Text
    negative_units: Text | None
    conflicts: tuple[frozenset[str], ...]
    left_out: tuple[Reference, ...]
    usable_genes: npt.NDArray[np.intp]
    notes: tuple[str, ...]

    @property
    def references(self) -> Floats32:
        """All references (N + M, G), positives first."""
        if self.negatives is None:
            return self.positives.values
        return np.concatenate([self.positives.values, self.negatives.values])

    @property
    def units(self) -> Text:
        """Units of all references (N + M,)."""
        if self.negative_units is None:
            return self.positive_units
        return np.concatenate([self.positive_units, self.negative_units])

    @property
    def n_units(self) -> tuple[int, ...]:
        """Patients (units) of each kind of reference."""
        both = (self.positive_units, self.negative_units)
        return tuple(len(np.unique(units)) for units in both if units is not None)

    def without(self, units: frozenset[str], queries: npt.NDArray[np.intp]) -> Comparison:
        """Some of the queries beside the references of no unit of `units`."""
        left = sorted(units)
        keep = ~np.isin(self.positive_units, left)
        others, other_units = self.negatives, self.negative_units
        if others is not None and other_units is not None:
            keep_others = ~np.isin(other_units, left)
            others, other_units = others.take(keep_others), other_units[keep_others]
        return replace(
            self, queries=self.queries.take(queries), positives=self.positives.take(keep), negatives=others,
            positive_units=self.positive_units[keep], negative_units=other_units,
            conflicts=(frozenset[str](),) * len(queries), usable_genes=self.usable_genes[queries],
        )  # fmt: skip


def compare(
    queries: Samples, positives: Samples, negatives: Samples | None, *, observed: Flags | None = None
) -> Comparison:
    """Check all that a scoring needs, and find each query's own references.

    `observed` (G,) bool: the genes measured; others are set to 0 everywhere.
    """
    _check_numbers(positives, negatives)
    kinds = {"queries": queries, "positive references": positives}
    if negatives is not None:
        kinds["negative references"] = negatives
    _check_alike(kinds)
    ready = {what: _measured(samples, observed, what) for what, samples in kinds.items()}
    query, positive = ready["queries"], _in_order(ready["positive references"])
    negative = _in_order(ready["negative references"]) if negatives is not None else None
    profiles = _units_of_profiles(positive, negative)
    positive_units, negative_units, notes = _units(positive, negative, profiles)
    conflicts, left_out = _conflicts(query, positive, negative, positive_units, negative_units)
    references = [positive] if negative is None else [positive, negative]
    values = np.concatenate([samples.values for samples in references])
    # of one profile alone it cannot be known which genes vary
    varies = values.max(axis=0) > values.min(axis=0) if len(values) > 1 else np.isfinite(values[0])
    if not varies.any():
        raise DataError(
            "no gene varies among the references", value=f"{len(values)} samples, {values.shape[1]} genes",
            mend="check that the reference samples are different patients on a log scale",
        )  # fmt: skip
    usable = ((query.values > query.values.min(axis=1, keepdims=True, initial=np.inf)) & varies).sum(axis=1)
    notes += _notes_on_numbers(positive_units, negative_units)
    if empty := [str(name) for name, genes in zip(query.names, usable, strict=True) if genes == 0]:
        notes.append(f"no usable gene in {_some(empty)}: the probability there says nothing")
    return Comparison(query, positive, negative, positive_units, negative_units, conflicts,
                      left_out, usable, tuple(notes))  # fmt: skip


def _check_numbers(positives: Samples, negatives: Samples | None) -> None:
    if len(positives) == 0:
        raise DataError(
            "there are no positive references", allowed="at least 1, 5 or more advised",
            mend="check the label column and the positive level",
        )  # fmt: skip
    if negatives is not None and len(negatives) == 0:
        raise DataError(
            "there are references of one kind only, and negatives were asked for",
            mend="add references of the other kind, or ask for the positive-only mode (negatives=None): "
            "it tells how typical of the positive kind a sample is",
        )


def _check_alike(kinds: dict[str, Samples]) -> None:
    first = kinds["queries"]
    for what, samples in kinds.items():
        if samples.genes != first.genes:
            raise DataError(
                "queries and references do not have the same genes in the same order", where=what,
                value=f"{len(samples.genes)} genes, queries {len(first.genes)}",
                mend="align both to the model's genes first",
            )  # fmt: skip
        if samples.units != first.units:
            raise DataError(
                "queries and references are not on the same scale", where=what, value=samples.units,
                allowed=first.units, mend="bring both to the model's scale first",
            )  # fmt: skip


def _measured(samples: Samples, observed: Flags | None, what: str) -> Samples:
    """The samples, genes not observed set to 0, and refused where a value is no number."""
    values = np.asarray(samples.values, dtype=np.float32)
    if observed is not None:
        values = np.where(observed, values, np.float32(0.0))
    finite = np.isfinite(values)
    if not finite.all():
        row, gene = (int(place[0]) for place in np.nonzero(~finite))
        raise DataError(
            "a value is missing or infinite",
            where=f"{what}: sample {samples.names[row]}, gene {samples.genes[gene]}",
            value=f"{values[row, gene]} ({int((~finite).sum())} such values)",
            mend="drop the gene or the sample, or say that the gene was not observed",
        )
    return replace(samples, values=values)


def _in_order(samples: Samples) -> Samples:
    """Ordered by patient, name and values, so that no result depends on the order given."""
    digests = np.array([row.tobytes().hex()[:64] for row in samples.values[:, :8]])
    return samples.take(np.lexsort((digests, samples.names, samples.donors)))


def donors_or_names(samples: Samples) -> Text:
    """The patient of each sample (n,), the sample's own name where the patient is not known."""
    unknown = np.array([donor.strip().lower() in NO_DONOR for donor in samples.donors.tolist()], dtype=bool)
    return np.where(unknown, np.char.add("sample ", samples.names), samples.donors)


def _units_of_profiles(positive: Samples, negative: Samples | None) -> dict[bytes, str]:
    """One unit for each profile that several references share; refused where they are of both kinds."""
    seen: dict[bytes, tuple[str, str]] = {}
    for kind, samples in (("positive", positive), ("negative", negative)):
        if samples is None:
            continue
        for row, donor, name in zip(samples.values, donors_or_names(samples), samples.names, strict=True):
            earlier = seen.setdefault(row.tobytes(), (str(donor), kind))
            if earlier[1] != kind:
                raise DataError(
                    "one profile is a reference of both kinds", where=f"sample {name}",
                    mend="remove the copy; a patient's sample can only have one label",
                )  # fmt: skip
    return {profile: donor for profile, (donor, _) in seen.items()}


def _units(
    positive: Samples, negative: Samples | None, profiles: dict[bytes, str]
) -> tuple[Text, Text | None, list[str]]:
    """The unit of each reference: its patient, or the sample where a kind comes from one patient only."""
    notes: list[str] = []
    copies: list[str] = []

    def units(samples: Samples, kind: str) -> Text:
        donors = donors_or_names(samples)
        merged = np.array([profiles[row.tobytes()] for row in samples.values])
        copies.extend(str(name) for name in samples.names[merged != donors])
        if len(samples) > 1 and len(np.unique(merged)) == 1 and len(np.unique(samples.values, axis=0)) > 1:
            notes.append(
                f"all {len(samples)} {kind} references are of one patient ({merged[0]}): interval and "
                "calibration take samples for patients and are too narrow for a new patient"
            )
            return np.char.add("sample ", samples.names)
        return merged

    one = units(positive, "positive")
    other = None if negative is None else units(negative, "negative")
    if copies:
        notes.append(f"profiles that are copies of another patient's were counted as one: {_some(copies)}")
    return one, other, notes


def _conflicts(
    query: Samples,
    positive: Samples,
    negative: Samples | None,
    positive_units: Text,
    negative_units: Text | None,
) -> tuple[tuple[frozenset[str], ...], tuple[Reference, ...]]:
    """For each query the units of references with its name, patient or profile."""
    units: dict[tuple[str, str | bytes], set[str]] = {}
    names: dict[tuple[str, str | bytes], list[str]] = {}
    for samples, of in ((positive, positive_units), (negative, negative_units)):
        if samples is None or of is None:
            continue
        for row, name, donor, unit in zip(
            samples.values, samples.names, donors_or_names(samples), of, strict=True
        ):
            for key in (("name", str(name)), ("patient", str(donor)), ("profile", row.tobytes())):
                units.setdefault(key, set()).add(str(unit))
                names.setdefault(key, []).append(str(name))
    conflicts, left_out = [], []
    for row, name, donor in zip(query.values, query.names, donors_or_names(query), strict=True):
        own: set[str] = set()
        told: set[str] = set()
        for key in (("name", str(name)), ("patient", str(donor)), ("profile", row.tobytes())):
            own |= units.get(key, set())
            for reference in names.get(key, []):
                if reference not in told:
                    told.add(reference)
                    left_out.append(Reference(str(name), reference, f"the same {key[0]}"))
        conflicts.append(frozenset(own))
    _refuse_lonely(query, conflicts, positive_units, negative_units)
    return tuple(conflicts), tuple(left_out)


def _refuse_lonely(
    query: Samples, conflicts: list[frozenset[str]], positive_units: Text, negative_units: Text | None
) -> None:
    """Refuse queries for which a kind has no reference of another patient."""
    kinds = {"positive": set(positive_units.tolist())}
    if negative_units is not None:
        kinds["negative"] = set(negative_units.tolist())
    for kind, units in kinds.items():
        if lonely := [str(name) for name, own in zip(query.names, conflicts, strict=True) if units <= own]:
            raise DataError(
                f"all {kind} references are of the patient to be diagnosed", value=_some(lonely),
                mend=f"add {kind} references of other patients, or leave these samples out",
            )  # fmt: skip


def _notes_on_numbers(positive_units: Text, negative_units: Text | None) -> list[str]:
    notes = []
    for kind, units in (("positive", positive_units), ("negative", negative_units)):
        if units is None:
            continue
        n = len(np.unique(units))
        if n == 1:
            notes.append(f"one {kind} reference patient: how patients differ cannot be known, "
                         "so the interval is everything from 0 to 1")  # fmt: skip
        elif n < FEW_REFERENCES:
            notes.append(f"only {n} {kind} reference patients ({FEW_REFERENCES} or more are advised): "
                         "the interval is wide and the calibration rests on the prior")  # fmt: skip
    return notes


def _some(names: Sequence[str], most: int = 5) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
