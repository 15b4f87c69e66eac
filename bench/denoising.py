"""Denoising: a training step against the plain way, and growth with the number of cells.

    python bench/denoising.py [--quick] [--device cuda] [--cells 10000 50000 100000]

Step: the same network, weights, batch (128 cells, 2,000 genes, about 90 % zeros), optimiser; ours has the
likelihood with gradients in closed form and gamma functions for counts above 0 alone, the plain way is the
formula in torch as it stands in a textbook. Both take turns in one run.
Growth: whole runs (3 folds, latents, donors' levels, figures) on simulated cells in the streamed form, one
process each; the largest memory is the process's own.
"""

from __future__ import annotations

import argparse
import copy
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

import numpy as np
import torch

GENES, BATCH, DENSITY = 2_000, 128, 0.1
DONORS = 20


def plain_negative_binomial(log_mean, log_size, counts):
    """The textbook formula, dense."""
    size, mean = torch.exp(log_size), torch.exp(log_mean)
    return (
        torch.lgamma(counts + size) - torch.lgamma(size) - torch.lgamma(counts + 1)
        + size * torch.log(size / (size + mean)) + counts * torch.log(mean / (size + mean))
    ).sum(dim=1)  # fmt: skip


def network_and_batch(device):
    """A network of the default sizes and one batch."""
    from consilience.causal.denoising.vae_network import DenoisingNetwork

    torch.manual_seed(0)
    network = DenoisingNetwork(
        n_genes=GENES, latent=16, n_batches=2, n_donors=DONORS, donor_size=8, wiring=None
    )
    rng = np.random.default_rng(0)
    counts = rng.poisson(rng.gamma(0.3, 0.5, (BATCH, GENES)))
    with torch.no_grad():
        network.level.fill_(float(np.log(counts.mean())))
    batch = {
        "counts": torch.as_tensor(counts, dtype=torch.float32), "size": torch.ones(BATCH),
        "batch": torch.zeros(BATCH, dtype=torch.long), "donor": torch.arange(BATCH) % DONORS,
        "warm": torch.ones(BATCH),
    }  # fmt: skip
    return network.to(device), {name: tensor.to(device) for name, tensor in batch.items()}


def steps(device, seconds):
    """Milliseconds of a step (forward, backward, Adam): ours and plain, taking turns."""
    from consilience.causal.denoising import vae_network
    from consilience.causal.denoising.training import negative_bound

    ours, batch = network_and_batch(device)
    plain = copy.deepcopy(ours)
    optimisers = [torch.optim.Adam(one.parameters(), 1e-3) for one in (ours, plain)]
    kept = vae_network.negative_binomial
    found, values = ([], []), ([], [])
    until = time.perf_counter() + seconds
    while time.perf_counter() < until or len(found[1]) < 5:
        for place, (one, formula) in enumerate(((ours, kept), (plain, plain_negative_binomial))):
            vae_network.negative_binomial = formula
            noise = torch.Generator(device=device).manual_seed(len(found[place]))
            begin = time.perf_counter()
            optimisers[place].zero_grad(set_to_none=True)
            cost = negative_bound(one, batch, noise).mean() / GENES
            cost.backward()
            optimisers[place].step()
            values[place].append(cost.item())
            found[place].append(1e3 * (time.perf_counter() - begin))
    vae_network.negative_binomial = kept
    apart = max(abs(a - b) for a, b in zip(*values, strict=True))
    mine, other = (statistics.median(times[2:]) for times in found)
    print(f"step on {device}: ours {mine:.1f} ms, plain {other:.1f} ms, {other / mine:.1f}x; "
          f"losses differ by at most {apart:.1e}")  # fmt: skip


def write_cells(path, n):
    """N cells of 20 donors in the streamed form, written block by block."""
    from scipy import sparse

    from consilience.expression.h5ad_writer import CellsWriter
    from consilience.sources.cells.matrix import Labels

    rng = np.random.default_rng(1)
    rate, types = rng.gamma(0.3, 0.5, GENES), rng.normal(0, 0.7, (4, GENES))
    profile = (rate * np.exp(types)).astype(np.float32)
    kind, total = rng.integers(4, size=n), np.zeros(GENES)
    with CellsWriter(path, n_genes=GENES, largest=1000, most_entries=n * GENES, with_x=False) as writer:
        for first in range(0, n, 2_000):
            block = sparse.csr_matrix(rng.poisson(profile[kind[first : first + 2_000]]).astype(np.int32))
            total += np.asarray(block.sum(axis=0)).ravel()
            writer.append(block, None)
        code = (np.arange(n) * DONORS // n).astype(np.int32)
        writer.finish(
            obs_names=np.array([f"c{place:07d}".encode() for place in range(n)]),
            obs={"donor": Labels(code, tuple(f"D{one:02d}" for one in range(DONORS))),
                 "batch": Labels(code % 2, ("b0", "b1")),
                 "cell_type": Labels(kind.astype(np.int32), ("a", "b", "c", "d")), "size_factor": np.ones(n)},
            var_names=tuple(f"G{gene:05d}" for gene in range(GENES)),
            var={"total_counts": total, "dispersions_norm": profile.var(axis=0).astype(np.float64)},
            uns={}, varm={},
        )  # fmt: skip


def one_run(path, device, effort):
    """A whole run; prints seconds and the largest memory."""
    from consilience.causal.denoising.study import write_denoised
    from consilience.study.causal import DenoisingSection

    torch.set_num_threads(1)
    begin = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        write_denoised(path, out_dir=Path(folder), settings=DenoisingSection(pathways="none", genes=0, effort=effort),
                       pathways=None, seed=1, gpus=int(device != "cpu"))  # fmt: skip
        record = json.loads((Path(folder) / "denoising.json").read_text())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{record['n_cells']:>8,} cells: {time.perf_counter() - begin:6.1f} s, {time.process_time():6.1f} s of CPU, {peak:6.0f} MB"
    )


def main():
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--cells", type=int, nargs="*", default=[10_000, 50_000, 100_000])
    parser.add_argument("--effort", type=float, default=1.0)
    parser.add_argument("--run", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.run:
        one_run(asked.run, asked.device, asked.effort)
        return
    torch.set_num_threads(1)
    steps(asked.device, 2 if asked.quick else 15)
    for n in [4_000] if asked.quick else asked.cells:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "cells.h5ad"
            write_cells(path, n)
            subprocess.run(
                [
                    sys.executable,
                    __file__,
                    "--run",
                    str(path),
                    "--device",
                    asked.device,
                    "--effort",
                    str(asked.effort),
                ],
                check=True,
            )


if __name__ == "__main__":
    main()
