"""Synthetic samples as they would be given out: drawn, in the units of the file, without near copies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from consilience.augment.generators.generator import Drawn
from consilience.augment.makers import by_name, fresh_seed
from consilience.augment.units import Units, logged, unlogged

if TYPE_CHECKING:
    import numpy.typing as npt

    from consilience.augment.generators.generator import Fitted, Generator
    from consilience.augment.temperature_choice import Adaptive
    from consilience.foundation.devices import Device
    from consilience.learning.samples import Samples

N_FOLDS, FOLDS_OF_SLOW = 5, 2
"""Folds of the choice of a temperature; each is a fit."""


@dataclass(frozen=True)
class Recipe:
    """How samples are made: a generator with its settings, and `fold` samples for each real one.

    `temperature`: "auto" to choose it among the patients that are learned from, None for the generator's own.
    """

    generator: Generator
    fold: float
    temperature: float | Literal["auto"] | None = None
    effort: float = 1.0
    options: Mapping[str, Any] = field(default_factory=dict)
    device: Device | None = None


@dataclass(frozen=True)
class Learned:
    """A fitted generator, the temperature to draw at (None: its own), and how that was chosen, if it was."""

    fitted: Fitted
    temperature: float | None
    adaptive: Adaptive | None


@dataclass(frozen=True)
class Made:
    """Samples that are no near copies.

    `logs` (k, G) on the scale of generators, of what `values` (k, G) in the file's units are; `labels` (k,).
    `removed` near copies were taken out, in whose places `lost` could not be filled.
    """

    logs: npt.NDArray[np.float32]
    values: npt.NDArray[np.float32]
    labels: npt.NDArray[np.str_]
    removed: int
    lost: int

    def first(self, sizes: Mapping[str, int]) -> Drawn:
        """The first so many of each class, as logarithms."""
        rows = [np.flatnonzero(self.labels == label)[:n] for label, n in sorted(sizes.items())]
        chosen = np.concatenate(rows)
        return Drawn(self.logs[chosen], self.labels[chosen])


def learn(samples: Samples, recipe: Recipe, *, seed: int) -> Learned:
    """Fit the recipe's generator, and choose its temperature where that is asked for."""
    from consilience.augment.temperature import adaptive

    samples, generator = by_name(samples), recipe.generator
    fitted = generator.fit(
        samples, seed=seed, effort=recipe.effort, device=recipe.device, options=recipe.options
    )
    if recipe.temperature != "auto":
        return Learned(fitted, recipe.temperature if generator.temperature else None, None)
    if not generator.temperature:
        return Learned(fitted, None, None)
    found = adaptive(
        generator, samples, seed=seed, n_folds=FOLDS_OF_SLOW if generator.neural else N_FOLDS,
        effort=recipe.effort, device=recipe.device, options=recipe.options,
    )  # fmt: skip
    return Learned(fitted, found.temperature, found)


def make(
    samples: Samples, learned: Learned, *, fold: float, units: Units, seed: int, cleaning: bool = True
) -> Made:
    """Draw from what was learned from `samples`; near copies of them are drawn anew, or left out.

    Without `cleaning` samples are as the generator gives them.
    """
    from consilience.measures.release import remove_near_copies

    labels = labels_wanted(samples.labels, fold=fold)
    logs, values, labels = _drawn(learned, labels, units=units, seed=seed, number=0)
    if not cleaning:
        return Made(logs, values, labels, 0, 0)
    again: dict[int, npt.NDArray[np.float32]] = {}

    def redraw(rows: npt.NDArray[np.intp], number: int) -> npt.NDArray[np.float32]:
        fresh, raw, of = _drawn(learned, labels[rows], units=units, seed=seed, number=number)
        labels[rows], values[rows] = of, raw
        again.update(zip(rows.tolist(), fresh, strict=True))
        return fresh

    cleaned = remove_near_copies(synthetic=logs, train=samples.values, donors=samples.donors, redraw=redraw)
    kept = _rows_kept(cleaned.values, cleaned.source, again)
    return Made(cleaned.values, values[kept], labels[kept], cleaned.n_removed, len(logs) - len(kept))


def labels_wanted(labels: npt.NDArray[np.str_], *, fold: float) -> npt.NDArray[np.str_]:
    """`fold` of each class (at least one), in rounds of all classes in their real sizes."""
    classes, sizes = np.unique(labels.astype(str), return_counts=True)
    left = np.maximum(1, np.rint(fold * sizes)).astype(int)
    rounds = []
    while left.any():
        now = np.minimum(left, sizes)
        rounds.append(np.repeat(classes, now))
        left = left - now
    return np.concatenate(rounds)


def _drawn(
    learned: Learned, labels: npt.NDArray[np.str_], *, units: Units, seed: int, number: int
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32], npt.NDArray[np.str_]]:
    """Logarithms, values in the file's units, labels; what the units cannot hold is gone from both."""
    own = fresh_seed(seed, "draw", number)
    drawn = learned.fitted.sample(labels, seed=own, temperature=learned.temperature)
    values = unlogged(drawn.values, labels=drawn.labels, units=units, seed=own)
    return as_seen(values, units=units), values, drawn.labels.astype(labels.dtype)


def as_seen(values: npt.NDArray[np.float32], *, units: Units) -> npt.NDArray[np.float32]:
    """What somebody who has the file makes of its values: the logarithms that are judged."""
    return logged(values, units=units.units)


def _rows_kept(
    values: npt.NDArray[np.float32], source: npt.NDArray[np.intp], again: dict[int, npt.NDArray[np.float32]]
) -> npt.NDArray[np.intp]:
    """Which row each cleaned sample stands in: those drawn anew are found by their last draw, in order."""
    waiting, place = sorted(again), 0
    found = source.copy()
    for at in np.flatnonzero(source < 0).tolist():
        while not np.array_equal(again[waiting[place]], values[at]):
            place += 1
        found[at] = waiting[place]
        place += 1
    return found
