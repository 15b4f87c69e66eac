"""The table of a TWMR run: one row a gene, estimated or not, with the reason."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from consilience.causal.twmr.flags import joined

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd

    from consilience.causal.inputs_file import Named
    from consilience.causal.twmr.estimate import Estimates

    Floats = npt.NDArray[np.float64]

FIRST = (
    "gene", "alpha", "se", "p", "alpha_published", "se_published", "p_published", "q", "q_p", "n_snps",
    "n_genes", "condition", "flags",
)  # fmt: skip
"""Columns that `consilience twmr` writes first, in this order."""
ALSO = (
    "symbol", "fdr", "low", "high", "z", "df", "se_fixed", "disturbed",
    "conditional_f", "alpha_plain", "se_plain", "p_plain",
    "n_outliers", "outliers", "alpha_cleaned", "se_cleaned", "p_cleaned", "q_cleaned", "q_p_cleaned",
    "collinear_with", "dropped_genes",
)  # fmt: skip
NORMAL_975 = 1.959963984540054


def table(named: Named, found: Estimates) -> pd.DataFrame:
    """Estimates with the names of the rows they belong to."""
    import pandas as pd

    from consilience.learning.differential.method import benjamini_hochberg

    n = len(named.gene)
    numbers = found.numbers
    n_genes = np.where(
        np.isnan(numbers["n_genes"]), [len(genes) for genes in named.genes], numbers["n_genes"]
    )
    half = NORMAL_975 * numbers["se"]
    columns: dict[str, object] = {
        "gene": named.gene,
        "symbol": named.symbol,
        **{name: values for name, values in numbers.items() if name != "n_genes"},
        "fdr": benjamini_hochberg(numbers["p"]),
        "low": numbers["alpha"] - half,
        "high": numbers["alpha"] + half,
        "n_snps": np.array([len(variants) for variants in named.variants], dtype=np.int64),
        "n_genes": n_genes.astype(np.int64),
        "n_outliers": np.array([len(found.outliers.get(row, ())) for row in range(n)], dtype=np.int64),
        "outliers": _words(found.outliers, named.variants, n),
        "collinear_with": _words(found.twins, named.genes, n),
        "dropped_genes": _words(found.dropped, named.genes, n),
        "flags": joined(found.raised, n),
    }
    return pd.DataFrame({name: columns[name] for name in (*FIRST, *ALSO)})


def _words(places: dict[int, list[int]], names: list[tuple[str, ...]], n: int) -> list[str]:
    words = [""] * n
    for row, own in places.items():
        words[row] = ";".join(names[row][at] for at in own)
    return words
