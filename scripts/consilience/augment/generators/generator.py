"""What a generator is: fitted to real samples, drawn from by class, kept as plain arrays."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from consilience.foundation.devices import Device
    from consilience.learning.samples import Samples

Kind = Literal["ours", "published", "classical"]


@dataclass(frozen=True)
class Drawn:
    """Synthetic samples: `values` (k, G) float32 on the scale of the real ones, `labels` (k,).

    A generator without classes cannot be asked for one: then `labels` are those of the nearest class mean,
    and need not be as asked.
    """

    values: npt.NDArray[np.float32]
    labels: npt.NDArray[np.str_]


class Fitted(Protocol):
    """A generator that knows a cohort."""

    @property
    def genes(self) -> tuple[str, ...]:
        """In the order of its samples' columns."""
        ...

    @property
    def classes(self) -> tuple[str, ...]:
        """The labels it learned from, sorted."""
        ...

    def sample(self, labels: npt.NDArray[np.str_], *, seed: int, temperature: float | None = None) -> Drawn:
        """One sample for each of `labels` (k,). `temperature` None: as fitted or as the generator's own."""
        ...

    def to_arrays(self) -> tuple[dict[str, npt.NDArray[Any]], dict[str, Any]]:
        """All it needs: arrays by name, and plain JSON (the shape of `Generator.restore`'s arguments)."""
        ...


class Fit(Protocol):
    """Learn from samples (labels are classes; donors are not parted from each other by any inner split).

    The result depends on `seed`, not on the order of samples. `effort`: training steps as a share of the
    generator's own (those in closed form do not look at it). `options`: of this generator alone.
    """

    def __call__(
        self,
        samples: Samples,
        *,
        seed: int,
        effort: float = 1.0,
        device: Device | None = None,
        options: Mapping[str, Any] = ...,
    ) -> Fitted:
        """Fit; errors are DataError (what cannot be learned from) or ConfigError (options)."""
        ...


class Restore(Protocol):
    """`Fitted.to_arrays` turned around."""

    def __call__(self, arrays: Mapping[str, npt.NDArray[Any]], description: Mapping[str, Any]) -> Fitted:
        """The fitted generator as it was."""
        ...


@dataclass(frozen=True)
class Generator:
    """A way of making samples, with what a reader needs to judge it by.

    `classes`: can be asked for a class. `temperature`: what T does to it, "" where it has none.
    `neural`: trained by steps, so that it takes `effort` and a device. `options`: names and defaults of what
    `fit` takes. `wants`: what it needs beside samples ("rnagan model"), "" for nothing.
    """

    key: str
    title: str
    kind: Kind
    reference: str
    doi: str
    assumes: str
    limits: str
    fit: Fit
    restore: Restore
    classes: bool = True
    temperature: str = ""
    neural: bool = False
    wants: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)


def nearest_labels(
    values: npt.NDArray[np.floating], *, means: npt.NDArray[np.floating], classes: tuple[str, ...]
) -> npt.NDArray[np.str_]:
    """The class whose mean (classes, G) is nearest to each row (k, G): (k,)."""
    rows, centres = values.astype(np.float64), means.astype(np.float64)
    square = (centres**2).sum(axis=1) - 2 * rows @ centres.T
    found: npt.NDArray[np.str_] = np.array(classes)[square.argmin(axis=1)]
    return found
