"""What all un-ridged estimators need of a gene: products of its effects, freed of LD, in units of noise.

With ``A = sqrt(n_eqtl) C^(-1/2) E`` and ``y = sqrt(n_gwas) C^(-1/2) g``, every entry of A and y carries
independent noise of variance 1. Estimators work on ``A'A``, ``A'y``, ``y'y`` and n, which do not grow with n;
an effect in these units times ``sqrt(n_eqtl / n_gwas)`` is an effect on the trait.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Integers = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Moments:
    """G focal genes with k genes each, the focal one first.

    `n` (G,) variants, `exposures` (G, k, k) = A'A, `both` (G, k) = A'y, `outcome` (G,) = y'y and `scale`
    (G, k), which turns effects in units of noise into effects on the trait.
    """

    n: Floats
    exposures: Floats
    both: Floats
    outcome: Floats
    scale: Floats

    def rows(self, which: npt.NDArray[np.bool_] | Integers) -> Moments:
        """Some of the genes."""
        return Moments(
            self.n[which], self.exposures[which], self.both[which], self.outcome[which], self.scale[which]
        )

    def columns(self, which: Integers) -> Moments:
        """Some of each gene's genes: `which` (G, m) columns."""
        exposures = np.take_along_axis(self.exposures, which[:, :, None], axis=1)
        return Moments(
            n=self.n,
            exposures=np.take_along_axis(exposures, which[:, None, :], axis=2),
            both=np.take_along_axis(self.both, which, axis=1),
            outcome=self.outcome,
            scale=np.take_along_axis(self.scale, which, axis=1),
        )


def moments(
    *, eqtl: Floats, gwas: Floats, solved: Floats, n: Floats | Integers, n_eqtl: Floats, n_gwas: Floats
) -> Moments:
    """From effects (G, m, k) and (G, m) and what the inverse LD makes of them (G, m, k + 1).

    `n` (G,) may be smaller than m: rows of zeros, independent of all others, stand for no variant.
    """
    k = eqtl.shape[2]
    root_eqtl, root_gwas = np.sqrt(n_eqtl), np.sqrt(n_gwas)
    products = np.swapaxes(eqtl, 1, 2) @ solved
    exposures = products[..., :k] * root_eqtl[:, :, None] * root_eqtl[:, None, :]
    return Moments(
        n=np.asarray(n, dtype=np.float64),
        exposures=(exposures + np.swapaxes(exposures, 1, 2)) / 2,
        both=products[..., k] * root_eqtl * root_gwas[:, None],
        outcome=np.einsum("gn,gn->g", gwas, solved[..., k]) * n_gwas,
        scale=root_eqtl / root_gwas[:, None],
    )


def joined(parts: list[Moments]) -> Moments:
    """Genes of several sizes n, but of one k."""
    return Moments(
        np.concatenate([one.n for one in parts]),
        np.concatenate([one.exposures for one in parts]),
        np.concatenate([one.both for one in parts]),
        np.concatenate([one.outcome for one in parts]),
        np.concatenate([one.scale for one in parts]),
    )
