"""The correlation of the true effects: errors of estimation on both sides make the observed one too small.

The reliability of a side is 1 - (mean squared standard error) / (variance of the estimates over genes), and
the corrected correlation is r / sqrt(reliability x · reliability y). The population side is taken as z (its
standard errors are then 1), the cell side as effects per standard deviation of expression with their standard
errors: normal scores of few donors are squeezed where effects are large, and would correct by too little.
Where a side's spread cannot be told from noise there is nothing to correct by, and no number is given.

References
----------
Spearman C. The proof and measurement of association between two things. Am J Psychol 1904, 15:72.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from consilience.causal.concordance.correlations import moments
from consilience.causal.concordance.resampling import interval

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Numbers = npt.NDArray[np.intp]

NAN = float("nan")
LEAST_RELIABILITY = 0.05


@dataclass(frozen=True)
class Corrected:
    """`r` and its interval (NaN where refused; it may pass ±1), reliabilities and which side refused it."""

    r: float
    low: float
    high: float
    reliability_x: float
    reliability_y: float
    refused: tuple[str, ...]


def corrected(
    *, x: Floats, y: Floats, se_y: Floats, block: Numbers, draws: Floats, widening: float = 1.0,
    shared_noise: float = 0.0,
) -> Corrected:  # fmt: skip
    """Correct the correlation of x (g,), z-scores, and y (g,), effects with standard errors `se_y`.

    `draws` (n, blocks) as `block_draws` gives them; `shared_noise`: share of y's noise that all genes have in
    common, which spreads no genes.
    """
    every = np.concatenate([np.ones((1, draws.shape[1])), draws])[:, block]
    found = moments(x, y, every)
    noise_y = (1.0 - shared_noise) * (every @ se_y**2) / found.n
    with np.errstate(invalid="ignore", divide="ignore"):
        reliable_x, reliable_y = 1.0 - 1.0 / found.variance_x, 1.0 - noise_y / found.variance_y
        product = (found.variance_x - 1.0) * (found.variance_y - noise_y)
        usable = (found.variance_x > 1.0) & (found.variance_y > noise_y)
        r = np.where(usable, found.covariance / np.sqrt(np.where(usable, product, 1.0)), np.nan)
    refused = tuple(
        side
        for side, reliable in (("population", reliable_x), ("cells", reliable_y))
        if not reliable[0] > LEAST_RELIABILITY or _low(reliable, widening) <= 0
    )
    first = [float(one) if np.isfinite(one) else float("nan") for one in (reliable_x[0], reliable_y[0])]
    if refused:
        return Corrected(NAN, NAN, NAN, first[0], first[1], refused)
    low, high = interval(float(r[0]), r[1:], widening=widening)
    return Corrected(float(r[0]), low, high, first[0], first[1], ())


def _low(reliable: Floats, widening: float) -> float:
    """Lower limit (one-sided 95 %) of a reliability; what is undefined counts as none."""
    draws = np.where(np.isfinite(reliable[1:]), reliable[1:], -np.inf)
    return float(reliable[0] + widening * min(np.percentile(draws, 5) - reliable[0], 0.0))
