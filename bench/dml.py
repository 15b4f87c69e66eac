"""Double machine learning of all genes at once by sums within donors, beside DoubleML gene by gene, in one run.

    python bench/dml.py [--genes 5000] [--confounders 50] [--donors 50] [--times 3] [--out FOLDER]

Cells are made up (5.6 % of values are not 0, as in droplet data). `speed`: 100,000 cells, errors clustered by donor;
our side all genes, DoubleML a few of them by turns with us, its time for all genes by multiplication. Both have the
same folds, Ridge(1) and cells; the largest difference of effect and standard error is in the table. `study`: what
the workflow does for one cell type: penalties chosen on inner donors, 5 divisions into folds, tests for few
donors, naive errors too. `robust`: 20,000 cells taken for independent, folds of cells. `growth`: one process for each number of
cells; peak memory is that of the whole process, data and all.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

from consilience.causal.dml.cell_errors import ridge_cell_errors
from consilience.causal.dml.cells import CellsOfType
from consilience.causal.dml.donor_scores import clustered_se
from consilience.causal.dml.estimate import beside, estimate
from consilience.causal.dml.moments import columns_of, moments_in_blocks
from consilience.causal.dml.ridge_scores import ridge_scores

if TYPE_CHECKING:
    import numpy.typing as npt
    from scipy import sparse

    Floats = npt.NDArray[np.float64]

DENSITY = 0.056
CELLS = {"speed": 100_000, "robust": 20_000}
GROWTH = (10_000, 30_000, 100_000, 300_000, 1_000_000)
FOLDS = 5


def made_up(n: int, *, genes: int, confounders: int, donors: int, seed: int = 1) -> CellsOfType:
    """Cells sorted by donor, written into arrays that are there already: nothing is held twice."""
    rng = np.random.default_rng(seed)
    donor = np.sort(rng.integers(0, donors, n)).astype(np.intp)
    x = rng.normal(size=(n, confounders))
    return CellsOfType(
        "made up", tuple(f"D{one:03d}" for one in range(donors)), donor,
        (np.arange(donors) % 2).astype(np.float64), x, tuple(f"x{one}" for one in range(confounders)),
        expression(rng, n, genes), tuple(f"G{one}" for one in range(genes)), ("",) * genes,
    )  # fmt: skip


def expression(rng: np.random.Generator, n: int, genes: int, rows: int = 5_000) -> sparse.csr_matrix:
    """Sparse logarithms of counts (n, genes), made in blocks of cells."""
    from scipy import sparse

    room = int(n * genes * DENSITY * 1.02) + 100_000
    data, indices = np.empty(room, dtype=np.float32), np.empty(room, dtype=np.int32)
    pointers = np.zeros(n + 1, dtype=np.int64)
    filled = 0
    for first in range(0, n, rows):
        size = min(rows, n - first) * genes
        gaps = rng.geometric(DENSITY, int(size * DENSITY * 1.1) + 1_000)
        places = np.cumsum(gaps) - 1
        places = places[places < size]
        indices[filled : filled + places.size] = places % genes
        data[filled : filled + places.size] = np.log1p(rng.geometric(0.6, places.size))
        counts = np.bincount(places // genes, minlength=min(rows, n - first))
        pointers[first + 1 : first + 1 + counts.size] = filled + np.cumsum(counts)
        filled += places.size
    return sparse.csr_matrix((data[:filled], indices[:filled], pointers), shape=(n, genes))


def peak_gb() -> float:
    """Largest memory of this process so far (what getrusage tells starts with the peak of the parent)."""
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 2**20


def ours(cells: CellsOfType, folds: npt.NDArray[np.intp]) -> tuple[Floats, Floats]:
    """Effects and clustered errors of all genes, λ = 1."""
    columns = columns_of(cells.confounders, cells.outcome)
    scores = beside([
        ridge_scores(moments, folds=folds, penalty=1.0)
        for _, moments in moments_in_blocks(
            columns=columns, expression=cells.expression, donor=cells.donor, n_donors=len(cells.donors))
    ])  # fmt: skip
    return scores.theta, clustered_se(scores)


def doubleml(
    cells: CellsOfType, gene: int, folds: npt.NDArray[np.intp], *, clustered: bool
) -> tuple[float, float]:
    """The same of one gene by DoubleML; `folds` of donors, or of cells where errors are not clustered."""
    import doubleml as peer  # type: ignore[import-untyped]
    import pandas as pd
    from scipy import sparse
    from sklearn.linear_model import Ridge

    table = pd.DataFrame(cells.confounders, columns=list(cells.columns))
    treatment = sparse.csr_matrix(cells.expression[:, [gene]]).toarray().ravel()
    table["y"], table["d"] = cells.outcome, treatment.astype(float)
    table["donor"] = cells.donor
    of_cell = folds[cells.donor] if clustered else folds
    parts = [(np.flatnonzero(of_cell != one), np.flatnonzero(of_cell == one)) for one in range(FOLDS)]
    groups = [([np.flatnonzero(folds != one)], [np.flatnonzero(folds == one)]) for one in range(FOLDS)]
    x = list(cells.columns)
    data = peer.DoubleMLData(table, "y", "d", x_cols=x, cluster_cols="donor" if clustered else None)
    model = peer.DoubleMLPLR(data, Ridge(1.0), Ridge(1.0), n_folds=FOLDS, draw_sample_splitting=False)
    model.set_sample_splitting([parts], [groups] if clustered else None)
    model.fit()
    return float(model.coef[0]), float(model.se[0])


def compared(what: str, cells: CellsOfType, *, times: int) -> dict[str, Any]:
    """Our seconds for all genes and DoubleML's for one, by turns; the largest relative differences."""
    rng = np.random.default_rng(2)
    clustered = what == "speed"
    n = len(cells.donors) if clustered else len(cells.donor)
    folds = rng.permutation(np.arange(n) % FOLDS)
    mine, peer, differences = [], [], []
    for turn in range(times + 1):  # the first is to warm up
        started = time.perf_counter()
        if clustered:
            theta, se = ours(cells, folds)
        else:
            theta, se = ridge_cell_errors(confounders=cells.confounders, outcome=cells.outcome,
                                          expression=cells.expression, fold=folds, penalty=1.0)  # fmt: skip
        mine.append(time.perf_counter() - started)
        started = time.perf_counter()
        found = doubleml(cells, turn, folds, clustered=clustered)
        peer.append(time.perf_counter() - started)
        differences.append([abs(found[0] / theta[turn] - 1), abs(found[1] / se[turn] - 1)])
    genes = len(cells.genes)
    own, other = float(np.median(mine[1:])), float(np.median(peer[1:]))
    return {
        "what": what, "cells": len(cells.donor), "donors": len(cells.donors), "genes": genes,
        "confounders": len(cells.columns), "seconds_all_genes": own, "doubleml_seconds_a_gene": other,
        "doubleml_hours_all_genes": other * genes / 3600, "ratio": other * genes / own,
        "theta_difference": float(np.max(differences, axis=0)[0]),
        "se_difference": float(np.max(differences, axis=0)[1]),
    }  # fmt: skip


def grown(n: int, options: argparse.Namespace) -> dict[str, Any]:
    """Time and peak memory of one number of cells."""
    cells = made_up(n, genes=options.genes, confounders=options.confounders, donors=options.donors)
    small = made_up(2_000, genes=50, confounders=options.confounders, donors=options.donors)
    folds = np.random.default_rng(2).permutation(np.arange(options.donors) % FOLDS)
    ours(small, folds)  # compiles
    held = peak_gb()
    started = time.perf_counter()
    ours(cells, folds)
    once = time.perf_counter() - started
    started = time.perf_counter()
    estimate(cells, seed=1, folds=FOLDS, repeats=5)
    values = int(getattr(cells.expression, "nnz", cells.expression.size))
    return {
        "what": "growth", "cells": n, "values": values, "seconds": once,
        "seconds_as_in_study": time.perf_counter() - started, "data_gb": held, "peak_gb": peak_gb(),
    }  # fmt: skip


def studied(cells: CellsOfType) -> dict[str, Any]:
    """Seconds of what the workflow does for a cell type."""
    rows: dict[str, Any] = {"what": "study", "cells": len(cells.donor)}
    asked: dict[str, dict[str, Any]] = {"seconds": {}, "with_naive": {"cell_errors": True},
                        "with_left_out": {"without_each": True}}  # fmt: skip
    for name, given in asked.items():
        started = time.perf_counter()
        estimate(cells, seed=1, folds=FOLDS, repeats=5, **given)
        rows[name] = time.perf_counter() - started
    return rows


def main() -> None:
    """Run everything and print it as JSON lines."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--genes", type=int, default=5_000)
    parser.add_argument("--confounders", type=int, default=50)
    parser.add_argument("--donors", type=int, default=50)
    parser.add_argument("--times", type=int, default=3)
    parser.add_argument("--growth", type=int, nargs="*", default=list(GROWTH))
    parser.add_argument("--only", choices=["speed", "robust", "study", "growth"])
    parser.add_argument("--one", type=int, help="growth of this many cells in this very process")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    warnings.simplefilter("ignore")
    if options.one:
        print(json.dumps(grown(options.one, options)))
        return
    rows = []

    def told(row: dict[str, Any]) -> None:
        rows.append(row)
        print(json.dumps(row), flush=True)

    sizes = {"genes": options.genes, "confounders": options.confounders, "donors": options.donors}
    for what in ("speed", "robust"):
        if options.only in {None, what}:
            told(compared(what, made_up(CELLS[what], **sizes), times=options.times))
    if options.only in {None, "study"}:
        told(studied(made_up(CELLS["speed"], **sizes)))
    if options.only in {None, "growth"}:
        for n in options.growth:
            command = [sys.executable, __file__, "--one", str(n), *(
                word for name, value in sizes.items() for word in (f"--{name}", str(value)))]  # fmt: skip
            told(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        (options.out / "dml.json").write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
