"""Samples on the scale of their references: a gene counts by how much it varies within a kind.

The references carry the scale of the measurement, so one network serves counts of single cells, bulk
logarithms and array intensities. References are few and are scaled; queries are many and never are: scores
linear in scaled queries are products of the queries as they are (`Rule`), so that a thousand queries under a
hundred draws of references cost a few matrix products and no copies.
"""

from __future__ import annotations

from collections.abc import Sequence
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


def scaled(values: Tensor, weights: Tensor, observed: Tensor | None) -> Tensor:
    """Samples times gene weights, centred and scaled each over its observed genes: (..., n, genes).

    values (..., n, genes), weights and `observed` (..., genes); 0 where a gene is not observed.
    """
    n_genes = count_genes(weights, observed)
    weighted = values * weights[..., None, :]
    mean = weighted.sum(-1, keepdim=True) / n_genes
    centred = weighted - mean if observed is None else (weighted - mean) * observed[..., None, :]
    return centred / _sd((centred**2).sum(-1, keepdim=True) / n_genes)


def count_genes(weights: Tensor, observed: Tensor | None) -> Tensor:
    """How many genes are observed: () or (..., 1, 1)."""
    if observed is None:
        return weights.new_tensor(float(weights.shape[-1]))
    return observed.sum(-1)[..., None, None].clamp(min=1).to(weights.dtype)


def _sd(square: Tensor) -> Tensor:
    """Of a mean square over genes; a sample without variation has a small one, not none."""
    return square.clamp(min=1e-8).sqrt()


@dataclass(frozen=True)
class Rule:
    """What a set of references makes of any sample: a score that is linear in scaled forms of the sample.

    The sample x is weighted in V ways. Its score is offset + sum over ways of (x · direction) / sd, where sd
    is that of x times weights over genes, of which there are `n_genes` (() or (..., 1, 1)).
    `weights`, `directions` (..., V, genes), 0 where a gene is not observed; `offset` (...).
    """

    weights: Tensor
    directions: Tensor
    offset: Tensor
    n_genes: Tensor

    @classmethod
    def of_scaled(
        cls, weights: Sequence[Tensor], directions: Sequence[Tensor], *, offset: Tensor,
        observed: Tensor | None,
    ) -> Rule:  # fmt: skip
        """From V directions (..., genes) over scaled samples, each with the weights of its scaling."""
        joint, n_genes = torch.stack(list(weights), dim=-2), count_genes(weights[0], observed)
        of_scaled = torch.stack(list(directions), dim=-2)
        mask = 1 if observed is None else observed[..., None, :]
        # the mean that scaling takes from a sample is linear in it as well, so it goes into the direction
        centre = (of_scaled * mask).sum(-1, keepdim=True) / n_genes
        return cls(joint, joint * (of_scaled - centre), offset, n_genes)

    def scores(self, values: Tensor) -> Tensor:
        """Scores (..., n) of samples (..., n, genes); samples (n, genes) are shared by all rules."""
        mean = _by_rows(values, self.weights) / self.n_genes
        sd = _sd(_by_rows(values**2, self.weights**2) / self.n_genes - mean**2)
        return (_by_rows(values, self.directions) / sd).sum(-1) + self.offset[..., None]


def joined(rules: Sequence[Rule]) -> Rule:
    """Rules of blocks of draws (D, ...) as rules of all of them; the observed genes are the same."""
    return Rule(
        torch.cat([rule.weights for rule in rules]),
        torch.cat([rule.directions for rule in rules]),
        torch.cat([rule.offset for rule in rules]),
        rules[0].n_genes,
    )


def _by_rows(values: Tensor, rows: Tensor) -> Tensor:
    """Values (..., n, genes) by rows (..., V, genes): (..., n, V); shared values take one product for all."""
    if values.ndim > 2 or rows.ndim == 2:
        return values @ rows.mT
    flat = rows.reshape(-1, rows.shape[-1]) @ values.mT
    return flat.reshape(*rows.shape[:-1], len(values)).mT
