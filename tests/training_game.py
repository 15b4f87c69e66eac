"""A small game of two players for the tests of the training loop, also run as a program by them."""

from __future__ import annotations

import hashlib
import importlib
import itertools
import json
import os
import random
import signal
import sys
import time
import traceback
from pathlib import Path

import torch
from torch import nn

from consilience.learning.fit import fit
from consilience.learning.players import Loss, Player, Rows
from consilience.learning.schedule import Schedule


def network(*sizes, dropout=0.0, seed=0):
    """Dense layers with leaky ReLUs and dropout, the same for the same seed."""
    layers: list[nn.Module] = []
    generator = torch.Generator().manual_seed(seed)
    for number, (n_in, n_out) in enumerate(itertools.pairwise(sizes)):
        layers += [nn.LeakyReLU(0.1), nn.Dropout(dropout)] if number else []
        layers.append(nn.Linear(n_in, n_out))
        with torch.no_grad():
            layers[-1].weight.copy_(torch.randn(n_out, n_in, generator=generator) / n_in**0.5)
            layers[-1].bias.zero_()
    return nn.Sequential(*layers)


def two_players(*, dropout=0.2, noise=True, lr=1e-2, **options):
    """A discriminator and a generator of 5 genes; noise from the loss's generator, dropout from torch's own."""
    d, g = network(5, 16, 1, dropout=dropout, seed=1), network(3, 16, 5, dropout=dropout, seed=2)
    bce = nn.functional.binary_cross_entropy_with_logits

    def fake(batch, generator):
        z = torch.randn(len(batch), 3, generator=generator, device=batch["x"].device) if noise else batch["z"]
        return g(z)

    def discriminator_loss(batch, generator):
        real, made = d(batch["x"]), d(fake(batch, generator).detach())
        loss = bce(real, torch.ones_like(real)) + bce(made, torch.zeros_like(made))
        return Loss(loss, {"accuracy": (real > 0).float().mean()})

    def generator_loss(batch, generator):
        score = d(fake(batch, generator))
        return Loss(bce(score, torch.ones_like(score)))

    return [
        Player("discriminator", d, torch.optim.AdamW(d.parameters(), lr), discriminator_loss),
        Player("generator", g, torch.optim.Adam(g.parameters(), lr), generator_loss, **options),
    ]


def draw(epoch, step, rng):
    """Twelve rows of five genes."""
    x = torch.from_numpy(rng.normal(1.0, 0.5, (12, 5)).astype("float32"))
    z = torch.from_numpy(rng.normal(size=(12, 3)).astype("float32"))
    return Rows({"x": x, "z": z}, names=[f"s{epoch}.{step}.{row}" for row in range(12)])


def digest(players):
    """One digest for all weights and optimizer moments."""
    found = hashlib.sha256()
    for player in players:
        for tensor in player.module.state_dict().values():
            found.update(tensor.detach().cpu().numpy().tobytes())
        for _, entries in sorted(player.optimizer.state_dict()["state"].items()):
            for _, value in sorted(entries.items()):
                found.update(value.cpu().numpy().tobytes())
    return found.hexdigest()


def without_seconds(history):
    """What of a history is the same in every run."""
    return [{name: value for name, value in line.items() if name != "seconds"} for line in history]


def train(folder, out, *, pause):
    """Twelve epochs of six steps, with so many seconds before each; writes weights' digest and history to `out`."""

    def slow(epoch, step, rng):
        time.sleep(pause)
        return draw(epoch, step, rng)

    players = two_players()
    schedule = Schedule(epochs=12, steps_per_epoch=6)
    result = fit(
        players=players, batches=slow, schedule=schedule, seed=3, folder=folder, checkpoint_seconds=0.0
    )
    out.write_text(json.dumps([digest(players), without_seconds(result.history), result.resumed_after]))


def in_child(work):
    """Process id of a copy of this process that does `work` and ends (torch is imported once for all of them)."""
    child = os.fork()
    if child:
        return child
    try:
        work()
    except BaseException:  # noqa: BLE001 - a child must never go on as its parent
        traceback.print_exc()
        os._exit(1)
    os._exit(0)


def disturbed(folder, *, number, epochs, wait):
    """Start a training, send it the signal after so many epochs and seconds, and start it again.

    Gives how the first one ended, and what the second one wrote.
    """
    history, out = folder / "history.jsonl", folder.with_suffix(".json")
    first = in_child(lambda: train(folder, out, pause=0.02))
    while not history.exists() or len(history.read_text().splitlines()) < epochs:
        time.sleep(0.005)
    time.sleep(wait)
    os.kill(first, number)
    status = os.waitstatus_to_exitcode(os.waitpid(first, 0)[1])
    second = in_child(lambda: train(folder, out, pause=0))
    os.waitpid(second, 0)
    return [status, *json.loads(out.read_text())]


def main(folder):
    """One undisturbed training and many disturbed ones, as JSON on standard output."""
    importlib.import_module("torch._dynamo")  # the optimizers would import it in every child
    out = folder / "undisturbed.json"
    os.waitpid(in_child(lambda: train(folder / "undisturbed", out, pause=0)), 0)
    found = {"undisturbed": json.loads(out.read_text()), "trials": []}
    chance = random.Random(1)
    for trial in range(12):
        number = signal.SIGTERM if trial >= 8 else signal.SIGKILL
        place, epochs, wait = folder / f"trial{trial}", chance.randint(1, 8), chance.uniform(0, 0.2)
        found["trials"].append([int(number), *disturbed(place, number=number, epochs=epochs, wait=wait)])
    sys.stdout.write(json.dumps(found))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
