"""A trial: made from some donors, held against the others. It is what a release is judged by."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from consilience.augment.generators.generator import Drawn
from consilience.augment.judging import Judged, judge
from consilience.augment.makers import by_name, fresh_seed
from consilience.augment.making import Learned, Made, Recipe, learn, make
from consilience.augment.units import Units
from consilience.foundation.errors import DataError
from consilience.foundation.seeds import stream

if TYPE_CHECKING:
    import numpy.typing as npt

    from consilience.learning.samples import Samples

HELD_OUT = 0.3
"""Share of the donors of each class that the judged samples are not made from."""
LEAST_JUDGED = 4
LEAST_PATIENTS = 2


@dataclass(frozen=True)
class Parts:
    """`train` and `held_out` samples, sorted by name, of other donors."""

    train: Samples
    held_out: Samples


@dataclass(frozen=True)
class Trial:
    """What was `made` of `parts.train`, and how all of it was `judged`: every further sample tells more."""

    parts: Parts
    learned: Learned
    made: Made
    judged: Judged
    seconds: float


def held_out_parts(samples: Samples, *, seed: int, number: int = 0) -> Parts:
    """Some donors of every class held out, by their names and `number` alone.

    Raises
    ------
    DataError
        With too few patients to learn from some and judge by others.
    """
    samples = by_name(samples)
    chosen: set[str] = set()
    for label in np.unique(samples.labels).tolist():
        donors = np.unique(samples.donors[samples.labels == label]).tolist()
        fresh = [donor for donor in donors if donor not in chosen]
        wanted = max(1, round(HELD_OUT * len(donors))) - (len(donors) - len(fresh))
        order = stream(seed, "trial", number, label).permutation(len(fresh))
        chosen.update(fresh[place] for place in order[: max(0, wanted)])
    aside = np.isin(samples.donors, sorted(chosen))
    parts = Parts(samples.take(~aside), samples.take(aside))
    _check(samples, parts)
    return parts


def run_trial(
    parts: Parts,
    recipe: Recipe,
    *,
    units: Units,
    seed: int,
    membership: Sequence[npt.NDArray[np.intp]] | None = None,
) -> Trial:
    """Fit to the training patients, draw, and judge by the others."""
    started = time.perf_counter()
    learned = learn(parts.train, recipe, seed=fresh_seed(seed, "fit"))
    made = make(parts.train, learned, fold=recipe.fold, units=units, seed=fresh_seed(seed, "make"))
    seconds = time.perf_counter() - started
    if len(made.labels) < LEAST_JUDGED:
        raise DataError("nearly every sample is a near copy of a patient, so none is left to judge",
                        value=f"{made.removed} near copies", mend="take another generator")  # fmt: skip
    found = judge(
        train=parts.train, held_out=parts.held_out, drawn=Drawn(made.logs, made.labels),
        membership=membership, seed=seed,
    )  # fmt: skip
    return Trial(parts, learned, made, found, seconds)


def real_as_made(parts: Parts) -> Made:
    """The training patients themselves as if they were synthetic: the row REAL_TRAIN."""
    train = parts.train
    return Made(train.values, train.values, train.labels, 0, 0)


def _check(samples: Samples, parts: Parts) -> None:
    told = f"{len(np.unique(samples.donors))} patients"
    mend = "more patients are needed: some must be held out"
    if min(len(parts.train), len(parts.held_out)) < LEAST_JUDGED:
        raise DataError("too few patients to judge synthetic samples by", value=told,
                        allowed=f"{LEAST_JUDGED} or more on each side", mend=mend)  # fmt: skip
    for label in np.unique(samples.labels).tolist():
        n = np.unique(parts.train.donors[parts.train.labels == label]).size
        if n < LEAST_PATIENTS or label not in parts.held_out.labels:
            raise DataError("too few patients of a class to judge its synthetic samples by", where=label,
                            value=int(np.unique(samples.donors[samples.labels == label]).size),
                            allowed=f"{LEAST_PATIENTS + 1} or more", mend=mend)  # fmt: skip
