"""What every estimator of the population side starts from: one gene, its variants and its neighbours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from consilience.foundation.errors import DataError

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class GeneInputs:
    """One focal gene: n variants, k genes that they regulate (the focal gene first).

    `eqtl` (n, k) effects on expression and `gwas` (n,) on the trait, both standardised (z / sqrt(people)) and
    of the same allele; an effect of 0 means "no eQTL of this gene". `known` (n, k) is False where an effect
    is 0 because the pair is not in the table (it may have been left out for its p-value). `ld` (n, n) signed
    correlations. `n_eqtl` (k,) people behind the effects on each gene, `n_gwas` people of the GWAS: standard
    errors are 1 / sqrt(n). `symbol` is "" where unknown.
    """

    gene: str
    symbol: str
    genes: tuple[str, ...]
    variants: tuple[str, ...]
    eqtl: Floats
    gwas: Floats
    ld: Floats
    known: npt.NDArray[np.bool_]
    n_eqtl: Floats
    n_gwas: float

    def __post_init__(self) -> None:
        n, k = len(self.variants), len(self.genes)
        shapes = {
            "eqtl": (self.eqtl.shape, (n, k)),
            "gwas": (self.gwas.shape, (n,)),
            "ld": (self.ld.shape, (n, n)),
            "known": (self.known.shape, (n, k)),
            "n_eqtl": (self.n_eqtl.shape, (k,)),
        }
        wrong = [f"{name} {got}, not {due}" for name, (got, due) in shapes.items() if got != due]
        if wrong or not n or not k or self.genes[0] != self.gene:
            raise DataError(
                "sizes of this gene's inputs do not agree", where=f"gene {self.gene}",
                value="; ".join(wrong) or f"{n} variants, {k} genes, the first {self.genes[:1]}",
            )  # fmt: skip
