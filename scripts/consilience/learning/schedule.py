"""How long to train, at which rate, and when to stop: functions of the history alone."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from consilience.foundation.errors import ConfigError, ModelError

History = Sequence[Mapping[str, float | int | None]]


@dataclass(frozen=True)
class Schedule:
    """A training's length and pace.

    The learning rate is the optimizer's own, times a factor: 1 ("constant"), falling to 0 as half a cosine
    over the whole training ("cosine"), or halved after `plateau_patience` epochs without a better `monitor`
    ("plateau"); it rises from 0 over the first `warmup_steps`. `monitor` names a number of the history, such
    as "validation.auc" or "generator.loss": where it is given, the weights of its best epoch are kept, and
    training stops after `patience` epochs without a better one. Gradients longer than `clip_norm` are
    shortened to it.
    """

    epochs: int
    steps_per_epoch: int
    rate: Literal["constant", "cosine", "plateau"] = "constant"
    warmup_steps: int = 0
    plateau_patience: int = 5
    monitor: str = ""
    larger_is_better: bool = False
    patience: int | None = None
    validate_every: int = 1
    clip_norm: float | None = None

    def __post_init__(self) -> None:
        for name in ("epochs", "steps_per_epoch", "plateau_patience", "validate_every"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} is too small", value=getattr(self, name), allowed="1 or more")
        if self.rate not in {"constant", "cosine", "plateau"}:
            raise ConfigError("no such learning-rate schedule", value=self.rate,
                              allowed="constant, cosine, plateau")  # fmt: skip
        if not self.monitor and (self.patience is not None or self.rate == "plateau"):
            raise ConfigError("stopping early and the plateau schedule need a number to watch",
                              mend="set monitor, for example to 'validation.auc'")  # fmt: skip

    def identity(self) -> dict[str, str | float | int | bool | None]:
        """What of the schedule changes the course of a training up to a given epoch."""
        told = dict(vars(self))
        if self.rate != "cosine":
            told.pop("epochs")  # then 20 epochs are 10 and 10 more
        return told


def rate_factor(schedule: Schedule, *, step: int, plateaus: int = 0) -> float:
    """What the optimizer's own learning rate is multiplied by at a step (from 0) of the training."""
    warm = min(1.0, (step + 1) / (schedule.warmup_steps + 1))
    if schedule.rate == "cosine":
        return warm * 0.5 * (1 + math.cos(math.pi * step / (schedule.epochs * schedule.steps_per_epoch)))
    return warm * 0.5**plateaus


def count_plateaus(schedule: Schedule, history: History) -> int:
    """How often `monitor` failed to get better for `plateau_patience` epochs running (plateau schedule)."""
    if schedule.rate != "plateau":
        return 0
    found = waited = 0
    best: float | None = None
    for value in _watched(schedule, history):
        if _better(schedule, value, best):
            best, waited = value, 0
        else:
            waited += 1
        if waited >= schedule.plateau_patience:
            found, waited = found + 1, 0
    return found


def best_epoch(schedule: Schedule, history: History) -> int | None:
    """The number (from 1) of the epoch with the best `monitor`, the first among equals; None without one."""
    best: float | None = None
    found = None
    for number, value in enumerate(_watched(schedule, history), 1):
        if _better(schedule, value, best):
            best, found = value, number
    return found


def finished(schedule: Schedule, history: History) -> bool:
    """True when all epochs are done, or the last `patience` of them brought nothing better."""
    if len(history) >= schedule.epochs:
        return True
    if schedule.patience is None or not schedule.monitor:
        return False
    return len(history) - (best_epoch(schedule, history) or 0) >= schedule.patience


def require_monitor(schedule: Schedule, line: Mapping[str, float | int | None]) -> None:
    """Refuse a training whose `monitor` is not among the numbers of its history."""
    if schedule.monitor and schedule.monitor not in line:
        raise ModelError("the number to watch is not in the history", value=schedule.monitor,
                         allowed=", ".join(line))  # fmt: skip


def _watched(schedule: Schedule, history: History) -> list[float | None]:
    """The watched number of each epoch; None where it was not computed or is not a number."""
    return [line.get(schedule.monitor) if schedule.monitor else None for line in history]


def _better(schedule: Schedule, value: float | None, best: float | None) -> bool:
    if value is None:
        return False
    return best is None or (value > best if schedule.larger_is_better else value < best)
