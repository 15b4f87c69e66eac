"""Training of one network on some of the donors; when to stop is told by donors left out of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from consilience.causal.denoising.cohort import Pool, pools, read_pool
from consilience.causal.denoising.start import Start, start_of
from consilience.foundation.seeds import stream

if TYPE_CHECKING:
    import numpy.typing as npt
    import torch

    from consilience.causal.denoising.cohort import CellsFile
    from consilience.causal.denoising.vae_network import DenoisingNetwork
    from consilience.pathways.wiring import Wiring

    Codes = npt.NDArray[np.intp]

POOL, WATCHED = 32_768, 512
"""Cells in memory at a time, and cells of the donors left out that tell when to stop."""
BATCH, EPOCH_STEPS, EPOCHS, PATIENCE = 128, 20, 20, 5
POOL_EPOCHS = 10
"""Epochs before the next pool is read, where a cohort has several."""
RATE, SMALL_RATE = 1e-2, 3e-4
"""Adam's learning rates: of the decoder, and of the encoder."""
LEFT_OUT = 0.15
DONOR_SIZE, DONOR_SD = 8, 0.3
WARM_UP = 100
"""Steps over which the divergence gets its full weight."""
HIDDEN_INPUTS = 0.2
"""Share of the inputs that is hidden from the encoder in training."""


@dataclass(frozen=True)
class Recipe:
    """What a training depends on beside the cells."""

    latent: int = 16
    zeros: bool = False
    learned: bool = True
    effort: float = 1.0
    pool: int = POOL
    device: str = "cpu"
    extra: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Learned:
    """A network in evaluation mode on the CPU, `donors` it was trained with, lines of `history`."""

    network: DenoisingNetwork
    donors: tuple[str, ...]
    history: tuple[dict[str, Any], ...]
    best_epoch: int | None
    start: Start


def learned(
    cells: CellsFile, allowed: npt.NDArray[np.bool_], *, wiring: Wiring | None, recipe: Recipe, seed: int
) -> Learned:
    """Train on the `allowed` cells (n,) of `cells`, which are whole donors."""
    watched, training = left_out(cells, allowed, seed=seed)
    plan = pools(cells, training, size=recipe.pool, seed=seed)
    stock = _Stock(cells, plan)
    first = stock.of_epoch(0)
    present = tuple(cells.donors[code] for code in np.unique(cells.donor[training]))
    start = start_of(
        first.counts, cells.size_factor[first.rows], cells.batch[first.rows],
        n_batches=len(cells.batches), latent=recipe.latent, seed=seed,
    )  # fmt: skip
    network = started(start, cells, n_donors=len(present), wiring=wiring, recipe=recipe, seed=seed)
    result = _fit(network, cells, stock, watched, present, recipe=recipe, seed=seed)
    network.to("cpu").eval()
    return Learned(network, present, tuple(dict(line) for line in result.history), result.best_epoch, start)


def left_out(
    cells: CellsFile, allowed: npt.NDArray[np.bool_], *, seed: int
) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
    """Masks (n,): cells of donors left out to tell when to stop (none with one donor), cells trained on."""
    codes = np.unique(cells.donor[allowed])
    n_left = min(max(1, round(LEFT_OUT * codes.size)), codes.size - 1)
    chosen = stream(seed, "denoising left out").permutation(codes)[:n_left]
    watched = allowed & np.isin(cells.donor, chosen)
    return watched, allowed & ~watched


def started(
    start: Start, cells: CellsFile, *, n_donors: int, wiring: Wiring | None, recipe: Recipe, seed: int
) -> DenoisingNetwork:
    """A network at its closed-form start."""
    import torch

    from consilience.causal.denoising.vae_network import DenoisingNetwork

    n_batches = len(cells.batches) if len(cells.batches) > 1 else 0
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(stream(seed, "denoising network").integers(2**31)))
        network = DenoisingNetwork(
            n_genes=len(cells.genes), latent=recipe.latent, n_batches=n_batches, n_donors=n_donors,
            donor_size=min(DONOR_SIZE, n_donors - 1), wiring=wiring, learned=recipe.learned,
            zeros=recipe.zeros, seed=seed,
        )  # fmt: skip
    rng = stream(seed, "denoising donors")
    sds = np.maximum(start.sds, 1e-6)
    rate = np.exp(start.level)
    # what a change of the log mean does to log1p, so that the axes are those of log means
    slope = np.maximum(rate / (1 + rate), 0.2)
    values = {
        "centre": start.centre, "scale": start.scale, "level": start.level, "log_size": start.log_size,
        "straight": start.scale[:, None] * start.axes / sds * (start.sds > 0),
        "loadings": (start.axes * start.sds / slope[:, None]).T,
        "batch_effect": start.batch_effect[:n_batches],
        "donor_numbers": DONOR_SD * rng.standard_normal((n_donors, network.donor_numbers.shape[1])),
    }  # fmt: skip
    with torch.no_grad():
        for name, value in values.items():
            getattr(network, name).copy_(torch.as_tensor(np.asarray(value), dtype=torch.float32))
        size = torch.exp(network.log_size)
        weight = torch.exp(network.level) * float(np.median(cells.size_factor))
        told = (network.loadings**2 * (weight * size / (weight + size))).sum(dim=1)
        network.head.bias[recipe.latent :] = -torch.log1p(told)
    return network


class _Stock:
    """The pool of an epoch; the last one that was read stays in memory."""

    def __init__(self, cells: CellsFile, plan: list[Codes]) -> None:
        self._cells, self._plan = cells, plan
        self._number, self._pool = -1, Pool(np.empty(0, dtype=np.intp), None)

    def of_epoch(self, epoch: int) -> Pool:
        """The same for the same epoch, whatever was asked before."""
        number = epoch // POOL_EPOCHS % len(self._plan)
        if number != self._number:
            self._pool = read_pool(self._cells, self._plan[number])
            self._number = number
        return self._pool


def _fit(
    network: DenoisingNetwork, cells: CellsFile, stock: _Stock, watched: npt.NDArray[np.bool_],
    donors: tuple[str, ...], *, recipe: Recipe, seed: int,
) -> Any:  # fmt: skip
    import torch

    from consilience.learning.fit import fit
    from consilience.learning.players import Loss, Player, Rows
    from consilience.learning.schedule import Schedule

    number_of = np.full(len(cells.donors), -1)
    for place, donor in enumerate(donors):
        number_of[cells.donors.index(donor)] = place
    names = cells.expression.names

    def batches(epoch: int, step: int, rng: np.random.Generator) -> Rows:
        pool = stock.of_epoch(epoch)
        places = rng.choice(len(pool), min(BATCH, len(pool)), replace=False)
        rows = pool.rows[places]
        table = {
            "counts": pool.dense(places), "size": cells.size_factor[rows].astype(np.float32),
            "batch": cells.batch[rows], "donor": number_of[cells.donor[rows]],
            "warm": np.full(len(rows), min(1.0, (epoch * EPOCH_STEPS + step + 1) / WARM_UP), np.float32),
        }  # fmt: skip
        return Rows({key: torch.as_tensor(value) for key, value in table.items()},
                    [names[row].decode() for row in rows])  # fmt: skip

    def loss(batch: Rows, noise: torch.Generator) -> Loss:
        cost = negative_bound(network, batch.tensors, noise)
        return Loss(cost.mean() / len(network.level))

    held = held_out(cells, watched, seed=seed)

    def validate(_epoch: int) -> Mapping[str, float]:
        return {"loss": held.loss(network)}

    monitor = "validation.loss" if held.n else ""
    result = fit(
        players=[Player("denoising", network, _adam(network), loss)], batches=batches, seed=seed,
        device=recipe.device, precision="float32", label="denoising",
        schedule=Schedule(max(1, round(EPOCHS * recipe.effort)), EPOCH_STEPS, rate="cosine", clip_norm=10.0,
                          monitor=monitor, patience=PATIENCE if held.n else None),
        validate=validate if held.n else None,
    )  # fmt: skip
    return result


def negative_bound(
    network: DenoisingNetwork, batch: Mapping[str, torch.Tensor], noise: torch.Generator
) -> torch.Tensor:
    """Minus the evidence bound of each cell (B,), one draw of the latents; part of the inputs is hidden."""
    import torch

    counts, size = batch["counts"], batch["size"]
    inputs = network.standardised(counts, size)
    seen = torch.rand(inputs.shape, generator=noise, device=inputs.device) >= HIDDEN_INPUTS
    mean, log_variance = network.encode(inputs * seen / (1 - HIDDEN_INPUTS))
    drawn = torch.randn(mean.shape, generator=noise, device=mean.device)
    latents = mean + torch.exp(0.5 * log_variance) * drawn
    log_mean = network.decode(latents, size, batch["batch"], batch["donor"])
    divergence = 0.5 * (mean**2 + torch.exp(log_variance) - 1 - log_variance).sum(dim=1)
    prior = 0.5 * (network.donor_numbers**2).sum() / max(1, len(network.donor_numbers))
    return batch["warm"] * divergence + prior - network.log_likelihood(log_mean, counts)


def _adam(network: DenoisingNetwork) -> torch.optim.Optimizer:
    import torch

    decoder = {"level", "loadings", "batch_effect", "donor_numbers", "donor_loadings", "log_size",
               "zero_level", "zero_slope"}  # fmt: skip
    found = [
        {
            "params": [
                weight for name, weight in network.named_parameters()
                if (name in decoder) == whether and weight.numel() and weight.requires_grad
            ],
            "lr": rate,
        }
        for whether, rate in ((True, RATE), (False, SMALL_RATE))
    ]  # fmt: skip
    return torch.optim.Adam(found)


@dataclass(frozen=True)
class HeldOut:
    """Cells of donors left out, each count dealt to one of two halves: `given` and `asked` (m, G)."""

    n: int
    given: npt.NDArray[np.float32]
    asked: npt.NDArray[np.float32]
    size: npt.NDArray[np.float32]
    batch: Codes
    rows: Codes

    def loss(self, network: DenoisingNetwork) -> float:
        """Minus the mean log probability, per gene, of one half as foretold from the other."""
        import torch

        where = network.level.device
        total = 0.0
        with torch.no_grad():
            for first in range(0, self.n, BATCH):
                part = slice(first, first + BATCH)
                size = torch.as_tensor(self.size[part], device=where)
                given = torch.as_tensor(self.given[part], device=where)
                mean, _ = network.encode(network.standardised(given, size))
                log_mean = network.decode(mean, size, torch.as_tensor(self.batch[part], device=where))
                asked = torch.as_tensor(self.asked[part], device=where)
                total -= float(network.log_likelihood(log_mean, asked).sum())
        return float(total / (self.n * self.given.shape[1]))


def held_out(cells: CellsFile, watched: npt.NDArray[np.bool_], *, seed: int, most: int = WATCHED) -> HeldOut:
    """Up to `most` of the watched cells, their counts split in two (each count goes either way with 1/2)."""
    n_genes = len(cells.genes)
    rows = np.flatnonzero(watched)
    rows = rows[np.argsort(cells.rank[rows])]
    if not rows.size:
        nothing = np.zeros((0, n_genes), np.float32)
        return HeldOut(0, nothing, nothing, np.zeros(0, np.float32), rows, rows)
    rows = rows[np.sort(stream(seed, "denoising watched").permutation(rows.size)[:most])]
    counts = read_pool(cells, rows).counts.toarray()
    given = stream(seed, "denoising halves").binomial(counts.astype(np.int64), 0.5).astype(np.float32)
    size = (cells.size_factor[rows] / 2).astype(np.float32)
    return HeldOut(len(rows), given, counts - given, size, cells.batch[rows], rows)
