"""A Gaussian copula for each class: shrunken correlations of ranks, and each gene's own quantiles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from consilience.augment.generators.classes import (
    asked,
    checked_temperature,
    floor_of,
    parted,
)
from consilience.augment.generators.factors import described, floor_in, principal
from consilience.augment.generators.generator import Drawn, Generator
from consilience.augment.generators.shrunk_gaussian import OPTIONS, asked_shrinkage, shrinkage_of
from consilience.foundation.seeds import stream

if TYPE_CHECKING:
    import numpy.typing as npt

    from consilience.augment.generators.classes import Part
    from consilience.foundation.devices import Device
    from consilience.learning.samples import Samples

    Floats = npt.NDArray[np.float64]
    Values = npt.NDArray[np.float32]

KEY = "copula"


@dataclass(frozen=True)
class Ranked:
    """One class: `axes` (k, G) and `own` (G,) of normal scores of variance 1, and the genes' values.

    `ordered` (n, G): each gene's values by size. `slope` (G,): growth of a gene for one normal score, which
    carries its tails on. `on_floor` (G,): share of values on the floor.
    """

    axes: Values
    own: Values
    ordered: Values
    slope: Values
    on_floor: Values

    def seen(self, scores: Floats, *, floor: float) -> Values:
        """Values of normal scores (k, G): linear in the score between quantiles and beyond them."""
        from scipy.special import ndtr, ndtri

        n = len(self.ordered)
        places = ndtri((np.arange(n) + 0.5) / n)
        below = np.clip(np.searchsorted(places, scores.ravel()).reshape(scores.shape) - 1, 0, n - 2)
        low, high = (np.take_along_axis(self.ordered, below + step, axis=0) for step in (0, 1))
        share = (scores - places[below]) / (places[below + 1] - places[below])
        values = low + np.clip(share, 0.0, 1.0) * (high - low)
        # between the floor and the next value nothing was seen: the value there is the next
        values = np.where((low <= floor) & (high > floor), high, values)
        values = values + self.slope * (
            np.maximum(scores - places[-1], 0) + np.minimum(scores - places[0], 0)
        )
        # the share on the floor is as it was
        found = np.where(ndtr(scores) < self.on_floor, floor, np.maximum(values, floor))
        return np.asarray(found, dtype=np.float32)


@dataclass(frozen=True)
class Copula:
    """A fitted copula; `parts` by class, in order of `classes`."""

    genes: tuple[str, ...]
    classes: tuple[str, ...]
    parts: tuple[Ranked, ...]
    floor: float

    def sample(self, labels: npt.NDArray[np.str_], *, seed: int, temperature: float | None = None) -> Drawn:
        """One sample for each label; those of a class depend on the seed, the class and their order in it."""
        warmth = checked_temperature(temperature)
        values = np.empty((len(labels), len(self.genes)), dtype=np.float32)
        for label, rows in asked(labels, classes=self.classes).items():
            part = self.parts[self.classes.index(label)]
            scores = stream(seed, KEY, label, "joint").standard_normal((len(rows), len(part.axes)))
            noise = stream(seed, KEY, label, "own").standard_normal((len(rows), len(self.genes)))
            values[rows] = part.seen((warmth * scores) @ part.axes + noise * part.own, floor=self.floor)
        return Drawn(values, labels.astype(str))

    def to_arrays(self) -> tuple[dict[str, npt.NDArray[Any]], dict[str, Any]]:
        """The classes' arrays by their numbers."""
        names = ("axes", "own", "ordered", "slope", "on_floor")
        arrays = {
            f"{name}_{number}": getattr(part, name)
            for number, part in enumerate(self.parts)
            for name in names
        }
        return arrays, described(KEY, genes=self.genes, classes=self.classes, floor=self.floor)


def normal_scores(values: Floats) -> Floats:
    """Normal scores (n, G) of each gene's ranks, mean 0; equal values share the mean of their scores.

    Their variance is below 1 where values are equal: by that much is their correlation with others weaker
    than that of the normal variable behind them.
    """
    from scipy.special import ndtri

    n = len(values)
    places = ndtri((np.arange(n) + 0.5) / n)
    order = np.argsort(values, axis=0, kind="stable")
    ordered = np.take_along_axis(values, order, axis=0)
    # runs of equal values, from the place of the first to that of the last
    row = np.arange(n)[:, None]
    begins = np.ones(values.shape, dtype=bool)
    begins[1:] = ordered[1:] != ordered[:-1]
    ends = np.ones(values.shape, dtype=bool)
    ends[:-1] = begins[1:]
    first = np.maximum.accumulate(np.where(begins, row, 0), axis=0)
    last = np.minimum.accumulate(np.where(ends, row, n - 1)[::-1], axis=0)[::-1]
    sums = np.concatenate([[0.0], np.cumsum(places)])
    scores = np.empty(values.shape)
    np.put_along_axis(scores, order, (sums[last + 1] - sums[first]) / (last + 1 - first), axis=0)
    return scores


def ranked(part: Part, *, floor: float, shrinkage: float) -> Ranked:
    """One class, its correlations of ranks shrunk by this share (−1: by that of `shrinkage_of`)."""
    scores = normal_scores(part.values)
    sd = np.where(part.sd > 0, scores.std(axis=0, ddof=1), 0.0)
    rows = np.where(sd > 0, scores / np.where(sd > 0, sd, 1.0), 0.0)
    share = shrinkage_of(rows) if shrinkage < 0 else shrinkage
    variances, directions = principal(rows)
    # the sd of scores without equal values, of which the variance of those with equal ones is a share
    full = normal_scores(np.arange(len(scores), dtype=np.float64)[:, None]).std(ddof=1)
    axes = np.sqrt((1 - share) * variances)[:, None] * directions / np.where(sd > 0, sd / full, 1.0)
    length = np.maximum(np.sqrt((axes**2).sum(axis=0)), 1.0)
    axes = axes / length
    own = np.sqrt(np.maximum(1 - (axes**2).sum(axis=0), 0.0))
    ordered = np.sort(part.values, axis=0)
    places = normal_scores(np.arange(len(scores), dtype=np.float64)[:, None])
    slope = (places * ordered).sum(axis=0) / (places**2).sum()
    slope = np.where(part.sd > 0, slope, 0.0)
    on_floor = (part.values <= floor).mean(axis=0)
    return Ranked(*(one.astype(np.float32) for one in (axes, own, ordered, slope, on_floor)))


def fit(
    samples: Samples,
    *,
    seed: int,
    effort: float = 1.0,
    device: Device | None = None,
    options: Mapping[str, Any] = OPTIONS,
) -> Copula:
    """In closed form: neither seed, effort nor device matter."""
    share = asked_shrinkage(options, key=KEY)
    floor = floor_of(samples)
    parts = parted(samples)
    return Copula(
        genes=samples.genes,
        classes=tuple(part.label for part in parts),
        parts=tuple(ranked(part, floor=floor, shrinkage=share) for part in parts),
        floor=floor,
    )


def restore(arrays: Mapping[str, npt.NDArray[Any]], description: Mapping[str, Any]) -> Copula:
    """`Copula.to_arrays` turned around."""
    names = ("axes", "own", "ordered", "slope", "on_floor")
    classes = tuple(description["classes"])
    parts = tuple(Ranked(*(arrays[f"{name}_{number}"] for name in names)) for number in range(len(classes)))
    return Copula(tuple(description["genes"]), classes, parts, floor_in(description))


GENERATOR = Generator(
    key=KEY,
    title="Gaussian copula by class",
    kind="classical",
    reference="Song PX-K. Scand J Stat 27:305, 2000; Schäfer J, Strimmer K. Stat Appl Genet Mol Biol 4:32,"
    " 2005",
    doi="10.1111/1467-9469.00191",
    assumes="Within a class ranks depend on each other as those of normal variables do.",
    limits="Its model holds each gene's values (though not whose they are); beyond them a gene goes on as a"
    " normal one of its spread; class quantiles are the patients' own.",
    fit=fit,
    restore=restore,
    temperature="Multiplies the joint (correlated) deviations of the normal scores; what each gene varies by"
    " itself stays.",
    options=OPTIONS,
)
