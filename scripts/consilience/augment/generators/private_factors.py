"""Normal samples of few common factors: what is learned of patients is means, spreads and a few directions.

A shrunken covariance of n patients lies in the span of the patients, and every sample drawn from it tells
who they were. Here the joint part has as few directions as a level of privacy allows, learned over all
classes together (more donors for each); everything else varies gene by gene, with one width per sample.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from consilience.augment.generators.classes import asked, checked_temperature, floor_of, parted
from consilience.augment.generators.factor_count import COUNTS, LARGEST_SPAN, LEVELS, allowed_by
from consilience.augment.generators.factor_model import common, public_directions
from consilience.augment.generators.factors import (
    TEMPERATURE,
    Factors,
    described,
    factors,
    restored_parts,
)
from consilience.augment.generators.generator import Drawn, Generator
from consilience.augment.generators.unlabelled import KEEPS_PATIENTS
from consilience.foundation.errors import ConfigError, DataError, did_you_mean
from consilience.foundation.seeds import stream
from consilience.learning.samples import Samples

if TYPE_CHECKING:
    import numpy.typing as npt

    from consilience.foundation.devices import Device

    Floats = npt.NDArray[np.float64]

KEY = "private_factors"
OPTIONS: Mapping[str, Any] = MappingProxyType({"privacy": "balanced", "rank": 0, "reference": None})
"""`privacy`: none, balanced or strict. `rank`: the number of the patients' own factors, 0: as the level
allows. `reference`: `Samples` of other, public donors, from whom further directions are taken."""


@dataclass(frozen=True)
class PrivateFactors:
    """A fitted sampler: `parts` by class, in order of `classes`.

    `width`: sd, over samples, of the logarithm of what genes vary by themselves. `rank`: number of factors.
    `keeps`: the factors span so much of the patients' space that they count as patients.
    """

    genes: tuple[str, ...]
    classes: tuple[str, ...]
    parts: tuple[Factors, ...]
    width: float
    rank: int
    level: str
    keeps: bool

    def sample(self, labels: npt.NDArray[np.str_], *, seed: int, temperature: float | None = None) -> Drawn:
        """One sample for each label; those of a class depend on the seed, the class and their order in it."""
        warmth = checked_temperature(temperature)
        values = np.empty((len(labels), len(self.genes)), dtype=np.float32)
        for label, rows in asked(labels, classes=self.classes).items():
            part = self.parts[self.classes.index(label)]
            scores = stream(seed, KEY, label, "joint").standard_normal((len(rows), len(part.axes)))
            wide = np.exp(
                self.width * stream(seed, KEY, label, "width").standard_normal(len(rows)) - self.width**2
            )
            noise = stream(seed, KEY, label, "own").standard_normal(
                (len(rows), len(self.genes)), dtype=np.float32
            )
            noise *= wide.astype(np.float32)[:, None]
            joint = (warmth * scores).astype(np.float32) @ part.axes
            values[rows] = part.margins.seen(part.margins.mean.astype(np.float32) + joint + noise * part.own)
        return Drawn(values, labels.astype(str))

    def to_arrays(self) -> tuple[dict[str, npt.NDArray[Any]], dict[str, Any]]:
        """Margins, axes and own sd of each class; no patient, and fewer directions than patients."""
        arrays: dict[str, npt.NDArray[Any]] = {}
        for number, part in enumerate(self.parts):
            arrays |= {f"axes_{number}": part.axes, f"own_{number}": part.own}
            arrays |= {f"{name}_{number}": one for name, one in part.margins.to_arrays().items()}
        floor = self.parts[0].margins.floor
        told = described(KEY, genes=self.genes, classes=self.classes, floor=floor)
        return arrays, {
            **told, KEEPS_PATIENTS: self.keeps, "width": self.width, "rank": self.rank, "level": self.level,
        }  # fmt: skip


def restored(arrays: Mapping[str, npt.NDArray[Any]], description: Mapping[str, Any]) -> PrivateFactors:
    """`PrivateFactors.to_arrays` turned around."""
    return PrivateFactors(
        genes=tuple(description["genes"]),
        classes=tuple(description["classes"]),
        parts=restored_parts(arrays, description),
        width=float(description["width"]),
        rank=int(description["rank"]),
        level=str(description["level"]),
        keeps=bool(description[KEEPS_PATIENTS]),
    )


def fitted(samples: Samples, *, rank: int, level: str, public: Floats | None = None) -> PrivateFactors:
    """With a given number of factors of the patients' own, beside `public` directions (K, G)."""
    parts, floor = parted(samples), floor_of(samples)
    known = common(parts, rank, public=public)
    own = len(known.axes) - (0 if public is None else len(public))
    return PrivateFactors(
        genes=samples.genes,
        classes=tuple(part.label for part in parts),
        parts=tuple(factors(part, known.axes, floor=floor) for part in parts),
        width=known.width,
        rank=own,
        level=level,
        keeps=own > LARGEST_SPAN * len(samples),
    )


def fit(
    samples: Samples,
    *,
    seed: int,
    effort: float = 1.0,
    device: Device | None = None,
    options: Mapping[str, Any] = OPTIONS,
) -> PrivateFactors:
    """In closed form, but for the number of factors, which inner trials on the samples' donors choose."""
    level, rank, reference = _checked(options)
    parted(samples)  # refuses what cannot be learned from, before anything is tried on it
    samples = samples.take(np.argsort(samples.names, kind="stable"))
    public = None if reference is None else public_directions(_other(reference, samples), samples.genes)
    if rank == 0:
        rank, _ = allowed_by(
            level,
            samples,
            draw=lambda inside, k, labels, fresh: fitted(inside, rank=k, level=level, public=public).sample(
                labels, seed=fresh
            ),
            tried=COUNTS if public is None else (0, *COUNTS),
            seed=seed,
        )
    return fitted(samples, rank=rank, level=level, public=public)


def _other(reference: Samples, samples: Samples) -> Samples:
    """The reference, refused where it has donors of the samples."""
    both = sorted(set(reference.donors.tolist()) & set(samples.donors.tolist()))
    if both:
        raise DataError("donors of the samples are in the reference", where=KEY, value=", ".join(both[:5]),
                        mend="give other donors")  # fmt: skip
    return reference


def _checked(options: Mapping[str, Any]) -> tuple[str, int, Samples | None]:
    for name in options:
        if name not in OPTIONS:
            raise ConfigError(
                "the generator has no such option", where=KEY, value=name, allowed=", ".join(OPTIONS),
                mend=did_you_mean(name, OPTIONS),
            )  # fmt: skip
    chosen = {**OPTIONS, **options}
    level, rank = chosen["privacy"], chosen["rank"]
    if level not in LEVELS:
        raise ConfigError("no such level of privacy", where=f"{KEY}: privacy", value=level,
                          allowed=", ".join(LEVELS))  # fmt: skip
    if isinstance(rank, bool) or not isinstance(rank, int) or not 0 <= rank <= 1000:
        raise ConfigError("not a number of factors", where=f"{KEY}: rank", value=rank, allowed="0 to 1000")
    reference = chosen["reference"]
    if reference is not None and not isinstance(reference, Samples):
        raise ConfigError("the reference is no set of samples", where=KEY, value=type(reference).__name__)
    return level, rank, reference


GENERATOR = Generator(
    key=KEY,
    title="Few common factors, chosen for privacy",
    kind="ours",
    reference="this work; Paul D. Stat Sin 17:1617-1642, 2007 (spiked covariance); Homer N et al. PLoS Genet"
    " 4:e1000167, 2008 (what means tell)",
    doi="10.1371/journal.pgen.1000167",
    assumes="Within a class genes are normal, cut at the floor of the scale, and correlated by a few factors"
    " that all classes share.",
    limits="Correlation beyond the factors is lost; class means are the patients' own, and with few patients"
    " they alone tell who took part.",
    fit=fit,
    restore=restored,
    temperature=TEMPERATURE,
    options=OPTIONS,
)
