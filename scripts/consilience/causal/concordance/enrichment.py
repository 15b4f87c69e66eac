"""Gene set enrichment of a ranked list (gseapy prerank), with its warnings and its noise kept in.

References
----------
Subramanian A, et al. Gene set enrichment analysis. PNAS 2005, 102:15545.
Fang Z, Liu X, Peltz G. GSEApy. Bioinformatics 2023, 39:btac757.
"""

from __future__ import annotations

import logging
import warnings
from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy.typing as npt
    import pandas as pd

    Floats = npt.NDArray[np.float64]

COLUMNS = ("pathway", "nes", "p", "fdr", "leading_edge")


@dataclass(frozen=True)
class Ranked:
    """Symbols (g,), each once, and their z (g,)."""

    symbols: tuple[str, ...]
    z: Floats


def ranked(symbols: Sequence[str], z: Floats) -> Ranked:
    """Genes that have a symbol and a z; of a symbol that is there twice the stronger one, then the first."""
    order = np.lexsort((np.arange(len(z)), -np.abs(z)))
    best: dict[str, int] = {}
    for row in order:
        if symbols[row] and np.isfinite(z[row]):
            best.setdefault(symbols[row], int(row))
    rows = sorted(best.values())
    return Ranked(tuple(symbols[row] for row in rows), z[rows])


def enrichment(
    genes: Ranked, *, pathways: Mapping[str, Sequence[str]], permutations: int, seed: int
) -> pd.DataFrame:
    """Normalised enrichment scores (COLUMNS), a row a pathway, by name; empty where there is none."""
    import pandas as pd

    empty = pd.DataFrame(
        {name: pd.Series(dtype=object if name in COLUMNS[::4] else float) for name in COLUMNS}
    )
    if not pathways or len(genes.symbols) < 3 or np.ptp(genes.z) <= 0:
        return empty
    # gseapy ranks ties as they come: the name decides, so that the order of the table does not
    order = sorted(range(len(genes.z)), key=lambda row: (-genes.z[row], genes.symbols[row]))
    ranking = pd.Series(genes.z[order], index=[genes.symbols[row] for row in order])
    with _quiet():
        import gseapy

        found = gseapy.prerank(
            rnk=ranking, gene_sets={name: list(pathways[name]) for name in sorted(pathways)}, threads=1,
            permutation_num=permutations, seed=seed % 2**31, min_size=1, max_size=len(ranking), outdir=None,
            no_plot=True, verbose=False,
        ).res2d  # fmt: skip
    table = pd.DataFrame({
        "pathway": found["Term"].astype(str), "nes": pd.to_numeric(found["NES"], errors="coerce"),
        "p": pd.to_numeric(found["NOM p-val"], errors="coerce"),
        "fdr": pd.to_numeric(found["FDR q-val"], errors="coerce"),
        "leading_edge": found["Lead_genes"].astype(str),
    })  # fmt: skip
    # a p of 0 among so many permutations is one below the smallest that they can show
    table["p"] = table["p"].clip(lower=1.0 / (permutations + 1))
    return table.sort_values("pathway", kind="stable").reset_index(drop=True)[list(COLUMNS)]


@contextmanager
def _quiet() -> Iterator[None]:
    """Warnings of gseapy and what it imports are not ours; it also writes log lines of ties to stderr."""
    before = logging.root.manager.disable
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.disable(logging.WARNING)
        try:
            yield
        finally:
            logging.disable(before)
