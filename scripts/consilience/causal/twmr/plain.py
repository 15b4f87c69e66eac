"""Weighted least squares without a ridge, and the textbook delta method.

``alpha = (E'C⁻¹E)⁻¹ E'C⁻¹g``. Its variance by the delta method, with r the residuals, ``P = (E'C⁻¹E)⁻¹`` and
``s² = 1/n_gwas + sum alpha_j² / n_eqtl_j``, is ``P s² + P diag(1/n_eqtl) P r'C⁻¹r`` (mixed terms vanish, as
residuals are orthogonal to the effects). Noise in eQTL effects pulls alpha to 0 by about 1/F, and the last
term, which is noise alone, makes the error of weakly regulated genes too large: `fuller` mends both.
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


@dataclass(frozen=True)
class Plain:
    """Effect `alpha` (G,) of the focal genes, `se` (G,); `q` (G,) with n - k degrees of freedom."""

    alpha: Floats
    se: Floats
    q: Floats


def plain(of: Moments) -> Plain:
    """Least squares, its error and the heterogeneity around it.

    ``Q = d'V⁻¹d`` with ``d = g - E alpha`` and ``V = C s²``. What the estimation of alpha adds to V is left
    out because it changes nothing: d is orthogonal to E in the metric of C.
    """
    P = np.linalg.inv(of.exposures)
    alpha = np.einsum("gij,gj->gi", P, of.both)
    noise = 1.0 + np.sum(alpha**2, axis=1)
    residual = np.maximum(of.outcome - np.sum(alpha * of.both, axis=1), 0.0)
    variance = P[:, 0, 0] * noise + np.sum(P[:, 0] ** 2, axis=1) * residual
    first = of.scale[:, 0]
    return Plain(alpha[:, 0] * first, np.sqrt(variance) * first, residual / noise)


METHOD = Method(
    key="plain",
    title="Multivariable MR by weighted least squares (no ridge)",
    reference="Porcu E et al. Nature Communications 2019;10:3300, with its derivative mended",
    doi="10.1038/s41467-019-10936-0",
    assumes="eQTL effects act on the trait through the genes of the table alone; instruments are strong",
    limits="Pulled towards 0 by about 1/F when instruments are weak, and then a neighbour's effect leaks.",
    columns=("alpha_plain", "se_plain", "p_plain"),
)
