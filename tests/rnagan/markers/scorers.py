"""Scorers whose markers are known, and donors to ask."""

from __future__ import annotations

import numpy as np
import torch

from consilience.learning.samples import Samples


class Linear:
    """w·x + b, whatever the references."""

    def __init__(self, weight, bias: float = 0.0) -> None:
        self.weight, self.bias = torch.as_tensor(np.asarray(weight), dtype=torch.float32), bias

    def __call__(self, query, positive, negative):
        return query @ self.weight + self.bias


class Product:
    """Linear plus strength · x_i · x_j."""

    def __init__(self, weight, i: int, j: int, strength: float) -> None:
        self.linear, self.i, self.j, self.strength = Linear(weight), i, j, strength

    def __call__(self, query, positive, negative):
        return (
            self.linear(query, positive, negative) + self.strength * query[..., self.i] * query[..., self.j]
        )


class Centroid:
    """Diagonal discriminant of the references; without negatives, distance to the positive mean."""

    def __init__(self, prior_sd: float = 0.5) -> None:
        self.prior = prior_sd**2

    def __call__(self, query, positive, negative):
        m1 = positive.mean(-2)
        if negative is None:
            return -((query - m1) ** 2).mean(-1)
        m0 = negative.mean(-2)
        left = ((positive - m1.unsqueeze(-2)) ** 2).sum(-2) + ((negative - m0.unsqueeze(-2)) ** 2).sum(-2)
        n = positive.shape[-2] + negative.shape[-2] - 2
        var = (left + 4 * self.prior) / (n + 4)
        return ((query - (m1 + m0) / 2) * ((m1 - m0) / var)).sum(-1) / query.shape[-1] ** 0.5


class Borrowing(Centroid):
    """A centroid whose weights are shared by neighbouring genes (as a model of pathways does), saturating."""

    def __init__(self, width: int = 10, bend: float = 0.5) -> None:
        super().__init__()
        self.width, self.bend = width, bend

    def __call__(self, query, positive, negative):
        m1, m0 = positive.mean(-2), negative.mean(-2)
        apart = (m1 - m0).reshape(-1, self.width).mean(1).repeat_interleave(self.width)
        score = ((query - (m1 + m0) / 2) * apart).sum(-1)
        return score - self.bend * torch.relu(score) * 0.9


def donors(
    *,
    n: int = 24,
    genes: int = 300,
    planted: int = 0,
    shift: float = 1.5,
    seed: int = 0,
    batches: int = 1,
    batch_shift: float = 0.0,
    alternating: bool = True,
    correlated: float = 0.0,
    per_donor: int = 1,
) -> tuple[Samples, np.ndarray]:
    """Half of `n` donors are 'case'; the first `planted` genes are shifted, in alternating directions or all up."""
    rng = np.random.default_rng([seed, 17])
    case = np.arange(n) % 2 == 0
    batch = (np.arange(n) // 2) % batches
    effect = np.zeros(genes)
    effect[:planted] = shift * np.where(np.arange(planted) % (2 if alternating else 1) == 0, 1, -1)
    level = rng.normal(6, 1, genes)
    common = rng.normal(size=(n, 5)) @ rng.normal(size=(5, genes)) / 5**0.5
    noise = correlated**0.5 * common + (1 - correlated) ** 0.5 * rng.normal(size=(n, genes))
    x = level + noise + case[:, None] * effect + batch_shift * batch[:, None] * rng.normal(size=genes)
    rows = np.repeat(np.arange(n), per_donor)
    values = (x[rows] + (0.5 * rng.normal(size=(len(rows), genes)) if per_donor > 1 else 0)).astype(
        np.float32
    )
    names = np.array([f"S{row:03d}.{k % per_donor}" for k, row in enumerate(rows)])
    samples = Samples(
        values=values, genes=tuple(f"G{g:04d}" for g in range(genes)), names=names,
        labels=np.where(case, "case", "control")[rows], donors=np.array([f"D{row:03d}" for row in rows]),
        batches=np.array([f"B{batch[row]}" for row in rows]), units="log2 CPM",
    )  # fmt: skip
    return samples, effect
