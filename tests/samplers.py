"""Simple samplers of patients, for the tests of measures: from one that copies to one that never saw anybody.

Each is fitted on rows (n, G) of one class: sampler(rows, n, rng) → (n, G).
"""

from __future__ import annotations

import numpy as np


def bootstrap(rows, n, rng, noise=0.05):
    """Rows of patients with a little noise (a share of each gene's spread)."""
    return rows[rng.integers(len(rows), size=n)] + noise * rows.std(axis=0) * rng.standard_normal(
        (n, rows.shape[1])
    )


def smote(rows, n, rng, k=5):
    """A random point between a patient and one of the k nearest others."""
    square = ((rows[:, None] - rows[None]) ** 2).sum(axis=2) if rows.size < 50_000 else _squares(rows)
    np.fill_diagonal(square, np.inf)
    near = np.argsort(square, axis=1)[:, : min(k, len(rows) - 1)]
    start = rng.integers(len(rows), size=n)
    end = near[start, rng.integers(near.shape[1], size=n)]
    share = rng.random((n, 1))
    return rows[start] * (1 - share) + rows[end] * share


def _squares(rows):
    centred = rows - rows.mean(axis=0)
    norm = (centred**2).sum(axis=1)
    return norm[:, None] + norm - 2 * centred @ centred.T


def shrunk_gaussian(rows, n, rng, shrinkage=0.2):
    """Gaussian with the sample's mean and (1 − s) × covariance + s × its diagonal."""
    mean, sd = rows.mean(axis=0), rows.std(axis=0, ddof=1)
    joint = rng.standard_normal((n, len(rows))) @ (rows - mean) / np.sqrt(len(rows) - 1)
    alone = rng.standard_normal((n, rows.shape[1])) * sd
    return mean + np.sqrt(1 - shrinkage) * joint + np.sqrt(shrinkage) * alone


def independent_genes(rows, n, rng):
    """Each gene drawn by itself from its own values: spread right, correlation gone."""
    return np.take_along_axis(rows, rng.integers(len(rows), size=(n, rows.shape[1])), axis=0)


def copula(rows, n, rng, shrinkage=0.2):
    """Gaussian copula: a shrunk Gaussian's ranks, the genes' own quantiles."""
    from scipy.stats import norm, rankdata

    scores = norm.ppf((rankdata(rows, axis=0) - 0.5) / len(rows))
    spread = np.maximum(scores.std(axis=0, ddof=1), 1e-9)
    place = norm.cdf(shrunk_gaussian(scores, n, rng, shrinkage) / spread)
    at = np.clip(place * len(rows) - 0.5, 0, len(rows) - 1)
    low = np.floor(at).astype(int)
    high = np.minimum(low + 1, len(rows) - 1)
    ordered = np.sort(rows, axis=0)
    below, above = (np.take_along_axis(ordered, places, axis=0) for places in (low, high))
    return below + (at - low) * (above - below)


def narrow(rows, n, rng, width=0.4):
    """A shrunk Gaussian of too little spread, as an under-dispersed model makes."""
    drawn = shrunk_gaussian(rows, n, rng)
    return rows.mean(axis=0) + width * (drawn - rows.mean(axis=0))


SAMPLERS = {
    "shrunk Gaussian": shrunk_gaussian,
    "copula": copula,
    "independent genes": independent_genes,
    "narrow": narrow,
    "SMOTE": smote,
    "bootstrap + noise": bootstrap,
}


def by_class(sampler, rows, labels, n_of, rng):
    """Draw n_of[label] of every class: values (n, G) float32 and labels (n,)."""
    drawn = [(sampler(rows[labels == label], n, rng), np.full(n, label)) for label, n in sorted(n_of.items())]
    return np.concatenate([part[0] for part in drawn]).astype(np.float32), np.concatenate(
        [part[1] for part in drawn]
    )


class Population:
    """Patients of two classes: a class shift in a tenth of the genes, common factors, and noise of their own."""

    def __init__(self, n_genes=300, n_factors=8, seed=0):
        rng = np.random.default_rng(seed)
        self.level = rng.uniform(2, 8, n_genes)
        self.loading = rng.standard_normal((n_factors, n_genes)) * 0.5
        self.noise = rng.uniform(0.3, 1.0, n_genes)
        self.shift = np.where(np.arange(n_genes) % 10 == 0, 2.0, 0.0)

    def draw(self, n, rng):
        labels = np.where(np.arange(n) % 3 == 0, "ill", "well")
        factors = rng.standard_normal((n, len(self.loading)))
        values = self.level + factors @ self.loading + rng.standard_normal((n, len(self.level))) * self.noise
        values += np.where(labels[:, None] == "ill", self.shift, 0)
        return np.maximum(values, 0).astype(np.float32), labels
