"""Streaming quality control against scanpy: seconds and peak memory at growing numbers of cells.

Counted on both sides, from an h5ad file of raw counts (5,000 genes, about 250 entries a cell, uncompressed):
QC metrics of every cell (counts, genes, mitochondrial share); removal of cells with few genes and of genes in
few cells; library-size normalisation and log1p with the counts kept; highly variable genes ('seurat').
`analysis` stops there; `written` also writes the kept counts and the log-normalised matrix (ours above 50,000
cells: the counts and a factor per cell, as the workflow does; up to there both). Imports and compilation are
not counted in the time; everything is counted in the peak memory of the process. Each row is a process of its
own, the best of three runs. Neither side scores doublets here.

    python bench/streaming_qc.py [--quick]
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))
N_GENES, PER_CELL, TARGET, N_TOP, MIN_GENES, MIN_CELLS, N_MT = 5000, 250, 1e4, 2000, 100, 10, 13
STREAM_ABOVE = 50_000


def make(path: Path, n_cells: int) -> None:
    """Write a plausible sparse count matrix block by block."""
    from scipy import sparse

    from consilience.expression.h5ad_writer import CellsWriter

    rng = np.random.default_rng(7)
    profile = rng.lognormal(0.0, 1.6, N_GENES)
    cumulative = np.cumsum(profile / profile.sum())
    with CellsWriter(path, n_genes=N_GENES, largest=2**17, most_entries=0, with_x=False) as writer:
        for start in range(0, n_cells, 4096):
            size = min(4096, n_cells - start)
            depth = rng.poisson(PER_CELL * 1.9 * rng.lognormal(0, 0.3, size))
            genes = np.searchsorted(cumulative, rng.random(int(depth.sum())))
            rows = np.repeat(np.arange(size), depth)
            ones = np.ones(genes.size, dtype=np.int32)
            writer.append(
                sparse.coo_matrix((ones, (rows, np.minimum(genes, N_GENES - 1))), (size, N_GENES)).tocsr(),
                None,
            )
        names = tuple(f"MT-{k}" if k < N_MT else f"G{k}" for k in range(N_GENES))
        writer.finish(
            obs_names=np.array([b"c%d" % k for k in range(n_cells)]),
            obs={},
            var_names=names,
            var={},
            uns={},
            varm={},
        )
    _as_scanpy_reads_it(path)


def _as_scanpy_reads_it(path: Path) -> None:
    """Move the counts to X as float32, uncompressed: quick to read for both sides."""
    import h5py

    plain = path.with_suffix(".tmp")
    with h5py.File(path) as old, h5py.File(plain, "w") as new:
        for key in ("obs", "var", "uns"):
            old.copy(key, new)
        new.attrs.update(old.attrs)
        group, source = new.create_group("X"), old["layers/counts"]
        group.attrs.update(source.attrs)
        for name, kind in (("data", "f4"), ("indices", "i4"), ("indptr", "i4")):
            target = group.create_dataset(name, shape=source[name].shape, dtype=kind)
            for start in range(0, source[name].shape[0], 1 << 22):
                target[start : start + (1 << 22)] = source[name][start : start + (1 << 22)]
    plain.replace(path)


def ours(path: Path, out: Path | None) -> dict[str, float]:
    """The passes of the library."""
    from consilience.expression.h5ad_writer import CellsWriter
    from consilience.expression.highly_variable import highly_variable
    from consilience.expression.stream import GeneColumns, accumulate_genes, cells_of_genes, measure_cells
    from consilience.sources.cells.h5ad import open_h5ad

    _warm_up()
    started = time.perf_counter()
    matrix = open_h5ad(path)
    genes = GeneColumns(np.arange(N_GENES), N_GENES)
    mitochondrial = np.array([name.startswith("MT-") for name in matrix.genes])
    metrics = measure_cells(source=matrix.counts, mitochondrial=mitochondrial)
    kept = metrics.n_genes >= MIN_GENES
    cells = cells_of_genes(source=matrix.counts, metrics=metrics, kept=kept, genes=genes)
    genes = genes.keep(cells >= MIN_CELLS)
    groups = np.zeros(matrix.n_cells, dtype=np.int32)
    common = {
        "source": matrix.counts,
        "kept": kept,
        "genes": genes,
        "groups": groups,
        "n_groups": 1,
        "target_sum": TARGET,
    }
    if out is None:
        moments = accumulate_genes(**common)
        found = highly_variable(mean=moments.mean, variance=moments.variance, n_top=N_TOP)
    else:
        with_x = matrix.n_cells <= STREAM_ABOVE
        with CellsWriter(
            out,
            n_genes=genes.n_genes,
            largest=metrics.largest,
            most_entries=int(metrics.n_genes.sum()),
            with_x=with_x,
        ) as writer:
            moments = accumulate_genes(**common, sink=writer.append, with_log=with_x)
            found = highly_variable(mean=moments.mean, variance=moments.variance, n_top=N_TOP)
            obs = {"total_counts": metrics.totals[kept], "size_factor": moments.size_factors}
            names = tuple(np.array(matrix.genes, dtype=object)[cells >= MIN_CELLS])
            writer.finish(obs_names=matrix.barcodes[kept], obs=obs, var_names=names,
                          var={"highly_variable": found.selected}, uns={}, varm={})  # fmt: skip
    return {"seconds": time.perf_counter() - started, "sum_of_means": float(moments.log_mean.sum()),
            "n_cells": int(kept.sum()), "n_genes": genes.n_genes, "hvg": int(found.selected.sum()),
            "hvg_key": int(np.flatnonzero(found.selected).sum())}  # fmt: skip


def _warm_up() -> None:
    """Load the compiled loops (kept on disk after the first run)."""
    from scipy import sparse

    from consilience.expression.stream import GeneColumns, accumulate_genes, cells_of_genes, measure_cells
    from consilience.sources.cells.matrix import MemoryCounts

    tiny = MemoryCounts(sparse.csr_matrix(np.eye(3, dtype=np.int32)))
    metrics = measure_cells(source=tiny, mitochondrial=np.zeros(3, dtype=bool))
    kept = np.array([True, True, False])
    genes = GeneColumns(np.arange(3), 3)
    cells_of_genes(source=tiny, metrics=metrics, kept=kept, genes=genes)
    accumulate_genes(
        source=tiny, kept=kept, genes=genes, groups=np.zeros(3, np.int32), n_groups=1, target_sum=1.0
    )


def scanpy_way(path: Path, out: Path | None) -> dict[str, float]:
    """The same steps as scanpy's tutorial writes them."""
    import anndata
    import scanpy as sc
    from scipy import sparse

    small = anndata.AnnData(
        sparse.csr_matrix(np.random.default_rng(1).poisson(1.0, (200, 50)).astype(np.float32))
    )
    sc.pp.calculate_qc_metrics(small, percent_top=None, inplace=True)  # compiles
    sc.pp.normalize_total(small)
    sc.pp.log1p(small)
    sc.pp.highly_variable_genes(small, n_top_genes=5)
    started = time.perf_counter()
    data = anndata.read_h5ad(path)
    data.var["mt"] = data.var_names.str.startswith("MT-")
    sc.pp.calculate_qc_metrics(data, qc_vars=["mt"], percent_top=None, log1p=False, inplace=True)
    sc.pp.filter_cells(data, min_genes=MIN_GENES)
    sc.pp.filter_genes(data, min_cells=MIN_CELLS)
    data.layers["counts"] = data.X.copy()
    sc.pp.normalize_total(data, target_sum=TARGET)
    sc.pp.log1p(data)
    sc.pp.highly_variable_genes(data, n_top_genes=N_TOP)
    if out is not None:
        data.write_h5ad(out, compression="gzip", compression_opts=1)
    seconds = time.perf_counter() - started
    means = np.asarray(data.X.mean(axis=0, dtype=np.float64)).ravel()
    selected = data.var["highly_variable"].to_numpy()
    return {
        "seconds": seconds,
        "sum_of_means": float(means.sum()),
        "n_cells": data.n_obs,
        "n_genes": data.n_vars,
        "hvg": int(selected.sum()),
        "hvg_key": int(np.flatnonzero(selected).sum()),
    }


def child(side: str, task: str, path: Path, out: Path) -> None:
    """One measurement, printed as JSON."""
    target = out if task == "written" else None
    found = ours(path, target) if side == "ours" else scanpy_way(path, target)
    found["peak_gb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    if target:
        found["file_mb"] = target.stat().st_size / 1e6
        target.unlink()
    print(json.dumps(found))


def measure(side: str, task: str, path: Path, repeats: int) -> dict[str, float]:
    """The best time and its memory of some runs, each in a fresh process."""
    runs = []
    for _ in range(repeats):
        with tempfile.TemporaryDirectory() as folder:
            command = [
                sys.executable,
                __file__,
                "--child",
                side,
                task,
                str(path),
                str(Path(folder) / "out.h5ad"),
            ]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
        runs.append(json.loads(done.stdout.strip().splitlines()[-1]))
    return min(runs, key=lambda run: run["seconds"])


def table(sizes: list[int], repeats: int) -> str:
    """Measure everything and give it as a markdown table."""
    header = (
        "task", "cells", "scanpy s", "ours s", "ratio", "scanpy peak GB", "ours peak GB", "ratio",
        "file MB scanpy / ours", "mean of log1p, rel. difference", "same variable genes",
    )  # fmt: skip
    lines = [f"| {' | '.join(header)} |", "|---" * len(header) + "|"]
    with tempfile.TemporaryDirectory() as folder:
        for n in sizes:
            path = Path(folder) / "cells.h5ad"
            make(path, n)
            for task in ("analysis", "written"):
                peer, own = (measure(side, task, path, repeats) for side in ("scanpy", "ours"))
                if (peer["n_cells"], peer["n_genes"]) != (own["n_cells"], own["n_genes"]):
                    raise SystemExit(f"not the same work: {peer} {own}")
                difference = abs(own["sum_of_means"] / peer["sum_of_means"] - 1)
                files = f"{peer['file_mb']:.0f} / {own['file_mb']:.0f}" if task == "written" else ""
                same = "yes" if peer["hvg_key"] == own["hvg_key"] else "no"
                row = (
                    task, f"{n:,}", f"{peer['seconds']:.2f}", f"{own['seconds']:.2f}",
                    f"{peer['seconds'] / own['seconds']:.1f}x",
                    f"{peer['peak_gb']:.2f}", f"{own['peak_gb']:.2f}",
                    f"{peer['peak_gb'] / own['peak_gb']:.1f}x", files, f"{difference:.0e}", same,
                )  # fmt: skip
                lines.append(f"| {' | '.join(row)} |")
                print(lines[-1], flush=True)
    return "\n".join(lines)


def setting() -> str:
    """When, where and with which versions."""
    import os
    import platform
    from datetime import UTC, datetime
    from importlib.metadata import version

    packages = ", ".join(
        f"{name} {version(name)}" for name in ("scanpy", "anndata", "numpy", "numba", "h5py")
    )
    day = datetime.now(tz=UTC).date()
    return f"{day}, {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, {packages}."


def main() -> None:
    """Run the bench and write its table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="5,000 and 20,000 cells, once")
    parser.add_argument("--child", nargs=4, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        side, task, path, out = given.child
        child(side, task, Path(path), Path(out))
        return
    found = table(
        [5_000, 20_000] if given.quick else [50_000, 100_000, 200_000], repeats=1 if given.quick else 3
    )
    print(f"{setting()}\n")
    print(found)


if __name__ == "__main__":
    main()
