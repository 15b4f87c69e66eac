"""A classifier that is solved, not trained: discriminant directions in the span of the references.

With 5-30 references and thousands of genes every linear rule lives in the span of the references, so all that
is needed are their inner products. Leaving one reference out is a change of weights, and all such changes are
solved in one batch. Everything is differentiable (closed-form heads: Bertinetto 2019, arXiv 1805.08136; Lee
2019, arXiv 1904.03758), so that what feeds the head can be trained through it.

Throughout: m references, M sets of weights of the references (row 0: all; row 1 + i: all but i), k features.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

PRIOR_REFERENCES = 4.0
"""How many references the typical variance of a feature counts as much as."""
LARGEST_EFFECT = 10.0
"""Kinds that lie farther apart than this many standard deviations are taken to lie so far apart."""
SMALL_SD = 1e-5
SLACK = 1e-6
"""Least ridge, relative to the references' mean squared distance from their mean."""


@dataclass(frozen=True)
class Folds:
    """Weights of the references.

    `weights` (M, m) of 0 and 1; `positive` (m,) truths; `usable` (m,) truths: leaving it out leaves both
    kinds with a reference; `complete`: all of them are usable.
    """

    weights: Tensor
    positive: Tensor
    usable: Tensor
    complete: bool

    @property
    def averages(self) -> tuple[Tensor, Tensor]:
        """Weights that average the positive and the negative references of each fold, each (M, m)."""
        positive, negative = self.weights * self.positive, self.weights * ~self.positive
        return (
            positive / positive.sum(-1, keepdim=True).clamp(min=1),
            negative / negative.sum(-1, keepdim=True).clamp(min=1),
        )


def leave_one_out(n_positive: int, n_negative: int, *, like: Tensor) -> Folds:
    """All references, then all but each one of them; type and device as `like`."""
    m = n_positive + n_negative
    positive = torch.arange(m, device=like.device) < n_positive
    weights = torch.cat([like.new_ones(1, m), 1 - torch.eye(m, dtype=like.dtype, device=like.device)])
    left = torch.where(positive, n_positive - 1, n_negative - 1)
    return Folds(weights, positive, left >= 1, min(n_positive, n_negative) > 1)


@dataclass(frozen=True)
class Direction:
    """Discriminant directions as combinations of the references.

    `coefficients` (..., M, m) and `middle` (..., M): the score of a sample is its inner products with the
    references times the coefficients, minus the middle (which lies half-way between the kinds). `gap` (...):
    how far the means of the two kinds lie apart in the scores by all references.
    """

    coefficients: Tensor
    middle: Tensor
    gap: Tensor

    def left_out(self, products: Tensor) -> Tensor:
        """Each reference's score by the others: products (..., 1, m, m) or (..., M, m, m) → (..., m)."""
        if products.shape[-3] == 1:
            own = products[..., 0, :, :]
        else:  # row i as it is in the fold that leaves i out
            rows = torch.arange(products.shape[-1], device=products.device)
            own = products[..., 1 + rows, rows, :]
        return (own * self.coefficients[..., 1:, :]).sum(-1) - self.middle[..., 1:]


def solve_direction(products: Tensor, folds: Folds, shrinkage: Tensor) -> Direction:
    """Ridge discriminant directions in the span of the references.

    products (..., 1, m, m), or (..., M, m, m) where they differ by fold; `shrinkage` relative to the mean
    within-kind variance: 0 is Fisher's direction, infinity the difference of the means. In the features
    themselves the direction is (W + ridge)^-1 (mean of positives - mean of negatives) times the ridge, with W
    the scatter within the kinds and ridge = shrinkage * trace(W) / references.
    """
    average_positive, average_negative = folds.averages
    contrast, weights = average_positive - average_negative, folds.weights
    own_mean = torch.where(
        folds.positive[:, None], average_positive[:, None, :], average_negative[:, None, :]
    )
    eye = torch.eye(weights.shape[-1], dtype=weights.dtype, device=weights.device)
    within = weights[:, :, None] * (eye - own_mean)
    scatter = within @ products @ within.mT
    ridge = shrinkage * scatter.diagonal(dim1=-2, dim2=-1).sum(-1) / weights.sum(-1).clamp(min=1)
    # identical references have no scatter but rounding errors, which must not become a direction
    ridge = ridge + SLACK * mean_within(products) + 1e-9
    pull = within @ (products @ contrast[..., None])
    solved = torch.linalg.solve(scatter + ridge[..., None, None] * eye, pull)
    coefficients = contrast - (within.mT @ solved)[..., 0]
    reached = (products @ coefficients[..., None])[..., 0]
    middle = (reached * (average_positive + average_negative) / 2).sum(-1)
    return Direction(coefficients, middle, (reached[..., 0, :] * contrast[0]).sum(-1))


@dataclass(frozen=True)
class Separation:
    """How far left-out references of the two kinds lie apart: `effect` in units of `sd`, and the `middle`.

    All (...); the sd is pooled within the kinds.
    """

    effect: Tensor
    sd: Tensor
    middle: Tensor


def separation(left_out: Tensor, folds: Folds, gap: Tensor) -> Separation:
    """Of scores of left-out references (..., m).

    Where a kind has one reference, nothing can be left out of it: effect 0, middle 0, and half the `gap`
    (...) that the kinds have in the scores by all references stands for the sd. So it does where nothing
    varies.
    """
    half_gap = gap.abs() / 2 + SMALL_SD
    if not folds.complete:
        return Separation(torch.zeros_like(gap), half_gap, torch.zeros_like(gap))
    positive, negative = folds.averages[0][0], folds.averages[1][0]
    mean_positive, mean_negative = (left_out * positive).sum(-1), (left_out * negative).sum(-1)
    own = torch.where(folds.positive, mean_positive[..., None], mean_negative[..., None])
    freedom = max(left_out.shape[-1] - 2, 1)
    sd = (((left_out - own) ** 2).sum(-1) / freedom + 1e-12).sqrt()
    difference = mean_positive - mean_negative
    sd = torch.maximum(sd, difference.abs() / LARGEST_EFFECT)
    sd = torch.where(sd > SMALL_SD, sd, half_gap)
    return Separation(difference / sd, sd, (mean_positive + mean_negative) / 2)


@dataclass(frozen=True)
class Contrasts:
    """Every feature between the two kinds of references, in every fold; all (..., M, k).

    `variance` within kinds, moderated by the median over the features that vary, which counts as
    PRIOR_REFERENCES more references; `t` the statistic with it.
    """

    mean_positive: Tensor
    mean_negative: Tensor
    variance: Tensor
    t: Tensor


def contrasts_of(features: Tensor, folds: Folds) -> Contrasts:
    """Means, moderated variances and t statistics of features (..., m, k)."""
    positive, negative = folds.averages
    n = folds.weights.sum(-1)[:, None]
    n_positive = (folds.weights * folds.positive).sum(-1)[:, None].clamp(min=1)
    n_negative = (n - n_positive).clamp(min=1)
    square = features**2
    mean_positive, mean_negative = positive @ features, negative @ features
    spread = n_positive * (positive @ square - mean_positive**2)
    spread = (spread + n_negative * (negative @ square - mean_negative**2)).clamp(min=0)
    varying = torch.where(spread > 0, spread / (n - 2).clamp(min=1), torch.nan)
    typical = torch.nanmedian(varying, dim=-1, keepdim=True).values.nan_to_num(nan=0.0).clamp(min=1e-8)
    variance = (spread + PRIOR_REFERENCES * typical) / (n - 2 + PRIOR_REFERENCES)
    t = (mean_positive - mean_negative) / (variance * (1 / n_positive + 1 / n_negative)).sqrt()
    return Contrasts(mean_positive, mean_negative, variance, t)


def james_stein_shares(features: Tensor, folds: Folds, gate: Tensor) -> Tensor:
    """How much each feature counts in each fold: (..., m, k) → (..., M, k), at most 1 / variance.

    A feature counts by the positive-part James-Stein factor 1 - gate / t^2 of its own t statistic between the
    references of the fold, so that features that say nothing here bring no noise.
    """
    found = contrasts_of(features, folds)
    factor = (1 - gate / (found.t**2).clamp(min=1e-6)).clamp(min=0)
    return factor / factor.sum(-1, keepdim=True).clamp(min=1) / found.variance


def shared_products(features: Tensor, shares: Tensor) -> Tensor:
    """Inner products of references over features by their shares: (..., m, k), (..., M, k) → (..., M, m, m).

    One matrix product over all pairs of references: pairs are symmetric, so half of them are enough.
    """
    m = features.shape[-2]
    one, other = torch.tril_indices(m, m, device=features.device).unbind()
    place = torch.empty(m, m, dtype=torch.long, device=features.device)
    place[one, other] = place[other, one] = torch.arange(len(one), device=features.device)
    pairs = features[..., one, :] * features[..., other, :]
    found: Tensor = (shares @ pairs.mT)[..., place]
    return found


@dataclass(frozen=True)
class Head:
    """One classifier: a score linear in a sample's difference from the mean reference, less `middle` (...).

    `parts`: its coefficients for the references in either weighting of genes ("genes", "z_scores": (..., m)),
    for "pathways" (..., P) and for "contrasts" (..., 64), as far as it looks at them. `left_out` (..., m)
    scores of references by the others; `gap` (...) between the kinds' means.
    """

    middle: Tensor
    left_out: Tensor
    gap: Tensor
    parts: dict[str, Tensor]


def mean_within(products: Tensor) -> Tensor:
    """Mean squared distance of references from the mean of all, from products (..., m, m): (...)."""
    own = products.diagonal(dim1=-2, dim2=-1).mean(-1)
    return (own - products.mean((-2, -1))).clamp(min=1e-9)


def as_head(direction: Direction, products: Tensor, parts: dict[str, Tensor]) -> Head:
    """A solved direction as a head; `products` as `solve_direction` took them."""
    return Head(direction.middle[..., 0], direction.left_out(products), direction.gap, parts)


def weighted_sum(heads: list[Head], weights: list[Tensor]) -> Head:
    """Heads times their weights (...), added up."""
    parts: dict[str, Tensor] = {}
    for head, weight in zip(heads, weights, strict=True):
        for name, values in head.parts.items():
            here = weight[..., None] * values
            parts[name] = parts[name] + here if name in parts else here
    each = torch.stack(weights, dim=-1)
    middle = (each * torch.stack([head.middle for head in heads], dim=-1)).sum(-1)
    gap = (each * torch.stack([head.gap for head in heads], dim=-1)).sum(-1)
    left_out = (each[..., None, :] * torch.stack([head.left_out for head in heads], dim=-1)).sum(-1)
    return Head(middle, left_out, gap, parts)
