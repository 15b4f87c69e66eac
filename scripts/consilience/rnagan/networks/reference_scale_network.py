"""Samples on the scale of their references: a gene counts by how much it varies within a kind.

The references carry the scale of the measurement, so one network serves counts of single cells, bulk
logarithms and array intensities. All products are taken without ever forming the scaled queries: a task costs
a few matrix products of the queries, whatever the number of reference draws.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


def within_variance(positive: Tensor, negative: Tensor | None) -> tuple[Tensor, int]:
    """Pooled variance of each gene within the kinds (..., genes), and its degrees of freedom."""
    parts = [kind for kind in (positive, negative) if kind is not None]
    squares = sum(((kind - kind.mean(-2, keepdim=True)) ** 2).sum(-2) for kind in parts)
    freedom = sum(kind.shape[-2] - 1 for kind in parts)
    assert isinstance(squares, Tensor)  # noqa: S101 - for the type checker
    return squares / max(freedom, 1), freedom


def gene_weights(variance: Tensor, *, exponent: Tensor, floor: Tensor, observed: Tensor | None) -> Tensor:
    """variance^(-exponent/2), with a floor relative to the median: 0 keeps the units, 1 makes z-scores.

    variance (..., genes) → weights (..., genes), 0 for genes that are not observed.
    """
    positive = torch.where(variance > 0, variance, torch.nan)
    if observed is not None:
        positive = torch.where(observed, positive, torch.nan)
    typical = torch.nanmedian(positive, dim=-1, keepdim=True).values.nan_to_num(nan=1.0)
    weights = (variance / typical + floor) ** (-exponent / 2)
    return weights if observed is None else weights * observed


@dataclass(frozen=True)
class Scaled:
    """Samples whose scaled form is (x w - mean) / sd over genes, kept as parts.

    `values` (..., n, genes) as given; `weights` (..., genes); `mean`, `sd` (..., n, 1) over observed genes;
    `n_genes` how many are observed.
    """

    values: Tensor
    weights: Tensor
    mean: Tensor
    sd: Tensor
    n_genes: Tensor

    def products(self, other: Scaled) -> Tensor:
        """Inner products per gene with other scaled samples: (..., n, m)."""
        raw = self.values @ (other.values * other.weights[..., None, :] ** 2).mT / self.n_genes
        return (raw - self.mean * other.mean.mT) / (self.sd * other.sd.mT)

    def projections(self, directions: Tensor) -> Tensor:
        """Inner products with directions over genes: (k, genes) → (..., n, k)."""
        raw = self.values @ (directions * self.weights[..., None, :]).mT
        total = (directions * (self.weights[..., None, :] != 0)).sum(-1)[..., None, :]
        return (raw - self.mean * total) / self.sd

    def full(self) -> Tensor:
        """The scaled samples themselves (..., n, genes), 0 where a gene is not observed."""
        scaled = (self.values * self.weights[..., None, :] - self.mean) / self.sd
        return scaled * (self.weights[..., None, :] != 0)


def scale(values: Tensor, weights: Tensor) -> Scaled:
    """Scale samples by gene weights, then centre and scale each over its genes."""
    n_genes = (weights != 0).sum(-1, keepdim=True)[..., None].clamp(min=1)
    mean = (values @ weights[..., None]) / n_genes
    square = (values**2 @ weights[..., None] ** 2) / n_genes
    sd = (square - mean**2).clamp(min=1e-8).sqrt()
    return Scaled(values, weights, mean, sd, n_genes)
