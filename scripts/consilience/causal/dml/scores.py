"""Scores of cells, linear in the effect: ψ = b - θ·a.

Chernozhukov V et al. Econom J 21:C1, 2018, equations 4.3, 4.4 and 5.3.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from consilience.causal.dml.donor_scores import DonorScores

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

CLIP = 0.01
"""Propensities are kept this far from 0 and 1."""


def partialling_out(*, outcome: Floats, treatment: Floats, l: Floats, m: Floats) -> tuple[Floats, Floats]:  # noqa: E741
    """B and a (n, G) from `outcome` (n,), `treatment` (n, G), l̂ = E[Y|X] (n,) and m̂ = E[D|X] (n, G)."""
    left = treatment - m
    return left * (outcome - l)[:, None], left**2


def iv_type(*, outcome: Floats, treatment: Floats, g: Floats, m: Floats) -> tuple[Floats, Floats]:
    """B and a (n, G); ĝ (n, G) predicts what is left of the outcome without the effect, Y - θ·D, from X."""
    left = treatment - m
    return left * (outcome[:, None] - g), left * treatment


def clipped(propensity: Floats, *, threshold: float = CLIP) -> Floats:
    """Propensities within threshold … 1 - threshold."""
    return np.clip(propensity, threshold, 1.0 - threshold)


def normalised(propensity: Floats, *, treatment: Floats) -> Floats:
    """Propensities (n, G) whose inverse weights average to 1 in each arm of `treatment` (n, G) of 0 and 1."""
    treated = (treatment / propensity).mean(0)
    untreated = ((1.0 - treatment) / (1.0 - propensity)).mean(0)
    made: Floats = treatment * propensity * treated + (1.0 - treatment) * (
        1.0 - (1.0 - propensity) * untreated
    )
    return made


def doubly_robust(
    *, outcome: Floats, treatment: Floats, g0: Floats, g1: Floats, propensity: Floats
) -> tuple[Floats, Floats]:
    """B and a = 1 (n, G) of the average effect of a treatment of 0 and 1 (AIPW, interactive model).

    `g0`, `g1` (n, G) expected outcomes without and with it, `propensity` (n, G) within 0..1.
    """
    y = outcome[:, None]
    weighted = treatment * (y - g1) / propensity - (1.0 - treatment) * (y - g0) / (1.0 - propensity)
    return g1 - g0 + weighted, np.ones_like(propensity)


def cell_level(*, b: Floats, a: Floats) -> tuple[Floats, Floats]:
    """Effects and robust standard errors (G,) that take cells for independent: they are not."""
    n, j = len(b), a.mean(0)
    theta = b.mean(0) / j
    return theta, np.sqrt(((b - theta * a) ** 2).mean(0) / (n * j**2))


def cell_level_from_sums(sums: Floats) -> tuple[Floats, Floats]:
    """The same for partialling out, from (5, G) sums of v², vu, v²u², v³u, v⁴ (u, v residuals of Y, D)."""
    vv, vu, square, mixed, fourth = sums
    with np.errstate(divide="ignore", invalid="ignore"):
        theta = np.where(vv > 0, vu / vv, np.nan)
        gamma = np.maximum(square - 2 * theta * mixed + theta**2 * fourth, 0.0)
        return theta, np.sqrt(gamma) / vv


def summed(
    *, b: Floats, a: Floats, donor: npt.NDArray[np.intp], folds: npt.NDArray[np.intp], outcome: Floats,
    predicted_outcome: Floats, treatment: Floats, predicted_treatment: Floats,
) -> DonorScores:  # fmt: skip
    """Scores of cells, b and a (n, G), summed up within donors; `donor` (n,), `folds` (m,).

    `predicted_outcome` (n,) or (n, G) and `predicted_treatment` (n, G): the nuisances, for R².
    """
    m = folds.size

    def total(values: Floats) -> Floats:
        made = np.zeros((m, *values.shape[1:]))
        np.add.at(made, donor, values)
        return made

    y = outcome if predicted_outcome.ndim == 1 else outcome[:, None]
    return DonorScores(
        b=total(b), a=total(a), folds=folds, cells=np.bincount(donor, minlength=m),
        squared_residuals=total((treatment - predicted_treatment) ** 2),
        treatment_total=((treatment - treatment.mean(0)) ** 2).sum(0),
        outcome_residuals=total((y - predicted_outcome) ** 2),
        outcome_total=float(((outcome - outcome.mean()) ** 2).sum()),
    )  # fmt: skip
