"""From scores over repeats to p-values with donors as the units, whichever way the scores came about."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Literal

import numpy as np

from consilience.causal.dml.few_donors import DonorTest, donor_test, mean_contrast, ridge_contrast, scaled
from consilience.causal.dml.pulls import donor_pulls

if TYPE_CHECKING:
    import numpy.typing as npt

    from consilience.causal.dml.cells import CellsOfType
    from consilience.causal.dml.donor_scores import DonorScores
    from consilience.causal.dml.moments import Moments
    from consilience.causal.dml.ridge_scores import Choice

    Floats = npt.NDArray[np.float64]

Inference = Literal["t", "wild_bootstrap"]
LATENT = re.compile(r"latent \d+")
"""Names of the columns that the denoising network makes."""


def from_moments(
    moments: Moments, *, disease: Floats, divisions: Sequence[npt.NDArray[np.intp]],
    chosen: Sequence[float | Choice], scores: Sequence[DonorScores],
) -> tuple[DonorTest, Floats]:  # fmt: skip
    """Tests of partialling-out effects with ridge nuisances, and what each donor pulls (m, G).

    Errors come from the design (see `few_donors` and `pulls`).
    """
    contrasts = [
        scaled(ridge_contrast(moments, folds=folds, penalty=penalty), one.weights @ one.a)
        for folds, penalty, one in zip(divisions, chosen, scores, strict=True)
    ]
    theta, contrast = np.median([one.theta for one in scores], axis=0), mean_contrast(contrasts)
    test = donor_test(moments, disease=disease, theta=theta, contrast=contrast)
    return test, donor_pulls(moments, disease=disease, contrast=contrast)


def from_scores(
    scores: Sequence[DonorScores], *, cells: CellsOfType, inference: Inference, seed: int
) -> DonorTest:
    """Tests from score sums of donors alone (their mean over repeats), for any score and learner."""
    from consilience.causal.dml.bootstrap import wild_bootstrap
    from consilience.causal.dml.inference import score_test, tested

    b = np.mean([one.weights[:, None] * one.b for one in scores], axis=0)
    a = np.mean([one.weights[:, None] * one.a for one in scores], axis=0)
    if inference == "wild_bootstrap":
        return wild_bootstrap(b=b, a=a, donors=cells.donors, seed=seed)
    found = score_test(b=b, a=a, spent=spent_donors(cells))
    theta = np.median([one.theta for one in scores], axis=0)
    return tested(theta, found.se, found.df, trouble=found.trouble)


def spent_donors(cells: CellsOfType) -> int:
    """Degrees of freedom between donors that confounders take: the constant and columns of units.

    At most as many as leave two.
    """
    least = int(cells.arm is None)  # differences within donors know no constant
    taken: int = least + donor_columns(cells).shape[1]
    return max(least, min(taken, len(cells.donors) - 3))


def donor_columns(cells: CellsOfType) -> Floats:
    """Confounders (m, k) that do not vary within donors, one row a donor; (2m, k) of samples in pairs."""
    unit = cells.unit
    counts = np.bincount(unit)
    means = [np.bincount(unit, weights=column) / counts for column in cells.confounders.T]
    constant = [
        one
        for one, column in zip(means, cells.confounders.T, strict=True)
        if np.abs(column - one[unit]).max(initial=0.0) < 1e-9
    ]
    return np.column_stack(constant) if constant else np.empty((counts.size, 0))


def mean_columns(cells: CellsOfType) -> Floats:
    """Means (m, k) of the covariates, one row a donor; (2m, k) of samples in pairs; no latent numbers.

    Without the means of what varies in cells (depth above all), pseudobulks carry its confounding.
    """
    unit = cells.unit
    counts = np.bincount(unit)
    wanted = [place for place, name in enumerate(cells.columns) if not LATENT.fullmatch(name)]
    means = [np.bincount(unit, weights=cells.confounders[:, place]) / counts for place in wanted]
    return np.column_stack(means) if means else np.empty((counts.size, 0))


def tests_beside(blocks: Sequence[DonorTest]) -> DonorTest:
    """Tests of blocks of genes as one."""
    names = [one.name for one in fields(DonorTest)]
    return replace(
        blocks[0], **{name: np.concatenate([getattr(one, name) for one in blocks]) for name in names}
    )
