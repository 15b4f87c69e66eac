"""Do all variants tell the same effects? Q, what it does to the interval, and variants that stand out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

WIDEN_BELOW = 0.15
"""p of Q below which the interval allows for direct effects of variants (measured: docs)."""
OUTLIERS_BELOW = 0.05
"""p of Q below which the variant that fits worst is taken out."""
SPARE = 2
"""Variants that must be left beyond the number of genes."""


def q_p(q: Floats, df: Floats) -> Floats:
    """p-value (G,) of Q; NaN where there is no degree of freedom."""
    from scipy.special import chdtrc

    return np.where(df > 0, chdtrc(np.maximum(df, 1.0), np.maximum(q, 0.0)), np.nan)


@dataclass(frozen=True)
class Judged:
    """`se` (G,): 1/1.96 of half the 95 % interval, `p` (G,), `z` (G,): the normal deviate of p with a sign.

    `df` (G,) of the t distribution behind them, inf where it is normal.
    """

    se: Floats
    p: Floats
    z: Floats
    df: Floats


def judged(*, alpha: Floats, se: Floats, q: Floats, df: Floats) -> Judged:
    """Errors that allow for heterogeneity.

    Where Q has p < 0.15, variances are multiplied by Q / df, as if direct effects were spread over all
    variants, and the t distribution with df degrees of freedom says that this factor is an estimate.
    """
    from scipy.special import ndtr, ndtri, stdtr, stdtrit

    wide = (df > 0) & (q > df) & (np.nan_to_num(q_p(q, df), nan=1.0) < WIDEN_BELOW)
    some = np.where(wide, df, 1.0)
    error = se * np.sqrt(np.where(wide, q / some, 1.0))
    statistic = np.abs(alpha) / error
    p = np.where(wide, 2.0 * stdtr(some, -statistic), 2.0 * ndtr(-statistic))
    normal = float(ndtri(0.975))
    with np.errstate(divide="ignore"):
        z = np.where(wide, -ndtri(p / 2.0), statistic)
    z = np.where(np.isfinite(z), z, statistic)
    return Judged(
        se=error * np.where(wide, stdtrit(some, 0.975) / normal, 1.0), p=p, z=np.sign(alpha) * z,
        df=np.where(wide, df, np.inf),
    )  # fmt: skip


def outlying(
    *, eqtl: Floats, gwas: Floats, inverse: Floats, n: Floats, n_eqtl: Floats, n_gwas: Floats
) -> npt.NDArray[np.bool_]:
    """Variants (G, m) that go, one at a time, while Q has p < 0.05 and enough are left.

    `inverse` (G, m, m) of the LD. The variant taken out is the one without which Q falls most. With
    ``P = C⁻¹ - C⁻¹E (E'C⁻¹E)⁻¹ E'C⁻¹`` leaving out variant i lowers ``g'Pg`` by ``(Pg)_i² / P_ii``, and P itself
    becomes ``P - P_i P_i' / P_ii``: no system is solved twice.
    """
    G, m, k = eqtl.shape
    weighted = inverse @ eqtl
    coefficients = np.linalg.inv(np.swapaxes(eqtl, 1, 2) @ weighted) @ np.swapaxes(weighted, 1, 2)
    P = inverse - weighted @ coefficients
    alpha = np.einsum("gkm,gm->gk", coefficients, gwas)
    misfit = np.einsum("gmn,gn->gm", P, gwas)
    total = np.einsum("gm,gm->g", gwas, misfit)
    out = np.arange(m)[None, :] >= n[:, None]
    absent = out.copy()
    left = n.astype(np.float64)
    active = np.arange(G)
    while active.size:
        noise = 1.0 / n_gwas[active] + np.sum(alpha[active] ** 2 / n_eqtl[active], axis=1)
        odd = q_p(total[active] / noise, left[active] - k) < OUTLIERS_BELOW
        active = active[odd & (left[active] > k + SPARE)]
        if not active.size:
            break
        diagonal = P[active[:, None], np.arange(m), np.arange(m)]
        fall = np.where(out[active] | (diagonal <= 1e-12), -1.0, misfit[active] ** 2 / np.maximum(diagonal, 1e-12))
        at = fall.argmax(axis=1)
        active, at = active[fall.max(axis=1) > 0], at[fall.max(axis=1) > 0]
        pivot = P[active, at, at]
        column, loss = P[active, :, at], misfit[active, at] / pivot
        towards = coefficients[active, :, at]
        total[active] -= misfit[active, at] * loss
        alpha[active] -= towards * loss[:, None]
        misfit[active] -= column * loss[:, None]
        coefficients[active] -= towards[:, :, None] * (column / pivot[:, None])[:, None, :]
        P[active] -= column[:, :, None] * (column / pivot[:, None])[:, None, :]
        out[active, at] = True
        left[active] -= 1
    return out & ~absent
