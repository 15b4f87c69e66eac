"""How values become what the default VAE sees: a warp of the scale, chosen by likelihood, then centred."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from consilience.augment.generators.vae_start import Moments, moments

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Codes = npt.NDArray[np.intp]

WARPS = (0.0, 0.3, 0.1, 0.03, 0.01)
"""Offsets δ of the warp log(eˣ⁻ᶠ − 1 + δ); 0: none."""
AS_GOOD = 1e-3
"""Log likelihood of a value by which a stronger warp must be better."""
MARGIN = 0.05
"""How far below the least value a scale without a floor may go on, for its warp."""
NO_FLOOR = -1e9


@dataclass(frozen=True)
class Scale:
    """How values become what the network sees: (warp(x) − centre) / width, each gene; `floor` on x.

    `offset` δ of the warp, 0 for none; `floor`: the least of the training values where the
    scale is `bounded` (nothing may lie below), else a little less.
    """

    offset: float
    floor: float
    bounded: bool
    centre: Floats
    width: Floats

    def forward(self, values: Floats) -> Floats:
        """Values (n, G) to network units."""
        return (warp(values, self.offset, self.floor) - self.centre) / self.width

    def back(self, inner: Floats) -> Floats:
        """Network units (n, G) to values."""
        found = unwarp(inner * self.width + self.centre, self.offset, self.floor)
        return np.maximum(found, self.floor) if self.bounded else found

    @property
    def inner_floor(self) -> Floats:
        """The floor of each gene in network units (G,), out of reach where the scale has none."""
        if not self.bounded:
            return np.full(len(self.centre), NO_FLOOR)
        low = warp(np.array([self.floor]), self.offset, self.floor)
        return (low - self.centre) / self.width


def warp(values: Floats, offset: float, floor: float) -> Floats:
    """log(eˣ⁻ᶠ − 1 + δ): opens up what is crowded above the floor; as it is with δ = 0."""
    if not offset:
        return values
    return np.log(np.expm1(np.maximum(values - floor, 0.0)) + offset)


def unwarp(values: Floats, offset: float, floor: float) -> Floats:
    """`warp` turned around; what comes to lie below the floor is put on it."""
    if not offset:
        return values
    return floor + np.log1p(np.maximum(np.exp(values) - offset, 0.0))


def choose_warp(values: Floats, codes: Codes, *, floor: float, bounded: bool) -> float:
    """The warp under which normal distributions by class and gene fit best (likelihood with its Jacobian).

    Of warps that fit about as well (which is so far from the floor, where all are alike) the weakest.
    """
    scores = {offset: _warp_score(values, codes, offset, floor=floor, bounded=bounded) for offset in WARPS}
    enough = max(scores.values()) - AS_GOOD * values.size
    return next(offset for offset, score in scores.items() if score >= enough)


def _warp_score(values: Floats, codes: Codes, offset: float, *, floor: float, bounded: bool) -> float:
    from scipy.special import log_ndtr

    inner = warp(values, offset, floor)
    low = float(warp(np.array([floor]), offset, floor)[0]) if bounded else float("-inf")
    found = moments(inner, codes, floor=low)
    mean, sd = found.means[codes], found.spreads[codes]
    at_floor = inner <= low
    seen = -0.5 * ((inner - mean) / sd) ** 2 - np.log(sd)
    if offset:
        above = np.maximum(values - floor, 0.0)
        seen += above - np.log(np.expm1(above) + offset)
    varies = values.max(axis=0) > values.min(axis=0)
    told = np.where(at_floor, log_ndtr((low - mean) / sd) + 0.5 * np.log(2 * np.pi), seen)
    return float(told[:, varies].sum())


def scale_of(
    values: Floats, codes: Codes, *, bounded: bool, offset: float | None = None
) -> tuple[Scale, Moments]:
    """The scale on which the network sees these values (n, G), and their moments on it."""
    floor = float(values.min()) - (0.0 if bounded else MARGIN)
    chosen = choose_warp(values, codes, floor=floor, bounded=bounded) if offset is None else offset
    inner = warp(values, chosen, floor)
    low = float(warp(np.array([floor]), chosen, floor)[0]) if bounded else float("-inf")
    found = moments(inner, codes, floor=low)
    counts = np.bincount(codes)
    centre = np.average(found.means, axis=0, weights=counts)
    width = np.sqrt(np.average(found.spreads**2, axis=0, weights=counts))
    scale = Scale(chosen, floor, bounded, centre, width)
    return scale, Moments(
        (found.means - centre) / width, found.spreads / width, (found.filled - centre) / width
    )
