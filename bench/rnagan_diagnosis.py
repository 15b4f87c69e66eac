"""Diagnosis of 1,000 new samples: 100 draws of 20 references per kind, against a regression fitted for each draw.

    python bench/rnagan_diagnosis.py [--quick] [--out FILE]

15,000 genes, 1,500 pathways of log-normal sizes, 64 remembered contrasts, 60 reference patients of each kind (counts
with the reads of 100 genes raised). Measured: all logits by the default discriminator (`draw_scores.score_draws`),
the same called once for each draw, the whole diagnosis (calibration, intervals, novelty), and the peer: scikit-learn's
ridge logistic regression on z-scores, fitted to the same references of each draw. Ours and the peer take turns.
"""

from __future__ import annotations

import argparse
import platform
import statistics
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

import numpy as np
import sklearn
import torch
from pathway_linear import make_wiring
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from consilience.learning.samples import Samples
from consilience.measures.ranking import auc
from consilience.rnagan.diagnosis import diagnose
from consilience.rnagan.draw_scores import score_draws
from consilience.rnagan.networks.default_network import DefaultDiscriminator
from consilience.rnagan.reference_draws import draw_references

THREADS = 2
PATIENTS, REFERENCES, SIGNAL = 60, 20, 100


def make_samples(n: int, genes: tuple[str, ...], *, seed: int, prefix: str) -> Samples:
    """Counts as log1p per ten thousand; every other patient is ill and has more reads of the first genes."""
    level = np.random.default_rng(0).gamma(0.5, 4.0, len(genes)) + 0.05
    random = np.random.default_rng(seed)
    ill = np.arange(n) % 2 == 0
    rate = level * random.gamma(4, 0.25, (n, len(genes)))
    rate[ill, :SIGNAL] *= 1.3
    counts = random.poisson(rate)
    values = np.log1p(counts / counts.sum(axis=1, keepdims=True) * 1e4).astype(np.float32)
    names = np.array([f"{prefix}{k:05d}" for k in range(n)])
    kinds = np.where(ill, "ill", "well")
    return Samples(values, genes, names, kinds, names, np.full(n, ""), "log1p_cp10k")


def regression(query: np.ndarray, positive: np.ndarray, negative: np.ndarray) -> np.ndarray:
    """Logits of a ridge logistic regression on z-scores."""
    train = np.concatenate([positive, negative])
    scaler = StandardScaler().fit(train)
    model = LogisticRegression(max_iter=1000).fit(
        scaler.transform(train), np.arange(len(train)) < len(positive)
    )
    return model.decision_function(scaler.transform(query))


def seconds(work: Callable[[], np.ndarray]) -> tuple[float, np.ndarray]:
    """How long it takes, and what it gives."""
    begin = time.perf_counter()
    found = work()
    return time.perf_counter() - begin, found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--quick", action="store_true", help="a fifth of the samples, genes and draws, two repeats"
    )
    parser.add_argument("--out", type=Path, help="write the table here as well")
    given = parser.parse_args()
    torch.set_num_threads(THREADS)
    n, n_draws, repeats = (200, 20, 2) if given.quick else (1_000, 100, 3)
    wiring = make_wiring(3_000, 300) if given.quick else make_wiring(15_000, 1_500)
    network = DefaultDiscriminator(wiring, seed=1).eval()
    references = make_samples(2 * PATIENTS, wiring.genes, seed=1, prefix="r")
    queries = make_samples(n, wiring.genes, seed=2, prefix="q")
    positive, negative = (references.take(references.labels == kind) for kind in ("ill", "well"))
    drawn = draw_references(positive_units=positive.donors, negative_units=negative.donors, n_references=REFERENCES,
                            n_draws=n_draws, seed=1)  # fmt: skip
    pairs = list(zip(drawn.positive, drawn.negative, strict=True))

    def one_by_one() -> np.ndarray:
        x = [torch.from_numpy(part.values) for part in (queries, positive, negative)]
        with torch.inference_mode():
            return np.stack([network(x[0], x[1][one], x[2][other]).numpy() for one, other in pairs])

    runs: dict[str, Callable[[], np.ndarray]] = {
        "logistic regression, fitted to each draw": lambda: np.stack([
            regression(queries.values, positive.values[one], negative.values[other]) for one, other in pairs
        ]),
        "default discriminator, all draws": lambda: score_draws(
            network, query=queries.values, positive=positive.values, negative=negative.values,
            positive_rows=drawn.positive, negative_rows=drawn.negative,
        ),
        "default discriminator, one call for each draw": one_by_one,
        "the whole diagnosis": lambda: diagnose(
            network, queries, positive, negative, seed=1, n_references=REFERENCES, n_draws=n_draws
        ).logit_mean[None],
    }  # fmt: skip
    taken: dict[str, list[float]] = {name: [] for name in runs}
    found: dict[str, np.ndarray] = {}
    for _ in range(repeats):
        for name, run in runs.items():
            took, found[name] = seconds(run)
            taken[name].append(took)
    peer, *_ = runs
    lines = [
        "# Diagnosis of many samples",
        "",
        f"{datetime.now(tz=UTC):%Y-%m-%d}, {platform.machine()}, {THREADS} threads, torch {torch.__version__}, "
        f"scikit-learn {sklearn.__version__}; {n:,} samples, {len(wiring.genes):,} genes, {len(wiring.pathways):,} "
        f"pathways, {len(pairs)} draws of {REFERENCES} references per kind; median of {repeats} in alternation.",
        "",
        "| what | s (range) | faster than the peer by | AUC of mean logits |",
        "|---|---|---|---|",
    ]
    for name, times in taken.items():
        ratio = statistics.median(one / other for one, other in zip(taken[peer], times, strict=True))
        value = auc(found[name].mean(axis=0), queries.labels == "ill")
        lines.append(f"| {name} | {statistics.median(times):.2f} ({min(times):.2f}–{max(times):.2f}) "
                     f"| {'' if name == peer else f'**{ratio:.1f}×**'} | {value:.3f} |")  # fmt: skip
    text = "\n".join(lines) + "\n"
    print(text)
    if given.out:
        given.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
