"""Bring latents of several networks onto common axes.

Each network finds its own axes, so columns of two of them mean different things. All networks encode all
cells; the common axes are those on which the networks agree most (generalised canonical correlation, MAXVAR),
and each network's latents are mapped onto them by one linear map. Sums of products are all that it needs.

References
----------
Kettenring JR. Canonical analysis of several sets of variables. Biometrika 58:433, 1971.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

LEAST_SHARE = 1e-6
"""Directions with a smaller share of a network's variance are left out: they hold rounding alone."""


class Sums:
    """Sums over cells of K latents of L numbers side by side, as blocks of cells come along."""

    def __init__(self, n_networks: int, latent: int) -> None:
        width = n_networks * latent
        self.n_networks, self.latent, self.n = n_networks, latent, 0
        self.total, self.products = np.zeros(width), np.zeros((width, width))

    def add(self, latents: Floats) -> None:
        """Add cells (b, K * L)."""
        self.n += len(latents)
        self.total += latents.sum(axis=0)
        self.products += latents.T @ latents


@dataclass(frozen=True)
class Alignment:
    """Of network k: common axes = (latents - centre[k]) @ turn[k].

    `centre` (K, L), `turn` (K, L, L), `agreement` (L,): mean correlation of two networks on each axis, best
    first (1 with one network). Common axes have mean 0 and variance 1 over cells for every network; an axis
    on which the networks have nothing in common is 0.
    """

    centre: Floats
    turn: Floats
    agreement: Floats

    def onto(self, latents: Floats, network: int) -> Floats:
        """Latents (b, L) of one network on the common axes (b, L)."""
        return np.asarray((latents - self.centre[network]) @ self.turn[network])


def align(sums: Sums) -> Alignment:
    """Common axes of the networks whose latents were summed up."""
    k, size = sums.n_networks, sums.latent
    mean = sums.total / sums.n
    covariance = sums.products / sums.n - np.outer(mean, mean)
    roots = np.zeros((k, size, size))
    for number in range(k):
        own = slice(number * size, (number + 1) * size)
        roots[number] = _inverse_root(covariance[own, own])
    wide = np.zeros((k * size, k * size))
    for number in range(k):
        own = slice(number * size, (number + 1) * size)
        wide[own, own] = roots[number]
    values, vectors = np.linalg.eigh(wide @ covariance @ wide)
    best = np.argsort(values)[::-1][:size]
    turn = np.zeros((k, size, size))
    for number in range(k):
        turn[number] = roots[number] @ vectors[number * size : (number + 1) * size, best]
    turn = _unit_variance(turn, covariance, size)
    agreement = (values[best] - 1) / (k - 1) if k > 1 else np.round(values[best])
    turn *= agreement > LEAST_SHARE
    total = turn.sum(axis=0)
    turn *= np.where(total[np.abs(total).argmax(axis=0), np.arange(size)] < 0, -1.0, 1.0)
    return Alignment(mean.reshape(k, size), turn, np.clip(agreement, 0, 1))


def _inverse_root(covariance: Floats) -> Floats:
    values, vectors = np.linalg.eigh(covariance)
    good = values > LEAST_SHARE * max(values[-1], 1e-300)
    return np.asarray((vectors * np.where(good, 1 / np.sqrt(np.where(good, values, 1)), 0)) @ vectors.T)


def _unit_variance(turn: Floats, covariance: Floats, size: int) -> Floats:
    for number in range(len(turn)):
        own = slice(number * size, (number + 1) * size)
        variance = np.einsum("ij,ik,kj->j", turn[number], covariance[own, own], turn[number])
        turn[number] *= np.where(variance > LEAST_SHARE, 1 / np.sqrt(np.maximum(variance, LEAST_SHARE)), 0)
    return turn
