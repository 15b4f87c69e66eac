"""p-values from donors' score sums alone: for learners whose effect is no known contrast of expression.

`restricted` is what to use: the null hypothesis is imposed on the variance, Σ b² instead of Σ (b - θa)², so
that a donor that makes the effect also makes its error. The others are what people use; with few donors
they reject too often (bench/dml_calibration.py). For ridge, `few_donors.donor_test` is exact where these
are approximate.

References
----------
Cameron AC, Miller DL. J Hum Resour 50:317, 2015. MacKinnon JG, Nielsen MØ, Webb MD. J Econometrics 232:272,
2023 (jackknife, CV3).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from consilience.causal.dml.few_donors import DonorTest
from consilience.causal.dml.quadratic_ratio import LEVEL
from consilience.foundation.errors import ConfigError, DataError, did_you_mean

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

LEAST_DONORS = 4
FLAGS = {
    "too_few_donors": f"fewer than {LEAST_DONORS} donors: no p-value",
    "no_variation": "expression does not vary between or within donors once confounders are out",
}
Rule = Callable[["Floats", "Floats", int], tuple["Floats", "Floats"]]
"""(b, a) weighted score sums (m, G), spent donors → standard errors (G,) and degrees of freedom (G,)."""


def restricted(b: Floats, a: Floats, spent: int) -> tuple[Floats, Floats]:
    """Null imposed; t on m - 1 - spent. With equal weights this is the one-sample t of the score sums."""
    m, total = len(b), b.sum(0)
    squares = (b**2).sum(0)
    freedom = m - 1 - spent
    share = np.divide(total**2, squares, out=np.zeros_like(squares), where=squares > 0)
    return np.sqrt(squares * (m - share) / freedom) / np.abs(a.sum(0)), np.full(total.shape, float(freedom))


def uncorrected(b: Floats, a: Floats, spent: int) -> tuple[Floats, Floats]:
    """CR0 against the normal distribution, as DoubleML."""
    del spent
    return _root(b, a), np.full(b.shape[1], np.inf)


def one_spent(b: Floats, a: Floats, spent: int) -> tuple[Floats, Floats]:
    """CR1: times m / (m - 1), t on m - 1."""
    del spent
    m = len(b)
    return _root(b, a) * np.sqrt(m / (m - 1)), np.full(b.shape[1], m - 1.0)


def counted(b: Floats, a: Floats, spent: int) -> tuple[Floats, Floats]:
    """CR1 with all spent donors counted: times m / (m - 1 - spent), t on that."""
    m, freedom = len(b), len(b) - 1 - spent
    return _root(b, a) * np.sqrt(m / freedom), np.full(b.shape[1], float(freedom))


def jackknife(b: Floats, a: Floats, spent: int) -> tuple[Floats, Floats]:
    """CR3: effects without each donor, nuisances held; t on m - 1 - spent."""
    m = len(b)
    with np.errstate(divide="ignore", invalid="ignore"):
        without = (b.sum(0) - b) / (a.sum(0) - a)
        away = without - b.sum(0) / a.sum(0)
    return np.sqrt((m - 1) / m * (away**2).sum(0)), np.full(b.shape[1], m - 1.0 - spent)


RULES: Mapping[str, Rule] = MappingProxyType({
    "restricted": restricted, "cr0": uncorrected, "cr1": one_spent, "cr1_counted": counted,
    "jackknife": jackknife,
})  # fmt: skip


def score_test(
    *, b: Floats, a: Floats, weights: Floats | None = None, rule: str = "restricted", spent: int = 1
) -> DonorTest:  # fmt: skip
    """Test effects Σ b / Σ a; `b`, `a` (m, G) sums of scores within donors, `weights` (m,) of donors.

    `spent`: degrees of freedom between donors that nuisances used; the constant is one of them.
    """
    if rule not in RULES:
        raise ConfigError("no such rule for errors with few donors", value=rule, allowed=", ".join(RULES),
                          mend=did_you_mean(rule, RULES))  # fmt: skip
    if b.shape != a.shape or b.ndim != 2:
        raise DataError("score sums of different sizes", value=f"{b.shape} and {a.shape}")
    if weights is not None:
        b, a = b * weights[:, None], a * weights[:, None]
    bottom = a.sum(0)
    known = np.isfinite(b).all(0) & np.isfinite(a).all(0) & (bottom != 0) & ((b**2).sum(0) > 0)
    trouble = np.where(known, "", "no_variation").astype(np.dtype("U32"))
    theta, se, df = (np.full(b.shape[1], np.nan) for _ in range(3))
    theta[known] = b.sum(0)[known] / bottom[known]
    if len(b) < LEAST_DONORS or len(b) - 1 - spent < 1:
        trouble[known] = "too_few_donors"
    else:
        se[known], df[known] = RULES[rule](b[:, known], a[:, known], spent)
    return tested(theta, se, df, trouble=trouble)


def tested(theta: Floats, se: Floats, df: Floats, *, trouble: npt.NDArray[np.str_]) -> DonorTest:
    """The table of a plain t-test; NaN where the error is not known."""
    from scipy.stats import t as student

    with np.errstate(divide="ignore", invalid="ignore"):
        statistic = np.where(se > 0, theta / se, np.nan)
    half = student.ppf(1 - LEVEL / 2, df) * se
    nothing = np.full(theta.shape, np.nan)
    return DonorTest(
        se=se, df=df, statistic=statistic, p=2 * student.sf(np.abs(statistic), df), low=theta - half,
        high=theta + half, between=nothing, within=nothing, trouble=trouble,
    )  # fmt: skip


def _root(b: Floats, a: Floats) -> Floats:
    bottom = a.sum(0)
    scores = b - b.sum(0) / bottom * a
    made: Floats = np.sqrt((scores**2).sum(0)) / np.abs(bottom)
    return made
