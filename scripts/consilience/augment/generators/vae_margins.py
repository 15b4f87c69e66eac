"""What the default VAE's draws become on a scale with a floor: the margins of their class.

A normal distribution on the warped scale, cut at the floor, fits all of a gene's values with two numbers, and
draws too many zeros in genes that have few. So where such a warp was chosen, the network says which samples
are high and low together, and a monotone map of each gene and class says what is seen: it gives a draw from
the prior the share of zeros, the mean and the sd of the class. The maps are those of `generators/margins.py`;
genes too skewed for them (few zeros, a spread above their mean) are softplus of a normal value, which is
skewed near the floor and as it is far from it. As everywhere in the VAE, differences of classes are shrunk.

References
----------
Good IJ. The population frequencies of species. Biometrika 40:237, 1953 (what was not seen yet).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from consilience.augment.generators.margins import (
    NAMES,
    REACH,
    STEEPEST,
    UNSEEN,
    Margins,
    margins,
    restored_margins,
)
from consilience.augment.generators.vae_start import moments, shrunk_means
from consilience.foundation.seeds import stream

if TYPE_CHECKING:
    import numpy.typing as npt

    from consilience.augment.networks.vae_network import VaeNetwork

    Floats = npt.NDArray[np.float64]
    Codes = npt.NDArray[np.intp]

RAREST = 1e-4
"""Least share of values on the floor that is supposed in any gene."""
DRAWS = 20_000
"""Latents from which the moments of the decoder's bend are taken."""
NODES, STEPS, LONGEST = 64, 14, 0.7
"""Of the moments of a softplus; Newton steps towards them, and the longest of a step."""
LEAST_SLOPE, LARGEST_SLOPE = 1e-3, 8.0
CLOSE = 0.02
"""Difference of logarithms of moments that is taken for none."""


@dataclass(frozen=True)
class Seen:
    """`centre`, `width` (C, G): mean and sd of draws from the prior in network units; `parts`: C margins.

    `start`, `slope` (C, G): where the slope is above 0, floor + log(1 + e^(start + slope · Z)) is seen
    instead, and the floor below −place, as in the margins.
    """

    centre: Floats
    width: Floats
    start: Floats
    slope: Floats
    parts: tuple[Margins, ...]

    def back(self, inner: Floats, code: int) -> npt.NDArray[np.float32]:
        """Values of network units (n, G) in class `code`."""
        mine = self.parts[code]
        z = (inner - self.centre[code]) / self.width[code]
        values = mine.seen((mine.mean + mine.sd * z).astype(np.float32))
        soft = np.flatnonzero(self.slope[code] > 0)
        above = np.logaddexp(0.0, self.start[code, soft] + self.slope[code, soft] * z[:, soft])
        values[:, soft] = mine.floor + np.where(z[:, soft] > -mine.mean[soft], above, 0.0)
        return values

    def to_arrays(self) -> dict[str, npt.NDArray[np.float64]]:
        """Each (C, G)."""
        found = {"centre": self.centre, "width": self.width, "start": self.start, "slope": self.slope}
        return found | {name: np.stack([getattr(one, name) for one in self.parts]) for name in NAMES}


def restored_seen(arrays: Mapping[str, npt.NDArray[Any]], *, floor: float) -> Seen:
    """`Seen.to_arrays` turned around."""
    found = {name: np.asarray(value, dtype=np.float64) for name, value in arrays.items()}
    parts = tuple(
        restored_margins({name: found[name][code] for name in NAMES}, floor=floor)
        for code in range(len(found["centre"]))
    )
    return Seen(found["centre"], found["width"], found["start"], found["slope"], parts)


def seen_of(network: VaeNetwork, values: Floats, codes: Codes, *, floor: float, seed: int) -> Seen:
    """Margins of the classes `codes` (n,) of values (n, G), and what is put through them."""
    centre, width = prior_moments(network, seed=seed)
    found = moments(values, codes, floor=float("-inf"))
    means, parts = np.maximum(shrunk_means(found, codes), floor), []
    start, slope = np.zeros_like(centre), np.zeros_like(centre)
    for code in range(len(centre)):
        mine = values[codes == code]
        varies = mine.max(axis=0) > mine.min(axis=0)
        mean = np.where(varies, means[code], mine.mean(axis=0))
        sd = np.where(varies, found.spreads[code], 0.0)
        if varies.any():  # together, genes vary as much as the patients do
            sd *= np.sqrt(float(mine.var(axis=0, ddof=1).sum()) / float((sd**2).sum()))
        on_floor = mine <= floor
        part = margins(mean=mean, sd=sd, on_floor=on_floor.mean(axis=0), n=len(mine), floor=floor,
                       unseen=unseen(on_floor.sum(axis=0), len(mine)))  # fmt: skip
        steep = np.flatnonzero(part.power > 0.999 * STEEPEST)
        start[code, steep], slope[code, steep] = softplus_of(
            part.mean[steep], mean=mean[steep] - floor, sd=sd[steep]
        )
        parts.append(part)
    return Seen(centre, width, start, slope, tuple(parts))


def unseen(counts: npt.NDArray[np.intp], n: int) -> float:
    """Values on the floor to be supposed in a gene that showed none among `n`; `counts` (G,) of all genes.

    As Turing's estimate has it (Good 1953): genes with one for each gene with none.
    """
    found = float((counts == 1).sum()) / max(1, int((counts == 0).sum()))
    return min(UNSEEN, max(found, RAREST * n))


def softplus_of(place: Floats, *, mean: Floats, sd: Floats) -> tuple[Floats, Floats]:
    """Start a and slope b at which log(1 + e^(a + bZ)), 0 for Z < −place, has these moments; (g,) each.

    By Newton's steps from the log-normal of these moments, which is the limit near the floor. Slope 0 where
    none has them.
    """
    nodes, weights = np.polynomial.legendre.leggauss(NODES)
    low = np.maximum(-place, -REACH)[:, None]
    z = low + (REACH - low) * (nodes + 1) / 2
    mass = np.exp(-0.5 * z**2) / np.sqrt(2 * np.pi) * weights * (REACH - low) / 2
    log_slope = 0.5 * np.log(np.log1p((sd / mean) ** 2))
    start = np.log(mean) - 0.5 * np.exp(2 * log_slope)
    want = np.log(mean), np.log(mean**2 + sd**2)
    for _ in range(STEPS):
        slope = np.exp(log_slope)[:, None]
        raised = start[:, None] + slope * z
        y, rise = np.logaddexp(0.0, raised), mass / (1 + np.exp(-raised))
        first, second = (mass * y).sum(axis=1), (mass * y**2).sum(axis=1)
        # derivatives of both logarithms by the start and by the logarithm of the slope
        a, b = rise.sum(axis=1) / first, (rise * slope * z).sum(axis=1) / first
        c, d = 2 * (rise * y).sum(axis=1) / second, 2 * (rise * y * slope * z).sum(axis=1) / second
        one, two = want[0] - np.log(first), want[1] - np.log(second)
        over = np.where(np.abs(a * d - b * c) > 1e-9, a * d - b * c, 1e-9)
        start = start + np.clip((d * one - b * two) / over, -LONGEST, LONGEST)
        step = np.clip((a * two - c * one) / over, -LONGEST, LONGEST)
        log_slope = np.clip(log_slope + step, np.log(LEAST_SLOPE), np.log(LARGEST_SLOPE))
    reached = np.maximum(np.abs(one), np.abs(two)) < CLOSE
    return np.where(reached, start, 0.0), np.where(reached, np.exp(log_slope), 0.0)


def prior_moments(network: VaeNetwork, *, seed: int) -> tuple[Floats, Floats]:
    """Mean and sd (C, G) of draws from the prior, in network units: exact but for the decoder's bend."""
    import torch

    z, size = stream(seed, "vae margins").standard_normal((DRAWS, network.latent)), network.latent
    centres, widths = [], []
    with torch.no_grad():
        axes = torch.cat([network.loadings, network.bend], dim=1).numpy().astype(np.float64)
        for code in range(len(network.class_mean)):
            bent = network.bent(
                torch.as_tensor(z, dtype=torch.float32), torch.full((DRAWS,), code, dtype=torch.long)
            ).numpy()
            both = np.cov(np.concatenate([z, bent], axis=1).T)
            both[:size, :size] = np.eye(size)
            noise = np.exp(network.log_noise[code].numpy().astype(np.float64))
            centres.append(network.class_mean[code].numpy() + noise * (axes[:, size:] @ bent.mean(axis=0)))
            # of the factors and, 1 in units of the noise, of the gene itself; noisy samples leave that 1
            widths.append(noise * np.sqrt(np.maximum(((axes @ both) * axes).sum(axis=1), 0.0) + 1.0))
    return np.stack(centres), np.stack(widths)
