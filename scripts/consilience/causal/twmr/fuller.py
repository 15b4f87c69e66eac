"""The default estimator: limited-information maximum likelihood with Fuller's correction, no ridge.

eQTL effects are estimates too. In units of noise (see `moments`) the model is ``A = A0 + noise`` and
``y = A0 a + noise``, all noise of variance 1: a regression with errors in its variables whose size is known.
Maximum likelihood subtracts the noise from ``A'A``: ``a = (A'A - lambda I)⁻¹ A'y``, lambda the smallest
eigenvalue of ``[A y]'[A y]``; lambda - 1 (Fuller) instead gives an estimate that has moments and is about
unbiased. With strong instruments it is least squares. Two additions, both measured (docs):

- lambda is at most n - k, its expectation: where variants act on the trait directly, the excess is not noise
  of eQTL effects, and subtracting it would inflate a;
- the noise of y around ``A a`` is ``1 + sum a_j²``; the squares are taken less twice their variance (at least
  0), as squares of estimates are too large. Without this true nulls of weak genes are rejected too rarely.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from consilience.causal.twmr.method import Method

if TYPE_CHECKING:
    import numpy.typing as npt

    from consilience.causal.twmr.moments import Moments

    Floats = npt.NDArray[np.float64]

CORRECTION = 1.0
"""Fuller's constant: what is taken off lambda."""
SQUARES_LESS = 2.0
"""Times its variance that a squared effect is taken less, where it enters the noise."""
SMALLEST = 1e-300


@dataclass(frozen=True)
class Fuller:
    """Effect `alpha` (G,) of the focal genes and its error `se` (G,) when no variant acts directly."""

    alpha: Floats
    se: Floats


def fuller(of: Moments) -> Fuller:
    """Estimate with the errors of eQTL effects accounted for."""
    k = of.both.shape[1]
    taken_off = np.maximum(np.minimum(_smallest_eigenvalue(of), of.n - k) - CORRECTION, 0.0)
    P = np.linalg.inv(of.exposures - taken_off[:, None, None] * np.eye(k))
    a = np.einsum("gij,gj->gi", P, of.both)
    own = _variance(P, taken_off, a)
    variances = np.einsum("gjj->gj", own)
    share = np.maximum(1.0 - SQUARES_LESS * variances / np.maximum(a**2, SMALLEST), 0.0)
    variance = _variance(P, taken_off, a * np.sqrt(share))[:, 0, 0]
    return Fuller(a[:, 0] * of.scale[:, 0], np.sqrt(variance) * of.scale[:, 0])


def _smallest_eigenvalue(of: Moments) -> Floats:
    """Smallest eigenvalue (G,) of [A y]'[A y]: heterogeneity around the best fitting effects."""
    G, k = of.both.shape
    whole = np.empty((G, k + 1, k + 1))
    whole[:, :k, :k] = of.exposures
    whole[:, :k, k] = whole[:, k, :k] = of.both
    whole[:, k, k] = of.outcome
    smallest: Floats = np.linalg.eigvalsh(whole)[:, 0]
    return smallest


def _variance(P: Floats, taken_off: Floats, a: Floats) -> Floats:
    """Variance (G, k, k): noise of y around A a, and what the noise of A adds when instruments are weak."""
    noise = 1.0 + np.sum(a**2, axis=1)
    spread = noise[:, None, None] * np.eye(P.shape[1]) - a[:, :, None] * a[:, None, :]
    variance: Floats = noise[:, None, None] * P + taken_off[:, None, None] * (P @ spread @ P)
    return variance


METHOD = Method(
    key="fuller",
    title="TWMR by limited-information maximum likelihood (default)",
    reference="Fuller WA. Econometrica 1977;45:939-953; Bekker PA. Econometrica 1994;62:657-681",
    doi="10.2307/1912683",
    assumes="eQTL effects act on the trait through the genes of the table alone, or direct effects of "
    "variants are unrelated to their effects on expression; noise of both studies is independent",
    limits="Intervals of genes with hardly more variants than genes are wide, and direct effects cannot be "
    "seen in them. Instruments chosen in the same eQTL study have effects that are somewhat too large.",
    columns=("alpha", "se", "p", "low", "high", "z"),
)
