"""Ways of making samples, as the trials of usefulness and robustness call them: fit, then draw by class.

A maker is given the training samples of a fold and nothing else, so whatever it chooses (a temperature, a
rank, a generator) it chooses among the training donors.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from consilience.augment.generators.generator import Drawn
from consilience.foundation.errors import DataError
from consilience.foundation.seeds import stream

if TYPE_CHECKING:
    import numpy.typing as npt

    from consilience.augment.generators.generator import Generator
    from consilience.foundation.devices import Device
    from consilience.learning.samples import Samples


class Draw(Protocol):
    """Give one sample for each of `labels` (k,)."""

    def __call__(self, labels: npt.NDArray[np.str_], seed: int) -> Drawn:
        """Other seeds, other samples."""
        ...


class Maker(Protocol):
    """Learn from training samples; the result depends on `seed`, not on the order of samples."""

    def __call__(self, samples: Samples, seed: int) -> Draw:
        """Fit once; what comes back may be drawn from as often as wanted."""
        ...


def maker_of(
    generator: Generator,
    *,
    temperature: float | None = None,
    effort: float = 1.0,
    device: Device | None = None,
    options: Mapping[str, Any] | None = None,
) -> Maker:
    """The generator with these settings as a maker."""
    given = dict(options or {})

    def make(samples: Samples, seed: int) -> Draw:
        fitted = generator.fit(samples, seed=seed, effort=effort, device=device, options=given)

        def draw(labels: npt.NDArray[np.str_], seed: int) -> Drawn:
            return fitted.sample(labels, seed=seed, temperature=temperature)

        return draw

    return make


def fresh_seed(seed: int, *keys: str | int) -> int:
    """A seed of its own for each set of keys."""
    return int(stream(seed, *keys).integers(2**31))


def wanted_labels(labels: npt.NDArray[np.str_], *, fold: int) -> npt.NDArray[np.str_]:
    """What to draw beside rows of these labels (n,): each of them `fold` times (n·fold,)."""
    if fold < 1:
        raise DataError("synthetic samples per real one", value=fold, allowed="a whole number from 1 on")
    found: npt.NDArray[np.str_] = np.tile(labels, fold)
    return found


def by_name(samples: Samples) -> Samples:
    """The samples sorted by name, so that nothing depends on the order in which they came."""
    if len(np.unique(samples.names)) != len(samples):
        raise DataError("names of samples must be distinct", value=f"{len(samples)} samples")
    return samples.take(np.argsort(samples.names, kind="stable"))
