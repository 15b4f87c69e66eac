"""Small models with random weights, and samples with real gene symbols, for tests of what is built on them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from consilience.expression.genes import load_gene_table
from consilience.learning.samples import Samples
from consilience.pathways.wiring import wire
from consilience.rnagan.calibration import Calibration
from consilience.rnagan.model import Rnagan, cohort_entry, moments_entry, software
from consilience.rnagan.presets import PUBLISHED, Preset, build_networks

SYMBOLS = tuple(load_gene_table().symbols_of(gene_type="protein_coding")[100:220])
GENES = SYMBOLS[:100]
CALIBRATION = Calibration.of_line(0.8, -0.1)
SMALL = replace(PUBLISHED, hidden=(16, 64, 8))


def make_counts(n: int = 24, *, seed: int = 1, shift: float = 4.0) -> tuple[np.ndarray, np.ndarray]:
    """Counts (n, SYMBOLS) and labels: in half the samples a fifth of the genes has `shift` times the reads."""
    random = np.random.default_rng(seed)
    level = np.random.default_rng(0).gamma(2.0, 60.0, len(SYMBOLS)) + 5
    sick = np.arange(n) % 2 == 0
    rate = np.where(sick[:, None] & (np.arange(len(SYMBOLS)) < 20), level * shift, level)
    counts = random.poisson(rate * random.gamma(20, 1 / 20, rate.shape) * random.uniform(0.6, 1.6, (n, 1)))
    return counts, np.where(sick, "sick", "well")


def make_samples(n: int = 24, *, seed: int = 1) -> Samples:
    counts, labels = make_counts(n, seed=seed)
    values = np.log1p(counts / counts.sum(axis=1, keepdims=True) * 1e4)[:, : len(GENES)]
    names = np.array([f"patient-{seed}-{k:03d}" for k in range(n)])
    return Samples(values.astype(np.float32), GENES, names, labels, names, np.full(n, ""), "log1p_cp10k")


def make_model(
    preset: Preset = SMALL, *, seed: int = 3, calibration: Calibration | None = CALIBRATION
) -> Rnagan:
    random = np.random.default_rng(7)
    edges = sorted(
        {(GENES[g], f"P{p:02d}") for p in range(9) for g in random.choice(len(GENES), 12, replace=False)}
    )
    wiring = wire({"gene": [g for g, _ in edges], "pathway": [p for _, p in edges]}, genes=GENES)
    discriminator, generator = build_networks(preset, GENES, wiring, seed)
    samples = make_samples(seed=11)
    record = {
        "cohorts": [cohort_entry("planted", samples)], "moments": moments_entry(samples),
        "figures": {"AUC, 20 references": 0.91}, "limits": ["Random weights."], "software": software(),
    }  # fmt: skip
    return Rnagan(preset, GENES, wiring, discriminator.eval(), generator.eval(), calibration, record)
