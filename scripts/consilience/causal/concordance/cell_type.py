"""One cell type against the population side: estimates and intervals (tests over types are in judge.py)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from consilience.causal.concordance.attenuation import corrected
from consilience.causal.concordance.correlations import moments, pearson, spearman
from consilience.causal.concordance.deming import deming
from consilience.causal.concordance.donors import DonorTest
from consilience.causal.concordance.overlap import top_overlaps
from consilience.causal.concordance.resampling import block_draws, correlation_interval
from consilience.causal.concordance.signs import sign_agreement
from consilience.causal.concordance.stability import without_each_chromosome

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Numbers = npt.NDArray[np.intp]

FLAGS: Mapping[str, str] = {
    "few_genes": "fewer shared genes than min_genes: not judged",
    "constant": "one side does not vary over the genes: not judged",
    "few_blocks": "fewer than 10 blocks of genes: intervals and permutations are rough",
    "donors_unknown": "no estimates without each donor: p takes genes, not donors, as what is random, and is "
    "too small where genes of one program move together in few donors",
    "donor_needed": "too few donors to leave one out: p takes only genes as what is random",
    "unreliable_population": "the population side cannot be told from noise over genes: r is not corrected",
    "unreliable_cells": "the cell side cannot be told from noise over genes: r is not corrected",
    "no_positions": "genes without places: each is taken as a block of its own",
    "no_expression": "no level of expression: one stratum",
    "opposite": "the sides disagree significantly: effects point in opposite directions",
}
"""Flag of a row of concordance.parquet -> sentence."""
FEW_BLOCKS = 10
FIGURES = (
    "low", "high", "r_corrected", "r_corrected_low", "r_corrected_high", "reliability_population",
    "reliability_cells", "spearman", "p_naive", "sign_agreement", "sign_p", "deming_slope", "deming_low",
    "deming_high", "loo_donor_min", "loo_donor_max", "loo_chromosome_min", "loo_chromosome_max", "widening",
)  # fmt: skip


@dataclass(frozen=True)
class Genes:
    """The g genes of a type, in genome order: z of both sides, effects and errors for the line, blocks."""

    x: Floats
    y: Floats
    alpha: Floats
    alpha_se: Floats
    scaled: Floats
    scaled_se: Floats
    block: Numbers
    chromosome: tuple[str, ...]


def why_not(genes: Genes, least: int) -> str:
    """The flag that says why a type cannot be judged, "" where it can."""
    if len(genes.x) < least:
        return "few_genes"
    return "" if np.isfinite(pearson(genes.x, genes.y)) else "constant"


def figures_of(
    genes: Genes, *, dealt_x: Floats, top: Sequence[int], test: DonorTest | None, seed: int
) -> tuple[dict[str, Any], list[str], dict[str, float]]:
    """(figures, flags, r without each chromosome); `dealt_x` (n, g): the population dealt anew."""
    from scipy import stats

    x, y = genes.x, genes.y
    _, block = np.unique(genes.block, return_inverse=True)
    draws = block_draws(n_blocks=int(block.max()) + 1, seed=seed)
    stretch = {"widening": 1.0 if test is None else test.widening}
    r = pearson(x, y)
    low, high = correlation_interval(r, moments(x, y, draws[:, block]).r, **stretch)
    true = corrected(
        x=x, y=genes.scaled, se_y=genes.scaled_se, block=block, draws=draws,
        shared_noise=0.0 if test is None else test.shared_noise, **stretch,
    )  # fmt: skip
    line = deming(
        x=genes.alpha, y=genes.scaled, se_x=genes.alpha_se, se_y=genes.scaled_se, block=block, draws=draws,
        **stretch,
    )  # fmt: skip
    sign = sign_agreement(x=x, y=y, block=block, seed=seed)
    without = without_each_chromosome(x=x, y=y, chromosome=genes.chromosome)
    figures: dict[str, Any] = {
        "low": low, "high": high, "r_corrected": true.r, "r_corrected_low": true.low,
        "r_corrected_high": true.high, "reliability_population": true.reliability_x,
        "reliability_cells": true.reliability_y, "spearman": spearman(x, y),
        "p_naive": float(stats.pearsonr(x, y).pvalue), "sign_agreement": sign.share, "sign_p": sign.p,
        "deming_slope": line.slope, "deming_low": line.low, "deming_high": line.high,
        **_range("loo_donor", [] if test is None else test.r.tolist()),
        **_range("loo_chromosome", list(without.values())), **stretch,
    }  # fmt: skip
    for one in top_overlaps(x=x, y=y, sizes=top, dealt=dealt_x):
        figures |= {f"overlap_{one.k}": one.count, f"overlap_{one.k}_expected": one.expected,
                    f"overlap_{one.k}_p": one.p}  # fmt: skip
    flags = [f"unreliable_{side}" for side in true.refused]
    return figures, flags + ["few_blocks"] * (int(block.max()) + 1 < FEW_BLOCKS), without


def no_figures(top: Sequence[int]) -> dict[str, Any]:
    """The same columns of a type that is not judged."""
    names = [*FIGURES, *(f"overlap_{k}{end}" for k in top for end in ("", "_expected", "_p"))]
    return dict.fromkeys(names, float("nan"))


def _range(name: str, values: list[float]) -> dict[str, float]:
    return {
        f"{name}_min": min(values, default=float("nan")),
        f"{name}_max": max(values, default=float("nan")),
    }  # fmt: skip
