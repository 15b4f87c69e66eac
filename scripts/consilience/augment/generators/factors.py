"""Normal samples as mean + joint deviations + what each gene has of its own; never a matrix genes × genes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from consilience.augment.generators.classes import Part, asked, checked_temperature
from consilience.augment.generators.generator import Drawn
from consilience.augment.generators.margins import NAMES, Margins, margins, restored_margins
from consilience.augment.generators.unlabelled import KEEPS_PATIENTS
from consilience.foundation.seeds import stream

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

TEMPERATURE = (
    "Multiplies the joint (correlated) deviations from the class mean; what each gene varies by itself stays."
)


@dataclass(frozen=True)
class Factors:
    """One class: latent values are mean + T·z·axes + ε·own, and seen as the genes' `margins` say.

    `axes` (k, G), `own` (G,) float32.
    """

    margins: Margins
    axes: npt.NDArray[np.float32]
    own: npt.NDArray[np.float32]


@dataclass(frozen=True)
class FactorSampler:
    """A fitted sampler of factors; `parts` by class, in order of `classes`. `key`: of its random numbers."""

    key: str
    genes: tuple[str, ...]
    classes: tuple[str, ...]
    parts: tuple[Factors, ...]

    def sample(self, labels: npt.NDArray[np.str_], *, seed: int, temperature: float | None = None) -> Drawn:
        """One sample for each label; those of a class depend on the seed, the class and their order in it."""
        warmth = checked_temperature(temperature)
        values = np.empty((len(labels), len(self.genes)), dtype=np.float32)
        for label, rows in asked(labels, classes=self.classes).items():
            part = self.parts[self.classes.index(label)]
            scores = self.scores(label, len(rows), stream(seed, self.key, label, "joint"))
            noise = stream(seed, self.key, label, "own").standard_normal(
                (len(rows), len(self.genes)), dtype=np.float32
            )
            joint = (warmth * scores).astype(np.float32) @ part.axes
            values[rows] = part.margins.seen(part.margins.mean.astype(np.float32) + joint + noise * part.own)
        return Drawn(values, labels.astype(str))

    def scores(self, label: str, n: int, rng: np.random.Generator) -> Floats:
        """Coordinates along the class's axes: (n, k)."""
        return rng.standard_normal((n, len(self.parts[self.classes.index(label)].axes)))

    def to_arrays(self) -> tuple[dict[str, npt.NDArray[Any]], dict[str, Any]]:
        """Margins, axes and own sd of each class by its number."""
        arrays: dict[str, npt.NDArray[Any]] = {}
        for number, part in enumerate(self.parts):
            arrays |= {f"axes_{number}": part.axes, f"own_{number}": part.own}
            arrays |= {f"{name}_{number}": one for name, one in part.margins.to_arrays().items()}
        floor = self.parts[0].margins.floor
        return arrays, described(self.key, genes=self.genes, classes=self.classes, floor=floor)


def described(key: str, *, genes: tuple[str, ...], classes: tuple[str, ...], floor: float) -> dict[str, Any]:
    """What all classical samplers say of themselves in JSON; no floor is null.

    All of them keep patients: as rows, or as axes whose span tells exactly who was there.
    """
    lowest = floor if np.isfinite(floor) else None
    told = {"generator": key, "genes": list(genes), "classes": list(classes), "floor": lowest}
    return {**told, KEEPS_PATIENTS: True}


def floor_in(description: Mapping[str, Any]) -> float:
    """The floor, −∞ for null."""
    found = description["floor"]
    return float("-inf") if found is None else float(found)


def restored_parts(
    arrays: Mapping[str, npt.NDArray[Any]], description: Mapping[str, Any]
) -> tuple[Factors, ...]:
    """The classes' factors out of `to_arrays`."""
    floor = floor_in(description)
    found = []
    for number in range(len(description["classes"])):
        mine = {name: arrays[f"{name}_{number}"] for name in (*NAMES, "axes", "own")}
        found.append(Factors(restored_margins(mine, floor=floor), mine["axes"], mine["own"]))
    return tuple(found)


def restored(arrays: Mapping[str, npt.NDArray[Any]], description: Mapping[str, Any]) -> FactorSampler:
    """`FactorSampler.to_arrays` turned around."""
    return FactorSampler(
        key=str(description["generator"]),
        genes=tuple(description["genes"]),
        classes=tuple(description["classes"]),
        parts=restored_parts(arrays, description),
    )


def margins_of(part: Part, *, floor: float) -> Margins:
    """Of the genes of one class."""
    on_floor = (part.values <= floor).mean(axis=0)
    return margins(mean=part.mean, sd=part.sd, on_floor=on_floor, n=len(part.values), floor=floor)


def factors(part: Part, axes: Floats, *, floor: float) -> Factors:
    """One class with joint deviations `axes` (k, G) in each gene's sds (see `Margins.joint`)."""
    found = margins_of(part, floor=floor)
    joint, own = found.joint(axes)
    return Factors(found, joint.astype(np.float32), own.astype(np.float32))


def standardised(part: Part) -> Floats:
    """Values (n, G) less their mean, in sds; 0 for genes that do not vary."""
    sd = part.sd
    return np.where(sd > 0, (part.values - part.mean) / np.where(sd > 0, sd, 1.0), 0.0)


def principal(rows: Floats, *, most: int | None = None) -> tuple[Floats, Floats]:
    """Variances (k,), falling, and directions (k, G) of unit length of centred `rows` (n, G), n − 1 below.

    By the n × n matrix of products. Each direction's largest entry is positive.
    """
    eigen, vectors = np.linalg.eigh(rows @ rows.T)
    order = np.argsort(-eigen, kind="stable")[: len(rows) - 1 if most is None else most]
    order = order[eigen[order] > 1e-10 * max(float(eigen.max(initial=0.0)), 1e-300)]
    directions = (vectors[:, order].T @ rows) / np.sqrt(eigen[order])[:, None]
    largest = np.abs(directions).argmax(axis=1) if len(order) else np.zeros(0, dtype=np.intp)
    signs = np.where(directions[np.arange(len(order)), largest] < 0, -1.0, 1.0)
    return eigen[order] / max(1, len(rows) - 1), directions * signs[:, None]
