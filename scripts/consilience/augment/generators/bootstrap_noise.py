"""A patient drawn with replacement, with some noise in every gene."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from consilience.augment.generators.classes import checked_options, in_range
from consilience.augment.generators.generator import Generator
from consilience.augment.generators.rows import TEMPERATURE, RowSampler, kept, kept_in, warmed
from consilience.foundation.seeds import stream

if TYPE_CHECKING:
    import numpy.typing as npt

    from consilience.augment.generators.rows import Values
    from consilience.foundation.devices import Device
    from consilience.learning.samples import Samples

KEY = "bootstrap_noise"
OPTIONS = {"noise": 0.1}
"""Sd of the noise as a share of each gene's sd in the class."""


@dataclass(frozen=True)
class BootstrapNoise(RowSampler):
    """Patients, and how much noise."""

    key = KEY
    option = "noise"

    def made(self, rows: Values, n: int, *, warmth: float, seed: int) -> Values:
        """A patient and noise; what lies on the floor of the scale stays there."""
        rng = stream(seed, "drawn")
        chosen = rows[rng.integers(len(rows), size=n)]
        varies = rows.max(axis=0) > rows.min(axis=0)
        sd = np.where(varies, rows.std(axis=0, ddof=1, dtype=np.float64), 0.0).astype(np.float32)
        noise = np.float32(self.amount) * sd * rng.standard_normal(chosen.shape, dtype=np.float32)
        values = warmed(chosen, rows, warmth) + np.where(chosen > self.kept.floor, noise, np.float32(0))
        return np.asarray(values, dtype=np.float32)


def fit(
    samples: Samples,
    *,
    seed: int,
    effort: float = 1.0,
    device: Device | None = None,
    options: Mapping[str, Any] = OPTIONS,
) -> BootstrapNoise:
    """Nothing is learned: the patients are kept."""
    chosen = checked_options(options, known=OPTIONS, key=KEY)
    return BootstrapNoise(
        kept(samples), float(in_range("noise", chosen["noise"], low=0.0, high=10.0, key=KEY))
    )


def restore(arrays: Mapping[str, npt.NDArray[Any]], description: Mapping[str, Any]) -> BootstrapNoise:
    """`to_arrays` turned around."""
    return BootstrapNoise(kept_in(arrays, description), description["noise"])


GENERATOR = Generator(
    key=KEY,
    title="Bootstrap with noise",
    kind="classical",
    reference="Silverman BW, Young GA. Biometrika 74:469, 1987",
    doi="10.1093/biomet/74.3.469",
    assumes="A patient with a little noise is another patient.",
    limits="Every sample is a near copy of one patient, and its model holds them all.",
    fit=fit,
    restore=restore,
    temperature=TEMPERATURE,
    options=OPTIONS,
)
