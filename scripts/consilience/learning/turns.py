"""One player's turn: gradients of its loss, within the memory there is, checked, and one step."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from consilience.foundation.errors import ModelError
from consilience.learning.distributed import Team
from consilience.learning.players import Batch, Player
from consilience.learning.precision import Precision
from consilience.learning.progress import log
from consilience.learning.tensor_files import not_finite
from consilience.learning.training import Training, seeded, weights_of

if TYPE_CHECKING:
    import torch

SMALLEST_SCALE = 1.0
"""A float16 loss scale below this means that the gradients are infinite by themselves."""


@dataclass(frozen=True)
class Moment:
    """When a turn is taken.

    `epoch`, `step` (of the epoch) and `number` (of the step, of the whole training) count from 0;
    `rate_factor` is what the optimizers' own learning rates are multiplied by.
    """

    seed: int
    epoch: int
    step: int
    number: int
    rate_factor: float

    @property
    def keys(self) -> tuple[str | int, ...]:
        """The names from which the random numbers of this moment are made."""
        return ("epoch", self.epoch, "step", self.step)


class NotFiniteError(Exception):
    """A loss, gradient or weight is NaN or infinite; `facts` says all that is known, as plain JSON."""

    def __init__(self, facts: dict[str, Any]) -> None:
        super().__init__(facts["what"])
        self.facts = facts


def take_turn(
    training: Training, player: Player, batch: Batch, *, moment: Moment, clip_norm: float | None,
    team: Team, precision: Precision,
) -> dict[str, float]:  # fmt: skip
    """One optimizer step of one player; its loss, metrics and gradient norm over the whole batch."""
    import torch

    scaler, parameters = training.scalers[player.name], player.parameters()
    for group in player.optimizer.param_groups:
        group["lr"] = group["initial_lr"] * moment.rate_factor * training.rate_scale
    with only(player, training.players):
        numbers = gradients(training, player, batch, moment=moment, team=team, precision=precision)
    numbers = dict(zip(numbers, team.total(list(numbers.values())), strict=True))
    team.add_gradients(parameters)
    scaler.unscale_(player.optimizer)
    norm = torch.nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None])
    numbers["gradient_norm"] = float(norm)
    # a float16 scaler passes over steps that overflow and tries a smaller scale: no trouble yet
    overflow = scaler.is_enabled() and scaler.get_scale() >= SMALLEST_SCALE
    if not math.isfinite(numbers["loss"]) or not (math.isfinite(numbers["gradient_norm"]) or overflow):
        scaler.update()  # or it would take the next turn for the same one
        raise NotFiniteError(diagnosis(player, batch, moment, numbers))
    if clip_norm is not None:
        torch.nn.utils.clip_grads_with_norm_(parameters, clip_norm, norm)
    scaler.step(player.optimizer)
    scaler.update()
    if player.average is not None:
        update_average(training.averages[player.name], player, turn=moment.number // player.every)
    return numbers


def gradients(
    training: Training, player: Player, batch: Batch, *, moment: Moment, team: Team, precision: Precision
) -> dict[str, float]:
    """Leave this process's part of the gradient in the parameters; its part of the loss and metrics.

    When memory runs out, the rows are halved until they fit; parts are weighted by their sizes, so the
    gradient is that of the whole batch.
    """
    start, stop = team.share(len(batch))
    while True:
        rows = min(training.rows.get(player.name, len(batch)), max(1, stop - start))
        player.optimizer.zero_grad(set_to_none=True)
        try:
            return in_parts(training, player, batch, span=(start, stop), rows=rows, moment=moment,
                            device=team.device, precision=precision)  # fmt: skip
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            problem = str(error)
        # outside of the except block, where the failed try's tensors are free
        training.rows[player.name] = fewer_rows(
            player, rows, of=len(batch), device=team.device, problem=problem
        )


def in_parts(
    training: Training, player: Player, batch: Batch, *, span: tuple[int, int], rows: int, moment: Moment,
    device: str, precision: Precision,
) -> dict[str, float]:  # fmt: skip
    """Forward and backward over the rows of `span`, so many at once; sums weighted by share of the batch."""
    import torch

    numbers: dict[str, float] = {}
    first, last = span
    # a process without rows computes one without weight, so that it knows the names of the numbers
    for start in range(first, last, rows) if last > first else [min(first, len(batch) - 1)]:
        part = batch.part(start, max(min(start + rows, last), start + 1)).to(device)
        weight = len(part) / len(batch) if last > first else 0.0
        generator = seeded(device, moment.seed, *moment.keys, player.name, "rows", start)
        with precision.autocast():
            loss = player.loss(part, generator)
        if not isinstance(loss.value, torch.Tensor) or loss.value.numel() != 1:
            raise ModelError("a loss must be one number, the mean over rows", where=player.name,
                             value=getattr(loss.value, "shape", loss.value))  # fmt: skip
        training.scalers[player.name].scale(loss.value.reshape(()).float() * weight).backward()  # type: ignore[no-untyped-call]
        for name, value in {**loss.metrics, "loss": loss.value}.items():
            numbers[name] = numbers.get(name, 0.0) + weight * float(torch.as_tensor(value).detach())
    return numbers


@contextmanager
def only(player: Player, players: Sequence[Player]) -> Iterator[None]:
    """No gradients for the weights of the other players: they are not needed, and half the work."""
    own = {id(parameter) for parameter in player.parameters()}
    others = [p for other in players for p in other.parameters() if id(p) not in own]
    for parameter in others:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in others:
            parameter.requires_grad_(True)


def update_average(average: dict[str, torch.Tensor], player: Player, *, turn: int) -> None:
    """Move the running averages of a player's weights; early ones count more, so that the start goes."""
    import torch

    decay = min(player.average or 0.0, (1 + turn) / (10 + turn))
    with torch.no_grad():
        for name, parameter in weights_of(player.module).items():
            average[name].lerp_(parameter.detach(), 1 - decay)


def is_out_of_memory(error: BaseException) -> bool:
    """True for every way in which torch says that memory is short."""
    import torch

    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    signs = ("can't allocate memory", "CUDA out of memory", "CUBLAS_STATUS_ALLOC_FAILED")
    return isinstance(error, RuntimeError) and any(sign in str(error) for sign in signs)


def fewer_rows(player: Player, rows: int, *, of: int, device: str, problem: str) -> int:
    """Half as many rows at once; a `ModelError` with the numbers when a single row does not fit."""
    import torch

    free = ""
    if device.startswith("cuda"):
        torch.cuda.empty_cache()
        left, total = torch.cuda.mem_get_info(device)
        free = f"; {left / 1e9:.2f} of {total / 1e9:.2f} GB are free on {device}"
    if rows == 1:
        weights = sum(parameter.numel() for parameter in player.parameters())
        raise ModelError(
            f"memory is too small to train {player.name!r} even with one row at a time "
            f"({weights:,} weights{free}; {problem.splitlines()[0]})",
            mend="give the rule more memory or a larger GPU, or use fewer genes, pathways or references",
        )
    half = (rows + 1) // 2
    log.warning("%s: too little memory for %d rows at once; from here %d at once, and gradients added up"
                " (the batch stays %d)%s", player.name, rows, half, of, free)  # fmt: skip
    return half


def diagnosis(player: Player, batch: Batch, moment: Moment, numbers: dict[str, float]) -> dict[str, Any]:
    """All that is known of a loss or gradient that is not finite."""
    parameters = dict(player.module.named_parameters())
    poisoned = {name: p.grad for name, p in parameters.items() if p.grad is not None}
    describe = getattr(batch, "describe", None)
    what = "loss" if not math.isfinite(numbers["loss"]) else "gradient"
    return {
        "what": f"the {what} of {player.name!r} is not finite",
        "epoch": moment.epoch + 1,
        "step": moment.step + 1,
        "player": player.name,
        "numbers": {name: value if math.isfinite(value) else str(value) for name, value in numbers.items()},
        "learning_rates": [group["lr"] for group in player.optimizer.param_groups],
        "gradients_not_finite": not_finite(poisoned),
        "weights_not_finite": not_finite({name: p.detach() for name, p in parameters.items()}),
        "batch": describe()[:20_000] if describe else f"{len(batch)} rows",
    }


def require_finite_weights(training: Training) -> None:
    """A step can be too long although its gradient was finite; found before the epoch counts as good."""
    for player in training.players:
        if names := not_finite(player.module.state_dict()):
            raise NotFiniteError(
                {
                    "what": f"a weight of {player.name!r} is not finite at the end of the epoch",
                    "epoch": len(training.history) + 1,
                    "player": player.name,
                    "weights_not_finite": names,
                }
            )
