"""Samples fit for an honest evaluation: labels checked, copies found, cohorts apart, labels permuted."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from consilience.foundation.errors import DataError, did_you_mean
from consilience.foundation.seeds import stream
from consilience.learning.leakage import (
    LEAST_CORRELATION,
    Copies,
    donors_with_copies_joined,
    find_copies,
)
from consilience.learning.samples import Samples
from consilience.rnagan.comparison import donors_or_names

MOST_COMPARED = 5000
"""Samples up to which repeated measurements are looked for; beyond, identical profiles only."""


def permuted_labels(samples: Samples, *, seed: int) -> Samples:
    """The samples with labels that tell nothing: shuffled among donors, and within donors of several labels.

    Donors keep one label where they had one. Any method must have an AUC of about 0.5 on them.
    """
    donors = donors_or_names(samples)
    order = np.lexsort((samples.names, donors))
    labels = samples.labels.copy()
    everyone = np.unique(donors)
    own = {donor: order[donors[order] == donor] for donor in everyone.tolist()}
    single = [donor for donor, rows in own.items() if len(np.unique(labels[rows])) == 1]
    firsts = np.array([samples.labels[own[donor][0]] for donor in single], dtype=labels.dtype)
    for donor, label in zip(single, firsts[stream(seed, "labels").permutation(len(firsts))], strict=True):
        labels[own[donor]] = label
    for donor in sorted(set(own) - set(single)):
        rows = own[donor]
        labels[rows] = samples.labels[rows][stream(seed, "labels", donor).permutation(len(rows))]
    return replace(samples, labels=labels)


def check_labels(samples: Samples, positive: str) -> None:
    """Refuse a label that is not there, and samples of one kind only."""
    levels = sorted(set(samples.labels.tolist()))
    if positive not in levels:
        raise DataError(
            "no sample has the positive label", value=positive, allowed=", ".join(levels[:20]),
            mend=did_you_mean(positive, levels),
        )  # fmt: skip
    if len(levels) == 1:
        raise DataError(
            "all samples have one label, so a diagnosis cannot be judged", value=positive,
            mend="add samples of another kind; with positives only, `diagnose` can still tell how typical of "
            "them a sample is (negatives=None)",
        )  # fmt: skip


def merge_copies(samples: Samples) -> tuple[Samples, tuple[str, ...]]:
    """Samples with one donor name for donors who share a profile, and what was found.

    A profile measured again (the same library sequenced twice) is found too, not only identical values.
    """
    known = replace(samples, donors=donors_or_names(samples))
    copies = _copies(known)
    found = []
    for first, second, same in zip(copies.first, copies.second, copies.identical, strict=True):
        names = f"{samples.names[first]} and {samples.names[second]}"
        if same and samples.labels[first] != samples.labels[second]:
            raise DataError(
                "one profile has two labels", where=f"samples {names}",
                value=f"{samples.labels[first]} and {samples.labels[second]}",
                mend="remove the copy with the wrong label",
            )  # fmt: skip
        if known.donors[first] != known.donors[second]:
            how = "identical" if same else "measurements of one profile"
            found.append(
                f"{names} are {how}: their donors ({known.donors[first]}, {known.donors[second]}) were "
                "kept on one side of each split"
            )
    return replace(known, donors=donors_with_copies_joined(known, copies)), tuple(sorted(found))


def _copies(samples: Samples) -> Copies:
    """Copies in an order that does not depend on that of the samples; of too many samples identical ones."""
    copies = find_copies(samples.values, least=LEAST_CORRELATION if len(samples) <= MOST_COMPARED else 1.0)
    swap = samples.names[copies.first] > samples.names[copies.second]
    first = np.where(swap, copies.second, copies.first)
    second = np.where(swap, copies.first, copies.second)
    return Copies(first, second, copies.correlation, copies.identical)


def apart(train: Samples, test: Samples) -> tuple[Samples, tuple[str, ...]]:
    """Training samples without patient, name or profile of the test, and what was dropped."""
    copies = _copies(concatenated(train, test)) if len(train) and len(test) else None
    copied = np.zeros(len(train) + len(test), dtype=bool)
    if copies is not None:
        low, high = np.minimum(copies.first, copies.second), np.maximum(copies.first, copies.second)
        copied[low[(low < len(train)) & (high >= len(train))]] = True
    hits = {
        "patient": np.isin(donors_or_names(train), donors_or_names(test)),
        "name": np.isin(train.names, test.names),
        "profile": copied[: len(train)],
    }
    drop = np.zeros(len(train), dtype=bool)
    found = []
    for what, hit in hits.items():
        found += [
            f"{name} left out of training: its {what} is in the test cohort"
            for name in train.names[hit & ~drop]
        ]
        drop |= hit
    return train.take(~drop), tuple(found)


def concatenated(one: Samples, other: Samples) -> Samples:
    """The samples of both, in this order."""
    names = ("values", "names", "labels", "donors", "batches")
    joined: dict[str, Any] = {
        name: np.concatenate([getattr(one, name), getattr(other, name)]) for name in names
    }
    return replace(one, **joined)
