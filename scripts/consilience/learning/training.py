"""Everything that changes during a training, how it is taken down, and how it is put back."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from consilience.foundation.errors import ModelError
from consilience.foundation.seeds import stream
from consilience.learning.checkpoints import Snapshot
from consilience.learning.distributed import Team
from consilience.learning.players import Player
from consilience.learning.precision import Precision
from consilience.learning.schedule import Schedule
from consilience.learning.tensor_files import packed

if TYPE_CHECKING:
    import torch


@dataclass
class Training:
    """The players and where they stand.

    `history`: one line per finished epoch; `step`: steps done of the current one, with the `sums` and
    `counts` of its numbers and its `seconds`; `rows`: most rows at once, for players that ran out of memory;
    `rate_scale` and `troubles`: what losses that were not finite have led to; `averages`: running averages of
    weights, by player; `best`: the weights of the best epoch.
    """

    players: Sequence[Player]
    scalers: dict[str, torch.amp.GradScaler]
    averages: dict[str, dict[str, torch.Tensor]]
    history: list[dict[str, Any]] = field(default_factory=list)
    step: int = 0
    sums: dict[str, float] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    rows: dict[str, int] = field(default_factory=dict)
    rate_scale: float = 1.0
    troubles: int = 0
    best: dict[str, torch.Tensor] | None = None


FACTS = ("history", "step", "sums", "counts", "seconds", "rows", "rate_scale", "troubles")
"""What of a training is plain JSON."""


def begin(players: Sequence[Player], *, team: Team, precision: Precision) -> Training:
    """Bring the players to the device, all processes to the same weights, and start at epoch 0."""
    names = [player.name for player in players]
    if not names or len(set(names)) != len(names):
        raise ModelError("players need different names", value=names)
    averages = {}
    for player in players:
        player.module.to(team.device)
        team.same_everywhere([*player.module.parameters(), *player.module.buffers()])
        for group in player.optimizer.param_groups:
            group.setdefault("initial_lr", group["lr"])
        if player.average is not None:
            averages[player.name] = _clones(weights_of(player.module))
    return Training(players, {name: precision.scaler() for name in names}, averages)


def identity(players: Sequence[Player], schedule: Schedule, *, seed: int, key: Mapping[str, Any]) -> Any:
    """What makes this training this one and no other, as plain JSON."""
    sides = {}
    for player in players:
        groups = [
            {name: value for name, value in group.items() if name not in {"params", "lr"}}
            for group in player.optimizer.param_groups
        ]
        sides[player.name] = {
            "optimizer": type(player.optimizer).__name__,
            "settings": groups,
            "every": player.every,
            "average": player.average,
            "first weights": packed(player.module.state_dict(), where=player.name)[1].sha256,
        }
    told = {"key": dict(key), "seed": seed, "schedule": schedule.identity(), "players": sides}
    return json.loads(json.dumps(told, default=str))


def capture(training: Training, *, over: Snapshot | None = None) -> Snapshot:
    """A copy of where the training stands, on the CPU; later steps do not touch it.

    `over`: an older snapshot, no longer wanted, whose memory is used again (asking for fresh memory takes
    longer than filling it).
    """
    tensors: dict[str, torch.Tensor] = {}
    numbers: dict[str, Any] = {}
    for player in training.players:
        tensors |= _named(f"{player.name}/module", player.module.state_dict())
        for index, entries in player.optimizer.state_dict()["state"].items():
            for name, value in entries.items():
                place = f"{player.name}/optimizer/{index}/{name}"
                if hasattr(value, "detach"):
                    tensors[place] = value
                else:
                    numbers[place] = value
        tensors |= _named(f"{player.name}/average", training.averages.get(player.name, {}))
    facts = {name: getattr(training, name) for name in FACTS}
    facts["numbers"] = numbers
    facts["scalers"] = {name: scaler.state_dict() for name, scaler in training.scalers.items()}
    used = {} if over is None else over.tensors
    return Snapshot(_copies(tensors, over=used), training.best, json.loads(json.dumps(facts)))


def restore(training: Training, snapshot: Snapshot) -> None:
    """Put a training back to where it stood; the snapshot stays as it is."""
    facts = json.loads(json.dumps(snapshot.facts))
    for player in training.players:
        player.module.load_state_dict(_within(f"{player.name}/module", snapshot.tensors))
        state: dict[int, dict[str, Any]] = {}
        moments = _clones(_within(f"{player.name}/optimizer", snapshot.tensors))
        numbers = _within(f"{player.name}/optimizer", facts["numbers"])
        for place, value in {**moments, **numbers}.items():
            index, name = place.split("/", 1)
            state.setdefault(int(index), {})[name] = value
        groups = player.optimizer.state_dict()["param_groups"]
        player.optimizer.load_state_dict({"state": state, "param_groups": groups})
        for name, tensor in training.averages.get(player.name, {}).items():
            tensor.copy_(snapshot.tensors[f"{player.name}/average/{name}"])
        if facts["scalers"][player.name]:
            training.scalers[player.name].load_state_dict(facts["scalers"][player.name])
    for name in FACTS:
        setattr(training, name, facts[name])
    training.best = snapshot.best


def kept_weights(training: Training) -> dict[str, torch.Tensor]:
    """Copies of the weights as they would be used now: running averages where asked."""
    tensors: dict[str, torch.Tensor] = {}
    for player in training.players:
        state = {**player.module.state_dict(), **training.averages.get(player.name, {})}
        tensors |= _named(player.name, state)
    return _clones(tensors)


def load_weights(training: Training, weights: Mapping[str, torch.Tensor]) -> None:
    """Put copies made by `kept_weights` into the modules."""
    for player in training.players:
        player.module.load_state_dict(_within(player.name, weights))


def weights_of(module: torch.nn.Module) -> dict[str, torch.Tensor]:
    """A module's parameters under all their names (tied ones have several)."""
    return dict(module.named_parameters(remove_duplicate=False))


@contextmanager
def as_used(training: Training) -> Iterator[None]:
    """The modules as they would be used now (averages, evaluation mode) for the length of the block."""
    before = {
        player.name: _clones(weights_of(player.module))
        for player in training.players
        if player.average is not None
    }
    if before:
        load_weights(training, kept_weights(training))
    for player in training.players:
        player.module.train(mode=False)
    try:
        yield
    finally:
        for player in training.players:
            if player.name in before:
                player.module.load_state_dict(before[player.name], strict=False)
            player.module.train()


@contextmanager
def own_random_numbers(device: str) -> Iterator[None]:
    """Give the process's random numbers back afterwards as they were."""
    import torch

    where = torch.device(device)
    gpus = [] if where.type == "cpu" else [where.index if where.index is not None else 0]
    with torch.random.fork_rng(devices=gpus):
        yield


def seeded(device: str, seed: int, *keys: str | int) -> torch.Generator:
    """Seed torch's own random numbers (dropout) by name, and give a second, independent generator (noise)."""
    import torch

    dropout, noise = (int(number) for number in stream(seed, *keys).integers(2**63, size=2))
    where = torch.device(device)
    torch.default_generator.manual_seed(dropout)
    if where.type == "cuda":
        torch.cuda.default_generators[where.index or 0].manual_seed(dropout)
    return torch.Generator(where).manual_seed(noise)


def _named(prefix: str, tensors: Mapping[str, Any]) -> dict[str, Any]:
    return {f"{prefix}/{name}": value for name, value in tensors.items()}


def _within(prefix: str, tensors: Mapping[str, Any]) -> dict[str, Any]:
    start = f"{prefix}/"
    return {name.removeprefix(start): value for name, value in tensors.items() if name.startswith(start)}


def _clones(tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: tensor.detach().clone() for name, tensor in tensors.items()}


def _copies(
    tensors: Mapping[str, torch.Tensor], *, over: Mapping[str, torch.Tensor]
) -> dict[str, torch.Tensor]:
    """Copies on the CPU, in the memory of tensors of the same name and kind in `over` where there are any."""
    found = {}
    for name, tensor in tensors.items():
        old = over.get(name)
        if old is not None and (old.shape, old.dtype) == (tensor.shape, tensor.dtype):
            found[name] = old.copy_(tensor.detach())
        else:
            found[name] = tensor.detach().to("cpu", copy=True)
    return found
