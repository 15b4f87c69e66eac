"""A classifier that is solved, not trained: discriminant directions in the span of the references.

With 5-30 references and thousands of genes every linear rule lives in the span of the references, so all that
is needed are their inner products. Leaving one reference out is a change of weights, and all such changes are
solved in one batch. Everything is differentiable (closed-form heads: Bertinetto 2019, arXiv 1805.08136; Lee
2019, arXiv 1904.03758), so that what feeds the head can be trained through it.

Throughout: m references, n queries, M sets of weights of the references (row 0: all; row 1 + i: all but i).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Folds:
    """Weights of the references.

    `weights` (M, m) of 0 and 1; `positive` (m,) bool; `usable` (m,) bool: leaving it out leaves both kinds
    with a reference.
    """

    weights: Tensor
    positive: Tensor
    usable: Tensor


def leave_one_out(n_positive: int, n_negative: int, *, like: Tensor) -> Folds:
    """All references, then all but each one of them."""
    m = n_positive + n_negative
    positive = torch.arange(m, device=like.device) < n_positive
    weights = torch.cat([like.new_ones(1, m), 1 - torch.eye(m, dtype=like.dtype, device=like.device)])
    left = torch.where(positive, n_positive - 1, n_negative - 1)
    return Folds(weights, positive, left >= 1)


@dataclass(frozen=True)
class Direction:
    """Discriminant directions as combinations of the references.

    `coefficients` (..., M, m) and `middle` (..., M): the score of x is its inner products with the references
    times the coefficients, minus the middle (which lies half-way between the kinds).
    """

    coefficients: Tensor
    middle: Tensor

    def of_queries(self, products: Tensor) -> Tensor:
        """Scores of queries by all references: products (..., n, m) → (..., n)."""
        return (products @ self.coefficients[..., 0, :, None])[..., 0] - self.middle[..., :1]

    def left_out(self, products: Tensor) -> Tensor:
        """Each reference's score by the others: products (..., m, m) or one for each fold → (..., m)."""
        own = products if products.ndim == self.coefficients.ndim else _own_rows(products)
        return (own * self.coefficients[..., 1:, :]).sum(-1) - self.middle[..., 1:]


def _own_rows(products: Tensor) -> Tensor:
    """Row i of the products as they are in the fold that leaves i out: (..., M, m, m) → (..., m, m)."""
    m = products.shape[-1]
    rows = torch.arange(m, device=products.device)
    return products[..., 1 + rows, rows, :]


def class_weights(folds: Folds) -> tuple[Tensor, Tensor]:
    """Weights that average the positive and the negative references of each fold, each (M, m)."""
    positive = folds.weights * folds.positive
    negative = folds.weights * ~folds.positive
    return positive / positive.sum(-1, keepdim=True).clamp(min=1), negative / negative.sum(
        -1, keepdim=True
    ).clamp(min=1)


def solve_direction(products: Tensor, folds: Folds, shrinkage: Tensor) -> Direction:
    """Ridge discriminant directions in the span of the references.

    products (..., m, m), or (..., M, m, m) where they differ by fold; `shrinkage` relative to the mean
    within-kind variance: 0 is Fisher's direction, infinity the difference of the means.
    """
    if products.ndim < 3 or products.shape[-3] != len(folds.weights):
        products = products[..., None, :, :]
    average_positive, average_negative = class_weights(folds)
    contrast = average_positive - average_negative
    weights, is_positive = folds.weights, folds.positive.to(products.dtype)
    own_mean = (
        is_positive[:, None] * average_positive[:, None, :]
        + (1 - is_positive)[:, None] * average_negative[:, None, :]
    )
    within = weights[:, :, None] * (torch.eye(weights.shape[1], device=products.device) - own_mean)
    scatter = within @ products @ within.mT
    count = weights.sum(-1)
    ridge = shrinkage * scatter.diagonal(dim1=-2, dim2=-1).sum(-1) / count + 1e-9
    system = scatter + ridge[..., None, None] * torch.eye(weights.shape[1], device=products.device)
    pull = within @ (products @ contrast[..., None])
    coefficients = contrast - (within.mT @ torch.linalg.solve(system, pull))[..., 0]
    between = (average_positive + average_negative) / 2
    middle = ((between[..., None, :] @ products)[..., 0, :] * coefficients).sum(-1)
    return Direction(coefficients, middle)


def separation(left_out: Tensor, folds: Folds) -> tuple[Tensor, Tensor, Tensor]:
    """How far left-out references of the two kinds lie apart: effect size, within-kind sd, middle.

    left_out (..., m) → three of (...). The sd is pooled; a kind with one reference adds nothing to it.
    """
    use = folds.usable.to(left_out.dtype)
    positive, negative = use * folds.positive, use * ~folds.positive
    n_positive, n_negative = positive.sum().clamp(min=1), negative.sum().clamp(min=1)
    mean_positive = (left_out * positive).sum(-1) / n_positive
    mean_negative = (left_out * negative).sum(-1) / n_negative
    own = torch.where(folds.positive, mean_positive[..., None], mean_negative[..., None])
    freedom = (positive.sum() + negative.sum() - 2).clamp(min=1)
    sd = (((left_out - own) ** 2 * use).sum(-1) / freedom + 1e-12).sqrt()
    return (mean_positive - mean_negative) / sd, sd, (mean_positive + mean_negative) / 2
