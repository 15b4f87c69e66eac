"""What a normal value becomes in a gene whose values lie on the floor of the scale.

A normal sample that is cut at the floor has neither the mean, nor the spread, nor the zeros of a gene of few
reads: there the values are skewed and pile up at zero. So such a gene is a *bent censored normal*: what is
seen is floor + scale · max(0, place + Z)^power. The three numbers are those that give the gene its share of
values on the floor, its mean and its sd (Tobin 1958 with a power, by moments). All other genes are normal.

Correlation is weaker in what is seen than in Z, gene by gene by the factor that Bussgang (1952) found, the
correlation of Z with what becomes of it; it is divided out where joint deviations become latent ones. That is
exact for weak correlation; a strong one of two such genes comes out too strong (0.46 for 0.40 at a third of
zeros).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

STEEPEST = 3.0
FLATTEST = 0.02
"""Bounds of the power: towards 0 a gene is on or off; above 3 rare samples would carry all of its spread."""
HALVINGS = 16
UNSEEN = 0.25
"""Zeros supposed in a gene that showed none: this, among as many samples as there were."""
NODES = 64
REACH = 8.5
"""Latent sds above the floor up to which moments are integrated."""
NAMES = ("mean", "sd", "power", "scale", "response")


@dataclass(frozen=True)
class Margins:
    """Genes of one class, (G,) each: latent values are normal of this `mean` and `sd`.

    `power` 0 marks a gene that is seen as it is (cut at the `floor`); the others as floor + scale · max(0,
    latent)^power. `response`, above 0 to 1: correlation of what is seen with what is latent.
    """

    mean: Floats
    sd: Floats
    power: Floats
    scale: Floats
    response: Floats
    floor: float

    def seen(self, latent: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """Values of latent ones (k, G)."""
        values = np.maximum(latent, np.float32(self.floor))
        bent = np.flatnonzero(self.power > 0)
        if len(bent):
            power, scale = (one[bent].astype(np.float32) for one in (self.power, self.scale))
            values[:, bent] = np.float32(self.floor) + scale * np.maximum(latent[:, bent], 0) ** power
        return values

    def joint(self, axes: Floats) -> tuple[Floats, Floats]:
        """Latent joint deviations (k, G), and the latent sd (G,) of what each gene has by itself.

        `axes` (k, G): joint deviations of what is seen in each gene's sds (the products of two genes are
        their correlation); a gene's length is 1 at most.
        """
        grown = axes / self.response
        length = np.sqrt((grown**2).sum(axis=0))
        # a few values above the floor can ask for more than there is
        cut = np.maximum(length, 1.0)
        own = np.sqrt(np.maximum(1.0 - (length / cut) ** 2, 0.0))
        return grown / cut * self.sd, own * self.sd

    def to_arrays(self) -> dict[str, npt.NDArray[np.float64]]:
        """By the names of NAMES."""
        return {name: getattr(self, name) for name in NAMES}


def restored_margins(arrays: Mapping[str, npt.NDArray[Any]], *, floor: float) -> Margins:
    """`Margins.to_arrays` turned around."""
    return Margins(**{name: np.asarray(arrays[name], dtype=np.float64) for name in NAMES}, floor=floor)


def margins(
    *, mean: Floats, sd: Floats, on_floor: Floats, n: int, floor: float, unseen: float = UNSEEN
) -> Margins:
    """Genes with these means, sds and shares of values on the floor among `n` samples, (G,) each.

    `unseen`: how many of n values on the floor are supposed in a gene that showed none.
    """
    ones = np.ones_like(mean)
    power, scale, response = np.zeros_like(mean), ones.copy(), ones.copy()
    centre, width = mean.astype(np.float64), sd.astype(np.float64)
    if not np.isfinite(floor):
        return Margins(centre, width, power, scale, response, floor)
    above = np.maximum(mean - floor, 0.0)
    zeros = np.maximum(on_floor, unseen / n)
    place = _normal_place(zeros)
    ratio = above / np.where(sd > 0, sd, 1.0)
    touches = (sd > 0) & (above > 0) & ((on_floor > 0) | (ratio < place))
    bent = np.flatnonzero(touches)
    if len(bent):
        power[bent] = _power(place[bent], ratio[bent])
        seen_mean, _, chance = bent_moments(place[bent], power[bent])
        scale[bent] = above[bent] / seen_mean
        response[bent] = np.clip(chance, 1e-3, 1.0)
        centre[bent], width[bent] = place[bent], 1.0
    return Margins(centre, width, power, scale, response, floor)


def bent_moments(place: Floats, power: Floats) -> tuple[Floats, Floats, Floats]:
    """Mean and sd of Y = max(0, place + Z)^power, and its correlation with Z, standard normal; (g,) each."""
    nodes, weights = _legendre()
    low = np.maximum(-place, -REACH)
    high = np.maximum(-place, 0.0) + REACH
    z = low[:, None] + (high - low)[:, None] * nodes
    mass = np.exp(-0.5 * z**2) / np.sqrt(2 * np.pi) * weights * (high - low)[:, None]
    y = np.maximum(place[:, None] + z, 0.0) ** power[:, None]
    mean = (mass * y).sum(axis=1)
    sd = np.sqrt(np.maximum((mass * y**2).sum(axis=1) - mean**2, 1e-300))
    return mean, sd, (mass * y * z).sum(axis=1) / sd


def _power(place: Floats, ratio: Floats) -> Floats:
    """The power at which mean / sd is `ratio`, which falls with the power; at the bound where none is."""
    low, high = np.full(len(place), np.log(FLATTEST)), np.full(len(place), np.log(STEEPEST))
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        mean, sd, _ = bent_moments(place, np.exp(middle))
        steeper = mean / sd > ratio
        low, high = np.where(steeper, middle, low), np.where(steeper, high, middle)
    return np.asarray(np.exp((low + high) / 2))


def _normal_place(zeros: Floats) -> Floats:
    """Where a standard normal must be moved for this share of it to lie below 0."""
    from scipy.special import ndtri

    return -np.asarray(ndtri(np.minimum(zeros, 1 - 1e-9)))


@cache
def _legendre() -> tuple[Floats, Floats]:
    """Nodes and weights on 0..1, close together at the lower end, where a power has its bend."""
    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    t = (nodes + 1) / 2
    return t**2, weights * t
