"""Robust adjusted profile score: weak instruments, balanced pleiotropy and a few outliers at once.

The squared effects of each variant are profiled out. With s = se_out² + tau² + b² se_exp², the standardised
residual t = (b_out - b b_exp) / sqrt(s) and the profiled exposure effect g = b_exp + t b se_exp² / sqrt(s),
the effect b and the spread tau² of direct effects solve

    sum psi(t) g / sqrt(s) = 0    and    sum (t psi(t) - delta) / s = 0,

psi Huber's function and delta = E[Z psi(Z)], so that both sums are 0 on average at the truth. (The paper
weights the second sum by se_exp²; mr.raps 0.4 and later do not, and neither does this.)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from consilience.causal.mr.estimators.estimator import Estimates, Estimator

if TYPE_CHECKING:
    import numpy.typing as npt

    from consilience.causal.mr.estimators.estimator import Instruments

    Floats = npt.NDArray[np.float64]

HUBER = 1.345
ROUNDS, HALVINGS, ENOUGH = 300, 60, 1e-10


def estimate(instruments: Instruments, *, bootstraps: int, seed: int) -> Estimates:
    """Effect and spread by turns until neither moves; NaN where they do not come to rest."""
    v_exp, v_out = instruments.se_exp**2, instruments.se_out**2
    x, y = instruments.b_exp, instruments.b_out
    effect = np.sum(x * y / v_out, axis=1) / np.sum(x**2 / v_out, axis=1)
    spread, moving = np.zeros(len(x)), np.ones(len(x), dtype=bool)
    for _ in range(ROUNDS):
        rows = np.flatnonzero(moving)
        if not rows.size:
            break
        before, part = effect[rows], (x[rows], y[rows], v_exp[rows])
        spread[rows] = _spread(*part, v_out[rows], before)
        effect[rows] = _effect(*part, v_out[rows] + spread[rows, None], before)
        moving[rows] = np.abs(effect[rows] - before) > ENOUGH * (1 + np.abs(before))
    return Estimates.of(effect, _error(x, y, v_exp, v_out + spread[:, None], effect)).without(moving)


def _spread(x: Floats, y: Floats, v_exp: Floats, v_out: Floats, effect: Floats) -> Floats:
    """The variance of direct effects (g,) at given effects; 0 where residuals are no larger than errors."""
    residual = (y - effect[:, None] * x) ** 2
    known = v_out + effect[:, None] ** 2 * v_exp
    delta = _moments()[0]

    def score(spread: Floats) -> Floats:
        s = known + spread[:, None]
        t = np.sqrt(residual / s)
        return np.asarray(np.sum((t * np.minimum(t, HUBER) - delta) / s, axis=1))

    low, high = np.zeros(len(x)), residual.max(axis=1) / delta
    needed = score(low) > 0
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        above = score(middle) > 0
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    return np.where(needed, (low + high) / 2, 0.0)


def _parts(
    x: Floats, y: Floats, v_exp: Floats, v_total: Floats, effect: Floats
) -> tuple[Floats, Floats, Floats]:
    b = effect[:, None]
    s = v_total + b**2 * v_exp
    t = (y - b * x) / np.sqrt(s)
    return s, t, x + t * b * v_exp / np.sqrt(s)


def _effect(x: Floats, y: Floats, v_exp: Floats, v_total: Floats, effect: Floats) -> Floats:
    """One step: the effect for which the first sum is 0 if weights and profiled effects stay."""
    s, t, profiled = _parts(x, y, v_exp, v_total, effect)
    weight = np.minimum(1.0, HUBER / np.maximum(np.abs(t), 1e-300)) * profiled / s
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.sum(weight * y, axis=1) / np.sum(weight * x, axis=1))


def _error(x: Floats, y: Floats, v_exp: Floats, v_total: Floats, effect: Floats) -> Floats:
    """Standard error (g,): spread of the first sum over its slope; its slope is 0 without instruments."""
    s, _, profiled = _parts(x, y, v_exp, v_total, effect)
    delta, size = _moments()
    squared = profiled**2 / s
    slope = np.sum(squared - v_exp * v_total / s**2, axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(slope > 0, np.sqrt(size * squared.sum(axis=1)) / (delta * slope), np.nan)


def _moments() -> tuple[float, float]:
    """E[Z psi(Z)] and E[psi(Z)²] of a standard normal Z."""
    from scipy.special import ndtr

    inside = 2 * float(ndtr(HUBER)) - 1
    height = float(np.exp(-(HUBER**2) / 2) / np.sqrt(2 * np.pi))
    return inside, inside - 2 * HUBER * height + HUBER**2 * (1 - inside)


ESTIMATOR = Estimator(
    key="raps",
    title="Robust adjusted profile score (Huber)",
    reference="Zhao, Wang, Hemani, Bowden, Small 2020",
    doi="10.1214/19-AOS1866",
    assumes="many independent variants, weak ones too, with direct effects around nothing and few outliers",
    limits="made for many variants: with tens of them its level at 0.05 lies between 0.03 and 0.07",
    min_variants=3,
    uses_ld=False,
    estimate=estimate,
)
