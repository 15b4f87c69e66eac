"""A normal distribution for each class, its correlations shrunk as far as the data say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from consilience.augment.generators.classes import checked_options, floor_of, in_range, parted
from consilience.augment.generators.factors import (
    TEMPERATURE,
    Factors,
    FactorSampler,
    factors,
    principal,
    restored,
    standardised,
)
from consilience.augment.generators.generator import Generator

if TYPE_CHECKING:
    import numpy.typing as npt

    from consilience.augment.generators.classes import Part
    from consilience.foundation.devices import Device
    from consilience.learning.samples import Samples

    Floats = npt.NDArray[np.float64]

KEY = "shrunk_gaussian"
OPTIONS = {"shrinkage": -1.0}
"""Share of the correlation that is taken away, 0 to 1; −1: as estimated in each class."""


def shrinkage_of(rows: Floats) -> float:
    """Share by which correlations of standardised `rows` (n, G) should shrink towards 0.

    Σ Var(r) / Σ r² over all pairs of genes, cut to 0..1 (Schäfer & Strimmer 2005, target D: variances stay
    each gene's own, correlations go to none), from n × n products: no matrix genes × genes. A gene that does
    not vary must be 0 throughout.
    """
    n = len(rows)
    if n < 3:
        return 1.0
    gram = rows @ rows.T
    squares = rows**2
    # sums over all pairs (i, j) of the products w = z_i·z_j: of their squares, and of their squared means
    all_squares = float((np.diag(gram) ** 2).sum()) - float((squares**2).sum())
    means = float((gram**2).sum()) / n**2 - float((squares.mean(axis=0) ** 2).sum())
    variance = n / (n - 1) ** 3 * (all_squares - n * means)
    strength = (n / (n - 1)) ** 2 * means
    return float(np.clip(variance / strength, 0.0, 1.0)) if strength > 0 else 1.0


def asked_shrinkage(options: Mapping[str, Any], *, key: str) -> float:
    """The share that the options ask for, −1 where it is to be estimated."""
    share = float(checked_options(options, known=OPTIONS, key=key)["shrinkage"])
    return (
        share if share == OPTIONS["shrinkage"] else in_range("shrinkage", share, low=0.0, high=1.0, key=key)
    )


def factors_of(part: Part, *, floor: float, shrinkage: float = -1.0) -> Factors:
    """One class, its correlations shrunk by this share (−1: by that of `shrinkage_of`)."""
    rows = standardised(part)
    share = shrinkage_of(rows) if shrinkage < 0 else shrinkage
    variances, directions = principal(rows)
    return factors(part, np.sqrt((1 - share) * variances)[:, None] * directions, floor=floor)


def fit(
    samples: Samples,
    *,
    seed: int,
    effort: float = 1.0,
    device: Device | None = None,
    options: Mapping[str, Any] = OPTIONS,
) -> FactorSampler:
    """In closed form: neither seed, effort nor device matter."""
    share = asked_shrinkage(options, key=KEY)
    floor = floor_of(samples)
    parts = parted(samples)
    return FactorSampler(
        key=KEY,
        genes=samples.genes,
        classes=tuple(part.label for part in parts),
        parts=tuple(factors_of(part, floor=floor, shrinkage=share) for part in parts),
    )


GENERATOR = Generator(
    key=KEY,
    title="Normal by class, shrunken correlations",
    kind="classical",
    reference="Schäfer J, Strimmer K. Stat Appl Genet Mol Biol 4:32, 2005; Ledoit O, Wolf M. J Multivar Anal"
    " 88:365, 2004",
    doi="10.2202/1544-6115.1175",
    assumes="Within a class genes are jointly normal, cut at the floor of the scale.",
    limits="Class means are the patients' own, so that who was in the training set can be told; its axes span"
    " the training patients.",
    fit=fit,
    restore=restored,
    temperature=TEMPERATURE,
    options=OPTIONS,
)
