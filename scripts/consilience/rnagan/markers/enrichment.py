"""Which pathways the markers belong to: ranked enrichment of signed effects, and overlaps of top lists."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from consilience.foundation.errors import DataError
from consilience.learning.differential.method import benjamini_hochberg

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd

COLUMNS = ("pathway", "es", "nes", "p", "fdr", "n_genes", "leading")


def ranked_enrichment(
    *,
    genes: Sequence[str],
    effect: npt.NDArray[np.float64],
    gene_sets: Mapping[str, Sequence[str]],
    permutations: int = 1000,
    least: int = 5,
    most: int = 500,
    seed: int = 0,
) -> pd.DataFrame:
    """Preranked GSEA (Subramanian 2005) of signed effects (genes,), one row per pathway of fitting size.

    What counts is the order from the strongest pedal to the strongest brake, ties in the order of names.
    Columns: pathway, es, nes (positive: among the pedals), p, fdr, n_genes (measured), leading (genes of the
    leading edge, joined by a semicolon).
    """
    import pandas as pd

    if len(set(genes)) < len(genes):
        raise DataError("some genes are there twice", mend="give every gene once")
    if not np.isfinite(effect).all():
        raise DataError("effects that are not numbers cannot be ranked")
    measured = set(genes)
    sets = {
        name: sorted(measured.intersection(members))
        for name, members in sorted(gene_sets.items())
        if least <= len(measured.intersection(members)) <= most
    }
    if not sets or not np.any(effect):
        return pd.DataFrame({name: pd.Series(dtype=float) for name in COLUMNS})
    import gseapy

    ranking = pd.DataFrame({"gene": list(genes), "effect": effect}).sort_values(
        ["effect", "gene"], ascending=[False, True]
    )
    # Ranks from 1 to -1 instead of effects: a few huge effects would outweigh all others, and when most
    # effects have one sign, gseapy finds no permuted score of the other to compare with (it then answers
    # p = 1). Ties are in the order of names: gseapy would leave them as its sort happens to.
    ranking["effect"] = np.linspace(1.0, -1.0, len(ranking))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = gseapy.prerank(
            rnk=ranking.set_index("gene")["effect"], gene_sets=sets, min_size=least, max_size=most,
            permutation_num=permutations, outdir=None, no_plot=True, seed=seed, threads=1, verbose=False,
        ).res2d  # fmt: skip
    table = pd.DataFrame({
        "pathway": found["Term"].astype(str),
        "es": found["ES"].astype(float),
        "nes": found["NES"].astype(float),
        "p": found["NOM p-val"].astype(float).clip(lower=1 / permutations),
        "fdr": found["FDR q-val"].astype(float),
        "n_genes": [len(sets[name]) for name in found["Term"]],
        "leading": found["Lead_genes"].astype(str),
    })  # fmt: skip
    order = np.lexsort((table["pathway"], -table["nes"].abs()))
    return table.iloc[order].reset_index(drop=True)


def overlap_enrichment(
    *, chosen: Sequence[str], genes: Sequence[str], gene_sets: Mapping[str, Sequence[str]], least: int = 5
) -> pd.DataFrame:
    """Hypergeometric test of `chosen` genes among all measured `genes`, one row per pathway.

    Columns: pathway, n_genes (measured members), n_chosen, expected, p (at least so many), fdr.
    """
    import pandas as pd
    from scipy.stats import hypergeom

    background, picked = set(genes), set(chosen)
    unknown = sorted(picked - background)
    if unknown:
        raise DataError("chosen genes that were not measured", value=", ".join(unknown[:5]))
    sets = {name: background.intersection(members) for name, members in sorted(gene_sets.items())}
    sets = {name: members for name, members in sets.items() if len(members) >= least}
    size = np.array([len(members) for members in sets.values()], dtype=np.int64)
    hits = np.array([len(members & picked) for members in sets.values()], dtype=np.int64)
    p = np.asarray(hypergeom.sf(hits - 1, len(background), size, len(picked)), dtype=np.float64)
    table = pd.DataFrame({
        "pathway": list(sets),
        "n_genes": size,
        "n_chosen": hits,
        "expected": size * len(picked) / max(1, len(background)),
        "p": p,
        "fdr": benjamini_hochberg(p),
    })  # fmt: skip
    return table.sort_values(["p", "pathway"]).reset_index(drop=True)
