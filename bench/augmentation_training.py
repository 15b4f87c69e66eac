"""Training of the published autoencoder: our loop against the published one, written again plainly, in one run.

    python bench/augmentation_training.py [--quick] [--out FILE] [--epochs N]

96 samples × 20,000 genes, the published sizes, loss, optimiser, batches of 32, a fifth for validation after every
epoch. Both train the same number of epochs in alternation, each from the same first weights. Ours parts donors
between training and validation, checks every loss, gradient and weight, can go back an epoch when a loss is not
finite, and really keeps the weights it says; the plain loop does none of this (its "best" weights are the last).
The optimiser is the same formula, in ours as one fused pass. CPU seconds stand beside those of the clock, as a
shared machine stretches the latter.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

import numpy as np
import torch

from consilience.augment.generators import published_vae_training as ours
from consilience.augment.generators.published_vae import _network
from consilience.augment.generators.unlabelled import Cohort, prepare
from consilience.learning.samples import Samples

PUBLISHED_EPOCHS = 1_000


def cohort(n_genes: int, n: int = 96) -> Cohort:
    """Skewed values, two classes, each sample a donor."""
    random = np.random.default_rng(1)
    sick = np.arange(n) % 2 == 0
    level = random.normal(size=(n, 8)) @ random.normal(size=(8, n_genes)) * 0.4
    level += random.normal(size=(n, n_genes)) * 0.5 + random.uniform(-1, 9, n_genes)
    level += sick[:, None] * (random.random(n_genes) < 0.05)
    names = np.array([f"S{k:03d}" for k in range(n)])
    genes = tuple(f"G{k}" for k in range(n_genes))
    labels = np.where(sick, "sick", "well")
    values = np.maximum(level, 0).astype(np.float32)
    return prepare(Samples(values, genes, names, labels, names, np.full(n, ""), "log1p_cpm"))


def plain_loop(made: Cohort, *, epochs: int) -> list[float]:
    """As the published code trains: loaders, summed losses, scheduler on the validation loss; its losses."""
    from torch.utils.data import DataLoader, TensorDataset

    network = _network(len(made.genes), "main", seed=1)
    seen, validation = ours._parted(made, ours.RECIPES["main"], 1)
    torch.manual_seed(1)
    loader = DataLoader(TensorDataset(seen), batch_size=32, shuffle=True)
    aside = DataLoader(TensorDataset(validation), batch_size=32)
    adam = torch.optim.Adam(network.parameters(), lr=1e-4)
    scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(adam, factor=0.5, patience=30)

    def loss_of(x: torch.Tensor) -> torch.Tensor:
        mean, log_variance = network.encode(x)
        again = network.decode(mean + torch.randn_like(mean) * torch.exp(0.5 * log_variance))
        divergence = -0.5 * torch.sum(1 + log_variance - mean.pow(2) - log_variance.exp())
        return torch.nn.functional.mse_loss(again, x, reduction="sum") + 0.005 * divergence

    losses = []
    for _ in range(epochs):
        network.train()
        for (x,) in loader:
            adam.zero_grad()
            loss = loss_of(x)
            loss.backward()
            adam.step()
        network.eval()
        with torch.no_grad():
            total = sum(float(loss_of(x)) for (x,) in aside)
        losses.append(total / len(validation))
        scheduler.step(losses[-1])
    return losses


def our_loop(made: Cohort, *, epochs: int, keep: str) -> list[float]:
    """Through `learning.fit`; first and last validation loss."""
    network = _network(len(made.genes), "main", seed=1)
    told = ours.train(network, made, ours.RECIPES["main"], epochs=epochs, keep=keep, seed=1, device="cpu")
    if told["epochs"] != epochs:
        raise SystemExit(f"it stopped after {told['epochs']} epochs: nothing to compare")
    return [told["first_loss"], told["last_loss"]]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="a tenth of the genes")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--epochs", type=int, default=8, help="epochs of each repeat")
    parser.add_argument("--out", type=Path, help="write the table here as well")
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    made = cohort(2_000 if given.quick else 20_000)
    runs: dict[str, Callable[[], list[float]]] = {
        "published loop": lambda: plain_loop(made, epochs=given.epochs),
        "ours, weights `last`": lambda: our_loop(made, epochs=given.epochs, keep="last"),
        "ours, weights `best`": lambda: our_loop(made, epochs=given.epochs, keep="best"),
    }
    seconds: dict[str, list[float]] = {name: [] for name in runs}
    clock: dict[str, list[float]] = {name: [] for name in runs}
    losses: dict[str, list[float]] = {}
    plain_loop(made, epochs=1)  # what is imported and compiled at first use counts for nobody
    for _ in range(given.repeats):
        for name, run in runs.items():
            begin, begin_cpu = time.perf_counter(), time.process_time()
            losses[name] = run()
            clock[name].append(time.perf_counter() - begin)
            seconds[name].append(time.process_time() - begin_cpu)
    seen = len(ours._parted(made, ours.RECIPES["main"], 1)[0])
    first = next(iter(runs))
    lines = [
        "# Training the published autoencoder",
        "",
        f"{datetime.now(tz=UTC):%Y-%m-%d}, {platform.machine()}, CPU, {given.threads} threads, torch {torch.__version__};"
        f" {len(made.shares)} samples ({seen} trained on) × {len(made.genes):,} genes, {given.epochs} epochs, whole"
        " training with set-up, float32, median of runs in alternation.",
        "",
        f"| loop | CPU s per epoch | samples per CPU s | CPU s for {PUBLISHED_EPOCHS} epochs | s per epoch by the"
        " clock | CPU time over the published loop's (range)"
        " | validation loss, first → last epoch |",
        "|---|---|---|---|---|---|---|",
    ]
    for name in runs:
        middle = statistics.median(seconds[name]) / given.epochs
        ratios = [a / b for a, b in zip(seconds[name], seconds[first], strict=True)]
        lines.append(
            f"| {name} | {middle:.2f} | {seen / middle:.0f} | {middle * PUBLISHED_EPOCHS:.0f}"
            f" | {statistics.median(clock[name]) / given.epochs:.2f}"
            f" | {statistics.median(ratios):.2f}× ({min(ratios):.2f}–{max(ratios):.2f})"
            f" | {losses[name][0]:.0f} → {losses[name][-1]:.0f} |"
        )
    there = "is" if find_spec("scvi") else "is not"
    lines += ["", f"scvi-tools {there} installed here, and was not measured."]
    text = "\n".join(lines) + "\n"
    print(text)
    if given.out:
        given.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
