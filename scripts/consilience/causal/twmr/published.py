"""TWMR as its authors' script computes it: a fixed ridge, and their standard error with its two slips.

With eQTL effects E (n variants, k genes), GWAS effects g and LD C: ``H = (1 - l) E'C⁻¹E + l I`` with
``l = 1 / sqrt(3781)`` (3,781 people in the authors' LD panel) and ``alpha = H⁻¹ E'C⁻¹g``. The error is meant
as a delta method ``J Sigma J'`` but (a) a term of J has the wrong sign and (b) Sigma has Kronecker factors
in another order than J, so that LD is laid on the wrong effects. Both are kept here, to the last digit that
the inverse allows; the default (`fuller`) has neither, nor the ridge.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from consilience.causal.twmr.method import Method

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Integers = npt.NDArray[np.int64]

RIDGE = 1.0 / math.sqrt(3781.0)


def published(
    *, eqtl: Floats, gwas: Floats, ld: Floats, solved: Floats, n: Integers, n_eqtl: Floats, n_gwas: Floats
) -> tuple[Floats, Floats]:
    """Effect (G,) of the first gene and its error (G,).

    `eqtl` (G, m, k), `gwas` (G, m), `ld` (G, m, m), `solved` (G, m, k + 1) products of the inverse LD with
    both, `n_eqtl` (G, k), `n_gwas` (G,). `n` (G,) variants; rows beyond it are padding (see `Sized`).
    """
    G, m, k = eqtl.shape
    inverse_eqtl, inverse_gwas = solved[..., :k], solved[..., k]
    information = np.swapaxes(eqtl, 1, 2) @ inverse_eqtl
    P = np.linalg.inv((1.0 - RIDGE) * information + RIDGE * np.eye(k))
    alpha = np.einsum("gij,gj->gi", P, np.einsum("gnj,gn->gj", inverse_eqtl, gwas))
    by_gwas = np.einsum("gj,gnj->gn", P[:, 0], inverse_eqtl)  # first row of H⁻¹E'C⁻¹
    plus = inverse_gwas + np.einsum("gnj,gj->gn", inverse_eqtl, alpha)  # slip (a): minus is right
    by_eqtl = P[:, 0, :, None] * plus[:, None, :] - alpha[:, :, None] * by_gwas[:, None, :]
    scaled = np.concatenate(  # (G, k + 1, m): gene by gene, within it variant by variant
        [by_eqtl / np.sqrt(n_eqtl)[:, :, None], (by_gwas / np.sqrt(n_gwas)[:, None])[:, None, :]], axis=1
    )
    place = np.minimum(np.arange(m * (k + 1)), n[:, None] * (k + 1) - 1)
    order = place // n[:, None] * m + place % n[:, None]
    mixed = np.take_along_axis(scaled.reshape(G, -1), order, axis=1).reshape(G, m, k + 1)
    mixed *= (np.arange(m) < n[:, None])[:, :, None]  # slip (b): read as if it were variant by variant
    variance = np.einsum("gnj,gnj->g", mixed, ld @ mixed)
    return alpha[:, 0], np.sqrt(variance)


METHOD = Method(
    key="published",
    title="TWMR with ridge (published)",
    reference="Porcu E et al. Nature Communications 2019;10:3300",
    doi="10.1038/s41467-019-10936-0",
    assumes="eQTL effects act on the trait through the genes of the table alone; instruments are strong",
    limits="The ridge pulls effects of weakly regulated genes towards 0 and leaves part of a neighbour's "
    "effect on the focal gene; the standard error is too small for some genes and too large for others.",
    columns=("alpha_published", "se_published", "p_published"),
)
