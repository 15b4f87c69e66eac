"""Samples with a known answer, and small scorers that stand for the networks."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from consilience.learning.samples import Samples


def make_samples(
    n_positive: int,
    n_negative: int,
    *,
    shift: float = 1.0,
    n_genes: int = 40,
    n_signal: int = 10,
    seed: int = 0,
    prefix: str = "s",
    per_donor: int = 1,
) -> Samples:
    """Unit normal genes around 5; the first `n_signal` of positives moved by `shift`; `per_donor` samples each."""
    rng = np.random.default_rng(seed)
    n = n_positive + n_negative
    positive = np.arange(n) < n_positive
    values = rng.normal(5.0, 1.0, (n, n_genes)).astype(np.float32)
    values[positive, :n_signal] += np.float32(shift)
    names = np.array([f"{prefix}{k:04d}" for k in range(n)])
    donors = np.array([f"{prefix}d{k // per_donor:04d}" for k in range(n)])
    genes = tuple(f"g{k}" for k in range(n_genes))
    return Samples(values, genes, names, np.where(positive, "sick", "well"), donors, np.full(n, "b"), "log")


def of_kind(samples: Samples, kind: str) -> Samples:
    return samples.take(samples.labels == kind)


def centroid(query, positive, negative=None, observed=None):
    """Difference of squared distances to the two mean profiles; to the one, without negatives."""
    mask = 1.0 if observed is None else observed.to(query.dtype)

    def distance(kind):
        return (((query - kind.mean(dim=-2, keepdim=True)) ** 2) * mask).mean(dim=-1)

    return -distance(positive) if negative is None else distance(negative) - distance(positive)


class FastCentroid:
    """`centroid` with what depends on one sample computed once."""

    def __call__(self, query, positive, negative=None, observed=None):
        return centroid(query, positive, negative, observed)

    def over_draws(self, query, positive, negative, positive_rows, negative_rows, observed=None):
        mask = torch.ones(query.shape[-1]) if observed is None else observed.to(query.dtype)

        def distance(kind, rows):
            mean = kind[rows].mean(dim=1)
            squares = (query**2) @ mask + ((mean**2) @ mask)[:, None]
            return (squares - 2 * (mean * mask) @ query.T) / query.shape[-1]

        near = -distance(positive, positive_rows)
        return near if negative is None else near + distance(negative, negative_rows)


class RandomNetwork(torch.nn.Module):
    """An untrained network of query and pooled references, with dropout."""

    def __init__(self, n_genes: int, *, seed: int = 0) -> None:
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(seed)
            self.first = torch.nn.Linear(3 * n_genes, 8)
            self.last = torch.nn.Linear(8, 1)
        self.dropout = torch.nn.Dropout(0.5)

    def forward(self, query, positive, negative=None, observed=None):
        negative = torch.zeros_like(positive) if negative is None else negative
        pooled = [kind.mean(dim=-2, keepdim=True).expand(query.shape) for kind in (positive, negative)]
        hidden = torch.tanh(self.first(torch.cat([query, *pooled], dim=-1)))
        return self.last(self.dropout(hidden)).squeeze(-1)


def noise(seed: int) -> Callable[..., torch.Tensor]:
    """Logits that depend on the query alone, at random."""

    def score(query, positive, negative=None, observed=None):
        weights = torch.from_numpy(np.random.default_rng(seed).normal(size=query.shape[-1])).to(query.dtype)
        return (query @ weights).expand(*query.shape[:-1])

    return score
