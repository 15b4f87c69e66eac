"""From what a table gives (effects, odds ratios, z, p) to effect, standard error and z; numbers only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
LN10 = float(np.log(10.0))
Z_95 = 1.959963984540054
SCALES = {
    "given": "effects as given",
    "log odds": "logarithms of the odds ratios given",
    "standardised": "z / sqrt(n): standard deviations of the trait per standard deviation of the genotype",
}


@dataclass(frozen=True, slots=True)
class Effects:
    """`beta`, `standard_error` and `z` (n,), NaN where they cannot be known; `scale` a key of SCALES."""

    beta: Floats
    standard_error: Floats
    z: Floats
    scale: str


ROUTES: tuple[tuple[tuple[str, ...], str], ...] = (
    (("beta", "standard_error"), "beta and its standard error"),
    (("odds_ratio", "standard_error"), "odds ratio and the standard error of its logarithm"),
    (("odds_ratio", "ci_lower", "ci_upper"), "odds ratio and its 95 % interval"),
    (("beta", "ci_lower", "ci_upper"), "beta and its 95 % interval"),
    (("beta", "z"), "beta and z"),
    (("odds_ratio", "z"), "odds ratio and z"),
    (("beta", "neg_log10_p"), "beta and -log10 p"),
    (("beta", "p_value"), "sign of beta and p"),
    (("odds_ratio", "neg_log10_p"), "odds ratio and -log10 p"),
    (("odds_ratio", "p_value"), "odds ratio and p"),
    (("z",), "z"),
)
"""Which columns are enough for an effect and its error, in order of preference, and how that is said."""


def route_of(columns: Mapping[str, object]) -> tuple[tuple[str, ...], str] | None:
    """The first route whose columns are all there."""
    return next((route for route in ROUTES if all(name in columns for name in route[0])), None)


def resolve(route: tuple[str, ...], columns: Mapping[str, Floats], *, n: Floats) -> Effects:
    """Effect, standard error and z of each row.

    Parameters
    ----------
    route
        Names of the columns to use, from ROUTES.
    columns
        The columns (n,) by our names. Odds ratios are turned into their logarithms here.
    n
        People (n,), needed where only z is given: beta = z / sqrt(n), standard error = 1 / sqrt(n).
    """
    scale = "log odds" if "odds_ratio" in route else "given"
    with np.errstate(divide="ignore", invalid="ignore"):
        if route == ("z",):
            error = 1.0 / np.sqrt(n)
            return Effects(columns["z"] * error, error, columns["z"], "standardised")
        beta = np.log(columns["odds_ratio"]) if "odds_ratio" in route else columns["beta"]
        if "standard_error" in route:
            error = columns["standard_error"]
        elif "ci_lower" in route:
            low, high = columns["ci_lower"], columns["ci_upper"]
            width = np.log(high) - np.log(low) if "odds_ratio" in route else high - low
            error = width / (2 * Z_95)
        else:
            z = columns["z"] if "z" in route else _z_of_p(route, columns)
            error = np.abs(beta / z)
        error = np.where(np.isfinite(error) & (error > 0), error, np.nan)
        return Effects(beta, error, beta / error, scale)


def _z_of_p(route: tuple[str, ...], columns: Mapping[str, Floats]) -> Floats:
    if "neg_log10_p" in route:
        return z_of_neg_log10_p(columns["neg_log10_p"])
    p = columns["p_value"]
    return z_of_neg_log10_p(np.where(p > 0, -np.log10(np.where(p > 0, p, 1.0)), np.nan))


def neg_log10_p(z: Floats) -> Floats:
    """-log10 of the two-sided p-value of z (n,); exact where p itself is below the smallest double."""
    from scipy.special import log_ndtr

    return np.asarray(-(log_ndtr(-np.abs(z)) + np.log(2.0)) / LN10)


def z_of_neg_log10_p(value: Floats) -> Floats:
    """|z| (n,) whose two-sided p-value has this -log10; the inverse of `neg_log10_p`."""
    from scipy.special import ndtri_exp

    return np.asarray(-ndtri_exp(-value * LN10 - np.log(2.0)))


def effective_n(cases: Floats, controls: Floats) -> Floats:
    """People (n,) of an equally precise study of as many cases as controls: 4 / (1/cases + 1/controls)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(4.0 / (1.0 / cases + 1.0 / controls))
