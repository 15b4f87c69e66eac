"""Every generator on small cohorts: faithful, useful, private? Judged by patients it never saw, over splits.

Cohorts: the planted rare disease, KICH, CHOL, GSE55235 and PEAC (16 to 96 samples), their 5,000 most variable
genes. Each split fits on 70 % of the donors and compares everything with the other 30 %; `real_train` are the
training patients as if they were synthetic: the ceiling of fidelity. TSTR and `augmented` (training rows and
ten times as many synthetic ones) are AUCs on the unseen patients, TRTR theirs from the training patients.

    python bench/augmentation.py [--cohorts kich …] [--generators vae …] [--splits 5] [--out FOLDER]

Rows that the file has already are not computed again: run it once more to go on or to add generators.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))
sys.path.insert(0, str(Path(__file__).resolve().parent))

from consilience.augment.generators import generator, generators
from consilience.augment.generators.generator import Drawn
from consilience.augment.judging import REAL_TRAIN, judge
from consilience.foundation.files import write_parquet, write_text
from consilience.learning.baselines import baseline
from consilience.learning.samples import Samples
from consilience.learning.splits import donor_splits
from consilience.measures.ranking import auc

if TYPE_CHECKING:
    import pandas as pd

GENES = 5_000
TEST_SHARE = 0.3
FOLD = 10
CLASSIFIERS = {"linear": "logistic_ridge", "forest": "random_forest"}
SHOWN = (
    "class_mean_r2", "fold_change_r2", "sd_r2", "sd_slope", "spread", "diversity", "correlation", "zero_error",
    "two_sample_linear", "two_sample_spread", "two_sample_joint", "closest_share", "membership", "near_copies",
    "tstr_linear", "tstr_forest", "augmented_linear", "augmented_forest", "seconds",
)  # fmt: skip


def planted() -> Samples:
    """The rare cohort of the planted study: 8 cases, 12 controls, 2,000 genes."""
    from consilience.simulate.bulk import simulate_bulk
    from consilience.simulate.truth import read_truth, write_truth
    from consilience.study.cohorts import Cohort
    from consilience.study.sections import SimulationSection

    settings = SimulationSection(bulk={"n_case": 8, "n_control": 12, "n_outliers": 0})
    with tempfile.TemporaryDirectory() as folder:
        write_truth(settings=settings, seed=1, out_dir=Path(folder))
        truth = read_truth(Path(folder))
    cohort = Cohort("rare_geo", "bulk", "simulated", "geo", "disease state", ("diseased",), ("healthy",),
                    "subject id", "", "")  # fmt: skip
    drawn = simulate_bulk(cohort=cohort, settings=settings, truth=truth)
    counts = drawn.counts.astype(float)
    names = np.array([one.sample for one in drawn.planned])
    return Samples(
        np.log1p(counts / counts.sum(1, keepdims=True) * 1e4).astype(np.float32), tuple(truth.symbols), names,
        np.array([one.arm for one in drawn.planned]), names, np.full(len(names), ""), "log1p_cp10k",
    )  # fmt: skip


def cohorts() -> dict[str, Callable[[], Samples]]:
    """Loaders by name; those of the kit say where they look for it."""
    from hard_tasks import kit_cohorts

    kit = kit_cohorts.kit_folder
    return {
        "planted": planted,
        "kich": lambda: kit_cohorts.rnaseqdb(kit(), "tcga_kich").log_counts(per=1e4),
        "chol": lambda: kit_cohorts.rnaseqdb(kit(), "tcga_chol").log_counts(per=1e4),
        "gse55235": lambda: _as_they_are(kit_cohorts.gse55235(kit())),
        "peac": lambda: _as_they_are(kit_cohorts.peac(kit())),
    }


def _as_they_are(raw: Any) -> Samples:
    samples: Samples = raw.as_samples(raw.values, units="log2")
    return samples


def most_variable(samples: Samples) -> Samples:
    """The most variable genes, chosen without labels."""
    spread = samples.values.var(axis=0)
    chosen = np.sort(np.argsort(-spread, kind="stable")[:GENES])
    return samples.of_genes([samples.genes[place] for place in chosen])


def class_auc(train: Samples | Drawn, test: Samples, *, classifier: str) -> float:
    """Mean over classes of the AUC of one against the rest on `test`; NaN where a class cannot be learned."""
    classes = np.unique(test.labels)
    found = []
    for label in classes[:1] if len(classes) == 2 else classes:
        mine = train.labels == label
        if mine.sum() < 2 or (~mine).sum() < 2:
            return float("nan")
        scores = baseline(CLASSIFIERS[classifier]).fit_predict(train.values, mine, test.values, 0)
        found.append(auc(scores, test.labels == label))
    return float(np.mean(found))


def rows_of_split(
    train: Samples, test: Samples, *, keys: list[str], seed: int, effort: float
) -> list[dict[str, Any]]:
    """One row per generator."""
    rows: list[dict[str, Any]] = []
    for key in keys:
        started = time.perf_counter()
        if key == REAL_TRAIN:
            many = Drawn(train.values, train.labels)
        else:
            fitted = generator(key).fit(train, seed=seed, effort=effort)
            many = fitted.sample(np.repeat(train.labels, FOLD), seed=seed)
        seconds = time.perf_counter() - started
        judged = judge(train=train, held_out=test, drawn=many, seed=seed)
        both = Drawn(np.concatenate([train.values, many.values]), np.concatenate([train.labels, many.labels]))
        useful = {}
        for name in CLASSIFIERS:
            useful[f"tstr_{name}"] = class_auc(many, test, classifier=name)
            useful[f"augmented_{name}"] = class_auc(both, test, classifier=name)
        figures = judged.ceiling | judged.figures if key == REAL_TRAIN else judged.figures
        rows.append({"generator": key, "n_train": len(train), "n_held_out": len(test), "seconds": seconds}
                    | figures | useful)  # fmt: skip
    return rows


def run(names: list[str], keys: list[str], *, n_splits: int, effort: float, out: Path) -> pd.DataFrame:
    """All rows: cohort, split, generator and figures; written after each split."""
    import pandas as pd

    path = out / "augmentation.parquet"
    table = pd.read_parquet(path) if path.exists() else pd.DataFrame()
    for name in names:
        samples = most_variable(cohorts()[name]())
        splits = donor_splits(
            samples.donors, labels=samples.labels, n_splits=n_splits, test_share=TEST_SHARE, seed=0
        )
        for number, split in enumerate(splits):
            done = set()
            if len(table):
                done = set(table.loc[(table["cohort"] == name) & (table["split"] == number), "generator"])
            left = [key for key in keys if key not in done]
            rows = rows_of_split(
                samples.take(split.train), samples.take(split.test), keys=left, seed=number, effort=effort
            )
            if rows:
                fresh = pd.DataFrame(rows)
                fresh.insert(0, "cohort", name)
                fresh.insert(1, "split", number)
                table = pd.concat([table, fresh], ignore_index=True)
                write_parquet(path, table)
            print(f"{name}, split {number}: {', '.join(left) or 'nothing new'}", file=sys.stderr, flush=True)
    return table


def markdown(table: pd.DataFrame, name: str) -> str:
    """Means over splits, one row per generator, the ceiling first."""
    part = table[table["cohort"] == name]
    means = part.groupby("generator")[list(SHOWN)].mean()
    order = sorted(means.index, key=lambda key: (key != REAL_TRAIN, key))
    lines = [
        f"\n**{name}**: {int(part['n_train'].mean())} training samples, {part['split'].nunique()} splits\n",
        "| generator | splits | " + " | ".join(one.replace("_", " ") for one in SHOWN) + " |",
        "|---|---|" + "---|" * len(SHOWN),
    ]
    for key in order:
        cells = [f"{means.loc[key, one]:.1f}" if one in {"seconds", "near_copies"} else f"{means.loc[key, one]:.3f}"
                 for one in SHOWN]  # fmt: skip
        splits = part.loc[part["generator"] == key, "split"].nunique()
        lines.append(f"| {key} | {splits} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    known = [key for key, one in generators().items() if not one.wants]
    parser.add_argument("--cohorts", nargs="+", default=list(cohorts()), choices=list(cohorts()))
    parser.add_argument("--generators", nargs="+", default=known, choices=known)
    parser.add_argument("--splits", type=int, default=5)
    parser.add_argument("--effort", type=float, default=1.0)
    parser.add_argument("--out", type=Path, default=Path("results/augmentation"))
    options = parser.parse_args()
    keys = [REAL_TRAIN, *options.generators]
    table = run(options.cohorts, keys, n_splits=options.splits, effort=options.effort, out=options.out)
    text = "".join(markdown(table, name) for name in options.cohorts)
    write_text(options.out / "table.md", text)
    print(text)


if __name__ == "__main__":
    main()
