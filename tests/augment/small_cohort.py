"""A small cohort of two classes with common factors, genes full of zeros, and genes that never vary."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from consilience.learning.samples import Samples

CONSTANT = (3, 17)
LOW = slice(40, 60)


def cohort(n=(22, 14), n_genes=60, seed=0, units="log1p of counts per million"):
    """Labels "ill" and "well"; a third of the genes near zero; genes 3 (at 2.5) and 17 (at 0) are constant."""
    world = np.random.default_rng(7)
    level, loading = world.uniform(3, 7, n_genes), world.standard_normal((4, n_genes)) * 0.5
    level[40:] = world.uniform(-1.0, 0.8, n_genes - 40)
    shift = np.where(np.arange(n_genes) % 5 == 0, 1.5, 0.0)
    rng = np.random.default_rng(seed)
    labels = np.repeat(["ill", "well"], n)
    values = level + rng.standard_normal((sum(n), 4)) @ loading
    values += rng.standard_normal(values.shape) * 0.5 + np.where(labels[:, None] == "ill", shift, 0)
    values = np.maximum(values, 0)
    values[:, 3], values[:, 17] = 2.5, 0.0
    order = rng.permutation(sum(n))
    names = np.array([f"S{number:03d}" for number in range(sum(n))])
    return Samples(
        values[order].astype(np.float32), tuple(f"G{number}" for number in range(n_genes)), names,
        labels[order], np.char.replace(names, "S", "D"), np.full(sum(n), "one"), units,
    )  # fmt: skip


def changed(samples, **parts):
    """The cohort with other parts; a function is given a copy of the old."""
    found = {
        name: part(np.array(getattr(samples, name))) if callable(part) else part
        for name, part in parts.items()
    }
    return replace(samples, **found)
