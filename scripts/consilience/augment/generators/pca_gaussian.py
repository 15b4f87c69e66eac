"""Principal components of each class with normal scores; the rest of a gene's variance as its noise."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from consilience.augment.generators.classes import checked_options, floor_of, in_range, parted
from consilience.augment.generators.factors import (
    TEMPERATURE,
    FactorSampler,
    factors,
    principal,
    restored,
)
from consilience.augment.generators.generator import Generator

if TYPE_CHECKING:
    import numpy.typing as npt

    from consilience.augment.generators.classes import Part
    from consilience.foundation.devices import Device
    from consilience.learning.samples import Samples

    Floats = npt.NDArray[np.float64]

KEY = "pca_gaussian"
OPTIONS = {"components": 0, "share": 0.8}
"""`components` of each class at most; 0: as many as carry the `share` of its variance."""


def components_of(part: Part, *, components: int, share: float) -> tuple[Floats, Floats]:
    """Variances (k,) and directions (k, G) of the leading components of a class, in the genes' own units."""
    variances, directions = principal(part.values - part.mean)
    if not len(variances):
        return variances, directions
    if components:
        n = min(components, len(variances))
    else:
        n = 1 + int(np.searchsorted(np.cumsum(variances) / variances.sum(), share - 1e-12))
    return variances[:n], directions[:n]


def in_sds(axes: Floats, sd: Floats) -> Floats:
    """Joint deviations (k, G) of genes in their sds (G,); 0 for genes that do not vary."""
    return np.where(sd > 0, axes / np.where(sd > 0, sd, 1.0), 0.0)


def checked_components(options: Mapping[str, Any], *, known: Mapping[str, Any], key: str) -> dict[str, Any]:
    """Options of a sampler of principal components, in their bounds."""
    chosen = checked_options(options, known=known, key=key)
    in_range("components", chosen["components"], low=0, high=100_000, key=key)
    in_range("share", chosen["share"], low=0.0, high=1.0, key=key)
    return {**chosen, "components": int(chosen["components"]), "share": float(chosen["share"])}


def fit(
    samples: Samples,
    *,
    seed: int,
    effort: float = 1.0,
    device: Device | None = None,
    options: Mapping[str, Any] = OPTIONS,
) -> FactorSampler:
    """In closed form: neither seed, effort nor device matter."""
    chosen = checked_components(options, known=OPTIONS, key=KEY)
    floor = floor_of(samples)
    parts = parted(samples)
    found = []
    for part in parts:
        variances, directions = components_of(part, **chosen)
        axes = in_sds(np.sqrt(variances)[:, None] * directions, part.sd)
        found.append(factors(part, axes, floor=floor))
    return FactorSampler(
        key=KEY, genes=samples.genes, classes=tuple(part.label for part in parts), parts=tuple(found)
    )


GENERATOR = Generator(
    key=KEY,
    title="Principal components by class, normal scores",
    kind="classical",
    reference="Tipping ME, Bishop CM. J R Stat Soc B 61:611, 1999",
    doi="10.1111/1467-9868.00196",
    assumes="Within a class a few normal scores carry what genes have in common; the rest is its own.",
    limits="Leading components of few patients carry their noise too; class means are the patients' own.",
    fit=fit,
    restore=restored,
    temperature=TEMPERATURE,
    options=OPTIONS,
)
