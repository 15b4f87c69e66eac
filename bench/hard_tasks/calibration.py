"""Are the probabilities of `consilience diagnose` true? The hard tasks, with the default network and nothing stored.

Each draw of references is given to `diagnose` as a user would give it; the probabilities of all other samples
are pooled over tasks and draws. Beside it ridge logistic regression, whose probabilities come for free.

    python bench/hard_tasks/calibration.py [--draws 3]
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "scripts"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from consilience.learning.baselines import baseline
from consilience.measures.calibration import brier, calibration_error
from consilience.rnagan.diagnosis import diagnose
from hard_tasks.kit_cohorts import kit_folder
from hard_tasks.ours import network_for
from hard_tasks.run import REFERENCES
from hard_tasks.tasks import draws, hard_tasks, sizes


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--draws", type=int, default=3)
    parser.add_argument("--kit")
    options = parser.parse_args()
    ridge = baseline("logistic_ridge").fit_predict
    pooled: dict[tuple[str, int], list[tuple[np.ndarray, np.ndarray]]] = {}
    for name, task in hard_tasks(options.kit, roles=["hard"]).items():
        network = network_for(task, memory="rest", kit=kit_folder(options.kit))
        for n in sizes(task, REFERENCES):
            for draw in draws(task, n, options.draws, 0):
                queries = task.samples.take(draw.test)
                positives, negatives = task.samples.take(draw.positive), task.samples.take(draw.negative)
                found = diagnose(network, queries, positives, negatives, seed=0, n_references=n, n_draws=24)
                truth = task.positive[draw.test]
                train = np.concatenate([positives.values, negatives.values])
                other = ridge(train, np.arange(len(train)) < len(positives), queries.values, 0)
                pooled.setdefault(("rnagan", n), []).append((np.asarray(found.probability), truth))
                pooled.setdefault(("logistic_ridge", n), []).append((other, truth))
        print(name, file=sys.stderr, flush=True)
    print("| method | references | samples | ECE | ECE, corrected | Brier |\n|---|---|---|---|---|---|")
    for (method, n), parts in sorted(pooled.items()):
        probability, truth = (np.concatenate(column) for column in zip(*parts, strict=True))
        error = calibration_error(probability, truth)
        figures = f"{error.plain:.3f} | {error.corrected:.3f} | {brier(probability, truth):.3f}"
        print(f"| {method} | {n} | {len(truth)} | {figures} |")


if __name__ == "__main__":
    main()
