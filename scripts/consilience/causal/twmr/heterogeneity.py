"""Do all variants tell the same effects? Q, what it does to the interval, and variants that stand out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Integers = npt.NDArray[np.int64]

WIDEN_BELOW = 0.1
"""p of Q below which the interval allows for direct effects of variants (measured: docs)."""
OUTLIERS_BELOW = 0.05
"""p of Q below which the variant that fits worst is taken out."""
SPARE = 2
"""Variants that must be left beyond the number of genes."""
NO_INFLUENCE = 1e-9
"""Diagonal of P below which a variant is fitted exactly, and cannot stand out."""


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

    Where Q has p < 0.1, variances are multiplied by Q / df, as if direct effects were spread over all
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


@dataclass(frozen=True)
class _Fit:
    """Least squares of G genes while variants leave: what is updated, and what the leaving ones did.

    `total` (G,) = g'Pg, `misfit` (G, m) = Pg, `diagonal` (G, m) of P, `alpha` (G, k); `columns` and `towards`
    hold, for each variant that left, its column of P (G, m) and of the coefficients (G, k), over the root of
    its pivot, 0 in genes that lost none.
    """

    P: Floats
    coefficients: Floats
    total: Floats
    misfit: Floats
    diagonal: Floats
    alpha: Floats
    columns: list[Floats]
    towards: list[Floats]

    def leave_out(self, rows: Integers, at: Integers) -> None:
        """Take variant `at` out of genes `rows`."""
        column, towards = self.P[rows, :, at], self.coefficients[rows, :, at]
        for earlier, change in zip(self.columns, self.towards, strict=True):
            own = earlier[rows, at][:, None]
            column, towards = column - earlier[rows] * own, towards - change[rows] * own
        root = np.sqrt(column[np.arange(len(rows)), at])[:, None]
        column, towards = column / root, towards / root
        loss = self.misfit[rows, at][:, None] / root
        self.total[rows] -= loss[:, 0] ** 2
        self.alpha[rows] -= towards * loss
        self.misfit[rows] -= column * loss
        self.diagonal[rows] -= column**2
        for kept, values in ((self.columns, column), (self.towards, towards)):
            whole = np.zeros((len(self.total), values.shape[1]))
            whole[rows] = values
            kept.append(whole)


def _fit(eqtl: Floats, gwas: Floats, inverse: Floats) -> _Fit:
    weighted = inverse @ eqtl
    coefficients = np.linalg.inv(np.swapaxes(eqtl, 1, 2) @ weighted) @ np.swapaxes(weighted, 1, 2)
    P = inverse - weighted @ coefficients
    misfit = np.einsum("gmn,gn->gm", P, gwas)
    return _Fit(
        P=P, coefficients=coefficients, total=np.einsum("gm,gm->g", gwas, misfit), misfit=misfit,
        diagonal=np.einsum("gmm->gm", P).copy(), alpha=np.einsum("gkm,gm->gk", coefficients, gwas),
        columns=[], towards=[],
    )  # fmt: skip


def outlying(
    *, eqtl: Floats, gwas: Floats, inverse: Floats, n: Floats, n_eqtl: Floats, n_gwas: Floats
) -> npt.NDArray[np.bool_]:
    """Variants (G, m) that go, one at a time, while Q has p < 0.05 and half of them or more stay.

    `inverse` (G, m, m) of the LD; `n` (G,) variants, rows beyond it are padding. The variant taken out is the
    one without which Q falls most. With ``P = C⁻¹ - C⁻¹E (E'C⁻¹E)⁻¹ E'C⁻¹`` leaving out variant i lowers
    ``g'Pg`` by ``(Pg)_i² / P_ii``, and P itself becomes ``P - P_i P_i' / P_ii``: no system is solved twice.
    """
    m, k = eqtl.shape[1:]
    fit = _fit(eqtl, gwas, inverse)
    here = np.arange(m)[None, :] < n[:, None]
    out = np.zeros_like(here)
    least = np.maximum(k + SPARE, np.ceil(n / 2))
    active = np.arange(len(n))
    while active.size:
        left = n[active] - out[active].sum(axis=1)
        noise = 1.0 / n_gwas[active] + np.sum(fit.alpha[active] ** 2 / n_eqtl[active], axis=1)
        odd = q_p(fit.total[active] / noise, left - k) < OUTLIERS_BELOW
        active = active[odd & (left > least[active])]
        diagonal = fit.diagonal[active]
        free = here[active] & ~out[active] & (diagonal > NO_INFLUENCE)
        fall = np.where(free, fit.misfit[active] ** 2 / np.where(free, diagonal, 1.0), -1.0)
        able = free.any(axis=1)
        active, at = active[able], fall.argmax(axis=1)[able]
        if active.size:
            fit.leave_out(active, at)
            out[active, at] = True
    return out
