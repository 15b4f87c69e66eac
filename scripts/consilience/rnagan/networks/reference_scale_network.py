"""Samples on the scale of their references: a gene counts by how much it varies within a kind.

The references carry the scale of the measurement, so one network serves counts of single cells, bulk
logarithms and array intensities. Scaled samples are never formed: what is asked of them (inner products with
references, linear scores) are matrix products of the samples as they are, so that a thousand queries under a
hundred draws of references cost a few products and no copies.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

LARGEST_LOG = 15.0
"""Values above are cut: e^15 is 3 million, more than the total that counts are scaled to."""


def softened(values: Tensor, amount: Tensor, observed: Tensor | None) -> Tensor:
    """log1p(linear / (amount * mean linear value of the sample)) of natural log1p values (..., n, genes).

    A logarithm of few reads is mostly noise; this one is linear below the mean level and needs to know
    neither depth nor the total that samples were scaled to. `observed` (..., genes): the others become 0.
    """
    linear = torch.expm1(values.clamp(0.0, LARGEST_LOG))
    if observed is None:
        level = linear.mean(-1, keepdim=True)
    else:
        linear = linear * observed[..., None, :]
        level = linear.sum(-1, keepdim=True) / observed.sum(-1)[..., None, None].clamp(min=1)
    return torch.log1p(linear / (amount * level + 1e-6))


def within_variance(positive: Tensor, negative: Tensor | None) -> tuple[Tensor, int]:
    """Pooled variance of each gene within the kinds (..., genes), and its degrees of freedom."""
    squares, freedom = _squares(positive), positive.shape[-2] - 1
    if negative is not None:
        squares, freedom = squares + _squares(negative), freedom + negative.shape[-2] - 1
    return squares / max(freedom, 1), freedom


def _squares(kind: Tensor) -> Tensor:
    return ((kind - kind.mean(-2, keepdim=True)) ** 2).sum(-2)


def gene_weights(variance: Tensor, *, exponent: Tensor, floor: Tensor, observed: Tensor | None) -> Tensor:
    """variance^(-exponent/2), with a floor relative to the median: 0 keeps the units, 1 makes z-scores.

    variance (..., genes) → weights (..., genes), 0 for genes that are not observed. The median is of the
    genes that vary, so that genes nobody expresses do not set the scale.
    """
    varies = variance > 0 if observed is None else (variance > 0) & observed
    varying = torch.where(varies, variance, torch.nan)
    typical = torch.nanmedian(varying, dim=-1, keepdim=True).values.nan_to_num(nan=1.0)
    weights = (variance / typical + floor) ** (-exponent / 2)
    return weights if observed is None else weights * observed


@dataclass(frozen=True)
class Scaled:
    """Samples whose scaled form is (values * weights - mean) / sd over the observed genes, kept as parts.

    `values` (..., n, genes) as given; `weights` (..., genes), 0 where a gene is not observed; `mean`, `sd`
    (..., n, 1) over observed genes; `n_genes` (..., 1, 1) how many are observed.
    """

    values: Tensor
    weights: Tensor
    mean: Tensor
    sd: Tensor
    n_genes: Tensor

    def products(self) -> Tensor:
        """Inner products per gene of the samples with each other: (..., n, n)."""
        raw = (self.values * self.weights[..., None, :] ** 2) @ self.values.mT / self.n_genes
        return (raw - self.mean * self.mean.mT) / (self.sd * self.sd.mT)

    def projections(self, directions: Tensor) -> Tensor:
        """Inner products with directions over genes: (k, genes) → (..., n, k)."""
        raw = self.values @ (directions * self.weights[..., None, :]).mT
        total = (directions * (self.weights != 0)[..., None, :]).sum(-1)[..., None, :]
        return (raw - self.mean * total) / self.sd

    def combined(self, coefficients: Tensor) -> Tensor:
        """Sum of the scaled samples times coefficients (..., n): (..., genes), 0 where not observed."""
        share = coefficients / self.sd[..., 0]
        of_values = (share[..., None, :] @ self.values)[..., 0, :] * self.weights
        return of_values - (share * self.mean[..., 0]).sum(-1, keepdim=True) * (self.weights != 0)


def scale(values: Tensor, weights: Tensor) -> Scaled:
    """Scale samples (..., n, genes) by gene weights (..., genes), then centre and scale each over its genes."""
    n_genes = (weights != 0).sum(-1)[..., None, None].clamp(min=1)
    mean, sd = _moments(values @ weights[..., None], values**2 @ weights[..., None] ** 2, n_genes)
    return Scaled(values, weights, mean, sd, n_genes)


def _moments(total: Tensor, squares: Tensor, n_genes: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and sd over genes from sums over genes; a sample without variation has a small sd, not none."""
    mean = total / n_genes
    return mean, (squares / n_genes - mean**2).clamp(min=1e-8).sqrt()


@dataclass(frozen=True)
class Rule:
    """What a set of references makes of any sample: a score linear in the sample's scaled forms.

    The sample is scaled in V ways; score = offset + sum over ways of scaled sample · direction.
    `weights`, `directions` (..., V, genes); `offset` (...). Not observed genes have weight and direction 0.
    """

    weights: Tensor
    directions: Tensor
    offset: Tensor

    def scores(self, values: Tensor) -> Tensor:
        """Scores (..., n) of samples (..., n, genes); samples (n, genes) are shared by all rules."""
        present = self.weights != 0
        n_genes = present.sum(-1).clamp(min=1)
        # the mean of a sample is linear in it as well, so it goes into the direction
        centre = (self.directions * present).sum(-1, keepdim=True) / n_genes[..., None]
        raw = _by_rows(values, self.weights * (self.directions - centre))
        total, squares = _by_rows(values, self.weights), _by_rows(values**2, self.weights**2)
        _, sd = _moments(total, squares, n_genes[..., None, :])
        return (raw / sd).sum(-1) + self.offset[..., None]


def _by_rows(values: Tensor, rows: Tensor) -> Tensor:
    """values (..., n, genes) by rows (..., V, genes): (..., n, V); shared values take one product for all."""
    if values.ndim > 2 or rows.ndim == 2:
        return values @ rows.mT
    flat = rows.reshape(-1, rows.shape[-1]) @ values.mT
    return flat.reshape(*rows.shape[:-1], len(values)).mT
