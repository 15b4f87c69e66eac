"""Donors that were each sampled as case and as control: contrasts within donors.

A person's own level of a gene, which is most of what people differ by, is the same in both samples. It is
taken out first: disease, expression and confounders become deviations from the donor's mean (Frisch and
Waugh), so that nuisances learned on other donors hold for a donor never seen, whose level they could not
know. What is estimated is the effect within donors. Donors stay the clusters and the folds.

What is left to differ between people is the sample: its expression is the donor's level, the effect, and an
own level (variance σ_δ²) that the cells of the sample share. The test is that of `few_donors` with samples as
the units and donors' levels in the design; m pairs without confounders of samples leave m - 1 degrees of
freedom.

References
----------
Frisch R, Waugh FV. Econometrica 1:387, 1933. Clarke PS, Polselli A. Econometrics J 28:1, 2025 (double machine
learning with fixed effects: deviations are exact for linear nuisances, an approximation for others).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from consilience.causal.dml.few_donors import (
    Contrast,
    DonorTest,
    Residuals,
    donor_residuals,
    donor_test,
    mean_contrast,
    noise_ratio,
    ridge_contrast,
    scaled,
)
from consilience.causal.dml.moments import Moments
from consilience.causal.dml.quadratic_ratio import SINGULAR

if TYPE_CHECKING:
    import numpy.typing as npt

    from consilience.causal.dml.donor_scores import DonorScores
    from consilience.causal.dml.ridge_scores import Choice

    Floats = npt.NDArray[np.float64]
    Places = npt.NDArray[np.intp]


def deviations(moments: Moments) -> tuple[Moments, Moments, Floats]:
    """Sums of deviations from donors' means: of samples, of donors; and the donors' means (m, G).

    `moments` of 2m samples, those of a donor one after the other, whose columns (but the constant) are
    deviations already; expression is as it was.
    """
    cells = moments.cells.reshape(-1, 2)
    means = moments.cross[:, :, 0].reshape(len(cells), 2, -1).sum(1) / cells.sum(1)[:, None]
    level = np.repeat(means, 2, axis=0)
    sums = moments.cross[:, :, 0]
    cross = moments.cross - level[:, :, None] * moments.gram[:, None, 0, :]
    squares = moments.squares - 2 * level * sums + level**2 * moments.cells[:, None]
    samples = Moments(moments.gram, cross, np.maximum(squares, 0.0), moments.cells)
    return samples, of_donors(samples), means


def of_donors(samples: Moments) -> Moments:
    """Sums over both samples of each donor."""

    def added(values: Floats) -> Floats:
        return np.asarray(values.reshape(len(values) // 2, 2, *values.shape[1:]).sum(1))

    return Moments(
        added(samples.gram), added(samples.cross), added(samples.squares),
        samples.cells.reshape(-1, 2).sum(1),
    )  # fmt: skip


def pair_contrast(
    samples: Moments, *, divisions: Sequence[Places], chosen: Sequence[float | Choice],
    scores: Sequence[DonorScores],
) -> Contrast:  # fmt: skip
    """The contrast (2m, G) of samples behind the mean effect over `divisions` of donors (m,) into folds."""
    made = [
        # weights within folds count samples there and donors here: each donor has two
        scaled(ridge_contrast(samples, folds=np.repeat(folds, 2), penalty=penalty), one.weights @ one.a / 2)
        for folds, penalty, one in zip(divisions, chosen, scores, strict=True)
    ]
    return mean_contrast(made)


def pair_test(
    samples: Moments, *, divisions: Sequence[Places], chosen: Sequence[float | Choice],
    scores: Sequence[DonorScores],
) -> tuple[DonorTest, Floats]:  # fmt: skip
    """Tests of partialling-out effects with ridge nuisances, and what each donor pulls (m, G).

    From the sums of `deviations`; for pulls see `pulls`.
    """
    contrast = pair_contrast(samples, divisions=divisions, chosen=chosen, scores=scores)
    theta = np.median([one.theta for one in scores], axis=0)
    left = pair_residuals(samples)
    test = donor_test(
        samples, disease=np.tile([0.0, 1.0], len(samples.cells) // 2), theta=theta, contrast=contrast,
        arms=False, left=left,
    )  # fmt: skip
    return test, pair_pulls(left, samples.cells.astype(np.float64))


def pair_pulls(left: Residuals, cells: Floats) -> Floats:
    """Pulls (m, G) of donors: their squares are shares of an effect's variance and sum to 1 for each gene.

    The two mean residuals of a donor, of `cells` (2m,) each, are multiples of one difference, which has the
    sign.
    """
    freedom, noise = float((left.maker**2).sum()), float(np.trace(left.noise))
    between = np.maximum((left.means**2).sum(0) - left.within * noise, 0.0) / max(freedom, SINGULAR)
    spread = 1.0 + noise_ratio(between=between, within=left.within) / cells[:, None]
    terms = (left.means**2 / spread).reshape(len(cells) // 2, 2, -1).sum(1)
    made = np.sign(left.means[1::2] - left.means[::2]) * np.sqrt(terms)
    length = np.sqrt((made**2).sum(0))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(length > 0, made / length, np.nan)


def pair_residuals(samples: Moments) -> Residuals:
    """As `few_donors.donor_residuals`, with samples for units and donors' own levels in the design.

    The columns are deviations, so only what takes levels and noise to residuals differs: levels lose their
    mean over the donor's cells first.
    """
    found = donor_residuals(samples)
    cells = samples.cells.astype(np.float64)
    pair = np.repeat(np.arange(cells.size // 2), 2)
    same = pair[:, None] == pair[None, :]
    of_pair = np.repeat(cells.reshape(-1, 2).sum(1), 2)
    averaging = np.where(same, cells[None, :] / of_pair[:, None], 0.0)
    # the constant is among donors' levels: what it took once more is given back
    noise = found.noise - np.where(same, 1.0 / of_pair[:, None], 0.0) + 1.0 / cells.sum()
    return replace(found, maker=found.maker @ (np.eye(cells.size) - averaging), noise=noise)
