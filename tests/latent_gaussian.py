"""A generator whose right temperature is known: class mean + T × shrink × latent deviations + noise."""

from dataclasses import dataclass, field

import numpy as np

from consilience.augment.generators.generator import Drawn, Generator
from consilience.foundation.seeds import stream
from consilience.learning.samples import Samples


@dataclass(frozen=True)
class Cohort:
    """Two classes, `d` latent dimensions of equal spread, independent noise."""

    n_genes: int = 120
    d: int = 6
    noise: float = 0.6

    def parts(self):
        rng = stream(11, "latent cohort", self.n_genes, self.d)
        loadings = rng.normal(size=(self.d, self.n_genes)) * rng.gamma(2.0, 0.35, size=self.n_genes)
        means = {"ill": rng.normal(6, 1, self.n_genes), "well": rng.normal(6, 1, self.n_genes)}
        return loadings, means

    def draw(self, n, seed, share=0.6):
        loadings, means = self.parts()
        rng = stream(seed, "latent draw")
        labels = np.where(np.arange(n) < share * n, "ill", "well")
        values = np.stack([means[label] for label in labels]) + rng.normal(size=(n, self.d)) @ loadings
        values += self.noise * rng.normal(size=values.shape)
        names = np.array([f"c{seed}p{row:04d}" for row in rng.permutation(n)])
        genes = tuple(f"g{gene}" for gene in range(self.n_genes))
        return Samples(
            values.astype(np.float32), genes, names, labels, names.copy(), np.full(n, "one"), "log"
        )


@dataclass(frozen=True)
class LatentGaussian:
    """Known loadings and noise; means are those of its training patients."""

    genes: tuple
    classes: tuple
    means: np.ndarray
    loadings: np.ndarray
    noise: float
    shrink: float
    seen: list = field(default_factory=list)

    def sample(self, labels, *, seed, temperature=None):
        t = 1.0 if temperature is None else temperature
        rng = stream(seed, "latent sample")
        epsilon = rng.normal(size=(len(labels), len(self.loadings)))
        noise = rng.normal(size=(len(labels), self.loadings.shape[1]))
        centres = self.means[np.searchsorted(self.classes, labels)]
        values = centres + (self.shrink * t * epsilon) @ self.loadings + self.noise * noise
        return Drawn(values.astype(np.float32), np.asarray(labels))

    def to_arrays(self):
        raise NotImplementedError


def latent_generator(cohort, *, shrink, temperature="T × latent deviations", seen=None):
    """A generator that knows the population's covariance, its latent part too narrow by `shrink`."""

    def fit(samples, *, seed, effort=1.0, device=None, options=None):
        if seen is not None:
            seen.append(sorted(set(samples.donors.tolist())))
        classes = tuple(np.unique(samples.labels).tolist())
        means = np.stack([samples.values[samples.labels == one].mean(axis=0) for one in classes])
        return LatentGaussian(samples.genes, classes, means, cohort.parts()[0], cohort.noise, shrink)

    return Generator(
        key="latent", title="latent Gaussian", kind="classical", reference="", doi="", assumes="", limits="",
        fit=fit, restore=lambda arrays, description: None, temperature=temperature,
    )  # fmt: skip
