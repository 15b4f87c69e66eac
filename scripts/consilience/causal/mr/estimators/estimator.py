"""What an estimator of Mendelian randomisation is, what it is given, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Protocol

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Instruments:
    """g exposures with n instruments each, every one the variant's allele that raises its exposure.

    `b_exp`, `se_exp` (g, n) effects on the exposure (> 0) and their standard errors; `b_out`, `se_out` (g, n)
    the same of the outcome; `ld` (g, n, n) signed correlations of these alleles. Strongest instrument first
    (largest b_exp / se_exp). `names` (g,) of the exposures, from which random numbers follow.
    """

    names: tuple[str, ...]
    b_exp: Floats
    se_exp: Floats
    b_out: Floats
    se_out: Floats
    ld: Floats

    def rows(self, chosen: npt.NDArray[np.intp] | npt.NDArray[np.bool_]) -> Instruments:
        """Some of the exposures."""
        names = tuple(np.array(self.names, dtype=object)[chosen])
        parts = (self.b_exp, self.se_exp, self.b_out, self.se_out, self.ld)
        return Instruments(names, *(part[chosen] for part in parts))


@dataclass(frozen=True)
class Estimates:
    """Answers (g,): effect of one unit of exposure on the outcome, NaN where there is none.

    `df` degrees of freedom of the t distribution behind p-value and interval (inf: normal). `q`, `q_df`,
    `q_p` heterogeneity; `intercept`, `intercept_se`, `intercept_p` the variants' mean direct effect (Egger).
    """

    estimate: Floats
    se: Floats
    df: Floats
    q: Floats
    q_df: Floats
    intercept: Floats
    intercept_se: Floats

    @classmethod
    def of(
        cls,
        estimate: Floats,
        se: Floats,
        *,
        df: Floats | float = np.inf,
        q: Floats | None = None,
        q_df: float = np.nan,
        intercept: tuple[Floats, Floats] | None = None,
    ) -> Estimates:
        """With NaN for what a method has not."""
        empty = np.full(len(estimate), np.nan)
        value, error = intercept or (empty, empty)
        return cls(
            estimate, se, np.broadcast_to(np.asarray(df, dtype=np.float64), estimate.shape).copy(),
            empty if q is None else q, np.full(len(estimate), q_df), value, error,
        )  # fmt: skip

    @classmethod
    def none(cls, g: int) -> Estimates:
        """No answer for any of `g` exposures."""
        return cls(*(np.full(g, np.nan) for _ in range(7)))

    @property
    def p(self) -> Floats:
        """Two-sided p-values (g,) of the effect."""
        return two_sided(self.estimate, self.se, self.df)

    @property
    def intercept_p(self) -> Floats:
        """Two-sided p-values (g,) of the intercept."""
        return two_sided(self.intercept, self.intercept_se, self.df)

    @property
    def q_p(self) -> Floats:
        """P-values (g,) of the heterogeneity."""
        from scipy.special import chdtrc

        with np.errstate(invalid="ignore"):
            return np.asarray(np.where(self.q_df > 0, chdtrc(self.q_df, self.q), np.nan))

    def interval(self, level: float = 0.95) -> tuple[Floats, Floats]:
        """Low and high ends (g,) of the confidence interval that belongs to `p`."""
        from scipy.special import ndtri, stdtrit

        tail = (1 + level) / 2
        finite = np.where(np.isfinite(self.df), self.df, 1.0)
        half = np.where(np.isinf(self.df), ndtri(tail), stdtrit(finite, tail)) * self.se
        return self.estimate - half, self.estimate + half

    def without(self, failed: npt.NDArray[np.bool_]) -> Estimates:
        """NaN where an exposure `failed` (g,)."""
        fields = ("estimate", "se", "df", "q", "q_df", "intercept", "intercept_se")
        return replace(self, **{name: np.where(failed, np.nan, getattr(self, name)) for name in fields})


def two_sided(value: Floats, se: Floats, df: Floats) -> Floats:
    """Two-sided p-values of value / se under t with `df` degrees of freedom (inf: normal)."""
    from scipy.special import ndtr, stdtr

    with np.errstate(invalid="ignore", divide="ignore"):
        tail = -np.abs(value / se)
    finite = np.where(np.isfinite(df), df, 1.0)
    return np.asarray(2 * np.where(np.isinf(df), ndtr(tail), stdtr(finite, tail)))


class Estimate(Protocol):
    """Effects of g exposures, each by its own instruments.

    The answer for an exposure depends on its row, its name, `bootstraps` and `seed`, on nothing else.
    """

    def __call__(self, instruments: Instruments, *, bootstraps: int, seed: int) -> Estimates:
        """Effects (g,)."""
        ...


@dataclass(frozen=True)
class Estimator:
    """A method, with what a reader needs to judge it by.

    `min_variants`: with fewer instruments it has no answer. `uses_ld`: correlated instruments are allowed.
    """

    key: str
    title: str
    reference: str
    doi: str
    assumes: str
    limits: str
    min_variants: int
    uses_ld: bool
    estimate: Estimate
