"""Pairs of genes that move the score together otherwise than one by one; for the strongest genes only."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from consilience.foundation.seeds import stream
from consilience.rnagan.markers.attribution import Question
from consilience.rnagan.markers.scorer import BLOCK_ENTRIES, checked, logits, tensor

if TYPE_CHECKING:
    import numpy.typing as npt


@dataclass(frozen=True)
class Interactions:
    """Interactions of pairs of genes.

    `first`, `second` (pairs,) gene places; `effect` logits by which moving both genes from the typical
    negative to the typical positive value exceeds the sum of moving each, mean over donors; `se` its standard
    error over donors, `low` and `high` a 95 % interval; all (pairs,). `n` donors.

    An interaction is a property of the model, which these donors show; it is no evidence by itself.
    """

    first: npt.NDArray[np.intp]
    second: npt.NDArray[np.intp]
    effect: npt.NDArray[np.float64]
    se: npt.NDArray[np.float64]
    low: npt.NDArray[np.float64]
    high: npt.NDArray[np.float64]
    n: int


def interactions(
    questions: Iterable[Question], genes: npt.NDArray[np.intp], *, donors: Iterable[npt.NDArray[np.str_]]
) -> Interactions:
    """Mixed second differences of all pairs of `genes`; `donors` names of each question's queries."""
    values, names = [], []
    for question, of_query in zip(questions, donors, strict=True):
        values.append(mixed_differences(question, genes))
        names.append(of_query)
    of_row, found = np.concatenate(names), np.concatenate(values)
    levels = np.unique(of_row)
    by_donor = np.array([found[of_row == donor].mean(axis=0) for donor in levels])
    first, second = _pairs(genes)
    effect, n = by_donor.mean(axis=0), len(levels)
    if n > 1:
        from scipy.stats import t as student

        se = by_donor.std(axis=0, ddof=1) / np.sqrt(n)
        reach = float(student.ppf(0.975, n - 1)) * se
    else:
        se = reach = np.full(effect.shape, np.nan)
    return Interactions(first, second, effect, se, effect - reach, effect + reach, n)


def mixed_differences(question: Question, genes: npt.NDArray[np.intp]) -> npt.NDArray[np.float64]:
    """f(both high) - f(first high) - f(second high) + f(both low) for each query and pair (n, pairs).

    Low and high are the typical values of negative and positive references: steps as large as patients make,
    because the second derivative of a network of straight pieces is zero almost everywhere.
    """
    first, second = np.array(list(combinations(range(len(genes)), 2)), dtype=np.intp).reshape(-1, 2).T
    low, high = question.negative_mean[genes], question.positive_mean[genes]
    n, single = len(question.query), 1 + np.arange(len(genes))
    pair = 1 + len(genes) + np.arange(first.size)
    score = np.empty((n, 1 + len(genes) + first.size))
    each = max(1, BLOCK_ENTRIES // (score.shape[1] * question.query.shape[1]))
    for start in range(0, n, each):
        base = question.query[start : start + each].astype(np.float64)
        base[:, genes] = low
        points = np.repeat(base[:, None], score.shape[1], axis=1)
        points[:, single, genes] = high
        points[:, pair, genes[first]] = high[first]
        points[:, pair, genes[second]] = high[second]
        flat = points.reshape(-1, points.shape[-1])
        scores = logits(question.scorer, flat, question.positive, question.negative)
        score[start : start + each] = scores.reshape(len(base), -1)
    alone = score[:, single]
    return score[:, pair] - alone[:, first] - alone[:, second] + score[:, :1]


def second_derivatives(question: Question, genes: npt.NDArray[np.intp]) -> npt.NDArray[np.float64]:
    """Exact mixed second derivatives of smooth scores, mean over the queries (genes, genes)."""
    import torch

    scorer = question.scorer
    x = tensor(scorer, question.query).requires_grad_(True)
    with torch.enable_grad():
        score = scorer(x, tensor(scorer, question.positive), tensor(scorer, question.negative))
        checked(score, len(x))
        (slope,) = torch.autograd.grad(score.sum(), x, create_graph=True)
        rows = []
        for gene in genes.tolist():
            one = slope[:, gene].sum()
            curve = torch.autograd.grad(one, x, retain_graph=True)[0] if one.requires_grad else x * 0
            rows.append(curve[:, torch.as_tensor(genes, device=x.device)].mean(dim=0))
    return torch.stack(rows).detach().cpu().numpy().astype(np.float64)


@dataclass(frozen=True)
class PublishedInteractions:
    """`first`, `second` (pairs,) gene places; `coefficient` of the product and its partial R² (pairs,)."""

    first: npt.NDArray[np.intp]
    second: npt.NDArray[np.intp]
    coefficient: npt.NDArray[np.float64]
    partial_r2: npt.NDArray[np.float64]


def published_interactions(
    question: Question, genes: npt.NDArray[np.intp], *, trials: int = 100, step: float = 0.05, seed: int = 0
) -> PublishedInteractions:
    """The published order 2, random changes of all genes at once.

    Within ±`step` of each gene's value, `trials` times; regress the change of the mean logit on d_i, d_j and
    d_i·d_j for each pair.
    """
    draws = stream(seed, "interactions").uniform(-step, step, (trials, len(genes)))
    base = question.query.astype(np.float64)
    start = logits(question.scorer, base, question.positive, question.negative).mean()
    change = np.empty(trials)
    for trial, shares in enumerate(draws):
        moved = base.copy()
        moved[:, genes] *= 1 + shares
        change[trial] = logits(question.scorer, moved, question.positive, question.negative).mean() - start
    places = list(combinations(range(len(genes)), 2))
    fits = [_product_term(draws[:, i], draws[:, j], change) for i, j in places]
    first, second = _pairs(genes)
    both = np.array(fits, dtype=np.float64).reshape(-1, 2)
    return PublishedInteractions(first, second, both[:, 0], both[:, 1])


def _product_term(
    a: npt.NDArray[np.float64], b: npt.NDArray[np.float64], y: npt.NDArray[np.float64]
) -> tuple[float, float]:
    """Coefficient of a·b beside 1, a and b, and the share of what these leave that it explains."""
    without = np.column_stack([np.ones_like(a), a, b])
    basis = np.linalg.qr(without)[0]
    product = a * b - basis @ (basis.T @ (a * b))
    left = y - basis @ (basis.T @ y)
    scale, rest = float(product @ product), float(left @ left)
    if scale == 0 or rest <= 1e-18 * float(y @ y):
        return 0.0, 0.0
    coefficient = float(product @ left) / scale
    return coefficient, coefficient**2 * scale / rest


def _pairs(genes: npt.NDArray[np.intp]) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    places = np.array(list(combinations(range(len(genes)), 2)), dtype=np.intp).reshape(-1, 2)
    return genes[places[:, 0]], genes[places[:, 1]]
