"""How strong a hidden confounder would have to be to explain an effect away.

An unmeasured confounder that explains a share r² of what is left of disease and a share r² of what is left of
expression, both between donors, moves the estimate by at most √(r⁴ / (1 - r²)) · √(df) standard errors. The
robustness value is the r² at which the estimate (or its 95 % interval) reaches 0. As all information lies
between donors, t and its degrees of freedom are those of donors: with cells' degrees of freedom it would
look feeble.

References
----------
Cinelli C, Hazlett C. J R Stat Soc B 82:39, 2020. Chernozhukov V, et al. Long story short: omitted variable
bias in causal machine learning. NBER 30302, 2022 (the same for partially linear models).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from consilience.foundation.errors import ConfigError

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]


def robustness_value(*, statistic: Floats, df: Floats, level: float = 1.0) -> Floats:
    """Robustness value (G,), 0..1; `level` 1: of the estimate; 0.05: of its significance at 5 %.

    With f = |t| / √df less what the critical value takes: RV = (√(f⁴ + 4f²) - f²) / 2.
    """
    from scipy.stats import t as student

    if not 0 < level <= 1:
        raise ConfigError("no such level of significance", value=level, allowed="above 0, at most 1")
    known = np.isfinite(statistic) & (df > (0 if level == 1 else 1))
    freedom = np.where(known, df, 2.0)
    f = np.where(known, np.abs(statistic), 0.0) / np.sqrt(freedom)
    critical = np.zeros_like(f)
    if level < 1:
        critical = student.isf(level / 2, freedom - 1) / np.sqrt(freedom - 1)
    squared = np.maximum(f - critical, 0.0) ** 2
    value = 0.5 * (np.sqrt(squared**2 + 4 * squared) - squared)
    # with few degrees of freedom a confounder may do by its share in expression alone
    alone = (f > critical) & (f * critical > 1)
    value = np.where(alone, (f**2 - critical**2) / (1 + f**2), value)
    return np.where(known, value, np.nan)


def adjusted_effect(
    *, theta: Floats, se: Floats, df: Floats, r2_outcome: float, r2_treatment: float
) -> Floats:  # fmt: skip
    """The effect (G,) less the bias of a confounder of these strengths; it may change sign.

    Strengths are partial R²: with disease given expression, and with expression, both given the confounders.
    """
    for value in (r2_outcome, r2_treatment):
        if not 0 <= value < 1:
            raise ConfigError("no such share of variance", value=value, allowed="0 or more, below 1")
    bias = se * np.sqrt(df) * np.sqrt(r2_outcome * r2_treatment / (1 - r2_treatment))
    made: Floats = np.sign(theta) * (np.abs(theta) - bias)
    return made
