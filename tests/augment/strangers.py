"""Cohorts in memory for the tests of this room, and a sampler that looked at nobody."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from consilience.augment.generators.generator import Drawn, Generator
from consilience.learning.samples import Samples
from samplers import Population, by_class

SCALE = "log1p_cp10k"
POPULATION = Population(n_genes=300)


def cohort(n: int = 40, *, seed: int = 0, population: Population = POPULATION) -> Samples:
    values, labels = population.draw(n, np.random.default_rng(seed))
    names = np.array([f"s{number:03d}" for number in range(n)])
    return Samples(
        np.asarray(values, dtype=np.float32), tuple(f"g{number:03d}" for number in range(values.shape[1])), names,
        np.where(labels == np.unique(labels)[0], "sick", "well"), names, np.full(n, ""), SCALE,
    )  # fmt: skip


def counts_of(samples: Samples, *, seed: int = 0, depth: float = 13.0) -> np.ndarray:
    """Counts of these samples, with library sizes of their own."""
    rng = np.random.default_rng(seed)
    shares = np.expm1(np.maximum(samples.values.astype(np.float64), 0))
    shares /= shares.sum(axis=1, keepdims=True)
    return rng.poisson(shares * np.exp(rng.normal(depth, 0.3, (len(samples), 1)))).astype(np.float32)


@dataclass(frozen=True)
class Stranger:
    """Knows the population and no patient of it."""

    genes: tuple[str, ...]
    classes: tuple[str, ...]

    def sample(self, labels, *, seed, temperature=None) -> Drawn:
        values, of = POPULATION.draw(4 * len(labels), np.random.default_rng(seed))
        named = np.where(of == np.unique(of)[0], "sick", "well")
        rows = np.empty(len(labels), dtype=int)
        for label in np.unique(labels):
            rows[labels == label] = np.flatnonzero(named == label)[: int((labels == label).sum())]
        return Drawn(np.maximum(values[rows], 0).astype(np.float32), labels.astype(str))

    def to_arrays(self) -> tuple[dict[str, Any], dict[str, Any]]:
        return {"nothing": np.zeros(1, dtype=np.float32)}, {
            "genes": list(self.genes),
            "classes": list(self.classes),
        }


def fit_stranger(samples, *, seed, effort=1.0, device=None, options=None) -> Stranger:
    return Stranger(samples.genes, tuple(np.unique(samples.labels).tolist()))


def restore_stranger(arrays, description) -> Stranger:
    return Stranger(tuple(description["genes"]), tuple(description["classes"]))


STRANGER = Generator(
    key="stranger", title="Somebody who saw nobody", kind="classical", reference="", doi="", assumes="",
    limits="a test", fit=fit_stranger, restore=restore_stranger,
)  # fmt: skip
__all__ = ["POPULATION", "SCALE", "STRANGER", "Population", "by_class", "cohort", "counts_of"]
