"""Two further attacks on what would be given out: guessing a gene of a patient, and shadow models.

They are told and have no limit of their own: the gate asks about copies and membership.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from consilience.augment.making import Recipe, labels_wanted
from consilience.augment.trial import Trial
from consilience.foundation.errors import ConfigError, DataError
from consilience.foundation.jobs import log
from consilience.learning.samples import Samples
from consilience.measures.plain import plain

if TYPE_CHECKING:
    import numpy.typing as npt

SHADOW_GENES = 2_000
"""The most variable genes, with which shadow models are fitted."""


def attribute_told(trial: Trial, *, seed: int) -> list[dict[str, Any]] | None:
    """Attribute inference on the trial; None where no gene divides its patients."""
    from consilience.measures.attribute import attribute_attacks

    train, held_out, made = trial.parts.train, trial.parts.held_out, trial.made
    try:
        found = attribute_attacks(
            train=train.values, held_out=held_out.values, synthetic=made.logs,
            labels=(train.labels, held_out.labels, made.labels), donors=(train.donors, held_out.donors),
            seed=seed,
        )  # fmt: skip
    except DataError as error:
        log.info("no attribute inference: %s", error)
        return None
    return [plain(one) for one in found]


def shadow_told(samples: Samples, recipe: Recipe, *, n_shadows: int, seed: int) -> dict[str, Any] | None:
    """The shadow attack on the recipe, at its own temperature; None where halves are too small to learn from.

    Samples are halved, not donors: of a patient with several samples some may be in and some out.
    """
    from consilience.measures.shadow import LEAST_SHADOWS, shadow_attack

    if not n_shadows:
        return None
    if n_shadows < LEAST_SHADOWS:
        raise ConfigError("too few shadow models", where="augment.shadows", value=n_shadows,
                          allowed=f"0, or {LEAST_SHADOWS} and more")  # fmt: skip
    chosen = np.sort(np.argsort(-samples.values.var(axis=0, dtype=np.float64), kind="stable")[:SHADOW_GENES])
    some = samples.of_genes([samples.genes[place] for place in chosen])

    def make(
        values: npt.NDArray[np.float32], labels: npt.NDArray[np.str_], own: int
    ) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.str_]]:
        names = np.array([f"s{number:05d}" for number in range(len(values))])
        half = Samples(values, some.genes, names, labels, names, np.full(len(names), ""), some.units)
        fitted = recipe.generator.fit(
            half, seed=own, effort=recipe.effort, device=recipe.device, options=recipe.options
        )
        drawn = fitted.sample(labels_wanted(labels, fold=recipe.fold), seed=own)
        return drawn.values, drawn.labels

    try:
        found = shadow_attack(
            values=some.values, labels=some.labels, make=make, n_shadows=n_shadows, seed=seed
        )
    except DataError as error:
        log.info("no shadow models: %s", error)
        return None
    told: dict[str, Any] = plain(found)
    return told
