"""A neural network shared by all genes: curves and interactions of confounders at a small price per gene."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from consilience.causal.dml.learners.learner import Kind, Learner
from consilience.causal.dml.learners.ridge import donor_groups
from consilience.foundation.seeds import stream

if TYPE_CHECKING:
    import numpy.typing as npt
    import torch

    Floats = npt.NDArray[np.float64]

HIDDEN, DROPOUT = 64, 0.1
BATCH, RATE, DECAY = 512, 1e-2, 1e-3
MOST_STEPS, STEPS_PER_EPOCH, PATIENCE = 400, 40, 4
NETWORKS = 2
"""Networks whose predictions are averaged, each stopped early on other donors."""


def fit_predict(
    *, train: Floats, targets: Floats, test: Floats, groups: npt.NDArray[np.intp], kind: Kind, seed: int
) -> Floats:
    """Predictions (m, g); see `learner.FitPredict`."""
    order = np.lexsort(train.T[::-1])
    train, targets, parts = train[order], targets[order], donor_groups(groups)[order]
    centre, sd = train.mean(0), train.std(0)
    sd = np.where(sd > 0, sd, 1.0)
    level, spread = targets.mean(0), targets.std(0)
    varies = spread > 0
    made = np.tile(level, (len(test), 1))
    if not varies.any():
        return made
    wanted = targets[:, varies]
    if kind == "value":
        wanted = (wanted - level[varies]) / spread[varies]
    x, query = ((rows - centre) / sd for rows in (train, test))
    held = [part for part in np.unique(parts) if (parts != part).any()][:NETWORKS] or [-1]
    found = np.mean([
        _trained(x, wanted, query, parts == part, kind=kind, seed=seed, number=number)
        for number, part in enumerate(held)
    ], axis=0)  # fmt: skip
    made[:, varies] = found if kind == "probability" else level[varies] + spread[varies] * found
    return made


def _trained(
    x: Floats, wanted: Floats, query: Floats, held: npt.NDArray[np.bool_], *, kind: Kind, seed: int,
    number: int,
) -> Floats:  # fmt: skip
    """Predictions (m, g) of one network, the weights with the least loss on cells that are `held` out."""
    import torch

    from consilience.causal.dml.learners.mlp_network import NuisanceNetwork
    from consilience.learning.fit import fit
    from consilience.learning.players import Loss, Player, Rows
    from consilience.learning.schedule import Schedule

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(stream(seed, "dml_mlp", number).integers(2**31)))
        network = NuisanceNetwork(
            n_inputs=x.shape[1], n_targets=wanted.shape[1], hidden=HIDDEN, dropout=DROPOUT
        )
    inputs, due, asked = (torch.as_tensor(rows, dtype=torch.float32) for rows in (x, wanted, query))
    inside = np.flatnonzero(~held)
    watched = torch.as_tensor(np.flatnonzero(held))

    def batches(epoch: int, step: int, rng: np.random.Generator) -> Rows:
        rows = torch.as_tensor(inside[rng.integers(inside.size, size=min(BATCH, inside.size))])
        return Rows({"x": inputs[rows], "y": due[rows]})

    def loss(batch: Rows, generator: torch.Generator) -> Loss:
        return Loss(_cost(network(batch["x"]), batch["y"], kind))

    def validate(epoch: int) -> dict[str, float]:
        return {"loss": float(_cost(network(inputs[watched]), due[watched], kind))}

    optimizer = torch.optim.AdamW(network.parameters(), lr=RATE, weight_decay=DECAY)
    epochs = MOST_STEPS // STEPS_PER_EPOCH
    schedule = Schedule(
        epochs=epochs if held.any() else epochs // 4, steps_per_epoch=STEPS_PER_EPOCH, rate="cosine",
        monitor="validation.loss" if held.any() else "", patience=PATIENCE if held.any() else None,
    )  # fmt: skip
    fit(players=[Player("nuisance", network, optimizer, loss)], batches=batches, schedule=schedule,
        seed=int(stream(seed, "dml_mlp_fit", number).integers(2**31)),
        validate=validate if held.any() else None, label="nuisance network")  # fmt: skip
    network.eval()
    with torch.no_grad():
        found = network(asked)
    return np.asarray((torch.sigmoid(found) if kind == "probability" else found).numpy(), dtype=np.float64)


def _cost(found: torch.Tensor, due: torch.Tensor, kind: Kind) -> torch.Tensor:
    import torch

    if kind == "probability":
        return torch.nn.functional.binary_cross_entropy_with_logits(found, due)
    return torch.nn.functional.mse_loss(found, due)


LEARNER = Learner(
    key="mlp",
    title="Neural network shared by all genes",
    reference="Farrell MH, Liang T, Misra S. Econometrica 89:181, 2021",
    doi="10.3982/ECTA16901",
    assumes="Confounders act smoothly, alone and together, and partly alike on many genes.",
    limits="Needs thousands of cells; confounders of donors have only as many values as donors.",
    fit_predict=fit_predict,
)
