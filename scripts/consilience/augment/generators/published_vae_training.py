"""Training of the published variational autoencoder: its loss, pace, early stop, and which weights it keeps.

From its code, by fact and in our own words; see `published_vae` for what differs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from consilience.augment.generators.unlabelled import Cohort, row_batches
from consilience.foundation.seeds import stream

if TYPE_CHECKING:
    import torch

    from consilience.augment.networks.published_vae_network import PublishedVae
    from consilience.learning.fit import FitResult
    from consilience.learning.players import Rows
    from consilience.learning.schedule import Schedule

KEY = "published_vae"
RATE = 1e-4
VALIDATION_SHARE = 0.2


@dataclass(frozen=True)
class Recipe:
    """How a variant is trained; `validated`: by a fifth of the donors, else by its own training loss.

    `plateau`: epochs without improvement until the rate is halved (the published scheduler halves after one
    more than its patience). `weights`: which the published code used. For "main" these were the last, as its
    copy of the best shared memory with the network; for "external" the best by training loss.
    """

    epochs: int
    batch: int
    kl_weight: float
    plateau: int
    patience: int
    validated: bool
    weights: str


RECIPES: Mapping[str, Recipe] = MappingProxyType(
    {
        "main": Recipe(1000, 32, 0.005, plateau=31, patience=50, validated=True, weights="last"),
        "external": Recipe(500, 16, 0.0005, plateau=21, patience=30, validated=False, weights="best"),
    }
)


def train(
    network: PublishedVae, cohort: Cohort, recipe: Recipe, *, epochs: int, keep: str, seed: int, device: str
) -> dict[str, Any]:
    """Train in place; the weights kept are in the network afterwards, on the CPU."""
    import torch

    from consilience.learning.fit import fit
    from consilience.learning.players import Loss, Player

    seen, validation = _parted(cohort, recipe, seed)

    def loss(batch: Rows, noise: torch.Generator) -> Loss:
        made, mean, log_variance = network(batch["x"], noise)
        rows = _loss(made, batch["x"], mean, log_variance, recipe)
        # the mean over rows of so many times the loss: the published sum, also when the batch is parted
        return Loss((rows * batch["rows"]).mean())

    last: dict[str, torch.Tensor] = {}

    def validate(epoch: int) -> dict[str, float]:
        found = {"loss": _validation_loss(network, validation, recipe, seed=seed, epoch=epoch)}
        if keep == "last":
            _take_down(network, last)
        return found if recipe.validated else {}

    optimizer = torch.optim.Adam(network.parameters(), lr=RATE, fused=True)
    bounds = row_batches(len(seen), size=recipe.batch)
    result = fit(
        players=[Player("vae", network, optimizer, loss)], batches=_batches(seen, bounds, seed),
        schedule=_schedule(recipe, epochs=epochs, steps=len(bounds)), seed=seed, device=device,
        precision="float32", validate=validate, label="published VAE",
    )  # fmt: skip
    if keep == "last":
        network.load_state_dict(last)
    network.cpu()
    return _told(result, recipe, keep=keep, n_train=len(seen), n_validation=len(validation))


def _parted(cohort: Cohort, recipe: Recipe, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Shares to train on and to validate by (the same where the recipe validates by its training loss)."""
    import torch

    from consilience.learning.splits import donor_splits

    shares = torch.from_numpy(cohort.shares)
    if not recipe.validated:
        return shares, shares[:0]
    split = next(iter(donor_splits(cohort.donors, labels=cohort.labels, n_splits=1,
                                   test_share=VALIDATION_SHARE, seed=seed)))  # fmt: skip
    return shares[torch.from_numpy(split.train)], shares[torch.from_numpy(split.test)]


def _schedule(recipe: Recipe, *, epochs: int, steps: int) -> Schedule:
    from consilience.learning.schedule import Schedule

    return Schedule(
        epochs, steps, rate="plateau", plateau_patience=recipe.plateau, patience=recipe.patience,
        monitor="validation.loss" if recipe.validated else "vae.loss",
    )  # fmt: skip


def _batches(
    train: torch.Tensor, bounds: list[tuple[int, int]], seed: int
) -> Callable[[int, int, np.random.Generator], Rows]:
    """All rows once in each epoch, in a new order."""
    import torch

    from consilience.learning.players import Rows

    def batch(epoch: int, step: int, _rng: np.random.Generator) -> Rows:
        order = stream(seed, KEY, "order", epoch).permutation(len(train))
        start, stop = bounds[step]
        rows = torch.from_numpy(order[start:stop])
        return Rows({"x": train[rows], "rows": torch.full((stop - start,), float(stop - start))})

    return batch


def _loss(
    made: torch.Tensor, x: torch.Tensor, mean: torch.Tensor, log_variance: torch.Tensor, recipe: Recipe
) -> torch.Tensor:
    from consilience.augment.networks.published_vae_network import vae_loss

    return vae_loss(made, x, mean, log_variance, kl_weight=recipe.kl_weight)


def _validation_loss(
    network: PublishedVae, validation: torch.Tensor, recipe: Recipe, *, seed: int, epoch: int
) -> float:
    """Mean loss per sample with fresh noise, as published."""
    import torch

    if not len(validation):
        return 0.0
    device = next(network.parameters()).device
    noise = torch.Generator(device).manual_seed(int(stream(seed, KEY, "validation", epoch).integers(2**62)))
    x = validation.to(device)
    made, mean, log_variance = network(x, noise)
    return float(_loss(made, x, mean, log_variance, recipe).mean())


def _take_down(network: PublishedVae, into: dict[str, torch.Tensor]) -> None:
    """Copy the weights, into the same memory every time."""
    for name, value in network.state_dict().items():
        if name in into:
            into[name].copy_(value)
        else:
            into[name] = value.detach().clone()


def _told(result: FitResult, recipe: Recipe, *, keep: str, n_train: int, n_validation: int) -> dict[str, Any]:
    """Plain facts of the training."""
    watched = "validation.loss" if recipe.validated else "vae.loss"
    return {
        "epochs": len(result.history), "best_epoch": result.best_epoch, "stopped_early": result.stopped_early,
        "weights": keep, "watched": watched, "trained_on": n_train, "validated_on": n_validation,
        "first_loss": result.history[0][watched], "last_loss": result.history[-1][watched],
        "best_loss": min(line[watched] for line in result.history),
        "seconds": round(sum(line["seconds"] for line in result.history), 2),
    }  # fmt: skip
