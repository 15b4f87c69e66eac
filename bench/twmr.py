"""TWMR of many genes: text and parquet, against one long R process that runs the published formulas.

Genes have as many variants as the authors' examples (median 9, up to 200) and 1 to 12 genes; in a third of them
some variants act on the trait directly. R reads the same text files and computes the published estimate alone
(tests/causal/twmr/published.R); ours are, from text and from parquet, everything in the table: the published
estimate, the default, least squares, Q, condition, conditional F and outliers; `published` stops after the
published estimate. The published numbers of both sides are compared. Sides alternate; each is a process of its
own: seconds and CPU seconds of all its threads without imports (R: the whole process).

    python bench/twmr.py [--genes 10000] [--rounds 2] [--r-genes 10000] [--growth]
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "scripts"))
N_GWAS, N_EQTL = 240_000.0, 32_000.0
R_SCRIPT = ROOT / "tests" / "causal" / "twmr" / "published.R"
GROWTH = [(10, 2), (50, 4), (200, 4), (200, 12), (300, 15), (1000, 20)]


def draw_gene(n: int, k: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Effects (n, k) on expression and (n,) on the trait, LD (n, n)."""
    load = rng.uniform(0, 0.5, n) * rng.choice([-1.0, 1.0], n)
    ld = np.outer(load, load)
    np.fill_diagonal(ld, 1.0)
    root = np.linalg.cholesky(ld)
    eqtl = rng.normal(0, 0.04, (n, k)) * (rng.random((n, k)) < 0.6)
    eqtl[0] += 0.03
    direct = rng.normal(0, 0.01, n) * (rng.random(n) < 0.2) * (rng.random() < 0.33)
    gwas = eqtl @ rng.normal(0, 0.05, k) + direct + root @ rng.normal(size=n) / np.sqrt(N_GWAS)
    return eqtl + (eqtl != 0) * (root @ rng.normal(size=(n, k))) / np.sqrt(N_EQTL), gwas, np.round(ld, 6)


def make(folder: Path, n_genes: int) -> None:
    """The files of all genes, and the same as inputs.parquet in a folder beside."""
    from consilience.causal.inputs import GeneInputs
    from consilience.causal.inputs_file import write_inputs

    rng, ready = np.random.default_rng(1), []
    for gene in range(n_genes):
        n = int(min(200, 2 + rng.lognormal(np.log(8), 0.9)))
        k = int(min(12, max(1, n // 2), rng.geometric(0.45)))
        eqtl, gwas, ld = draw_gene(n, k, rng)
        names = [f"ENSG{gene:011d}", *(f"ENSG9{j:010d}" for j in range(1, k))]
        variants = [f"rs{v}" for v in range(n)]
        write_text(folder / "text" / names[0], names, variants, np.column_stack([eqtl, gwas]), ld)
        ready.append(
            GeneInputs(
                names[0],
                "",
                tuple(names),
                tuple(variants),
                eqtl,
                gwas,
                ld,
                eqtl != 0,
                np.full(k, N_EQTL),
                N_GWAS,
            )
        )
    write_inputs(folder / "parquet" / "inputs.parquet", ready)


def write_text(
    stem: Path, names: list[str], variants: list[str], effects: np.ndarray, ld: np.ndarray
) -> None:
    """`<gene>.matrix` and `<gene>.ld`."""
    stem.parent.mkdir(parents=True, exist_ok=True)
    rows = [" ".join([name, *map(repr, row)]) for name, row in zip(variants, effects.tolist(), strict=True)]
    stem.with_suffix(".matrix").write_text(
        "\n".join([" ".join(["GENES", *names, "BETA_GWAS"]), *rows]) + "\n"
    )
    stem.with_suffix(".ld").write_text("".join(" ".join(f"{x:g}" for x in row) + "\n" for row in ld))


def ours(kind: str, folder: Path, out: Path) -> None:
    """One side in this process; prints what it took."""
    import pandas  # noqa: F401 - imports are not timed
    import scipy.special  # noqa: F401
    from pyarrow import parquet  # noqa: F401

    from consilience.causal.inputs_file import read_buckets, read_names
    from consilience.causal.twmr import estimate as module
    from consilience.causal.twmr.folder import read_folder
    from consilience.causal.twmr.table import table
    from consilience.foundation.files import write_parquet

    if kind == "published":
        module._second_pass = lambda *_: []
    start, cpu = time.perf_counter(), time.process_time()
    if kind == "text":
        buckets, named = read_folder(folder / "text", n_gwas=N_GWAS, n_eqtl=N_EQTL)
    else:
        path = folder / "parquet" / "inputs.parquet"
        buckets, named = read_buckets(path), read_names(path)
    found = table(named, module.estimate(buckets, len(named.gene)))
    write_parquet(out, found)
    took = {"seconds": time.perf_counter() - start, "cpu": time.process_time() - cpu}
    took["GB"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    print(json.dumps(took))


def side(kind: str, folder: Path, out: Path) -> dict[str, float]:
    """One side as a process of its own."""
    if kind != "R":
        command = [sys.executable, __file__, "--side", kind, str(folder), str(out)]
        return dict(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
    start = time.perf_counter()
    child = subprocess.Popen(
        ["Rscript", str(R_SCRIPT), str(folder / "r"), f"{N_GWAS:.0f}", f"{N_EQTL:.0f}", str(out)]
    )
    _, status, used = os.wait4(child.pid, 0)
    if status:
        raise SystemExit("R failed")
    return {
        "seconds": time.perf_counter() - start,
        "cpu": used.ru_utime + used.ru_stime,
        "GB": used.ru_maxrss / 1e6,
    }


def compare(r_out: Path, out: Path) -> float:
    """Largest relative difference of the published numbers."""
    import pandas as pd

    both = pd.read_csv(r_out, sep="\t").merge(pd.read_parquet(out), on="gene", suffixes=("_r", ""))
    worst = [np.abs(both[f"{name}_published"] / both[f"{name}_r"] - 1).max() for name in ("alpha", "se", "p")]
    return float(max(worst))


def main(n_genes: int, rounds: int, r_genes: int) -> None:
    """Make the genes, run the sides in turns, print what they took."""
    has_r = shutil.which("Rscript") is not None
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make(folder, n_genes)
        (folder / "r").mkdir()
        for path in sorted((folder / "text").glob("*.matrix"))[:r_genes]:
            for suffix in (".matrix", ".ld"):
                (folder / "r" / path.with_suffix(suffix).name).symlink_to(path.with_suffix(suffix))
        sides = ["text", "parquet", "published", *(["R"] if has_r else [])]
        taken: dict[str, list[dict[str, float]]] = {kind: [] for kind in sides}
        for _ in range(rounds):
            for kind in sides:
                taken[kind].append(
                    side(kind, folder, folder / f"{kind}.{'tsv' if kind == 'R' else 'parquet'}")
                )
        factor = {kind: (n_genes / min(n_genes, r_genes) if kind == "R" else 1.0) for kind in sides}
        best = {kind: min(one["cpu"] for one in runs) * factor[kind] for kind, runs in taken.items()}
        print(
            f"{n_genes:,} genes; R on {min(n_genes, r_genes):,}, scaled"
            if has_r
            else "R is not installed: its side is skipped"
        )
        print("| side | seconds | CPU seconds | peak GB | R / side (CPU) |\n|---|---|---|---|---|")
        for kind, runs in taken.items():
            seconds = " ".join(f"{one['seconds'] * factor[kind]:.2f}" for one in runs)
            cpu = " ".join(f"{one['cpu'] * factor[kind]:.2f}" for one in runs)
            ratio = f"{best['R'] / best[kind]:.0f}x" if has_r else "-"
            print(f"| {kind} | {seconds} | {cpu} | {max(one['GB'] for one in runs):.2f} | {ratio} |")
        if has_r:
            print(
                f"largest relative difference of the published numbers: {compare(folder / 'R.tsv', folder / 'text.parquet'):.1e}"
            )


def growth() -> None:
    """CPU milliseconds a gene by n and k, all estimators."""
    from consilience.causal.inputs_file import Bucket
    from consilience.causal.twmr.estimate import estimate

    print("| n | k | genes | ms a gene |\n|---|---|---|---|")
    rng = np.random.default_rng(2)
    for n, k in GROWTH:
        count = max(1, 20_000 // (n * k))
        parts = [draw_gene(n, k, rng) for _ in range(count)]
        eqtl, gwas, ld = (np.stack([one[part] for one in parts]) for part in range(3))
        bucket = Bucket(
            np.arange(count), eqtl, gwas, ld, eqtl != 0, np.full((count, k), N_EQTL), np.full(count, N_GWAS)
        )
        estimate([bucket], count)
        start = time.process_time()
        estimate([bucket], count)
        print(f"| {n} | {k} | {count} | {(time.process_time() - start) / count * 1e3:.3f} |")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--genes", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--r-genes", type=int, default=10_000)
    parser.add_argument("--growth", action="store_true")
    parser.add_argument("--side", nargs=3)
    given = parser.parse_args()
    if given.side:
        ours(given.side[0], Path(given.side[1]), Path(given.side[2]))
    elif given.growth:
        growth()
    else:
        main(given.genes, given.rounds, given.r_genes)
