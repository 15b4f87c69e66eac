"""PathwayLinear against what people write today: time in alternation, memory in child processes.

    python bench/pathway_linear.py [--quick] [--out FILE]

15,000 genes → 1,500 pathways, log-normal sizes 5–500 (about 1 % of the weights exist), float32, 2 threads.
Peers: dense weight × mask (P-NET, VEGA, expiMap), and torch's embedding_bag with its own gradients.
"""

from __future__ import annotations

import argparse
import json
import platform
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

import numpy as np
import torch

from consilience.pathways.layer import PathwayLinear
from consilience.pathways.wiring import Wiring, wire

THREADS = 2


class DenseTimesMask(torch.nn.Module):
    """The usual way: a dense weight, multiplied by a 0/1 mask at every call."""

    def __init__(self, ours: PathwayLinear) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(ours.to_dense().detach())
        self.bias = torch.nn.Parameter(ours.bias.detach().clone())
        self.register_buffer("mask", (self.weight != 0).float())

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Multiply weight and mask, then a dense product."""
        return torch.nn.functional.linear(x, self.weight * self.mask, self.bias)


class EmbeddingBag(torch.nn.Module):
    """Pure torch: pathways as bags of genes, gradients by torch."""

    def __init__(self, ours: PathwayLinear) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(ours.weight.detach().clone())
        self.bias = torch.nn.Parameter(ours.bias.detach().clone())
        self.member = torch.from_numpy(ours.wiring.member).long()
        self.start = torch.from_numpy(ours.wiring.start)[:-1]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """One bag per pathway, all samples at once."""
        bags = torch.nn.functional.embedding_bag(
            self.member, x.t().contiguous(), self.start, mode="sum", per_sample_weights=self.weight
        )
        return bags.t() + self.bias


def make_wiring(n_genes: int, n_pathways: int) -> Wiring:
    """Random membership with the sizes of real pathways."""
    rng = np.random.default_rng(0)
    middle = np.log(0.01 * n_genes * 0.72)
    sizes = np.clip(rng.lognormal(middle, 0.8, n_pathways), 5, n_genes // 30).astype(int)
    genes = [f"g{gene:05d}" for gene in range(n_genes)]
    members = [rng.choice(n_genes, size, replace=False) for size in sizes]
    names = [f"p{pathway:04d}" for pathway in range(n_pathways)]
    table = {
        "gene": [genes[gene] for found in members for gene in found],
        "pathway": [name for name, found in zip(names, members, strict=True) for _ in found],
    }
    return wire(table, genes=genes, pathways=names)


def one_pass(layer: torch.nn.Module, x: torch.Tensor, outer: torch.Tensor) -> float:
    """Seconds of one forward and backward."""
    layer.zero_grad(set_to_none=True)
    x.grad = None
    begin = time.perf_counter()
    layer(x).backward(outer)
    return time.perf_counter() - begin


def alternate(runs: dict[str, Callable[[], float]], repeats: int) -> dict[str, list[float]]:
    """Run all in turn, `repeats` times, after one warm-up."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    for round_number in range(repeats + 1):
        for name, run in runs.items():
            seconds = run()
            if round_number:
                times[name].append(seconds)
    return times


def compare(wiring: Wiring, batch: int, *, x_gradient: bool, sparse: bool, repeats: int) -> dict[str, float]:
    """Median milliseconds, and median ratio to dense × mask, pair by pair."""
    ours = PathwayLinear(wiring)
    dense, bags = DenseTimesMask(ours), EmbeddingBag(ours)
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(batch, len(wiring.genes), generator=generator)
    if sparse:
        x *= torch.rand(x.shape, generator=generator) < 0.05
    outer = torch.randn(batch, len(wiring.pathways), generator=generator)
    own = x.to_sparse_csr() if sparse else x.clone().requires_grad_(x_gradient)
    x.requires_grad_(x_gradient)
    runs: dict[str, Callable[[], float]] = {
        "dense": lambda: one_pass(dense, x, outer),
        "ours": lambda: one_pass(ours, own, outer),
        "bags": lambda: one_pass(bags, x, outer),
    }
    times = alternate(runs, repeats)
    pairs = {name: [d / t for d, t in zip(times["dense"], times[name], strict=True)] for name in times}
    true = dense(x).detach()
    return {
        **{f"{name}_ms": 1e3 * statistics.median(values) for name, values in times.items()},
        "ratio": statistics.median(pairs["ours"]),
        "ratio_low": min(pairs["ours"]),
        "ratio_high": max(pairs["ours"]),
        "bags_ratio": statistics.median(pairs["bags"]),
        "error": float((ours(own).detach() - true).abs().max() / true.abs().max()),
    }


def child(kind: str, n_genes: int, n_pathways: int, batch: int) -> None:
    """Peak memory of a few training steps of one layer, above the same process without a layer."""
    torch.set_num_threads(THREADS)
    ours = PathwayLinear(make_wiring(n_genes, n_pathways))
    x, outer = torch.randn(batch, n_genes), torch.randn(batch, n_pathways)
    # A first step before the measurement starts, so that compiler and thread pools are not counted.
    train(PathwayLinear(make_wiring(200, 20)), x[:, :200], outer[:, :20])
    before = resident("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # start the peak again from here
    train(DenseTimesMask(ours) if kind == "dense" else ours, x, outer)
    print(json.dumps({"before": before, "after": resident("VmHWM")}))


def train(layer: torch.nn.Module, x: torch.Tensor, outer: torch.Tensor) -> None:
    """Three steps of Adam."""
    optimiser = torch.optim.Adam(layer.parameters())
    for _ in range(3):
        optimiser.zero_grad()
        layer(x).backward(outer)
        optimiser.step()


def resident(name: str) -> float:
    """VmRSS (now) or VmHWM (peak) of this process in MiB (Linux)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(name))


def measure_memory(n_genes: int, n_pathways: int, batch: int) -> dict[str, float]:
    """Peak MiB above the start of training, each kind in its own process."""
    found = {}
    for kind in ("dense", "ours"):
        arguments = ["--child", kind, str(n_genes), str(n_pathways), str(batch)]
        done = subprocess.run(
            [sys.executable, __file__, *arguments], capture_output=True, text=True, check=True, timeout=600
        )
        peak = json.loads(done.stdout)
        found[kind] = peak["after"] - peak["before"]
    return found


def report(wiring: Wiring, *, batches: tuple[int, ...], repeats: int) -> list[str]:
    """The markdown table."""
    shape = f"{len(wiring.genes):,} → {len(wiring.pathways):,}, {wiring.n_weights:,} weights"
    density = wiring.n_weights / len(wiring.genes) / len(wiring.pathways)
    lines = [
        "# PathwayLinear against dense weight × mask",
        "",
        f"{datetime.now(tz=UTC):%Y-%m-%d}, {platform.machine()} CPU, {THREADS} threads, Python "
        f"{platform.python_version()}, torch {torch.__version__}, numpy {np.__version__}. "
        f"{shape} ({density:.2%}), float32, forward + backward, median of {repeats} in alternation.",
        "",
        "| batch | input | dense × mask | embedding_bag | ours | ours faster by (range) | bag by | error |",
        "|---|---|---|---|---|---|---|---|",
    ]
    cases = [("dense, no input gradient", False, False), ("dense, input gradient", True, False)]
    cases.append(("sparse 5 %", False, True))
    for batch in batches:
        for label, x_gradient, sparse in cases:
            got = compare(wiring, batch, x_gradient=x_gradient, sparse=sparse, repeats=repeats)
            lines.append(
                f"| {batch} | {label} | {got['dense_ms']:.1f} ms | {got['bags_ms']:.1f} ms "
                f"| {got['ours_ms']:.1f} ms | **{got['ratio']:.1f}×** ({got['ratio_low']:.1f}–"
                f"{got['ratio_high']:.1f}) | {got['bags_ratio']:.1f}× | {got['error']:.0e} |"
            )
            print(lines[-1], flush=True)
    lines += memory_lines(wiring, batches[0])
    return lines


def memory_lines(wiring: Wiring, batch: int) -> list[str]:
    """Memory, computed and measured."""
    n_genes, n_pathways = len(wiring.genes), len(wiring.pathways)
    dense = 6 * 4 * n_genes * n_pathways / 2**20
    ours = (4 * 4 + 16) * wiring.n_weights / 2**20
    peak = measure_memory(n_genes, n_pathways, batch)
    return [
        "",
        "| memory | dense × mask | ours | ratio |",
        "|---|---|---|---|",
        "| computed: weight (+ mask, product or 16 bytes of index), gradient, two Adam moments "
        f"| {dense:.0f} MiB | {ours:.1f} MiB | {dense / ours:.0f}× |",
        f"| measured: peak RSS of three Adam steps at batch {batch}, above the same process before them "
        f"| {peak['dense']:.0f} MiB | {peak['ours']:.0f} MiB | {peak['dense'] / max(1, peak['ours']):.0f}× |",
    ]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="a fifth of the size, three repeats")
    parser.add_argument("--out", type=Path, help="write the table here as well")
    parser.add_argument("--child", nargs=4, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        child(given.child[0], *map(int, given.child[1:]))
        return
    torch.set_num_threads(THREADS)
    warnings.filterwarnings("ignore", "Sparse CSR tensor support is in beta")
    wiring = make_wiring(3_000, 300) if given.quick else make_wiring(15_000, 1_500)
    lines = report(wiring, batches=(256,) if given.quick else (256, 1024), repeats=3 if given.quick else 9)
    text = "\n".join(lines) + "\n"
    print(text)
    if given.out:
        given.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
