"""Principal components of each class whose leading scores are a mixture of normals, their number by BIC."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from consilience.augment.generators.classes import floor_of, in_range, parted
from consilience.augment.generators.factors import (
    TEMPERATURE,
    FactorSampler,
    factors,
    restored_parts,
)
from consilience.augment.generators.generator import Generator
from consilience.augment.generators.pca_gaussian import checked_components, components_of, in_sds
from consilience.foundation.seeds import stream

if TYPE_CHECKING:
    import numpy.typing as npt

    from consilience.foundation.devices import Device
    from consilience.learning.samples import Samples

    Floats = npt.NDArray[np.float64]

KEY = "pca_mixture"
OPTIONS = {"components": 0, "share": 0.8, "mixed": 5, "groups": 4}
"""`components`, `share` as of `pca_gaussian`; `mixed`: at most so many scores have the mixture; `groups`: at
most so many normals are in it; of both at most one for eight samples."""
PER_GROUP = 8
LEAST_VARIANCE = 0.05
"""Of a score within a group, as a share of the score's variance: a group is never a single patient."""


@dataclass(frozen=True)
class Mixture:
    """Normals in the leading scores, whose variance is 1: `weights` (m,), `means` and `sds` (m, q)."""

    weights: Floats
    means: Floats
    sds: Floats

    def draw(self, n: int, rng: np.random.Generator) -> Floats:
        """Scores (n, q)."""
        chosen = rng.choice(len(self.weights), size=n, p=self.weights)
        noise = rng.standard_normal((n, self.means.shape[1]))
        return np.asarray(self.means[chosen] + noise * self.sds[chosen])


@dataclass(frozen=True)
class MixtureSampler(FactorSampler):
    """A sampler of factors whose leading scores come from one mixture for each class."""

    mixtures: tuple[Mixture, ...]

    def scores(self, label: str, n: int, rng: np.random.Generator) -> Floats:
        """Coordinates (n, k): the first from the mixture, the others normal."""
        place = self.classes.index(label)
        mixed = self.mixtures[place].draw(n, rng)
        others = len(self.parts[place].axes) - mixed.shape[1]
        return np.concatenate([mixed, rng.standard_normal((n, others))], axis=1)

    def to_arrays(self) -> tuple[dict[str, npt.NDArray[Any]], dict[str, Any]]:
        """Those of the factors, and the mixtures."""
        arrays, description = super().to_arrays()
        for number, one in enumerate(self.mixtures):
            arrays |= {f"{name}_{number}": getattr(one, name) for name in ("weights", "means", "sds")}
        return arrays, description


def mixture_of(scores: Floats, *, groups: int, seed: int) -> Mixture:
    """The mixture (axis-parallel normals) of least BIC of scores (n, q) with mean 0 and variance 1."""
    from sklearn.mixture import GaussianMixture

    n, q = scores.shape
    best: tuple[float, Mixture] | None = None
    for m in range(1, max(1, min(groups, n // PER_GROUP)) + 1 if q else 2):
        if m == 1:
            # one group is the standard normal itself
            mixture = Mixture(np.ones(1), np.zeros((1, q)), np.ones((1, q)))
            cost = float((scores**2).sum()) + n * q * np.log(2 * np.pi) + 2 * q * np.log(n)
        else:
            model = GaussianMixture(
                m, covariance_type="diag", reg_covar=LEAST_VARIANCE, n_init=5,
                random_state=int(stream(seed, KEY, m).integers(2**31)), max_iter=500, tol=1e-4,
            ).fit(scores)  # fmt: skip
            order = np.lexsort(model.means_.T[::-1])
            mixture = Mixture(
                model.weights_[order] / model.weights_.sum(), model.means_[order],
                np.sqrt(model.covariances_[order]),
            )  # fmt: skip
            cost = float(model.bic(scores))
        if best is None or cost < best[0]:
            best = cost, mixture
    assert best is not None  # noqa: S101 (one group is always tried)
    return best[1]


def fit(
    samples: Samples,
    *,
    seed: int,
    effort: float = 1.0,
    device: Device | None = None,
    options: Mapping[str, Any] = OPTIONS,
) -> MixtureSampler:
    """By expectation maximisation from five starts; effort and device do not matter."""
    chosen = checked_components(options, known=OPTIONS, key=KEY)
    mixed = int(in_range("mixed", chosen.pop("mixed"), low=1, high=50, key=KEY))
    groups = int(in_range("groups", chosen.pop("groups"), low=1, high=50, key=KEY))
    floor = floor_of(samples)
    parts = parted(samples)
    found, mixtures = [], []
    for part in parts:
        variances, directions = components_of(part, **chosen)
        spread = np.sqrt(variances)[:, None]
        found.append(factors(part, in_sds(spread * directions, part.sd), floor=floor))
        q = min(mixed, len(variances), max(1, len(part.values) // PER_GROUP))
        leading = (part.values - part.mean) @ (directions[:q] / spread[:q]).T
        mixtures.append(mixture_of(leading, groups=groups, seed=seed))
    classes = tuple(part.label for part in parts)
    return MixtureSampler(
        key=KEY, genes=samples.genes, classes=classes, parts=tuple(found), mixtures=tuple(mixtures)
    )


def restore(arrays: Mapping[str, npt.NDArray[Any]], description: Mapping[str, Any]) -> MixtureSampler:
    """`MixtureSampler.to_arrays` turned around."""
    numbers = range(len(description["classes"]))
    return MixtureSampler(
        key=str(description["generator"]),
        genes=tuple(description["genes"]),
        classes=tuple(description["classes"]),
        parts=restored_parts(arrays, description),
        mixtures=tuple(
            Mixture(*(arrays[f"{name}_{number}"] for name in ("weights", "means", "sds")))
            for number in numbers
        ),
    )


GENERATOR = Generator(
    key=KEY,
    title="Principal components by class, mixture of normals",
    kind="classical",
    reference="Fraley C, Raftery AE. J Am Stat Assoc 97:611, 2002",
    doi="10.1198/016214502760047131",
    assumes="Within a class the leading scores form a few normal groups; the rest is as for normal scores.",
    limits="Below 16 patients of a class it is `pca_gaussian`; small groups point to their patients.",
    fit=fit,
    restore=restore,
    temperature=TEMPERATURE,
    options=OPTIONS,
)
