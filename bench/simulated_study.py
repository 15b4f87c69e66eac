"""RNAGAN on the planted study, over seeds: diagnosis by number of references, markers, vectors.

Each seed simulates two bulk cohorts (40 cases, 40 controls, 2,000 genes, 40 causal, two batches) that share their truth. The
network is pretrained on the one and asked about the other; "not pretrained" sees its references alone.

    python bench/simulated_study.py [--seeds 10]
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "scripts"))

from consilience.learning.baselines import baseline
from consilience.learning.differential.registry import METHODS
from consilience.learning.samples import Samples
from consilience.learning.splits import reference_draws
from consilience.measures.ranking import auc, average_precision, mean_interval

SIMPLE = (
    "logistic_ridge",
    "elastic_net",
    "correlation_centroid",
    "nearest_centroid",
    "random_forest",
    "pca_knn",
)
SIZES, DRAWS = (5, 10, 20, 30), 5


def cohorts(folder: Path, *, seed: int) -> tuple[Samples, Samples, np.ndarray]:
    """Two cohorts of one truth, and the planted effect of each gene (genes,)."""
    from consilience.simulate.bulk import simulate_bulk
    from consilience.simulate.truth import read_truth, write_truth
    from consilience.study.cohorts import Cohort
    from consilience.study.sections import SimulationSection

    settings = SimulationSection(bulk={"n_case": 40, "n_control": 40, "n_outliers": 0})
    write_truth(settings=settings, seed=seed, out_dir=folder)
    truth = read_truth(folder)
    found = []
    for name in ("first", "second"):
        cohort = Cohort(name, "bulk", "simulated", "geo", "disease state", ("diseased",), ("healthy",),
                        "subject id", "", "batch")  # fmt: skip
        drawn = simulate_bulk(cohort=cohort, settings=settings, truth=truth)
        counts = drawn.counts.astype(float)
        names = np.array([f"{name}-{one.sample}" for one in drawn.planned])
        found.append(Samples(
            np.log1p(counts / counts.sum(1, keepdims=True) * 1e4).astype(np.float32), tuple(truth.symbols), names,
            np.array([one.arm for one in drawn.planned]), names, np.array([one.batch for one in drawn.planned]),
            "log1p_cp10k",
        ))  # fmt: skip
    return found[0], found[1], truth.genes["effect"].to_numpy()


def network_of(genes: tuple[str, ...], pretraining: Samples | None) -> Any:
    """The default discriminator, pretrained (in closed form) or not."""
    import torch
    from hard_tasks.ours import wiring_of

    from consilience.rnagan.corpus import samples_corpus
    from consilience.rnagan.networks.default_network import DefaultDiscriminator
    from consilience.rnagan.training import begin_from

    network = DefaultDiscriminator(wiring_of(genes))
    with torch.no_grad():
        network.gene_contrasts.zero_()
    if pretraining is not None:
        begin_from(network, samples_corpus(pretraining, seed=0))
    return network.train(mode=False)


def main() -> None:
    """Command line."""
    import torch

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=10)
    options = parser.parse_args()
    diagnosis: dict[tuple[str, int], list[float]] = {}
    markers: dict[str, list[tuple[float, float]]] = {}
    for seed in range(options.seeds):
        with tempfile.TemporaryDirectory() as folder:
            first, second, effect = cohorts(Path(folder), seed=100 + seed)
        positive = second.labels == "case"
        networks = {
            "rnagan, pretrained": network_of(second.genes, first),
            "rnagan, not pretrained": network_of(second.genes, None),
        }
        x = torch.from_numpy(second.values)
        for n in SIZES:
            own: dict[str, list[float]] = {}
            for draw in reference_draws(positive, names=second.names, donors=second.donors, n_references=n,
                                        n_draws=DRAWS, seed=seed, key="simulated"):  # fmt: skip
                truth, train = positive[draw.test], np.concatenate([draw.positive, draw.negative])
                for name, network in networks.items():
                    with torch.no_grad():
                        scores = network(x[draw.test], x[draw.positive], x[draw.negative]).numpy()
                    own.setdefault(name, []).append(auc(scores, truth))
                for name in SIMPLE:
                    scores = baseline(name).fit_predict(
                        second.values[train],
                        np.arange(len(train)) < len(draw.positive),
                        second.values[draw.test],
                        0,
                    )
                    own.setdefault(name, []).append(auc(scores, truth))
            for name, values in own.items():
                diagnosis.setdefault((name, n), []).append(float(np.mean(values)))
        planted = effect != 0
        for name, network in networks.items():
            found = _rule_effect(network, x, positive)
            signs = np.sign(found[planted]) == np.sign(effect[planted])
            markers.setdefault(name, []).append(
                (average_precision(np.abs(found), planted), float(signs.mean()))
            )
        for key, statistic in _plain_tests(second, positive).items():
            signs = np.sign(statistic[planted]) == np.sign(effect[planted])
            markers.setdefault(key, []).append(
                (average_precision(np.abs(statistic), planted), float(signs.mean()))
            )
        print(f"seed {seed}", file=sys.stderr, flush=True)
    _tell(diagnosis, markers)


def _rule_effect(network: Any, x: Any, positive: np.ndarray) -> np.ndarray:
    """Gradient of the logit times how far the kinds are apart: the signed effect of each gene (genes,)."""
    import torch

    one, other = x[torch.from_numpy(positive)], x[torch.from_numpy(~positive)]
    query = ((one.mean(0) + other.mean(0)) / 2)[None].clone().requires_grad_(True)
    network(query, one, other).sum().backward()
    assert query.grad is not None
    difference = one.mean(0) - other.mean(0)
    return np.asarray((query.grad[0] * difference.abs()).numpy(), dtype=np.float64)


def _plain_tests(samples: Samples, positive: np.ndarray) -> dict[str, np.ndarray]:
    """Signed statistics of Wilcoxon and moderated t (genes,)."""
    codes = np.unique(samples.batches, return_inverse=True)[1]
    return {
        key: METHODS[key].run(values=samples.values, positive=positive, batches=codes).statistic
        for key in ("wilcoxon", "moderated_t")
    }


def _tell(
    diagnosis: dict[tuple[str, int], list[float]], markers: dict[str, list[tuple[float, float]]]
) -> None:
    methods = list(dict.fromkeys(name for name, _ in diagnosis))
    print("| references | " + " | ".join(methods) + " |\n|---|" + "---|" * len(methods))
    for n in SIZES:
        cells = []
        for name in methods:
            mean, low, high = mean_interval(np.array(diagnosis[name, n]))
            cells.append(f"{mean:.3f} ± {(high - low) / 2:.3f}")
        print(f"| {n} | " + " | ".join(cells) + " |")
    print("\n| ranking of genes | AUPRC | signs right |\n|---|---|---|")
    for name, pairs in markers.items():
        mean, low, high = mean_interval(np.array([pair[0] for pair in pairs]))
        print(
            f"| {name} | {mean:.3f} ± {(high - low) / 2:.3f} | {np.mean([pair[1] for pair in pairs]):.3f} |"
        )


if __name__ == "__main__":
    main()
