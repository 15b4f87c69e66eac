"""Partially linear scores with ridge nuisances, from sums within donors: no residual of a cell is formed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from consilience.causal.dml.donor_scores import DonorScores
from consilience.causal.dml.ridge_solving import PENALTIES, choose_penalties, solve_each, solve_ridge

if TYPE_CHECKING:
    import numpy.typing as npt

    from consilience.causal.dml.moments import Moments

    Floats = npt.NDArray[np.float64]
    Places = npt.NDArray[np.intp]

LinearScore = Literal["partialling_out", "iv_type"]


@dataclass(frozen=True)
class FoldFit:
    """Ridge fitted without fold `fold`: `outcome` (q - 1,) and `treatment` (G, q - 1) coefficients.

    `of_outcome_penalty` (G, q - 1): treatment coefficients with the outcome's penalty, for the IV-type score.
    """

    fold: int
    outcome: Floats
    treatment: Floats
    of_outcome_penalty: Floats


@dataclass(frozen=True)
class Choice:
    """Places in PENALTIES that were chosen in each fold: `outcome` (K,), `treatment` (K, G)."""

    outcome: Places
    treatment: Places


def choose(moments: Moments, folds: Places) -> Choice:
    """Penalties for each fold, chosen on its training donors alone; `folds` (m,), -1 for donors left out."""
    n_folds, q = int(folds.max()) + 1, moments.gram.shape[1]
    outcome = np.zeros(n_folds, dtype=np.intp)
    treatment = np.zeros((n_folds, moments.squares.shape[1]), dtype=np.intp)
    for fold in range(n_folds):
        inner = inner_groups(folds, fold)
        grams, crosses, squares = (_group_sums(part, inner) for part in
                                   (moments.gram, moments.cross, moments.squares))  # fmt: skip
        held = grams[:, : q - 1, : q - 1]
        treatment[fold] = choose_penalties(grams=held, crosses=crosses[:, :, : q - 1], squares=squares)
        outcome[fold] = choose_penalties(
            grams=held, crosses=grams[:, q - 1 :, : q - 1], squares=grams[:, q - 1 :, q - 1]
        )[0]
    return Choice(outcome, treatment)


def inner_groups(folds: Places, fold: int) -> Places:
    """Groups (m,) of the donors that train for `fold`, -1 for all others: the other folds.

    With two folds their donors are dealt into three.
    """
    training = (folds >= 0) & (folds != fold)
    groups = np.full(folds.size, -1, dtype=np.intp)
    others = np.unique(folds[training])
    if others.size > 1:
        groups[training] = np.searchsorted(others, folds[training])
    else:
        groups[training] = np.arange(int(training.sum())) % 3
    return groups


def ridge_scores(
    moments: Moments, *, folds: Places, score: LinearScore = "partialling_out",
    penalty: float | Choice | None = None,
) -> DonorScores:  # fmt: skip
    """Scores of all genes for one division of donors into `folds` (m,), -1 for donors left out altogether.

    `penalty`: λ of both nuisances, or those chosen before, or None: chosen on inner donors.
    """
    used = np.flatnonzero(folds >= 0)
    folds = np.where(folds >= 0, np.searchsorted(np.unique(folds[used]), folds), -1)
    if penalty is None:
        penalty = choose(moments, folds)
    fits = [fit_fold(moments, folds, fold, penalty) for fold in range(int(folds.max()) + 1)]
    b, a, left = (np.empty((used.size, moments.squares.shape[1])) for _ in range(3))
    outcome_left = np.empty(used.size)
    place_of = {donor: place for place, donor in enumerate(used.tolist())}
    for fit in fits:
        for donor in np.flatnonzero(folds == fit.fold).tolist():
            place = place_of[donor]
            b[place], left[place], outcome_left[place] = _residual_products(moments, fit, donor)
    a = left
    if score == "iv_type":
        # the initial effect is unweighted, over all cells, as in DoubleML
        initial = np.where(left.sum(0) > 0, b.sum(0) / np.where(left.sum(0) > 0, left.sum(0), 1.0), np.nan)
        a = np.empty_like(b)
        for fit in fits:
            for donor in np.flatnonzero(folds == fit.fold).tolist():
                place = place_of[donor]
                b[place], a[place] = _iv_products(moments, fit, donor, initial)
    totals = moments.gram[used].sum(0)
    n, genes = totals[0, 0], moments.cross[used, :, 0].sum(0)
    return DonorScores(
        b=b, a=a, folds=folds[used], cells=moments.cells[used], squared_residuals=left,
        treatment_total=moments.squares[used].sum(0) - genes**2 / n, outcome_residuals=outcome_left,
        outcome_total=float(totals[-1, -1] - totals[0, -1] ** 2 / n),
    )  # fmt: skip


def fit_fold(moments: Moments, folds: Places, fold: int, penalty: float | Choice) -> FoldFit:
    """Ridge on the donors of all other folds."""
    training = (folds >= 0) & (folds != fold)
    q = moments.gram.shape[1]
    gram = moments.gram[training].sum(0)
    cross = np.einsum("m,mgq->gq", training.astype(np.float64), moments.cross)[:, : q - 1]
    held, with_outcome = gram[: q - 1, : q - 1], gram[q - 1 :, : q - 1]
    if isinstance(penalty, Choice):
        grid = np.array(PENALTIES) * gram[0, 0]
        of_outcome = float(grid[penalty.outcome[fold]])
        treatment = solve_each(held, cross, chosen=penalty.treatment[fold], grid=grid)
        same = solve_ridge(held, cross, penalty=of_outcome)
    else:
        of_outcome = penalty
        treatment = same = solve_ridge(held, cross, penalty=penalty)
    outcome = solve_ridge(held, with_outcome, penalty=of_outcome)[0]
    return FoldFit(fold, outcome, treatment, same)


def _residual_products(moments: Moments, fit: FoldFit, donor: int) -> tuple[Floats, Floats, float]:
    """Of one donor: Σ (D - m̂)(Y - l̂) (G,), Σ (D - m̂)² (G,), Σ (Y - l̂)²."""
    gram, cross, squares = moments.gram[donor], moments.cross[donor], moments.squares[donor]
    residual = np.append(-fit.outcome, 1.0)
    of_residual = gram @ residual
    b = cross @ residual - fit.treatment @ of_residual[:-1]
    products = np.einsum("gq,gq->g", fit.treatment @ gram[:-1, :-1] - 2 * cross[:, :-1], fit.treatment)
    return b, squares + products, float(residual @ of_residual)


def _iv_products(moments: Moments, fit: FoldFit, donor: int, initial: Floats) -> tuple[Floats, Floats]:
    """Of one donor: Σ (D - m̂)(Y - ĝ) and Σ (D - m̂)·D (G,), ĝ fitted to Y - initial·D."""
    gram, cross = moments.gram[donor], moments.cross[donor]
    of_gene = np.einsum("gq,gq->g", cross[:, :-1], fit.treatment)
    a = moments.squares[donor] - of_gene
    with_outcome = cross[:, -1] - fit.treatment @ gram[:-1, -1]
    # Σ (D - m̂)·column for the columns of ĝ
    held = cross[:, :-1] - fit.treatment @ gram[:-1, :-1]
    g = fit.outcome - initial[:, None] * fit.of_outcome_penalty
    return with_outcome - np.einsum("gq,gq->g", held, g), a


def _group_sums(values: Floats, groups: Places) -> Floats:
    """Sums of `values` (m, …) over the donors of each group (groups, …)."""
    return np.stack([values[groups == group].sum(0) for group in range(int(groups.max()) + 1)])
