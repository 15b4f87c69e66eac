"""Exposures whose effect is known, drawn from the model of summary statistics.

Effects are standardised: `n_exp` and `n_out` people, standard errors 1 / sqrt(people). Correlated variants have
joint effects, seen through the LD, and errors correlated as they are.
"""

from __future__ import annotations

import numpy as np

from consilience.causal.mr.instruments import Exposure


def correlations(n: int, rho: float, rng: np.random.Generator) -> np.ndarray:
    """LD that falls with distance, with random counted alleles."""
    place = np.arange(n)
    sign = rng.choice([-1.0, 1.0], n)
    return rho ** np.abs(place[:, None] - place) * sign[:, None] * sign


def exposures(
    count: int, *, effect: float, n: int = 10, n_exp: float = 32_000, n_out: float = 240_000, size: float = 0.08,
    rho: float = 0.0, share_invalid: float = 0.0, direct: tuple[float, float] = (0.0, 0.0), inflated: float = 1.0,
    intercept: float = 0.0, seed: int = 1,
) -> list[Exposure]:  # fmt: skip
    """`count` exposures with `n` instruments each.

    `size` typical effect on the exposure (0.3 to 1.7 of it); `direct` mean and sd of direct effects on the outcome
    of the allele that raises the exposure, of a `share_invalid` of variants; `intercept` one direct effect of all;
    `inflated` what errors of the outcome are multiplied by without being told.
    """
    rng = np.random.default_rng(seed)
    made = []
    for number in range(count):
        ld = correlations(n, rho, rng) if rho else np.eye(n)
        factor = np.linalg.cholesky(ld)
        b = size * rng.uniform(0.3, 1.7, n) * rng.choice([-1.0, 1.0], n)
        invalid = np.arange(n) < round(share_invalid * n)
        own = np.where(invalid, rng.normal(*direct, n) if direct != (0.0, 0.0) else 0.0, 0.0) + intercept
        marginal = ld @ b if rho else b
        b_exp = marginal + factor @ rng.standard_normal(n) * n_exp**-0.5
        b_out = effect * marginal + own * np.sign(b_exp)
        b_out = b_out + inflated * (factor @ rng.standard_normal(n)) * n_out**-0.5
        made.append(Exposure(f"g{number}", b_exp, np.full(n, n_exp**-0.5), b_out, np.full(n, n_out**-0.5), ld,
                             n_exp, n_out))  # fmt: skip
    return made
