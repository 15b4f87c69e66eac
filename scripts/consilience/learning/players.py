"""What is trained and on what: players, their losses, and batches that can be parted."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, Self

from consilience.foundation.errors import ModelError

if TYPE_CHECKING:
    import torch


class Batch(Protocol):
    """Rows (samples, cells, episodes …) that can be parted along the first axis and moved to a device.

    A batch may offer `describe() -> str` (which samples it holds): it is shown when a loss is not finite.
    """

    def __len__(self) -> int: ...

    def part(self, start: int, stop: int) -> Self:
        """Rows start to stop, as slices are counted."""
        ...

    def to(self, device: str) -> Self:
        """The same rows on a device."""
        ...


@dataclass(frozen=True)
class Rows:
    """The plainest batch: tensors by name, all with as many rows, and the rows' names (or none)."""

    tensors: Mapping[str, torch.Tensor]
    names: Sequence[str] = ()

    def __post_init__(self) -> None:
        lengths = {name: len(tensor) for name, tensor in self.tensors.items()}
        if len({*lengths.values(), *([len(self.names)] if self.names else [])}) != 1:
            raise ModelError("the tensors of a batch have different numbers of rows", value=lengths)

    def __len__(self) -> int:
        return len(next(iter(self.tensors.values())))

    def __getitem__(self, name: str) -> torch.Tensor:
        return self.tensors[name]

    def part(self, start: int, stop: int) -> Rows:
        """Rows start to stop."""
        parts = {name: tensor[start:stop] for name, tensor in self.tensors.items()}
        return Rows(parts, self.names[start:stop])

    def to(self, device: str) -> Rows:
        """The same rows on a device."""
        moved = {name: tensor.to(device, non_blocking=True) for name, tensor in self.tensors.items()}
        return Rows(moved, self.names)

    def describe(self) -> str:
        """The rows' names."""
        return ", ".join(self.names)


@dataclass(frozen=True)
class Loss:
    """One number to make small, and other numbers to watch; all are means over the rows of the batch."""

    value: torch.Tensor
    metrics: Mapping[str, torch.Tensor | float] = field(default_factory=dict)


@dataclass(frozen=True)
class Player:
    """One side of a game (discriminator, generator), or the only one.

    `loss(batch, generator)` is called in training mode; `generator` is a torch generator on the batch's
    device for the noise that the loss draws. It must be a mean over rows, because a batch may be parted (over
    GPUs, or when memory is short) and the parts are weighted by their sizes. What couples rows (batch
    statistics, noise that must not depend on the parting) belongs into the batch or into one row. `every`:
    this player takes its turn at every n-th step only. `average`: when given (0.999 …), the weights that are
    validated and kept are the running averages with this decay.
    """

    name: str
    module: torch.nn.Module
    optimizer: torch.optim.Optimizer
    loss: Callable[[Any, torch.Generator], Loss]
    every: int = 1
    average: float | None = None

    def parameters(self) -> list[torch.nn.Parameter]:
        """What this player's optimizer moves."""
        return [
            parameter
            for group in self.optimizer.param_groups
            for parameter in group["params"]
            if parameter.requires_grad
        ]
