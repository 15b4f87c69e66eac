"""Learners of nuisances: R² out of fold and time per gene, the network shared by genes beside boosted trees.

5,000 cells of 20 donors, 50 confounders that act in curves, together and linearly on 500 genes; the last five donors
are predicted. Trees are timed on three genes: one model each. LightGBM (100 trees of 31 leaves, its defaults) where
it is installed (it is no dependency).

    python bench/dml_learners.py [--genes 500] [--out FILE]
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

from consilience.causal.dml.learners import learner
from consilience.causal.dml.overlap import out_of_fold_r2
from consilience.foundation.files import write_text

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

DONORS, CELLS, CONFOUNDERS, SINGLE = 20, 5_000, 50, 3


def cells(genes: int) -> tuple[Floats, Floats, Floats, npt.NDArray[np.intp]]:
    """Confounders, expression, what confounders make of it, donors."""
    rng = np.random.default_rng(1)
    x = rng.standard_normal((CELLS, CONFOUNDERS))
    basis = np.column_stack([np.sin(2 * x[:, :3]), x[:, 3:5] * x[:, 5:7], np.abs(x[:, 7:9]), x[:, 9:14]])
    made = (basis - basis.mean(0)) @ rng.standard_normal((basis.shape[1], genes)) * 0.35
    return x, made + rng.standard_normal(made.shape), made, np.repeat(np.arange(DONORS), CELLS // DONORS)


def lightgbm(train: Floats, targets: Floats, test: Floats) -> Floats:
    """One model per gene."""
    lgb = importlib.import_module("lightgbm")  # no dependency of this project

    return np.column_stack(
        [
            lgb.LGBMRegressor(n_estimators=100, num_leaves=31, n_jobs=1, verbose=-1)
            .fit(train, one)
            .predict(test)
            for one in targets.T
        ]
    )


def main() -> None:
    """Write the table as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--genes", type=int, default=500)
    parser.add_argument("--out", type=Path, default=Path("dml_learners.md"))
    asked = parser.parse_args()
    x, y, signal, donors = cells(asked.genes)
    inside = donors < DONORS - 5
    lines = [
        "| learner | genes | CPU ms/gene | wall ms/gene | median R² | R² of the first three |",
        "|" + "---|" * 6,
    ]
    names = ["ridge", "lasso", "mlp", "boosting"] + ["lightgbm"] * bool(importlib.util.find_spec("lightgbm"))
    for name in names:
        genes = asked.genes if name in {"ridge", "lasso", "mlp"} else SINGLE
        if name == "lasso":  # compiled once
            learner(name).fit_predict(train=x[inside], targets=y[inside, :1], test=x[:2], groups=donors[inside],
                                      kind="value", seed=1)  # fmt: skip
        cpu, wall = time.process_time(), time.perf_counter()
        if name == "lightgbm":
            found = lightgbm(x[inside], y[inside, :genes], x[~inside])
        else:
            found = learner(name).fit_predict(
                train=x[inside], targets=y[inside, :genes], test=x[~inside], groups=donors[inside], kind="value",
                seed=1,
            )  # fmt: skip
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        r2 = out_of_fold_r2(y[~inside, :genes], found)
        first = " ".join(f"{one:.2f}" for one in r2[:SINGLE])
        lines.append(f"| {name} | {genes} | {1e3 * cpu / genes:.2f} | {1e3 * wall / genes:.2f} | "
                     f"{np.median(r2):.3f} | {first} |")  # fmt: skip
    best = out_of_fold_r2(y[~inside], signal[~inside])
    lines.append(f"| (the truth) | {asked.genes} | | | {np.median(best):.3f} | "
                 f"{' '.join(f'{one:.2f}' for one in best[:SINGLE])} |")  # fmt: skip
    write_text(asked.out, "\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
