"""A small cohort of two classes for tests of what is trained."""

from __future__ import annotations

import numpy as np

from consilience.learning.samples import Samples


def cohort(n: int = 24, *, genes: int = 30, seed: int = 1, twins: bool = True) -> Samples:
    """Skewed values with zeros, three factors, a fifth of the genes apart; two donors have two samples."""
    rng = np.random.default_rng(seed)
    loadings = np.random.default_rng(99).normal(size=(3, genes))
    sick = np.arange(n) % 2 == 0
    level = rng.normal(size=(n, 3)) @ loadings * 0.5 + rng.normal(size=(n, genes)) * 0.5
    level += np.linspace(-0.5, 5, genes) + 2.0 * (sick[:, None] & (np.arange(genes) % 5 == 0))
    names = np.array([f"sample-{k:03d}" for k in range(n)])
    donors = np.array([f"donor-{k:03d}" for k in range(n)])
    if twins:
        donors[1], donors[3] = donors[0], donors[2]
    return Samples(
        np.maximum(level, 0).astype(np.float32), tuple(f"G{k}" for k in range(genes)), names,
        np.where(sick, "sick", "well"), donors, np.full(n, ""), "log1p_cpm",
    )  # fmt: skip


def no_row_of(arrays: dict[str, np.ndarray], samples: Samples) -> None:
    """No array holds a training sample, whole or in most of its genes, nor its share of the ranges."""
    low, high = samples.values.min(axis=0), samples.values.max(axis=0)
    shares = (samples.values - low) / np.where(high > low, high - low, 1)
    for name, array in arrays.items():
        if array.ndim == 0 or array.shape[-1] != len(samples.genes):
            continue
        kept = np.atleast_2d(array)
        for rows in (samples.values, shares):
            same = np.isclose(kept[:, None], rows[None], atol=1e-5).mean(axis=2)
            # a gene with many zeros is zero in the smallest values too
            varied = np.isclose(kept[:, None], rows[None], atol=1e-5)[..., (rows > 0).all(axis=0)]
            assert same.max() < 0.9, name
            assert varied.size == 0 or varied.mean(axis=2).max() < 0.5, name
