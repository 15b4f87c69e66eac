"""The wild cluster bootstrap of donors' score sums, with the null hypothesis imposed.

Every donor's sum is multiplied by a random number of mean 0 and variance 1 and the t statistic formed anew.
Up to 10 donors all signs are gone through (Rademacher); p-values are then steps of 2 / 2^m: 1/32 with 6
donors.

References
----------
Cameron AC, Gelbach JB, Miller DL. Rev Econ Stat 90:414, 2008. Webb MD. Can J Econ 56:839, 2023 (six-point
weights). Roodman D, et al. Stata J 19:4, 2019.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from consilience.causal.dml.few_donors import DonorTest
from consilience.causal.dml.inference import score_test
from consilience.causal.dml.quadratic_ratio import LEVEL
from consilience.foundation.errors import DataError
from consilience.foundation.seeds import stream

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

ALL_SIGNS = 10
WEBB = np.concatenate([-np.sqrt([1.5, 1.0, 0.5]), np.sqrt([0.5, 1.0, 1.5])])
WEBB_DONORS = 12
TIE = 1e-9
BLOCK = 512


def wild_weights(donors: Sequence[str], *, draws: int, seed: int) -> Floats:
    """Random factors (draws, m).

    All signs where there are few; else each donor's by its name, in any order.
    """
    m = len(donors)
    if m <= ALL_SIGNS:
        place = {name: rank for rank, name in enumerate(sorted(donors))}
        bits = np.arange(2**m)[:, None] >> np.array([place[name] for name in donors])
        return np.where(bits & 1, 1.0, -1.0)
    values = WEBB if m <= WEBB_DONORS else np.array([-1.0, 1.0])
    return np.column_stack(
        [values[stream(seed, "wild_bootstrap", name).integers(values.size, size=draws)] for name in donors]
    )


def wild_bootstrap(
    *, b: Floats, a: Floats, donors: Sequence[str], weights: Floats | None = None, draws: int = 1_999,
    seed: int,
) -> DonorTest:  # fmt: skip
    """Test effects Σ b / Σ a from score sums `b`, `a` (m, G) of `donors` (m,); `weights` (m,) of donors.

    p-values from the bootstrap, intervals from its 95 % quantile of |t|; `se` and `df` are those of CR1.
    """
    if len(set(donors)) != len(donors) or len(donors) != len(b):
        raise DataError(
            "as many different donors as rows are needed", value=f"{len(donors)} names, {len(b)} rows"
        )
    if weights is not None:
        b, a = b * weights[:, None], a * weights[:, None]
    plain = score_test(b=b, a=a, rule="cr1")
    known = np.flatnonzero(np.isfinite(plain.se) & (plain.se > 0))
    factors = wild_weights(donors, draws=draws, seed=seed)
    p, critical = np.full(plain.se.shape, np.nan), np.full(plain.se.shape, np.nan)
    exhaustive = len(donors) <= ALL_SIGNS
    for first in range(0, known.size, BLOCK):
        genes = known[first : first + BLOCK]
        drawn = np.abs(_statistics(factors, b[:, genes], a[:, genes]))
        own = np.abs(_statistics(np.ones((1, len(donors))), b[:, genes], a[:, genes]))[0]
        more = (drawn >= own * (1 - TIE)).sum(0)
        p[genes] = more / len(factors) if exhaustive else (1 + more) / (1 + len(factors))
        critical[genes] = np.quantile(drawn, 1 - LEVEL, axis=0, method="higher")
    m, theta = len(b), plain.statistic * plain.se
    half = critical * plain.se / np.sqrt(m / (m - 1))
    return replace(plain, p=p, low=theta - half, high=theta + half)


def _statistics(factors: Floats, b: Floats, a: Floats) -> Floats:
    """Give t (draws, g) of the sums factors × b, with `a` as it is."""
    tops, bottom = factors @ b, a.sum(0)
    theta = tops / bottom
    squares = (factors**2) @ b**2 - 2 * theta * (factors @ (a * b)) + theta**2 * (a**2).sum(0)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(squares > 0, tops / np.sqrt(np.maximum(squares, 0.0)), np.inf)
