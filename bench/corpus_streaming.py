"""The pretraining corpus on 10⁵ and 10⁶ simulated cells: episodes/s and peak memory.

    python bench/corpus_streaming.py [--quick] [--out FILE] [--folder DIR]

Cells of 5,000 genes, about 250 entries each, 40 donors, 2 conditions, 12 types, written as the workflow writes large
cohorts (counts and a factor per cell, gzip). Each size is measured in a process of its own: open the corpus with
128 MB for rows, draw 50 steps of 8 episodes (16 queries, 20 references of both kinds), take other rows as the next
epoch does, and draw again. "Without a corpus" is the peak of the same process after its imports and one small batch.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

import numpy as np

N_GENES, PER_CELL, STEPS = 5_000, 250, 50
BLOCK = 8_192


def counts_of(n: int, seed: int = 0) -> Iterator[object]:
    """Blocks of counts; one block of random cells, in which each further block shifts the genes."""
    from scipy import sparse

    rng = np.random.default_rng(seed)
    sizes = rng.integers(PER_CELL - 50, PER_CELL + 50, BLOCK)
    weight = rng.gamma(0.5, 1, N_GENES)
    picks = [np.sort(rng.choice(N_GENES, size, replace=False, p=weight / weight.sum())) for size in sizes]
    pointers = np.concatenate([[0], np.cumsum(sizes)])
    data = rng.geometric(0.6, pointers[-1]).astype(np.int32)
    block = sparse.csr_matrix(
        (data, np.concatenate(picks).astype(np.int32), pointers), shape=(BLOCK, N_GENES)
    )
    for start in range(0, n, BLOCK):
        yield block[: min(BLOCK, n - start)]
        block.data = np.roll(block.data, 1)


def write(path: Path, n: int) -> None:
    """The file, block by block."""
    from consilience.expression.h5ad_writer import CellsWriter
    from consilience.sources.cells.matrix import Labels

    factors = []
    cell = np.arange(n)
    names = np.char.add("cell-", np.char.zfill(cell.astype("S8"), 8).astype(str)).astype("S13")
    columns = {"donor": cell % 40, "condition": cell % 40 % 2, "cell_type": cell // 40 % 12}
    labels = {
        name: Labels(codes.astype(np.int32), tuple(f"{name}{k:02d}" for k in range(int(codes.max()) + 1)))
        for name, codes in columns.items()
    }
    with CellsWriter(
        path, n_genes=N_GENES, largest=100, most_entries=n * (PER_CELL + 50), with_x=False
    ) as writer:
        for block in counts_of(n):
            writer.append(block, None)
            factors.append(np.asarray(block.sum(axis=1)).ravel() / 1e4)
        writer.finish(
            obs_names=names, obs={**labels, "size_factor": np.concatenate(factors)},
            var_names=tuple(f"GENE{k:05d}" for k in range(N_GENES)), var={}, varm={},
            uns={"consilience": {"units": "counts", "kind": "single_cell", "cohort": "simulated"}},
        )  # fmt: skip


def resident(name: str) -> float:
    """VmHWM (peak) or VmRSS (now) of this process in MB (Linux)."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith(name))


def child(path: Path, small: Path, memory_mb: float) -> dict[str, float]:
    """Open, draw, turn, draw."""
    from consilience.rnagan.corpus_files import open_corpus
    from consilience.rnagan.presets import EpisodeSettings

    settings = EpisodeSettings(episodes=8, queries=16, reference_sizes=(20,))
    open_corpus([small], seed=1, scale="log1p_cp10k").batch(epoch=0, step=0, settings=settings)
    found = {"before": resident("VmHWM")}
    Path("/proc/self/clear_refs").write_text("5")
    begin = time.perf_counter()
    corpus = open_corpus([path], seed=1, scale="log1p_cp10k", memory_mb=memory_mb)
    found["open"] = time.perf_counter() - begin
    found["rows"] = len(corpus.cohorts()[0].rows)
    for epoch in range(2):
        begin = time.perf_counter()
        corpus.cohorts(epoch)
        found["turn"] = time.perf_counter() - begin
        begin = time.perf_counter()
        for step in range(STEPS):
            corpus.batch(epoch=epoch, step=step, settings=settings)
        found["rate"] = STEPS * settings.episodes / (time.perf_counter() - begin)
    found["peak"] = resident("VmHWM")
    return found


def measure(path: Path, small: Path, memory_mb: float) -> dict[str, float]:
    """In a process of its own."""
    done = subprocess.run(
        [sys.executable, __file__, "--child", str(path), str(small), str(memory_mb)],
        capture_output=True, text=True, check=True, timeout=1800,
    )  # fmt: skip
    found: dict[str, float] = json.loads(done.stdout)
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="2·10⁴ and 10⁵ cells, 16 MB for rows")
    parser.add_argument("--out", type=Path, help="write the table here as well")
    parser.add_argument("--folder", type=Path, help="where the simulated files go (default: a temporary one)")
    parser.add_argument("--child", nargs=3, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        print(json.dumps(child(Path(given.child[0]), Path(given.child[1]), float(given.child[2]))))
        return
    sizes = (20_000, 100_000) if given.quick else (100_000, 1_000_000)
    memory_mb = 16 if given.quick else 128
    lines = [
        "# The pretraining corpus as cohorts grow",
        "",
        f"{datetime.now(tz=UTC):%Y-%m-%d}, {platform.machine()}, Python {platform.python_version()}; "
        f"{memory_mb} MB granted for rows; one process per size.",
        "",
        "| cells | file MB | open s | next rows s | rows in memory | episodes/s | samples/s | peak MB | without a corpus MB |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    with tempfile.TemporaryDirectory(dir=given.folder) as folder:
        small = Path(folder) / "small.h5ad"
        write(small, 2_000)
        for n in sizes:
            path = Path(folder) / f"cells{n}.h5ad"
            write(path, n)
            got = measure(path, small, memory_mb)
            lines.append(
                f"| {n:,} | {path.stat().st_size / 1e6:.0f} | {got['open']:.1f} | {got['turn']:.1f} | {got['rows']:,.0f} "
                f"| {got['rate']:.0f} | {got['rate'] * 56:,.0f} | {got['peak']:.0f} | {got['before']:.0f} |"
            )
            print(lines[-1], flush=True)
            path.unlink()
    text = "\n".join(lines) + "\n"
    print(text)
    if given.out:
        given.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
