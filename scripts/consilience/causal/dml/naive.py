"""The test that takes cells for independent, as users wrongly do it: shown, never used for a decision.

Disease belongs to donors: a thousand cells of one donor are one observation of it, made well. White's
errors for cells ignore this, and with enough cells every gene whose level differs between any two people is
"significant".

Reference: White H. Econometrica 48:817, 1980; Squair JW, et al. Nat Commun 12:5692, 2021 (false discoveries).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from consilience.causal.dml.few_donors import DonorTest
from consilience.causal.dml.inference import tested

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]


def naive_test(*, outcome: Floats, treatment: Floats) -> DonorTest:
    """θ = Σ vu / Σ v² and its HC0 error against the normal.

    `outcome` u (n,), `treatment` v (n, G): residuals.
    """
    squares = (treatment**2).sum(0)
    known = squares > 0
    bottom = np.where(known, squares, 1.0)
    theta = np.where(known, outcome @ treatment / bottom, np.nan)
    scores = treatment * (outcome[:, None] - np.where(known, theta, 0.0) * treatment)
    se = np.where(known, np.sqrt((scores**2).sum(0)) / bottom, np.nan)
    return tested(theta, se, np.full(se.shape, np.inf), trouble=np.where(known, "", "no_variation"))


def design_effect(*, between: Floats, within: Floats, cells: npt.NDArray[np.integer]) -> Floats:
    """How many times too small the naive variance is (G,).

    1 + (n̄ - 1)·ICC with n̄ = Σn² / Σn (Kish 1965).
    """
    size = float((cells.astype(np.float64) ** 2).sum() / cells.sum())
    total = between + within
    share = np.divide(between, total, out=np.zeros_like(total), where=total > 0)
    return 1.0 + (size - 1.0) * share
