"""The simulator: cells per second and peak memory by number of cells, and the count model beside dense numpy.

    python bench/simulator.py [cells ...] [--genes 2000] [--threads 2] [--format h5ad]

Each size runs in a process of its own, so that its peak memory is its own. Prints markdown.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))
DONORS = 20


def main() -> None:
    """Run all sizes and print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("cells", nargs="*", type=int, default=[20_000, 50_000, 100_000])
    parser.add_argument("--genes", type=int, default=2_000)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--format", default="h5ad", choices=["h5ad", "10x"])
    parser.add_argument("--one", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        write_one(options.one, options.cells[0], options)
        return
    print("| negative binomial counts of 512 cells, one thread | genes | ns per entry |")
    print("|---|---|---|")
    for n_genes in (2_000, 10_000):
        count_model(n_genes)
    print()
    print("| cells | genes | format | threads | seconds | cells/s | peak memory | file |")
    print("|---|---|---|---|---|---|---|---|")
    for n_cells in options.cells:
        with tempfile.TemporaryDirectory() as folder:
            command = [sys.executable, __file__, str(n_cells), "--genes", str(options.genes), "--one", folder]
            command += ["--threads", str(options.threads), "--format", options.format]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            seconds, peak, size = map(float, done.stdout.split())
        print(
            f"| {n_cells:,} | {options.genes:,} | {options.format} | {options.threads} | {seconds:.1f} "
            f"| {n_cells / seconds:,.0f} | {peak:.0f} MiB | {size:.0f} MB |",
            flush=True,
        )


def write_one(folder: Path, n_cells: int, options: argparse.Namespace) -> None:
    """Write one cohort; print seconds, peak memory in MiB, size in MB."""
    import resource

    from consilience.simulate.cohort import write_cohort
    from consilience.simulate.truth import write_truth
    from consilience.study.cohorts import Cohort
    from consilience.study.sections import SimulatedCells, SimulationSection

    sizes = SimulatedCells(n_case=DONORS // 2, n_control=DONORS // 2, cells_per_donor=n_cells // DONORS)
    settings = SimulationSection(n_genes=options.genes, single_cell=sizes)
    write_truth(settings=settings, seed=1, out_dir=folder / "truth")
    started = time.monotonic()
    write_cohort(
        cohort=Cohort("cells", "single_cell", "simulated", options.format),
        settings=settings,
        seed=1,
        truth_dir=folder / "truth",
        served_dir=folder / "served",
        samples_path=folder / "samples.parquet",
        threads=options.threads,
    )
    seconds = time.monotonic() - started
    size = sum(path.stat().st_size for path in (folder / "served").rglob("*") if path.is_file())
    print(seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, size / 1e6)


def count_model(n_genes: int) -> None:
    """Time the sparse draw beside numpy's dense negative binomial on the same means."""
    import numpy as np

    from consilience.simulate.counts import draw_counts

    rng = np.random.default_rng(1)
    profile = np.exp(rng.normal(0, 1.6, n_genes))
    depth = 55 * np.sqrt(n_genes) * np.exp(rng.normal(0, 0.35, (512, 1)))
    mean = depth * profile / profile.sum()
    dispersion = np.full(n_genes, 0.2)
    small = mean.astype(np.float32)
    ours, theirs = [], []
    for _ in range(5):
        started = time.perf_counter()
        draw_counts(mean=small, dispersion=dispersion, rng=rng)
        middle = time.perf_counter()
        rng.negative_binomial(1 / dispersion, 1 / (1 + mean * dispersion))
        ours.append(middle - started)
        theirs.append(time.perf_counter() - middle)
    cells = mean.size
    ratio = f"{min(theirs) / min(ours):.1f} times as fast"
    print(f"| numpy `negative_binomial`, dense | {n_genes:,} | {min(theirs) / cells * 1e9:.1f} |")
    print(f"| `draw_counts`, {ratio} | {n_genes:,} | {min(ours) / cells * 1e9:.1f} |")


if __name__ == "__main__":
    main()
