"""Makers of samples for tests of usefulness and robustness, from one that draws the truth to one of nonsense."""

from __future__ import annotations

import numpy as np

from consilience.augment.generators.generator import Drawn
from consilience.learning.samples import Samples
from samplers import Population


def cohort(n=60, *, population=None, seed=0, per_donor=1, labels=None):
    """A planted cohort of two classes; `per_donor` rows in a row belong to one donor."""
    population = population or Population(n_genes=100)
    rng = np.random.default_rng(seed)
    values, drawn = population.draw(n, rng)
    labels = drawn if labels is None else labels
    names = np.array([f"s{place:03d}" for place in rng.permutation(n)])
    donors = np.array([f"d{place // per_donor:03d}" for place in range(n)])
    genes = tuple(f"g{place}" for place in range(values.shape[1]))
    return Samples(values, genes, names, labels, donors, np.full(n, "b"), "log")


def by_class(sampler):
    """A maker of a sampler of tests/samplers.py: sampler(rows, n, rng), fitted class by class."""

    def make(samples, seed):
        def draw(labels, seed):
            rng = np.random.default_rng(seed)
            values = np.empty((len(labels), samples.values.shape[1]), np.float32)
            for label in np.unique(labels):
                rows = samples.values[samples.labels == label]
                values[labels == label] = sampler(rows, int((labels == label).sum()), rng)
            return Drawn(values, labels)

        return draw

    return make


def truth(population):
    """Draws from the population itself: fresh patients without end."""

    def make(samples, seed):
        def draw(labels, seed):
            rng = np.random.default_rng(seed)
            factors = rng.standard_normal((len(labels), len(population.loading)))
            values = population.level + factors @ population.loading
            values += rng.standard_normal(values.shape) * population.noise
            values += np.where(labels[:, None] == "ill", population.shift, 0)
            return Drawn(np.maximum(values, 0).astype(np.float32), labels)

        return draw

    return make


def copies(samples, seed):
    """Gives the training rows back, in their order, again and again."""

    def draw(labels, seed):
        rows = np.arange(len(labels)) % len(samples)
        assert (samples.labels[rows] == labels).all()
        return Drawn(samples.values[rows], labels)

    return draw


def nonsense(samples, seed):
    """Training rows under shuffled labels: it has the patients, and knows nothing of the classes."""

    def draw(labels, seed):
        rng = np.random.default_rng(seed)
        rows = rng.integers(len(samples), size=len(labels))
        return Drawn(samples.values[rows], labels)

    return draw
