"""Start-up: what Snakemake adds to each job, what each script imports, and the dry run of 200 cohorts.

Run: python bench/startup.py [--quick]. Prints markdown; times are medians of child processes.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SNAKEFILE = """
rule all:
    input: expand("out/{{number}}", number=range({jobs}))
rule one:
    output: "out/{{number}}"
    log: "log/{{number}}"
    script: "one.py"
"""
IMPORTS = {
    "an empty Python": "pass",
    "fetch": "import consilience.sources.fetch",
    "simulate_truth": "import consilience.simulate.truth",
    "simulate_cohort": "import consilience.simulate.cohort",
    "prepare": "import consilience.expression.prepare",
    "pathway_mask": "import consilience.pathways.mask",
    "report": "import consilience.report.page",
    "peer: import scanpy at the top": "import scanpy",
    "peer: import torch at the top": "import torch",
}


def seconds(command: list[str], *, folder: Path, repeats: int) -> float:
    """Median wall-clock of a command."""
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def per_job() -> tuple[float, float]:
    """Seconds that Snakemake needs to start, and seconds for each further job that does nothing."""
    totals = {}
    for jobs in (2, 22):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            (folder / "Snakefile").write_text(SNAKEFILE.format(jobs=jobs))
            (folder / "one.py").write_text("open(snakemake.output[0], 'w').close()")
            command = [sys.executable, "-m", "snakemake", "--cores", "1", "--quiet", "all"]
            totals[jobs] = seconds(command, folder=folder, repeats=1)
    each = (totals[22] - totals[2]) / 20
    return totals[2] - 2 * each, each


def main(*, quick: bool) -> None:
    """Print the table."""
    repeats = 1 if quick else 5
    start, each = per_job()
    print(
        f"| what | seconds |\n|---|---|\n| snakemake starts | {start:.2f} |\n| each job, empty | {each:.2f} |"
    )
    for name, statement in IMPORTS.items():
        command = [sys.executable, "-c", f"import sys; sys.path.insert(0, 'scripts'); {statement}"]
        seconds(command, folder=ROOT, repeats=1)
        print(f"| {name} | {seconds(command, folder=ROOT, repeats=repeats):.2f} |")


if __name__ == "__main__":
    main(quick="--quick" in sys.argv)
