"""A bulk cohort of the simulated study as samples, with what was planted in it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from consilience.learning.samples import Samples
from consilience.simulate.bulk import simulate_bulk
from consilience.simulate.truth import Truth, read_truth, write_truth
from consilience.study.cohorts import Cohort
from consilience.study.sections import SimulationSection


@dataclass(frozen=True)
class Planted:
    """`samples`, their `counts` (n, G), the `truth` of the study, and `sets` pathway -> genes."""

    samples: Samples
    counts: np.ndarray
    truth: Truth
    sets: dict[str, list[str]]

    @property
    def effect(self) -> dict[str, float]:
        """Planted log2 fold change of each gene (0: none)."""
        return dict(zip(self.truth.genes["gene"], self.truth.genes["effect"], strict=True))


def planted_cohort(
    folder: Path, *, seed: int, n: int = 20, effect: float = 1.0, n_genes: int = 1000
) -> Planted:
    """`n` cases and `n` controls, no outliers."""
    from consilience.simulate.catalogue import build_catalogue

    settings = SimulationSection(
        n_genes=n_genes, effect=effect, bulk={"n_case": n, "n_control": n, "n_outliers": 0}
    )
    write_truth(settings=settings, seed=seed, out_dir=folder)
    truth = read_truth(folder)
    cohort = Cohort(
        "geo",
        "bulk",
        "simulated",
        "geo",
        "disease state",
        ("diseased",),
        ("healthy",),
        "subject id",
        "",
        "batch",
    )
    drawn = simulate_bulk(cohort=cohort, settings=settings, truth=truth)
    counts = drawn.counts.astype(float)
    values = np.log1p(counts / counts.sum(1, keepdims=True) * 1e4).astype(np.float32)
    batch = np.array([one.batch for one in drawn.planned])
    samples = Samples(
        values, tuple(truth.symbols), np.array([one.sample for one in drawn.planned]),
        np.array([one.arm for one in drawn.planned]),
        np.array([one.donor for one in drawn.planned]), batch, "log1p_cp10k",
    )  # fmt: skip
    catalogue = build_catalogue(n_genes=n_genes)
    sets = {name: [truth.symbols[row] for row in rows] for name, rows in catalogue.sets.items()}
    return Planted(samples, counts, truth, sets)
