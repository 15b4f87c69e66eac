"""Direction: whether the instruments explain more of the exposure than of the outcome.

Steiger's test of two correlations of different people (Hemani, Tilling, Davey Smith 2017,
doi 10.1371/journal.pgen.1007081). Correlations follow from z = b / se and n people as
r = z / sqrt(n - 2 + z²); all instruments together explain r'C⁻¹r, C their LD.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from consilience.causal.mr.estimators.estimator import two_sided

if TYPE_CHECKING:
    import numpy.typing as npt

    from consilience.causal.mr.estimators.estimator import Instruments

    Floats = npt.NDArray[np.float64]

MOST = 0.9999
FORWARD, BACKWARD, UNCLEAR = "expression_to_trait", "trait_to_expression", "unclear"


@dataclass(frozen=True)
class Direction:
    """`r2_exp`, `r2_out` (g,) variance explained; `z` (g,) > 0 where the exposure's is larger; `p` (g,)."""

    r2_exp: Floats
    r2_out: Floats
    z: Floats
    p: Floats

    def words(self, level: float) -> npt.NDArray[np.str_]:
        """FORWARD or BACKWARD where p is below `level`, else UNCLEAR."""
        sure = self.p < level
        return np.where(sure, np.where(self.z > 0, FORWARD, BACKWARD), UNCLEAR)


def steiger(instruments: Instruments, *, n_exp: Floats, n_out: Floats) -> Direction:
    """Compare what the instruments explain of both sides; NaN where a number of people is unknown (<= 3)."""
    r2_exp = explained(instruments.b_exp / instruments.se_exp, n=n_exp, ld=instruments.ld)
    r2_out = explained(instruments.b_out / instruments.se_out, n=n_out, ld=instruments.ld)
    with np.errstate(invalid="ignore", divide="ignore"):
        error = np.sqrt(np.where((n_exp > 3) & (n_out > 3), 1 / (n_exp - 3) + 1 / (n_out - 3), np.nan))
        z = (np.arctanh(np.sqrt(r2_exp)) - np.arctanh(np.sqrt(r2_out))) / error
    return Direction(r2_exp, r2_out, z, two_sided(z, np.ones_like(z), np.full(len(z), np.inf)))


def explained(z: Floats, *, n: Floats, ld: Floats) -> Floats:
    """Share (g,) of the variance of a trait that instruments with scores `z` (g, k) explain together."""
    if not z.shape[1]:
        return np.full(len(z), np.nan)
    with np.errstate(invalid="ignore", divide="ignore"):
        r = z / np.sqrt(np.where(n > 3, n - 2, np.nan)[:, None] + z**2)
    solved = np.linalg.solve(ld, r[:, :, None])[..., 0]
    return np.asarray(np.clip(np.sum(r * solved, axis=1), 0.0, MOST))
