"""Samplers that keep patients and make samples from them: what they store, and how they are kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from consilience.augment.generators.classes import asked, checked_temperature, floor_of, parted
from consilience.augment.generators.factors import described, floor_in
from consilience.augment.generators.generator import Drawn
from consilience.foundation.seeds import stream

if TYPE_CHECKING:
    import numpy.typing as npt

    from consilience.learning.samples import Samples

    Floats = npt.NDArray[np.float64]
    Values = npt.NDArray[np.float32]

TEMPERATURE = "Multiplies the sample's deviation from the class mean (of the patients it is made from)."


@dataclass(frozen=True)
class Kept:
    """Patients of each class: `rows` (n, G) float32 by class, in order of their names."""

    genes: tuple[str, ...]
    classes: tuple[str, ...]
    rows: tuple[Values, ...]
    floor: float


def kept(samples: Samples) -> Kept:
    """The samples by class."""
    parts = parted(samples)
    return Kept(
        samples.genes,
        tuple(part.label for part in parts),
        tuple(part.values.astype(np.float32) for part in parts),
        floor_of(samples),
    )


@dataclass(frozen=True)
class RowSampler:
    """A sampler that makes each sample of a class from the class's `kept` patients."""

    kept: Kept
    amount: float
    """Its one option: neighbours of SMOTE, noise of the bootstrap."""

    key = ""
    option = ""

    @property
    def genes(self) -> tuple[str, ...]:
        """In the order of its samples' columns."""
        return self.kept.genes

    @property
    def classes(self) -> tuple[str, ...]:
        """The labels it learned from, sorted."""
        return self.kept.classes

    def sample(self, labels: npt.NDArray[np.str_], *, seed: int, temperature: float | None = None) -> Drawn:
        """One sample for each label; those of a class depend on the seed, the class and their order in it."""
        warmth = checked_temperature(temperature)
        values = np.empty((len(labels), len(self.genes)), dtype=np.float32)
        for label, places in asked(labels, classes=self.classes).items():
            rows = self.kept.rows[self.classes.index(label)]
            values[places] = self.made(
                rows, len(places), warmth=warmth, seed=int(stream(seed, self.key, label).integers(2**62))
            )
        return Drawn(np.maximum(values, np.float32(self.kept.floor)), labels.astype(str))

    def made(self, rows: Values, n: int, *, warmth: float, seed: int) -> Values:
        """New samples (n, G) of a class's patients (m, G)."""
        raise NotImplementedError

    def to_arrays(self) -> tuple[dict[str, npt.NDArray[Any]], dict[str, Any]]:
        """The patients themselves."""
        arrays = {f"rows_{number}": rows for number, rows in enumerate(self.kept.rows)}
        description = described(self.key, genes=self.genes, classes=self.classes, floor=self.kept.floor)
        return arrays, {**description, self.option: self.amount}


def kept_in(arrays: Mapping[str, npt.NDArray[Any]], description: Mapping[str, Any]) -> Kept:
    """The patients out of `to_arrays`."""
    classes = tuple(description["classes"])
    rows = tuple(arrays[f"rows_{number}"] for number in range(len(classes)))
    return Kept(tuple(description["genes"]), classes, rows, floor_in(description))


def warmed(values: Values, rows: Values, warmth: float) -> Values:
    """Values (k, G) with their deviation from the mean of `rows` multiplied; untouched at 1."""
    if warmth == 1.0:
        return values
    mean = rows.mean(axis=0, dtype=np.float64)
    return np.asarray(mean + warmth * (values - mean), dtype=np.float32)
