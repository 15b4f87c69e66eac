"""What the published generators share: one range for each gene, rows in a fixed order, labels afterwards."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from consilience.augment.checks import refuse
from consilience.augment.generators.generator import Drawn, nearest_labels
from consilience.foundation.errors import ConfigError, DataError, ModelError, did_you_mean
from consilience.foundation.seeds import stream

if TYPE_CHECKING:
    import numpy.typing as npt
    import torch

    from consilience.learning.samples import Samples

    Floats = npt.NDArray[np.float32]

Module = TypeVar("Module")
LEAST_TRAINED = 4
KEEPS_PATIENTS = "keeps_patients"
"""Of a description: whether its arrays hold something that belongs to one training patient."""


@dataclass(frozen=True)
class GeneRange:
    """`low`, `width` (G,): smallest value and range of each gene among the training samples.

    Both are values of single patients (extremes), gene by gene; no row of a patient is in them.
    """

    low: Floats
    width: Floats

    @classmethod
    def of(cls, values: Floats) -> GeneRange:
        """The range of each column."""
        low = values.min(axis=0)
        return cls(low, values.max(axis=0) - low)

    def scaled(self, values: Floats) -> Floats:
        """Values (n, G) as shares of the ranges; 0 for a gene that does not vary."""
        return ((values - self.low) / np.where(self.width > 0, self.width, 1)).astype(np.float32)

    def restored(self, shares: Floats) -> Floats:
        """Shares (n, G) as values; a gene that did not vary stays at its value."""
        return (self.low + shares * self.width).astype(np.float32)


@dataclass(frozen=True)
class Cohort:
    """Training samples in an order of their own: `shares` (n, G) of the ranges, class means (classes, G)."""

    shares: Floats
    ranges: GeneRange
    means: Floats
    genes: tuple[str, ...]
    classes: tuple[str, ...]
    labels: npt.NDArray[np.str_]
    donors: npt.NDArray[np.str_]


def prepare(samples: Samples) -> Cohort:
    """Check samples and bring them to ranges; the order of the samples does not matter afterwards.

    Raises
    ------
    DataError
        As `checks.refuse` (a class of one patient has that patient as its mean, which the generator keeps to
        name what it made), and for fewer than four patients.
    """
    refuse(samples)
    n_donors = np.unique(samples.donors).size
    if n_donors < LEAST_TRAINED:
        raise DataError("too few patients to learn from", value=n_donors, allowed=f"{LEAST_TRAINED} or more")
    samples = samples.take(np.argsort(samples.names, kind="stable"))
    classes = tuple(str(label) for label in np.unique(samples.labels))
    ranges = GeneRange.of(samples.values)
    means = np.stack([
        samples.values[samples.labels == label].mean(axis=0, dtype=np.float64) for label in classes
    ])  # fmt: skip
    return Cohort(ranges.scaled(samples.values), ranges, means.astype(np.float32), samples.genes, classes,
                  samples.labels, samples.donors)  # fmt: skip


def row_batches(n: int, *, size: int) -> list[tuple[int, int]]:
    """Start and stop of batches of `size` rows, the last one smaller; a last row alone joins its neighbours.

    Batch normalisation has no variance of one row: the published loop ends with an error there.
    """
    starts = list(range(0, n, size))
    if len(starts) > 1 and n - starts[-1] == 1:
        starts.pop()
    return list(zip(starts, [*starts[1:], n], strict=True))


def epochs_for(epochs: int, *, effort: float) -> int:
    """So many epochs times `effort`, at least one."""
    if not (np.isfinite(effort) and effort > 0):
        raise ConfigError("effort is a share of the training steps", value=effort, allowed="above 0")
    return max(1, round(epochs * effort))


def with_defaults(
    options: Mapping[str, Any], *, defaults: Mapping[str, Any], where: str,
    choices: Mapping[str, tuple[Any, ...]] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Options over their defaults; unknown names and values outside of `choices` are refused."""
    for name in options:
        if name not in defaults:
            raise ConfigError("no such option", where=where, value=name, allowed=", ".join(defaults),
                              mend=did_you_mean(name, defaults))  # fmt: skip
    chosen = {**defaults, **options}
    for name, allowed in (choices or {}).items():
        if chosen[name] not in allowed:
            raise ConfigError("no such choice", where=f"{where}: {name}", value=chosen[name],
                              allowed=", ".join(str(one) for one in allowed))  # fmt: skip
    return chosen


def checked_temperature(temperature: float | None, *, fitted: float) -> float:
    """The temperature to use: as asked, else as fitted."""
    chosen = fitted if temperature is None else temperature
    real = isinstance(chosen, int | float | np.number) and not isinstance(chosen, bool)
    if not real or not np.isfinite(chosen) or chosen < 0:
        raise ConfigError("temperature is no such number", value=chosen, allowed="0 or more")
    return float(chosen)


def named(values: Floats, *, means: Floats, classes: tuple[str, ...]) -> Drawn:
    """Values with the label of the nearest class mean."""
    return Drawn(values, nearest_labels(values, means=means, classes=classes))


def first_weights(make: Callable[[], Module], *, seed: int, key: str) -> Module:
    """A module with torch's own first weights, from `seed` and not from torch's own random numbers."""
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(int(stream(seed, "first weights", key).integers(2**62)))
        return make()


def weights_to_arrays(module: torch.nn.Module) -> dict[str, npt.NDArray[Any]]:
    """A module's weights and buffers as arrays, `weights/<name>`."""
    return {f"weights/{name}": value.detach().cpu().numpy() for name, value in module.state_dict().items()}


def fill_from_arrays(module: torch.nn.Module, arrays: Mapping[str, npt.NDArray[Any]], *, where: str) -> None:
    """`weights_to_arrays` turned around; the module is then in evaluation mode."""
    import torch

    given = {name.removeprefix("weights/"): array for name, array in arrays.items() if "/" in name}
    wanted = {name: tuple(value.shape) for name, value in module.state_dict().items()}
    if {name: array.shape for name, array in given.items()} != wanted:
        raise ModelError("the weights are not those of this generator", where=where, mend="fit it again")
    module.load_state_dict({name: torch.from_numpy(np.array(array)) for name, array in given.items()})
    module.train(mode=False)


def array_of(
    arrays: Mapping[str, npt.NDArray[Any]], name: str, *, shape: tuple[int, ...], where: str
) -> Floats:
    """One array of the expected shape, all numbers finite."""
    found = arrays.get(name)
    if found is None or found.shape != shape or not np.isfinite(found).all():
        raise ModelError(f"{name} is missing, damaged or of another shape", where=where,
                         value=None if found is None else str(found.shape), allowed=str(shape),
                         mend="fit it again")  # fmt: skip
    return np.asarray(found, dtype=np.float32)
