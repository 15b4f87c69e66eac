"""Training of the RNAGAN discriminator: samples/s with PathwayLinear and with dense masked layers.

    python bench/rnagan_training.py [--quick] [--out FILE] [--device cuda]

The same network (published preset, 15,000 genes, 1,500 pathways of log-normal sizes 5–500), the same first weights,
the same episodes (8 a step, each 16 queries and 20 references of both kinds: 448 samples), whole steps: forward,
loss, backward, Adam. Both take turns in one run. The peer multiplies a dense weight by the mask at every call.
"""

from __future__ import annotations

import argparse
import copy
import platform
import statistics
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

import torch
from pathway_linear import DenseTimesMask, alternate, make_wiring

from consilience.rnagan.networks.published_network import PublishedDiscriminator
from consilience.rnagan.presets import PUBLISHED
from consilience.rnagan.published_losses import discriminator_loss

THREADS = 2
EPISODES, QUERIES, REFERENCES = 8, 16, 20
SAMPLES = EPISODES * (QUERIES + 2 * REFERENCES)


class MaskedDense(DenseTimesMask):
    """The peer without a bias, as the published layer has none."""

    def __init__(self, ours: torch.nn.Module) -> None:
        torch.nn.Module.__init__(self)
        self.weight = torch.nn.Parameter(ours.to_dense().detach().clone())
        self.bias = None
        self.register_buffer("mask", (self.weight != 0).float())


class Training:
    """One network and its optimiser."""

    def __init__(self, discriminator: PublishedDiscriminator, batch: dict[str, torch.Tensor]) -> None:
        self.discriminator, self.batch = discriminator.train(), batch
        self.optimiser = torch.optim.Adam(discriminator.parameters(), lr=1e-3)
        self.losses: list[float] = []

    def step(self) -> float:
        """Seconds of one step."""
        begin = time.perf_counter()
        self.optimiser.zero_grad(set_to_none=True)
        loss = discriminator_loss(self.discriminator, **self.batch)
        loss.backward()
        self.optimiser.step()
        self.losses.append(loss.item())  # waits for a GPU as well
        return time.perf_counter() - begin


def make_batch(n_genes: int, device: str) -> dict[str, torch.Tensor]:
    """Episodes of random samples with a third of zeros, on the log scale."""
    generator = torch.Generator().manual_seed(1)

    def samples(n: int) -> torch.Tensor:
        values = 4 * torch.rand(EPISODES, n, n_genes, generator=generator)
        return (values * (torch.rand(values.shape, generator=generator) < 0.67)).to(device)

    labels = (torch.arange(QUERIES) % 2 == 0).repeat(EPISODES, 1).to(device)
    return {
        "query": samples(QUERIES), "labels": labels, "positive": samples(REFERENCES), "negative": samples(REFERENCES),
    }  # fmt: skip


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="a fifth of the size, three repeats")
    parser.add_argument("--out", type=Path, help="write the table here as well")
    parser.add_argument("--device", default="cpu")
    given = parser.parse_args()
    torch.set_num_threads(THREADS)
    wiring = make_wiring(3_000, 300) if given.quick else make_wiring(15_000, 1_500)
    # no dropout: both networks then compute the same, and their losses can be compared
    ours = PublishedDiscriminator(replace(PUBLISHED, dropout=0.0), wiring, seed=1)
    dense = copy.deepcopy(ours)
    dense.inputs.layer = MaskedDense(ours.inputs.layer)
    batch = make_batch(len(wiring.genes), given.device)
    runs = {
        "dense": Training(dense.to(given.device), batch),
        "ours": Training(ours.to(given.device), batch),
    }
    times = alternate({name: run.step for name, run in runs.items()}, 3 if given.quick else 9)
    pairs = [d / o for d, o in zip(times["dense"], times["ours"], strict=True)]
    middle = {name: statistics.median(values) for name, values in times.items()}
    gap = abs(runs["dense"].losses[0] - runs["ours"].losses[0])
    device = torch.cuda.get_device_name() if given.device == "cuda" else f"CPU, {THREADS} threads"
    lines = [
        "# Training the RNAGAN discriminator",
        "",
        f"{datetime.now(tz=UTC):%Y-%m-%d}, {platform.machine()}, {device}, torch {torch.__version__}; "
        f"{len(wiring.genes):,} genes, {len(wiring.pathways):,} pathways, {wiring.n_weights:,} weights; "
        f"{SAMPLES} samples a step, float32, median of {len(pairs)} steps in alternation.",
        "",
        "| pathway layer | s per step | samples/s | faster by (range) | first loss differs by |",
        "|---|---|---|---|---|",
        f"| dense × mask | {middle['dense']:.3f} | {SAMPLES / middle['dense']:.0f} | 1× | |",
        f"| PathwayLinear | {middle['ours']:.3f} | {SAMPLES / middle['ours']:.0f} "
        f"| **{statistics.median(pairs):.1f}×** ({min(pairs):.1f}–{max(pairs):.1f}) | {gap:.0e} |",
    ]
    text = "\n".join(lines) + "\n"
    print(text)
    if given.out:
        given.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
