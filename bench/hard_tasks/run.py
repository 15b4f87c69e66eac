"""Every simple classifier, and any other method, on the hard tasks: the same references and test samples for all.

Run: python bench/hard_tasks/run.py [--draws 20] [--references 5 10 20 30] [--methods …] [--tasks …]
     [--roles hard saturated extra] [--kit FOLDER] [--out FOLDER]

Writes `aucs_seed0.parquet` (task, n_references, draw, method, auc, …) and `table.md` to --out, and prints the
table. Draws that the file has already are not run again: to go on, or to add methods or draws, run it once more.
Another method joins by `compare(tasks, {"ours": fit_predict, …})` with fit_predict(train, labels, test, seed).
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from consilience.foundation.files import write_parquet, write_text
from consilience.learning.baselines import baseline, baselines
from consilience.measures.ranking import auc, mean_interval
from hard_tasks.kit_cohorts import kit_folder
from hard_tasks.ours import MEMORIES, ours, published
from hard_tasks.tasks import HardTask, draws, hard_tasks, sizes

if TYPE_CHECKING:
    import pandas as pd

    from consilience.learning.baselines.baseline import FitPredict

REFERENCES = (5, 10, 20, 30)
COLUMNS = ["task", "role", "n_references", "draw", "method", "auc", "seconds"]


def compare(
    tasks: Mapping[str, HardTask],
    methods: Mapping[str, FitPredict],
    *,
    references: Sequence[int] = REFERENCES,
    n_draws: int = 20,
    seed: int = 0,
    known: pd.DataFrame | None = None,
    keep: Callable[[pd.DataFrame], None] = lambda aucs: None,
) -> pd.DataFrame:
    """AUC of each method on each draw: task, role, n_references, draw, method, auc, seconds.

    What is in `known` (an earlier result under the same seed) is not computed again; `keep` is called with all
    there is after each task.
    """
    import pandas as pd

    rows = [] if known is None else list(known[COLUMNS].itertuples(index=False, name=None))
    done = {(name, n, draw, method) for name, _, n, draw, method, *_ in rows}
    for name, task in tasks.items():
        x, positive = task.samples.values, task.positive
        for n_references in sizes(task, references):
            for draw in draws(task, n_references, n_draws, seed):
                train = np.concatenate([draw.positive, draw.negative])
                labels = np.arange(len(train)) < len(draw.positive)
                for method, fit_predict in methods.items():
                    if (name, n_references, draw.number, method) in done:
                        continue
                    before = time.perf_counter()
                    scores = fit_predict(x[train], labels, x[draw.test], seed)
                    took = time.perf_counter() - before
                    value = auc(scores, positive[draw.test])
                    rows.append((name, task.role, n_references, draw.number, method, value, took))
        keep(pd.DataFrame(rows, columns=COLUMNS))
    return pd.DataFrame(rows, columns=COLUMNS)


def table(aucs: pd.DataFrame, *, best_of: Sequence[str] | None = None) -> str:
    """Markdown: one row per task and number of references, mean AUC ± half a 95 % interval per method.

    The interval is of the mean over draws; test samples are shared between draws, so it says how far other
    draws of references would change the mean, not other patients. The best of `best_of` (all) is bold.
    """
    methods = sorted(set(aucs["method"]))
    lines = [
        "| task | references | " + " | ".join(methods) + " |",
        "|---|---|" + "---|" * len(methods),
    ]
    for (task, n), part in aucs.groupby(["task", "n_references"], sort=False):
        by = {method: part.loc[part["method"] == method, "auc"].to_numpy() for method in methods}
        means = {method: float(values.mean()) for method, values in by.items() if len(values)}
        best = max(
            (method for method in means if best_of is None or method in best_of), key=means.__getitem__
        )
        cells = []
        for method in methods:
            if method not in means:
                cells.append("")
                continue
            mean, low, high = mean_interval(by[method])
            text = f"{mean:.3f} ± {0.5 * (high - low):.3f}"
            cells.append(f"**{text}**" if method == best else text)
        lines.append(f"| {task} | {n} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def overall(aucs: pd.DataFrame, *, role: str = "hard") -> str:
    """Markdown: per method the mean over tasks of this role (each task and size counts once)."""
    part = aucs[aucs["role"] == role]
    means = part.groupby(["n_references", "method", "task"], as_index=False)["auc"].mean()
    wide = means.pivot_table(index="method", columns="n_references", values="auc", aggfunc="mean")
    wide["all"] = means.groupby("method")["auc"].mean()
    lines = [
        f"| {role} tasks | " + " | ".join(str(column) for column in wide.columns) + " |",
        "|---|" + "---|" * len(wide.columns),
    ]
    for method, row in wide.sort_values("all", ascending=False).iterrows():
        lines.append(f"| {method} | " + " | ".join(f"{value:.3f}" for value in row) + " |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Command line."""
    import pandas as pd

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--draws", type=int, default=20)
    parser.add_argument("--references", type=int, nargs="+", default=list(REFERENCES))
    parser.add_argument("--methods", nargs="+", default=sorted(baselines()))
    parser.add_argument("--tasks", nargs="+", default=[])
    parser.add_argument("--memories", nargs="*", default=list(MEMORIES), choices=MEMORIES,
                        help="what our model was pretrained on; nothing after it leaves our model out")  # fmt: skip
    parser.add_argument("--published", type=float, default=0.0, metavar="EFFORT",
                        help="also the published network, with this share of its training steps")  # fmt: skip
    parser.add_argument("--roles", nargs="+", default=["hard"], choices=["hard", "saturated", "extra"])
    parser.add_argument("--kit")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("results/hard_tasks"))
    options = parser.parse_args()
    path = options.out / f"aucs_seed{options.seed}.parquet"

    def keep(aucs: pd.DataFrame) -> None:
        write_parquet(path, aucs)
        print(f"{len(aucs)} results", file=sys.stderr, flush=True)

    aucs = pd.read_parquet(path) if path.exists() else None
    for name, task in hard_tasks(options.kit, names=options.tasks, roles=options.roles).items():
        methods = {key: baseline(key).fit_predict for key in options.methods}
        for memory in options.memories:
            methods[f"rnagan, {memory}"] = ours(task, memory=memory, kit=kit_folder(options.kit))
        if options.published:
            methods["published rnagan, rest"] = published(
                task, effort=options.published, kit=kit_folder(options.kit)
            )
        aucs = compare({name: task}, methods, references=options.references, n_draws=options.draws,
                       seed=options.seed, known=aucs, keep=keep)  # fmt: skip
    assert aucs is not None
    text = table(aucs) + "".join("\n" + overall(aucs, role=role) for role in options.roles)
    write_text(options.out / "table.md", text)
    print(text)


if __name__ == "__main__":
    main()
