"""Samples fit for an honest evaluation: labels checked, copies found, cohorts apart, labels permuted."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from consilience.foundation.errors import DataError, did_you_mean
from consilience.foundation.seeds import stream
from consilience.learning.samples import Samples
from consilience.rnagan.comparison import donors_or_names


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
    """Samples with one donor name for donors who share a profile, and what was found."""
    donors = donors_or_names(samples)
    root = {donor: donor for donor in donors.tolist()}

    def find(donor: str) -> str:
        while root[donor] != donor:
            donor = root[donor]
        return donor

    seen: dict[bytes, int] = {}
    found = []
    for row in np.lexsort((samples.names, donors)).tolist():
        first = seen.setdefault(samples.values[row].tobytes(), row)
        one, other = find(str(donors[first])), find(str(donors[row]))
        if one != other:
            root[max(one, other)] = min(one, other)
            found.append(
                f"{samples.names[row]} is a copy of {samples.names[first]}: their donors ({donors[row]}, "
                f"{donors[first]}) were kept on one side of each split"
            )
    merged = np.array([find(donor) for donor in donors.tolist()])
    return replace(samples, donors=merged), tuple(found)


def apart(train: Samples, test: Samples) -> tuple[Samples, tuple[str, ...]]:
    """Training samples without patient, name or profile of the test, and what was dropped."""
    shared = {
        "patient": (donors_or_names(train), donors_or_names(test)),
        "name": (train.names, test.names),
        "profile": tuple(np.array([row.tobytes().hex() for row in x.values]) for x in (train, test)),
    }
    drop = np.zeros(len(train), dtype=bool)
    found = []
    for what, (ours, theirs) in shared.items():
        hit = np.isin(ours, theirs) & ~drop
        found += [
            f"{name} left out of training: its {what} is in the test cohort" for name in train.names[hit]
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
