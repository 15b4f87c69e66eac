"""What cannot be augmented (errors), and what a reader of the result must know (notes)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from consilience.foundation.errors import ConsilienceError, DataError, Problem

if TYPE_CHECKING:
    import numpy.typing as npt

    from consilience.learning.samples import Samples

LEAST_PATIENTS = 2
"""Of each class: one patient has no spread, and every sample of that class would point to that patient."""
FEW_PATIENTS = 8
LARGEST_LOG = 30.0
"""Logarithms of expression stay below (as the readers of matrices hold it): e³⁰ reads is no library."""
LEAST_COUNT = 2.0
"""Whole numbers up to this, and nothing else, are counts and no logarithms."""
SHOWN = 5
NO_LABEL = ("", "nan", "none", "na", "n/a", "<na>", "null")
HAVE_FLOOR = ("log1p", "log2p1", "log(1 +", "log2(1 +")
"""Units in which nothing lies below zero: they begin with one of these."""


@dataclass(frozen=True)
class Checked:
    """Samples that can be augmented, and what was found about them.

    `samples`: as given, but that donors whose samples are copies of each other are one donor.
    """

    samples: Samples
    notes: tuple[str, ...]


def checked(samples: Samples) -> Checked:
    """Refuse what cannot be augmented; join patients that are there twice; note what limits the result.

    Raises
    ------
    DataError
        With one line for each thing that is wrong.
    """
    from consilience.learning.leakage import donors_with_copies_joined, find_copies

    refuse(samples)
    copies = find_copies(samples.values)
    across = copies.only(samples.donors[copies.first] != samples.donors[copies.second])
    joined = replace(samples, donors=donors_with_copies_joined(samples, across)) if len(across) else samples
    refuse(joined)
    pairs = [
        f"{samples.names[a]} and {samples.names[b]}"
        for a, b in zip(across.first[:SHOWN], across.second[:SHOWN], strict=True)
    ]
    more = f" and {len(across) - SHOWN} more pairs" if len(across) > SHOWN else ""
    twice = (
        (f"probably the same patient under two names, taken as one: {'; '.join(pairs)}{more}",)
        if pairs
        else ()
    )
    return Checked(joined, (*twice, *_notes(joined)))


def refuse(samples: Samples) -> None:
    """Raise `DataError`, one line for each thing, where samples cannot be learned from at all."""
    problems = [*_of_names(samples), *_of_values(samples)]
    if not problems:
        problems = _of_classes(samples)
    if problems:
        raise DataError.from_problems(problems) if len(problems) > 1 else _one(problems[0])


def patients(samples: Samples) -> dict[str, int]:
    """Number of donors of each class, by class."""
    return {
        str(label): len(np.unique(samples.donors[samples.labels == label]))
        for label in np.unique(samples.labels)
    }


def _one(problem: Problem) -> ConsilienceError:
    return DataError(
        problem.what, where=problem.where, value=problem.value, allowed=problem.allowed, mend=problem.mend
    )


def _of_names(samples: Samples) -> list[Problem]:
    """No samples or genes, names that occur twice, labels and donors that are missing."""
    if not len(samples) or not samples.genes:
        size = f"{len(samples)} samples, {len(samples.genes)} genes"
        return [Problem("there is nothing to learn from", value=size, mend="give samples with genes")]
    found = []
    for what, names in (("sample", samples.names), ("gene", np.array(samples.genes))):
        levels, counts = np.unique(names, return_counts=True)
        if (counts > 1).any():
            found.append(
                Problem(f"a {what} name occurs more than once", value=_some(levels[counts > 1]),
                        mend=f"give each {what} a name of its own")
            )  # fmt: skip
    for what in ("labels", "donors"):
        values = getattr(samples, what)
        missing = np.isin(np.char.lower(np.char.strip(values.astype(str))), NO_LABEL)
        if missing.any():
            found.append(
                Problem(f"{what} are missing", value=f"{int(missing.sum())} of {len(samples)} samples: "
                        + _some(samples.names[missing]), mend="fill them in, or leave these samples out")
            )  # fmt: skip
    return found


def _of_values(samples: Samples) -> list[Problem]:
    """Missing, infinite, negative and linear values, and genes none of which varies."""
    values = samples.values
    if not values.size:
        return []
    bad = ~np.isfinite(values)
    if bad.any():
        return [
            Problem("values are missing or infinite", value=f"{int(bad.sum())}, first {_first(samples, bad)}",
                    mend="leave the genes or samples out that have them, or fill them in before")
        ]  # fmt: skip
    least, most = float(values.min()), float(values.max())
    if most > LARGEST_LOG:
        return [
            Problem(f"values are not logarithms ({samples.units})",
                    value=f"{most:.6g} in {_first(samples, values == most)}",
                    allowed=f"up to {LARGEST_LOG:g}", mend="give counts as counts, they are logged here")
        ]  # fmt: skip
    if most >= LEAST_COUNT and samples.units.startswith("log") and (values == np.round(values)).all():
        return [
            Problem(f"values are not logarithms ({samples.units})", value="whole numbers only",
                    mend="give counts as counts, they are logged here")
        ]  # fmt: skip
    if least < 0 and samples.units.startswith(HAVE_FLOOR):
        below = values < 0
        return [
            Problem(f"values below zero, which {samples.units} cannot have",
                    value=f"{int(below.sum())}, first {_first(samples, below)}",
                    mend="give the values before they were centred or corrected, or say their right units")
        ]  # fmt: skip
    if (values == values[0]).all():
        return [
            Problem("no gene varies", value=f"{len(samples)} samples, {len(samples.genes)} genes",
                    mend="give samples that differ")
        ]  # fmt: skip
    return []


def _of_classes(samples: Samples) -> list[Problem]:
    """Classes of too few patients."""
    return [
        Problem("a class has too few patients", where=label, value=f"{n} (samples: "
                f"{int((samples.labels == label).sum())})", allowed=f"{LEAST_PATIENTS} or more",
                mend="add patients, join the class with another, or leave it out: samples made of one"
                " patient are that patient")
        for label, n in patients(samples).items() if n < LEAST_PATIENTS
    ]  # fmt: skip


def _notes(samples: Samples) -> tuple[str, ...]:
    """Few patients, one class, constant genes, several samples of a donor, batches that are classes."""
    count = patients(samples)
    few = ", ".join(f"{label} ({n})" for label, n in count.items() if n < FEW_PATIENTS)
    constant = int((samples.values == samples.values[0]).all(axis=0).sum())
    n_donors = len(np.unique(samples.donors))
    found = [
        few
        and f"fewer than {FEW_PATIENTS} patients: {few}; spread and correlation of these classes are"
        " little known, and a leak of who they are could not be seen",
        len(count) == 1 and "one class only: differences between classes are not learned or judged",
        constant and f"{constant} of {len(samples.genes)} genes are the same in all samples, and stay so",
        n_donors < len(samples)
        and f"{len(samples)} samples of {n_donors} patients: spread between the"
        " samples of a patient is taken for spread between patients",
        aliased(samples),
    ]
    return tuple(note for note in found if note)


def aliased(samples: Samples) -> str:
    """Say which classes cannot be told from batches; "" where each batch, or no batch, has all classes."""
    batches, labels = samples.batches.astype(str), samples.labels.astype(str)
    if len(np.unique(batches)) < 2 or len(np.unique(labels)) < 2:
        return ""
    of_batch = {batch: set(labels[batches == batch].tolist()) for batch in np.unique(batches).tolist()}
    # classes that share a batch, directly or over others, can be compared; groups of them cannot
    groups: list[set[str]] = []
    for classes in of_batch.values():
        touching = [group for group in groups if group & classes]
        groups = [group for group in groups if not group & classes]
        groups.append(set.union(classes, *touching))
    if len(groups) == 1:
        return ""
    apart = " | ".join(sorted(", ".join(sorted(group)) for group in groups))
    return (
        f"no batch has classes of both sides of {apart}: what makes these classes differ may be the batch,"
        " and synthetic samples carry it"
    )


def _first(samples: Samples, where: npt.NDArray[np.bool_]) -> str:
    row, column = np.argwhere(where)[0]
    return f"sample {samples.names[row]}, gene {samples.genes[column]}"


def _some(names: npt.NDArray[np.str_]) -> str:
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(str(name) for name in names[:SHOWN]) + more
