"""What the classical samplers share: samples by class, the floor of the scale, options and what is asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from consilience.augment.checks import HAVE_FLOOR, refuse
from consilience.foundation.errors import ConfigError, DataError, did_you_mean

if TYPE_CHECKING:
    import numpy.typing as npt

    from consilience.learning.samples import Samples

    Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Part:
    """Samples of one class: `values` (n, G) in double precision, in order of their names."""

    label: str
    values: Floats

    @property
    def mean(self) -> Floats:
        """Of each gene (G,)."""
        found: Floats = self.values.mean(axis=0)
        return found

    @property
    def sd(self) -> Floats:
        """Of each gene (G,), n − 1 in the denominator; exactly 0 where the gene does not vary."""
        varies = self.values.max(axis=0) > self.values.min(axis=0)
        return np.where(varies, self.values.std(axis=0, ddof=1), 0.0)


def parted(samples: Samples) -> tuple[Part, ...]:
    """The samples by class, sorted; what cannot be learned from is refused."""
    refuse(samples)
    order = np.argsort(samples.names, kind="stable")
    labels = samples.labels[order].astype(str)
    return tuple(
        Part(str(label), samples.values[order[labels == label]].astype(np.float64))
        for label in np.unique(labels)
    )


def floor_of(samples: Samples) -> float:
    """The least value of the scale, −∞ where it has none.

    Units of log(1 + x) have one; so has a scale on which more than one value in a thousand is the least.
    """
    least = float(samples.values.min())
    on_it = float((samples.values == least).mean())
    return least if samples.units.startswith(HAVE_FLOOR) or on_it > 1e-3 else float("-inf")


def checked_options(given: Mapping[str, Any], *, known: Mapping[str, Any], key: str) -> dict[str, Any]:
    """Options of a generator with defaults filled in; those it does not have are refused."""
    for name, value in given.items():
        if name not in known:
            raise ConfigError(
                "the generator has no such option", where=key, value=name,
                allowed=", ".join(known) or "none", mend=did_you_mean(name, known),
            )  # fmt: skip
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ConfigError("the option is not a number", where=f"{key}: {name}", value=value)
    return {**known, **given}


def in_range(name: str, value: float, *, low: float, high: float, key: str) -> float:
    """An option within its bounds (both allowed)."""
    if not low <= value <= high:
        raise ConfigError(
            "the option is out of range", where=f"{key}: {name}", value=value, allowed=f"{low:g} to {high:g}"
        )
    return value


def asked(labels: npt.NDArray[np.str_], *, classes: tuple[str, ...]) -> dict[str, npt.NDArray[np.intp]]:
    """Rows of each class that is asked for; a class that is not known is refused."""
    rows = {str(label): np.flatnonzero(labels == label) for label in np.unique(labels)}
    for label in rows:
        if label not in classes:
            raise DataError(
                "the generator does not know this class", value=label, allowed=", ".join(classes),
                mend=did_you_mean(label, classes),
            )  # fmt: skip
    return rows


def checked_temperature(temperature: float | None) -> float:
    """1 where none is given; not negative, finite."""
    chosen = 1.0 if temperature is None else float(temperature)
    if not (np.isfinite(chosen) and chosen >= 0):
        raise ConfigError("the temperature is out of range", value=temperature, allowed="0 or more")
    return chosen
