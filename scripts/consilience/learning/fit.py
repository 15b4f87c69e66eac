"""The one training loop of all rooms.

    players = [Player("discriminator", d, Adam(d.parameters(), 1e-3), d_loss),
               Player("generator", g, Adam(g.parameters(), 1e-3), g_loss)]
    result = fit(players=players, batches=draw, schedule=Schedule(epochs=20, steps_per_epoch=50), seed=1,
                 device=pick_device(gpus=gpus).name, folder=folder, key={"config": config, "data": digest})

Every random number is made from the seed and the names of epoch, step and player, so where a training stands
is its weights, the optimizers' moments and two counters: stopped or killed at any moment and called again
with the same arguments, it ends in the same bits on the same CPU.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from consilience.foundation.errors import ModelError
from consilience.foundation.files import write_json
from consilience.foundation.seeds import stream
from consilience.learning.checkpoints import NOTHING_THERE, Snapshot, read_checkpoint, write_checkpoint
from consilience.learning.distributed import Team, joined
from consilience.learning.players import Batch, Player
from consilience.learning.precision import Asked, pick_precision
from consilience.learning.progress import Pace, append_history, log, rewrite_history
from consilience.learning.schedule import (
    Schedule,
    best_epoch,
    count_plateaus,
    finished,
    rate_factor,
    require_monitor,
)
from consilience.learning.stopping import TrainingStopped, stop_requests
from consilience.learning.training import (
    Training,
    as_used,
    begin,
    capture,
    identity,
    kept_weights,
    load_weights,
    own_random_numbers,
    restore,
    seeded,
)
from consilience.learning.turns import Moment, NotFiniteError, require_finite_weights, take_turn

Batches = Callable[[int, int, np.random.Generator], Batch]
Validate = Callable[[int], Mapping[str, float]]
LOWER = 0.1
"""What the learning rates are multiplied by after a loss that was not finite."""


@dataclass(frozen=True)
class FitResult:
    """How a training went.

    `history` has one dict per epoch: epoch (from 1), steps (so far), seconds, then `<player>.loss`,
    `<player>.<metric>`, `<player>.gradient_norm`, `<player>.rate` and `validation.<metric>`. `best_epoch` is
    the one whose weights the modules hold now (None: the last). `resumed_after`: epochs that an earlier run
    had done. `rows`: players that ran out of memory, and how many rows at once did fit. `troubles`: times (0
    or 1) that a loss was not finite and the learning rate was lowered.
    """

    history: tuple[dict[str, Any], ...]
    best_epoch: int | None
    stopped_early: bool
    resumed_after: int
    why_not_resumed: str
    rows: dict[str, int]
    troubles: int
    device: str
    precision: str


def fit(
    *,
    players: Sequence[Player],
    batches: Batches,
    schedule: Schedule,
    seed: int,
    device: str = "cpu",
    precision: Asked = "auto",
    folder: Path | None = None,
    key: Mapping[str, Any] | None = None,
    validate: Validate | None = None,
    label: str = "training",
    checkpoint_seconds: float = 60.0,
) -> FitResult:
    """Train the players in turn; afterwards their modules hold the kept weights, in evaluation mode.

    `batches(epoch, step, rng)` (both from 0) gives the batch that all players see at that step; it must
    depend on its arguments only. `validate(epoch)` gives numbers after an epoch (from 1), computed with the
    weights as they would be used. `folder` holds checkpoints (at most one in `checkpoint_seconds`, and the
    last) and `history.jsonl`; `key` is what else the result depends on: a checkpoint of another key is not
    resumed.
    """
    with joined(device) as team, own_random_numbers(team.device), stop_requests() as request:
        numbers = pick_precision(team.device, asked=precision)
        training = begin(players, team=team, precision=numbers)
        who = identity(players, schedule, seed=seed, key=key or {})
        why_not = resume(training, folder, who, team=team, label=label)
        resumed_after, good, written = len(training.history), capture(training), time.monotonic()
        pace = Pace(label=label, total=schedule.epochs * schedule.steps_per_epoch,
                    done=resumed_after * schedule.steps_per_epoch + training.step)  # fmt: skip
        while not finished(schedule, training.history):
            epoch = len(training.history)
            plateaus = count_plateaus(schedule, training.history)
            try:
                while training.step < schedule.steps_per_epoch:
                    step, started = training.step, time.monotonic()
                    number = epoch * schedule.steps_per_epoch + step
                    moment = Moment(
                        seed, epoch, step, number, rate_factor(schedule, step=number, plateaus=plateaus)
                    )
                    batch = batches(epoch, step, stream(seed, *moment.keys, "batch"))
                    for player in players:
                        if number % player.every == 0:
                            told = take_turn(training, player, batch, moment=moment, team=team,
                                             precision=numbers, clip_norm=schedule.clip_norm)  # fmt: skip
                            note(training, player, told)
                    training.step = step + 1
                    training.seconds += time.monotonic() - started
                    pace.tell(number + 1, losses(training))
                    if team.any(request.made):
                        stop(training, folder, who, team=team, signal=request.name, label=label)
                require_finite_weights(training)
            except NotFiniteError as trouble:
                recover(training, good, trouble, folder=folder, team=team, label=label)
                continue
            close_epoch(training, schedule, validate, seed=seed, team=team)
            pace.tell(training.history[-1]["steps"], training.history[-1])
            good = capture(training, over=good)
            if folder and team.rank == 0:
                append_history(folder / "history.jsonl", training.history[-1])
                if finished(schedule, training.history) or time.monotonic() - written >= checkpoint_seconds:
                    write_checkpoint(folder, good, key=who)
                    written = time.monotonic()
        best = best_epoch(schedule, training.history)
        load_weights(training, kept_weights(training) if training.best is None else training.best)
        for player in players:
            player.module.train(mode=False)
    pace.close(training.history, f"the weights of epoch {best} are kept" if best else "")
    return FitResult(
        history=tuple(training.history), best_epoch=best,
        stopped_early=len(training.history) < schedule.epochs, resumed_after=resumed_after,
        why_not_resumed=why_not, rows=training.rows, troubles=training.troubles, device=team.device,
        precision=numbers.name,
    )  # fmt: skip


def resume(training: Training, folder: Path | None, who: Mapping[str, Any], *, team: Team, label: str) -> str:
    """Go on from the folder's checkpoint where there is one of this training; else the reason why not."""
    if folder is None:
        return "no folder was given"
    snapshot, why_not = read_checkpoint(folder, key=who)
    if snapshot is not None:
        restore(training, snapshot)
        log.info("%s: goes on after epoch %d, step %d", label, len(training.history), training.step)
    elif why_not != NOTHING_THERE:
        log.warning("%s: starts from the beginning, not from the checkpoint: %s", label, why_not)
    if not team.agree([len(training.history), training.step]):
        raise ModelError("the processes of this training see different checkpoints", where=str(folder),
                         mend="put the folder on a disk that all machines share")  # fmt: skip
    if team.rank == 0:
        rewrite_history(folder / "history.jsonl", training.history)
    return why_not


def note(training: Training, player: Player, told: Mapping[str, float]) -> None:
    """Add a turn's numbers to the epoch's sums (metrics that are not finite count nowhere)."""
    for name, value in told.items():
        if math.isfinite(value):
            place = f"{player.name}.{name}"
            training.sums[place] = training.sums.get(place, 0.0) + value
            training.counts[place] = training.counts.get(place, 0) + 1
    training.sums[f"{player.name}.rate"] = float(player.optimizer.param_groups[0]["lr"])
    training.counts[f"{player.name}.rate"] = 1


def losses(training: Training) -> dict[str, float]:
    """Mean loss of each player over the epoch so far."""
    places = [f"{player.name}.loss" for player in training.players]
    return {
        place: training.sums[place] / training.counts[place] for place in places if place in training.sums
    }


def close_epoch(
    training: Training, schedule: Schedule, validate: Validate | None, *, seed: int, team: Team
) -> None:
    """Make a line of history of the epoch's sums, validate, and keep the weights if they are the best."""
    epoch = len(training.history) + 1
    line: dict[str, Any] = {"epoch": epoch, "steps": epoch * schedule.steps_per_epoch}
    line["seconds"] = round(training.seconds, 3)
    line |= {name: total / training.counts[name] for name, total in training.sums.items()}
    if validate and (epoch % schedule.validate_every == 0 or epoch == schedule.epochs):
        line |= validated(training, validate, epoch=epoch, seed=seed, team=team)
        require_monitor(schedule, line)
    elif not validate:
        require_monitor(schedule, line)
    training.history.append(line)
    training.step, training.seconds = 0, 0.0
    training.sums, training.counts = {}, {}
    if best_epoch(schedule, training.history) == epoch:
        training.best = kept_weights(training)


def validated(
    training: Training, validate: Validate, *, epoch: int, seed: int, team: Team
) -> dict[str, float | None]:
    """The numbers of `validate`, rank 0's in every process; None for what is not finite."""
    import torch

    seeded(team.device, seed, "epoch", epoch - 1, "validate")
    with as_used(training), torch.no_grad():
        found = {name: float(value) for name, value in validate(epoch).items()}
    agreed = team.total([value if team.rank == 0 else 0.0 for value in found.values()])
    return {
        f"validation.{name}": value if math.isfinite(value) else None
        for name, value in zip(found, agreed, strict=True)
    }


def recover(
    training: Training,
    good: Snapshot,
    trouble: NotFiniteError,
    *,
    folder: Path | None,
    team: Team,
    label: str,
) -> None:
    """Write down what is known and go back to the last good epoch, slower; the second time, give up."""
    times, rate_scale = training.troubles + 1, training.rate_scale
    facts, told = trouble.facts, ""
    if folder and team.rank == 0:
        path = folder / f"not_finite_{times}.json"
        write_json(path, facts)
        told = f"; all that is known is in {path}"
    where = f"epoch {facts['epoch']}" + (f", step {facts['step']}" if "step" in facts else "")
    if times > 1:
        raise ModelError(
            f"{facts['what']}, for the second time (the learning rate was lowered after the first){told}",
            where=where, value=facts.get("batch"),
            mend="look for extreme or missing values in these samples, or train with a lower learning rate",
        )  # fmt: skip
    restore(training, good)
    training.troubles, training.rate_scale = times, rate_scale * LOWER
    log.warning("%s: %s (%s)%s; back to the end of epoch %d, learning rates times %g from here", label,
                facts["what"], where, told, len(training.history), training.rate_scale)  # fmt: skip


def stop(
    training: Training, folder: Path | None, who: Mapping[str, Any], *, team: Team, signal: str, label: str
) -> None:
    """Write a checkpoint in the middle of the epoch and end with a message."""
    if folder and team.rank == 0:
        write_checkpoint(folder, capture(training), key=who)
    raise TrainingStopped(
        f"{label} was asked to stop ({signal or 'by another process'}) and did, after epoch "
        f"{len(training.history)} and {training.step} steps of the next",
        where=str(folder or ""),
        mend="run the same command again; it goes on from there" if folder
        else "give it a folder for checkpoints, so that it can go on where it was stopped",
    )  # fmt: skip
