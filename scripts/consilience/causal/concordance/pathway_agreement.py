"""Whether the same pathways stand out on both sides, and in the same direction.

Agreement is the correlation of normalised enrichment scores over pathways. Pathways share genes and genes
share blocks and donors, so its p-values start from the genes again, with the mean z of a pathway (times the
root of its size) in the place of the score: blocks of genes dealt anew on the population side, donors left
out on the cell side, and the larger of the two, as for single genes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from consilience.causal.concordance.correlations import pearson
from consilience.causal.concordance.donors import donor_test
from consilience.causal.concordance.enrichment import enrichment, ranked
from consilience.causal.concordance.join import Shared
from consilience.causal.concordance.left_out import LeftOut
from consilience.causal.concordance.permutation import dealt
from consilience.causal.concordance.rates import false_discovery_rates

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd

    Floats = npt.NDArray[np.float64]

POPULATION = "population"
LEAST_PATHWAYS = 5
SIGNIFICANT = 0.05
DEALS = 500
AGREEMENT = (
    "cell_type", "r", "r_mean_z", "p_permutation", "p_donors", "p", "fdr", "n_pathways", "n_shared", "shared",
    "opposite", "flags",
)  # fmt: skip
FLAGS: Mapping[str, str] = {
    "few_pathways": "fewer than 5 pathways with enough shared genes: not judged",
    "donors_unknown": "p takes genes, not donors, as what is random",
}
"""Flag of a row of pathway_agreement.parquet -> sentence."""


@dataclass(frozen=True)
class Pathways:
    """`table`: side, pathway, nes, p, fdr, leading_edge; `agreement`: AGREEMENT, a row a cell type."""

    table: pd.DataFrame
    agreement: pd.DataFrame


def pathway_agreement(
    shared: Shared, *, gene_sets: Mapping[str, Sequence[str]], smallest: int, largest: int,
    permutations: int, correction: str, seed: int, left_out: Mapping[str, LeftOut] | None = None,
) -> Pathways:  # fmt: skip
    """Enrichment on both sides among shared genes, and its agreement in each cell type."""
    import pandas as pd

    tables, rows = [], []
    every = np.ones(len(shared.x), dtype=bool)
    sets = _fitting(shared, every, gene_sets, smallest, largest)
    whole = _enriched(shared, every, shared.x, sets, permutations, seed).assign(side=POPULATION)
    tables.append(whole)
    for t, name in enumerate(shared.cell_types):
        used = np.isfinite(shared.y[t])
        own = _fitting(shared, used, gene_sets, smallest, largest)
        cells = _enriched(shared, used, shared.y[t], own, permutations, seed)
        tables.append(cells.assign(side=name))
        # both sides on the genes of this type, where it lacks some
        mine = whole if used.all() else _enriched(shared, used, shared.x, own, permutations, seed)
        row: dict[str, Any] = {"cell_type": name} | _together(mine, cells)
        rows.append(row | _tests(shared, t, own, (left_out or {}).get(name), seed))
    agreement = pd.DataFrame(rows)
    agreement["fdr"] = false_discovery_rates(agreement["p"].to_numpy(), correction=correction)
    table = pd.concat(tables, ignore_index=True)
    return Pathways(table[["side", "pathway", "nes", "p", "fdr", "leading_edge"]], agreement[list(AGREEMENT)])


def _fitting(
    shared: Shared, used: npt.NDArray[np.bool_], gene_sets: Mapping[str, Sequence[str]], smallest: int,
    largest: int,
) -> dict[str, list[str]]:  # fmt: skip
    """Members among the genes in use, of sets with a fitting number of them."""
    there = {symbol for symbol, one in zip(shared.symbol, used, strict=True) if one and symbol}
    found = {name: sorted(there.intersection(gene_sets[name])) for name in sorted(gene_sets)}
    return {name: genes for name, genes in found.items() if smallest <= len(genes) <= largest}


def _enriched(
    shared: Shared, used: npt.NDArray[np.bool_], z: Floats, sets: Mapping[str, Sequence[str]],
    permutations: int, seed: int,
) -> pd.DataFrame:  # fmt: skip
    symbols = [symbol if one else "" for symbol, one in zip(shared.symbol, used, strict=True)]
    return enrichment(ranked(symbols, z), pathways=sets, permutations=permutations, seed=seed)


def _together(population: pd.DataFrame, cells: pd.DataFrame) -> dict[str, Any]:
    """Correlation of scores; pathways significant on both sides, by whether their directions agree."""
    both = population.merge(cells, on="pathway", suffixes=("_population", "_cells"))
    both = both[np.isfinite(both[["nes_population", "nes_cells"]].to_numpy(dtype=float)).all(axis=1)]
    x, y = both["nes_population"].to_numpy(dtype=float), both["nes_cells"].to_numpy(dtype=float)
    strong = (both[["fdr_population", "fdr_cells"]].astype(float) <= SIGNIFICANT).all(axis=1)
    same = both.loc[strong & (x * y > 0), "pathway"].tolist()
    return {
        "r": pearson(x, y) if len(both) >= LEAST_PATHWAYS else float("nan"), "n_pathways": len(both),
        "n_shared": len(same), "shared": ";".join(same),
        "opposite": ";".join(both.loc[strong & (x * y < 0), "pathway"]),
    }  # fmt: skip


def _tests(
    shared: Shared, t: int, sets: Mapping[str, Sequence[str]], left: LeftOut | None, seed: int
) -> dict[str, Any]:
    """P-values of the agreement of mean z."""
    nothing = dict.fromkeys(("r_mean_z", "p_permutation", "p_donors", "p"), float("nan"))
    if len(sets) < LEAST_PATHWAYS:
        return nothing | {"flags": "few_pathways"}
    used = np.isfinite(shared.y[t])
    members = _membership(shared, used, sets)
    x, y = members @ shared.x, members @ np.where(used, shared.y[t], 0.0)
    r = pearson(x, y)
    deals = dealt(block=shared.block, stratum=shared.stratum, n=DEALS, seed=seed)
    null = np.concatenate(
        [np.array([pearson(row, y) for row in shared.x[deal] @ members.T]) for deal in deals]
    )
    p = float((1 + (np.abs(null) >= abs(r) - 1e-9).sum()) / (1 + len(null)))
    test = None
    if left is not None:
        z = np.where(np.isfinite(left.z), left.z, np.where(used, shared.y[t], 0.0))
        freedom = shared.df[t][np.isfinite(shared.df[t])]
        score, parts = (None if one is None else np.nan_to_num(one) @ members.T
                        for one in (left.score, left.parts))  # fmt: skip
        test = donor_test(
            x=x, y=y, left_out=z @ members.T, block=np.arange(len(x)),
            df=float(np.median(freedom)) if freedom.size else float("inf"), score=score, parts=parts,
        )  # fmt: skip
    p_donors = float("nan") if test is None else test.p
    return {
        "r_mean_z": r, "p_permutation": p, "p_donors": p_donors, "p": float(np.fmax(p, p_donors)),
        "flags": "donors_unknown" if test is None else "",
    }  # fmt: skip


def _membership(
    shared: Shared, used: npt.NDArray[np.bool_], sets: Mapping[str, Sequence[str]]
) -> Floats:  # fmt: skip
    """(pathways, g): 1 / root of the pathway's size for its genes in use."""
    place: dict[str, list[int]] = {}
    for column, (symbol, one) in enumerate(zip(shared.symbol, used, strict=True)):
        if one:
            place.setdefault(symbol, []).append(column)
    found = np.zeros((len(sets), len(used)))
    for row, name in zip(found, sorted(sets), strict=True):
        columns = [column for symbol in sets[name] for column in place[symbol]]
        row[columns] = 1.0 / np.sqrt(len(columns))
    return found
