"""Scores with any learner: nuisances learned on some donors, predicted for the others."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

from consilience.causal.dml.scores import (
    clipped,
    doubly_robust,
    iv_type,
    normalised,
    partialling_out,
    summed,
)

if TYPE_CHECKING:
    import numpy.typing as npt

    from consilience.causal.dml.donor_scores import DonorScores
    from consilience.causal.dml.learners.learner import FitPredict, Kind

    Floats = npt.NDArray[np.float64]
    Places = npt.NDArray[np.intp]

Score = Literal["partialling_out", "iv_type", "irm"]
MIN_CELLS = 10
"""IRM: training cells that a level of the treatment must have in every fold."""


def cross_predicted(
    *, confounders: Floats, targets: Floats, donor: Places, folds: Places, fit_predict: FitPredict,
    kind: Kind, seed: int, trained_on: npt.NDArray[np.bool_] | None = None,
) -> Floats:  # fmt: skip
    """Predictions (n, g) of `targets` (n, g) for every cell by a fit that saw no cell of its donor's fold.

    `confounders` (n, p), `donor` (n,), `folds` (m,); `trained_on` (n,) restricts what is learned from.
    """
    made = np.empty_like(targets)
    of_cell = folds[donor]
    for fold in range(int(folds.max()) + 1):
        test = of_cell == fold
        train = ~test if trained_on is None else ~test & trained_on
        made[test] = fit_predict(
            train=confounders[train], targets=targets[train], test=confounders[test],
            groups=donor[train], kind=kind, seed=seed,
        )  # fmt: skip
    return made


def crossfit_scores(
    *, confounders: Floats, outcome: Floats, treatment: Floats, donor: Places, folds: Places,
    fit_predict: FitPredict, score: Score = "partialling_out", seed: int, normalise: bool = False,
) -> DonorScores:  # fmt: skip
    """Scores of g genes for one division: `treatment` (n, g) expression (0 and 1 for irm), `folds` (m,).

    `normalise`: irm with inverse propensity weights that average to 1.
    """
    if score == "irm":
        return _interactive(confounders, outcome, treatment, donor, folds, fit_predict, seed, normalise)

    def predicted(targets: Floats) -> Floats:
        return cross_predicted(
            confounders=confounders, targets=targets, donor=donor, folds=folds,
            fit_predict=fit_predict, kind="value", seed=seed,
        )  # fmt: skip

    both = predicted(np.column_stack([outcome, treatment]))
    l_hat, m_hat = both[:, 0], both[:, 1:]
    b, a = partialling_out(outcome=outcome, treatment=treatment, l=l_hat, m=m_hat)
    if score == "iv_type":
        with np.errstate(divide="ignore", invalid="ignore"):
            initial = np.nan_to_num(b.mean(0) / a.mean(0), posinf=0.0, neginf=0.0)
        g_hat = predicted(outcome[:, None] - initial * treatment)
        b, a = iv_type(outcome=outcome, treatment=treatment, g=g_hat, m=m_hat)
    return summed(b=b, a=a, donor=donor, folds=folds, outcome=outcome, predicted_outcome=l_hat,
                  treatment=treatment, predicted_treatment=m_hat)  # fmt: skip


def _interactive(
    confounders: Floats, outcome: Floats, treatment: Floats, donor: Places, folds: Places,
    fit_predict: FitPredict, seed: int, normalise: bool,
) -> DonorScores:  # fmt: skip
    g0, g1, propensity = interactive_nuisances(
        confounders=confounders, outcome=outcome, treatment=treatment, donor=donor, folds=folds,
        fit_predict=fit_predict, seed=seed,
    )  # fmt: skip
    weighting = clipped(propensity)
    if normalise:
        weighting = normalised(weighting, treatment=treatment)
    b, a = doubly_robust(outcome=outcome, treatment=treatment, g0=g0, g1=g1, propensity=weighting)
    return summed(b=b, a=a, donor=donor, folds=folds, outcome=outcome,
                  predicted_outcome=np.where(treatment > 0, g1, g0), treatment=treatment,
                  predicted_treatment=propensity)  # fmt: skip


def interactive_nuisances(
    *, confounders: Floats, outcome: Floats, treatment: Floats, donor: Places, folds: Places,
    fit_predict: FitPredict, seed: int,
) -> tuple[Floats, Floats, Floats]:  # fmt: skip
    """Expected outcomes without and with the treatment, and raw propensities, each (n, g), out of fold.

    NaN for a gene whose treatment has a level with fewer than MIN_CELLS training cells in a fold.
    """
    sound = _both_levels(treatment, folds[donor])
    g0, g1, propensity = (np.full(treatment.shape, np.nan) for _ in range(3))

    def predicted(targets: Floats, kind: Kind, trained_on: npt.NDArray[np.bool_] | None = None) -> Floats:
        return cross_predicted(
            confounders=confounders, targets=targets, donor=donor, folds=folds, fit_predict=fit_predict,
            kind=kind, seed=seed, trained_on=trained_on,
        )  # fmt: skip

    if sound.any():
        propensity[:, sound] = predicted(treatment[:, sound], "probability")
    for gene in np.flatnonzero(sound):
        treated = treatment[:, gene] > 0
        g0[:, gene] = predicted(outcome[:, None], "value", ~treated)[:, 0]
        g1[:, gene] = predicted(outcome[:, None], "value", treated)[:, 0]
    return g0, g1, propensity


def _both_levels(treatment: Floats, fold_of_cell: Places) -> npt.NDArray[np.bool_]:
    """Whether each gene (g,) has enough training cells of both levels in every fold."""
    n_folds = int(fold_of_cell.max()) + 1
    treated = np.stack([treatment[fold_of_cell != fold].sum(0) for fold in range(n_folds)])
    cells = np.array([[int((fold_of_cell != fold).sum())] for fold in range(n_folds)])
    return np.asarray(np.minimum(treated, cells - treated).min(0) >= MIN_CELLS)
