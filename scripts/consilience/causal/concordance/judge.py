"""All cell types against the population side, and what may be said after so many looks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from consilience.causal.concordance.cell_type import Genes, figures_of, no_figures, why_not
from consilience.causal.concordance.correlations import pearson
from consilience.causal.concordance.donors import DonorTest, donor_test
from consilience.causal.concordance.join import Shared
from consilience.causal.concordance.left_out import LeftOut
from consilience.causal.concordance.permutation import dealt, null_correlations, p_of, p_of_greatest
from consilience.causal.concordance.rates import false_discovery_rates, simes

if TYPE_CHECKING:
    import numpy.typing as npt

    from consilience.study.causal import ConcordanceSection

    Floats = npt.NDArray[np.float64]

SIGNIFICANT = 0.05
MOST_DEALS = 500
"""Deals behind the p-values of overlaps."""


@dataclass(frozen=True)
class Judged:
    """`rows`: one a cell type (concordance.parquet); `stability`: r without each chromosome and donor.

    `p_global` is the larger of its two parts, of deals of blocks and of donors left out (NaN: unknown).
    """

    rows: list[dict[str, Any]]
    stability: list[dict[str, Any]]
    p_global: float
    p_global_permutation: float
    p_global_donors: float


def judge(
    shared: Shared, *, settings: ConcordanceSection, seed: int, left_out: Mapping[str, LeftOut] | None = None,
    control: bool = False,
) -> Judged:  # fmt: skip
    """Compare the two sides in every cell type.

    A type's p is the larger of two: of dealing the population's blocks anew (what chance does on the
    population side) and of leaving out donors (what it does on the cell side). Rates over types are of that
    p. The global p is the larger of the greatest |r| under common deals and of Simes over the donors' tests.
    """
    left_out = left_out or {}
    genes = [genes_of(shared, t) for t in range(len(shared.cell_types))]
    why = [why_not(one, settings.min_genes) for one in genes]
    tests = [
        None if reason else _donor_test(shared, t, left_out.get(name))
        for t, (name, reason) in enumerate(zip(shared.cell_types, why, strict=True))
    ]
    tested = _tested(shared, genes, why, tests, settings, seed)
    deals = np.concatenate(
        list(dealt(block=shared.block, stratum=shared.stratum, n=_few(settings), seed=seed))
    )
    rows, stability = [], []
    for t, name in enumerate(shared.cell_types):
        row: dict[str, Any] = {"cell_type": name, "n_genes": len(genes[t].x), "control": control}
        row |= {key: float(values[t]) for key, values in tested.by_type.items()}
        if why[t]:
            rows.append(row | no_figures(settings.top) | {"flags": why[t]})
            continue
        used = np.isfinite(shared.y[t])
        figures, flags, without = figures_of(
            genes[t], dealt_x=shared.x[deals[:, used]], top=settings.top, test=tests[t], seed=seed
        )  # fmt: skip
        flags += _flags(shared, t, row, tests[t], left_out.get(name))
        rows.append(row | figures | {"flags": ";".join(flags)})
        stability += _stability(name, without, tests[t], left_out.get(name))
    rows = [row | {"p_global": tested.p_global} for row in rows]
    return Judged(rows, stability, tested.p_global, *tested.parts)


def genes_of(shared: Shared, t: int) -> Genes:
    """The genes that cell type number t has."""
    used = np.isfinite(shared.y[t])
    return Genes(
        x=shared.x[used], y=shared.y[t][used], alpha=shared.alpha[used], alpha_se=shared.alpha_se[used],
        scaled=shared.scaled[t][used], scaled_se=shared.scaled_se[t][used], block=shared.block[used],
        chromosome=tuple(np.array(shared.chromosome, dtype=object)[used]),
    )  # fmt: skip


@dataclass(frozen=True)
class _Tested:
    by_type: dict[str, Floats]
    p_global: float
    parts: tuple[float, float]


def _tested(
    shared: Shared, genes: list[Genes], why: list[str], tests: list[DonorTest | None],
    settings: ConcordanceSection, seed: int,
) -> _Tested:  # fmt: skip
    """r, p-values and rates of the types (t,), and of all together."""
    r = np.array([np.nan if no else pearson(one.x, one.y) for one, no in zip(genes, why, strict=True)])
    y = np.where(np.isfinite(r)[:, None], shared.y, np.nan)
    null = null_correlations(
        x=shared.x, y=y, block=shared.block, stratum=shared.stratum, n=settings.permutations, seed=seed
    )
    p_permutation = p_of(r, null)
    p_donors = np.array([np.nan if test is None else test.p for test in tests])
    p = np.fmax(p_permutation, p_donors)
    parts = p_of_greatest(r, null), simes(p_donors)
    return _Tested(
        {"r": r, "p_permutation": p_permutation, "p_donors": p_donors, "p": p,
         "fdr": false_discovery_rates(p, correction=settings.correction)},
        float(np.fmax(*parts)), parts,
    )  # fmt: skip


def _few(settings: ConcordanceSection) -> int:
    return min(settings.permutations, MOST_DEALS)


def _donor_test(shared: Shared, t: int, left: LeftOut | None) -> DonorTest | None:
    if left is None:
        return None
    freedom = shared.df[t][np.isfinite(shared.df[t])]
    return donor_test(
        x=shared.x, y=shared.y[t], left_out=left.z, block=shared.block,
        df=float(np.median(freedom)) if freedom.size else float("inf"), score=left.score, parts=left.parts,
    )  # fmt: skip


def _flags(
    shared: Shared, t: int, row: dict[str, Any], test: DonorTest | None, left: LeftOut | None
) -> list[str]:
    """What to know of a row beside its figures."""
    found = []
    if test is None:
        found.append("donors_unknown" if left is None else "donor_needed")
    if not np.isfinite(shared.position).any():
        found.append("no_positions")
    if not np.isfinite(shared.mean_expression[t]).any():
        found.append("no_expression")
    if row["fdr"] <= SIGNIFICANT and row["r"] < 0:
        found.append("opposite")
    return found


def _stability(
    name: str, without: Mapping[str, float], test: DonorTest | None, left: LeftOut | None
) -> list[dict[str, Any]]:
    rows = [
        {"cell_type": name, "left_out": one, "kind": "chromosome", "r": value}
        for one, value in without.items()
    ]
    if test is not None and left is not None:
        rows += [
            {"cell_type": name, "left_out": one, "kind": "donor", "r": float(value)}
            for one, value in zip(left.donors, test.r, strict=True)
        ]
    return rows
