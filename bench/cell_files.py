"""A single-cell file of up to a million cells: parsed and prepared by the workflow, against plain scanpy.

The file is a 10x .h5 as Cell Ranger writes them (10,000 genes, about 400 entries a cell, not compressed).
Ours is the whole stage `prepare` on it: digests of the raw folder, parsing, genes named, limits within the
sample, normalisation, variable genes, and an expression file written and read back (doublets are left out:
scanpy's side has none). The peer is scanpy as its tutorial writes it: read_10x_h5, metrics, filters on genes and
cells, normalize_total, log1p with the counts kept, highly_variable_genes, write. Above 50,000 cells ours writes the
counts and a factor per cell, scanpy the counts and X. Each measurement is a process of
its own: seconds without imports, and the peak memory of the process.

    python bench/cell_files.py [--quick]
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
N_GENES, PER_CELL, BLOCK, N_BLOCKS = 10_000, 400, 5000, 8
TARGET, N_TOP, MIN_GENES, MIN_CELLS = 1e4, 2000, 100, 10


def make(path: Path, n_cells: int) -> None:
    """Write a 10x .h5 (Cell Ranger 3): blocks of cells drawn once and repeated."""
    import h5py
    from scipy import sparse

    from consilience.expression.gene_table import load_gene_table

    rng = np.random.default_rng(7)
    table = load_gene_table()
    names = [*table.mitochondrial[:13], *table.symbols_of(gene_type="protein_coding")[: N_GENES - 13]]
    cumulative = np.cumsum(rng.lognormal(0.0, 1.6, N_GENES))
    blocks = []
    for _ in range(N_BLOCKS):
        depth = rng.poisson(PER_CELL * 1.2 * rng.lognormal(0, 0.3, BLOCK))
        genes = np.searchsorted(cumulative / cumulative[-1], rng.random(int(depth.sum())))
        rows = np.repeat(np.arange(BLOCK), depth)
        ones = np.ones(genes.size, dtype=np.int32)
        blocks.append(
            sparse.coo_matrix((ones, (rows, np.minimum(genes, N_GENES - 1))), (BLOCK, N_GENES)).tocsr()
        )
    used = [blocks[k % N_BLOCKS] for k in range(n_cells // BLOCK)]
    n_entries = sum(block.nnz for block in used)
    with h5py.File(path, "w") as file:
        group = file.create_group("matrix")
        for name in ("data", "indices"):
            target = group.create_dataset(name, shape=(n_entries,), dtype=np.int32, chunks=(1 << 17,))
            done = 0
            for block in used:
                target[done : done + block.nnz] = getattr(block, name)
                done += block.nnz
        sizes = np.concatenate([[0], *(np.diff(block.indptr) for block in used)])
        group["indptr"] = np.cumsum(sizes, dtype=np.int64)
        group["shape"] = np.array([N_GENES, n_cells])
        group["barcodes"] = np.array([b"CELL%07d-1" % k for k in range(n_cells)])
        features = group.create_group("features")
        encoded = np.array([name.encode() for name in names])
        features["id"] = features["name"] = encoded
        features["feature_type"] = np.full(N_GENES, b"Gene Expression")
        features["genome"] = np.full(N_GENES, b"GRCh38")


def ours(path: Path, out: Path) -> dict[str, float]:
    """The stage `prepare`, without doublets."""
    from consilience.expression import cell_verdict
    from consilience.expression.prepare import prepare_cohort
    from consilience.foundation.files import sha256_of, write_json
    from consilience.study.cohorts import Cohort
    from consilience.study.sections import NormalisationSection, QualitySection, SingleCellQuality

    cell_verdict.score_samples = lambda *, source, **_: np.full(source.n_cells, np.nan)
    raw = out.parent / "raw"
    raw.mkdir()
    (raw / path.name).symlink_to(path)
    entry = {"name": path.name, "bytes": path.stat().st_size, "sha256": sha256_of(path)}
    write_json(raw / "provenance.json", {"cohort": "c", "source": "local", "files": [entry]})
    wide = SingleCellQuality(counts_mads=1e6, genes_mads=1e6, mitochondrial_mads=1e6, max_mitochondrial_share=1.0,
                             min_genes=MIN_GENES, min_cells_per_gene=MIN_CELLS)  # fmt: skip
    started = time.perf_counter()
    prepare_cohort(
        cohort=Cohort(name="c", kind="single_cell", source="local"), raw_dir=raw,
        quality=QualitySection(single_cell=wide),
        normalisation=NormalisationSection(target_sum=TARGET, highly_variable_genes=N_TOP), min_samples_per_arm=1,
        seed=1, expression_path=out, removed_path=out.with_suffix(".parquet"), qc_path=out.with_suffix(".json"),
    )  # fmt: skip
    seconds = time.perf_counter() - started
    return {"seconds": seconds, **told(out, "layers/counts")}


def scanpy_way(path: Path, out: Path) -> dict[str, float]:
    """The same work by scanpy."""
    import scanpy as sc

    started = time.perf_counter()
    data = sc.read_10x_h5(path)
    data.var["mt"] = data.var_names.str.startswith("MT-")
    sc.pp.calculate_qc_metrics(data, qc_vars=["mt"], percent_top=None, log1p=False, inplace=True)
    sc.pp.filter_cells(data, min_genes=MIN_GENES)
    sc.pp.filter_genes(data, min_cells=MIN_CELLS)
    data.layers["counts"] = data.X.copy()
    sc.pp.normalize_total(data, target_sum=TARGET)
    sc.pp.log1p(data)
    sc.pp.highly_variable_genes(data, n_top_genes=N_TOP)
    data.write_h5ad(out, compression="gzip", compression_opts=1)
    seconds = time.perf_counter() - started
    return {"seconds": seconds, **told(out, "layers/counts")}


def told(out: Path, key: str) -> dict[str, float]:
    """What both files must agree on: cells, entries and the variable genes."""
    import h5py

    with h5py.File(out) as file:
        n_entries, n_cells = int(file[key]["data"].shape[0]), int(file[key]["indptr"].shape[0]) - 1
        selected = file["var/highly_variable"][()]
    return {"n_cells": n_cells, "n_entries": n_entries, "hvg_key": int(np.flatnonzero(selected).sum()),
            "file_mb": out.stat().st_size / 1e6}  # fmt: skip


def child(side: str, path: Path) -> None:
    """One measurement, printed as JSON."""
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        run = ours if side == "ours" else scanpy_way
        found = run(path, Path(folder) / "out.h5ad")
    found["peak_gb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(json.dumps(found))


def measure(side: str, path: Path) -> dict[str, float]:
    """One run in a fresh process."""
    done = subprocess.run(
        [sys.executable, __file__, "--child", side, str(path)], capture_output=True, text=True, check=True
    )
    found: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def table(sizes: list[int], *, scanpy_up_to: int) -> str:
    """Measure all sizes and give a markdown table."""
    header = ("cells", "entries", "scanpy s", "ours s", "ratio", "scanpy peak GB", "ours peak GB", "ratio",
              "file MB scanpy / ours", "same cells, entries, variable genes")  # fmt: skip
    lines = [f"| {' | '.join(header)} |", "|---" * len(header) + "|"]
    print("\n".join(lines), flush=True)
    with tempfile.TemporaryDirectory() as folder:
        measure_warm(Path(folder))
        for n in sizes:
            path = Path(folder) / "filtered_feature_bc_matrix.h5"
            make(path, n)
            own = measure("ours", path)
            row = [f"{n:,}", f"{own['n_entries'] / 1e6:.0f} M"]
            if n <= scanpy_up_to:
                peer = measure("scanpy", path)
                same = all(peer[key] == own[key] for key in ("n_cells", "n_entries", "hvg_key"))
                row += [f"{peer['seconds']:.0f}", f"{own['seconds']:.0f}", f"{peer['seconds'] / own['seconds']:.1f}x",
                        f"{peer['peak_gb']:.2f}", f"{own['peak_gb']:.2f}", f"{peer['peak_gb'] / own['peak_gb']:.1f}x",
                        f"{peer['file_mb']:.0f} / {own['file_mb']:.0f}", "yes" if same else "no"]  # fmt: skip
            else:
                row += ["not run", f"{own['seconds']:.0f}", "", "", f"{own['peak_gb']:.2f}", "",
                        f"– / {own['file_mb']:.0f}", ""]  # fmt: skip
            lines.append(f"| {' | '.join(row)} |")
            print(lines[-1], flush=True)
    return "\n".join(lines)


def measure_warm(folder: Path) -> None:
    """Compile the loops of both sides before anything is measured (they are kept on disk)."""
    path = folder / "warm_feature_bc_matrix.h5"
    make(path, BLOCK)
    for side in ("ours", "scanpy"):
        measure(side, path)


def main() -> None:
    """Run the bench and print its table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="20,000 and 50,000 cells")
    parser.add_argument("--scanpy-up-to", type=int, default=500_000, help="largest size at which scanpy runs")
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        child(given.child[0], Path(given.child[1]))
        return
    table([20_000, 50_000] if given.quick else [250_000, 500_000, 1_000_000], scanpy_up_to=given.scanpy_up_to)


if __name__ == "__main__":
    main()
