"""Scores that are linear in the effect, summed up within donors: all that estimates and their errors need."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class DonorScores:
    """One division into folds: m donors, G genes; the score of cell i is b_i - θ·a_i.

    `b` (m, G) and `a` (m, G) are sums over a donor's cells. Partialling out: b = (D - m̂)(Y - l̂) and
    a = (D - m̂)²; IV-type: b = (D - m̂)(Y - ĝ), a = (D - m̂)·D; IRM: b = the doubly robust contrast, a = 1.
    `folds` (m,) the fold in which a donor was held out; `cells` (m,) its cells. `squared_residuals` (m, G)
    sums of (D - m̂)², `treatment_total` (G,) the same around the mean of all cells and `outcome_residuals`
    (m,) or (m, G) sums of (Y - l̂)², `outcome_total` around the mean: they give R² out of fold.
    """

    b: Floats
    a: Floats
    folds: npt.NDArray[np.intp]
    cells: npt.NDArray[np.intp]
    squared_residuals: Floats
    treatment_total: Floats
    outcome_residuals: Floats
    outcome_total: float

    @property
    def weights(self) -> Floats:
        """Weight of each donor (m,): one over the donors of its fold, as in DoubleML with clusters."""
        return 1.0 / np.bincount(self.folds)[self.folds]

    @property
    def theta(self) -> Floats:
        """Effects (G,): the root of the weighted score; NaN where the treatment has nothing left."""
        return _ratio(self.weights @ self.b, self.weights @ self.a)

    @property
    def scores(self) -> Floats:
        """Sums of the score within donors at the estimate (m, G)."""
        return self.b - self.theta * self.a

    @property
    def r2_treatment(self) -> Floats:
        """Share of the expression's variance that the confounders explain out of fold (G,)."""
        return 1.0 - _ratio(self.squared_residuals.sum(0), self.treatment_total)

    @property
    def r2_outcome(self) -> Floats:
        """Share of the outcome's variance that the confounders explain out of fold: () or (G,)."""
        return 1.0 - _ratio(self.outcome_residuals.sum(0), np.array(self.outcome_total))

    @property
    def treatment_sd(self) -> Floats:
        """Standard deviation of expression that confounders leave (G,)."""
        variance: Floats = np.maximum(self.squared_residuals.sum(0), 0.0) / self.cells.sum()
        return np.sqrt(variance)


def clustered_se(scores: DonorScores) -> Floats:
    """Standard errors (G,) clustered by donor, uncorrected: those of DoubleML 0.11 with one cluster column.

    Chiang HD et al. J Bus Econ Stat 40:1046, 2022. Fold means are weighted by their donors.
    """
    weights, n_folds = scores.weights, int(scores.folds.max()) + 1
    j = weights @ scores.a / n_folds
    gamma = weights @ scores.scores**2 / n_folds
    return np.sqrt(_ratio(gamma, len(weights) * j**2))


def _ratio(top: Floats, bottom: Floats) -> Floats:
    """Top / bottom, NaN where the bottom is 0."""
    sound = np.broadcast_to(np.asarray(bottom) != 0, np.broadcast_shapes(np.shape(top), np.shape(bottom)))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(sound, np.divide(top, bottom), np.nan)
