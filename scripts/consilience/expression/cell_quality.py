"""Which cells are kept: limits of each metric within each sample, and why each removed cell was removed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from consilience.expression.quality import mad_of

if TYPE_CHECKING:
    import numpy.typing as npt

    from consilience.sources.cells.matrix import Labels
    from consilience.study.sections import SingleCellQuality

TINY_SAMPLE = 30
"""A sample with fewer cells is judged by the limits of all cells together."""
MIN_DOUBLET_SCORE = 0.1
"""No cell is removed below this probability: in a sample without doublets, five MADs are not far."""
HARD_CAP_SHARE = 0.1


@dataclass(frozen=True, slots=True)
class CellLimits:
    """Limits of one metric; arrays (samples,), infinite where there is no limit.

    `median`, `mad` of each sample (`mad` on the scale of the judgement, log when `log`; NaN where nothing
    was there to judge by); `pooled` (samples,) those judged by all cells together; `hard` the limit that
    holds in any case.
    """

    metric: str
    low: npt.NDArray[np.float64]
    high: npt.NDArray[np.float64]
    median: npt.NDArray[np.float64]
    mad: npt.NDArray[np.float64]
    n_mads: float
    log: bool
    pooled: npt.NDArray[np.bool_]
    explanation: str

    def outside(self, values: npt.NDArray[np.float64], codes: npt.NDArray[np.int32]) -> npt.NDArray[np.bool_]:
        """Which cells lie beyond the limits of their sample; an unknown value (NaN) is not outside."""
        return np.asarray((values < self.low[codes]) | (values > self.high[codes]))


def cell_limits(
    *,
    metric: str,
    values: npt.NDArray[np.float64],
    samples: Labels,
    judged: npt.NDArray[np.bool_],
    n_mads: float,
    low: bool,
    high: bool,
    log: bool,
    hard_low: float = -np.inf,
    hard_high: float = np.inf,
    least_high: float = -np.inf,
    explanation: str,
) -> CellLimits:
    """Median ± `n_mads` MADs of a metric (n,) over the `judged` cells (mask) of each sample.

    With `log`, deviations are taken of log1p. `hard_low` and `hard_high` hold in any case; no upper limit
    lies below `least_high`. Where all values are equal, only hard limits hold.
    """
    scaled = np.log1p(values) if log else np.asarray(values, dtype=np.float64)
    usable = judged & np.isfinite(scaled)
    n_samples = len(samples.levels)
    sizes = np.bincount(samples.codes[usable], minlength=n_samples)
    pooled = sizes < TINY_SAMPLE
    together = centre_and_mad(scaled[usable])
    of_sample = sorted_by_sample(scaled[usable], samples.codes[usable], sizes)
    centres = np.array([together if pooled[k] else centre_and_mad(of_sample[k]) for k in range(n_samples)])
    centre, mad = centres.reshape(n_samples, 2).T
    known = np.isfinite(centre) & (mad > 0)
    back = np.expm1 if log else np.asarray
    lows = np.where(known & low, back(centre - n_mads * mad), -np.inf)
    highs = np.where(known & high, np.maximum(back(centre + n_mads * mad), least_high), np.inf)
    return CellLimits(
        metric=metric, low=np.maximum(lows, hard_low), high=np.minimum(highs, hard_high), median=back(centre),
        mad=mad, n_mads=n_mads, log=log, pooled=pooled & (n_samples > 1), explanation=explanation,
    )  # fmt: skip


def centre_and_mad(values: npt.NDArray[np.float64]) -> tuple[float, float]:
    """Median and scaled MAD; NaN for no values."""
    if not values.size:
        return float("nan"), float("nan")
    centre = float(np.median(values))
    return centre, mad_of(values - centre)


def sorted_by_sample(
    values: npt.NDArray[np.float64], codes: npt.NDArray[np.int32], sizes: npt.NDArray[np.int64]
) -> list[npt.NDArray[np.float64]]:
    """The values of each sample, in one sort instead of one search per sample."""
    return np.split(values[np.argsort(codes, kind="stable")], np.cumsum(sizes)[:-1])


def count_limits(
    *, metrics: Mapping[str, npt.NDArray[np.float64]], samples: Labels, judged: npt.NDArray[np.bool_],
    n_genes_measured: int, settings: SingleCellQuality,
) -> list[CellLimits]:  # fmt: skip
    """Limits of counts, genes and (where mitochondrial genes are measured) mitochondrial share."""
    limits_of = partial(cell_limits, samples=samples, judged=judged)
    min_genes = least_genes(settings.min_genes, n_genes_measured)
    limits = [
        limits_of(
            metric="library_size",
            values=metrics["library_size"],
            n_mads=settings.counts_mads,
            low=True,
            high=True,
            log=True,
            explanation="log1p of the counts of a cell, both sides, within its sample",
        ),
        limits_of(
            metric="n_genes",
            values=metrics["n_genes"],
            n_mads=settings.genes_mads,
            low=True,
            high=True,
            log=True,
            hard_low=min_genes,
            explanation="log1p of the number of genes of a cell, "
            f"both sides, within its sample; never fewer than {min_genes} genes",
        ),
    ]
    if "mitochondrial_share" in metrics:
        limits.append(
            limits_of(
                metric="mitochondrial_share",
                values=metrics["mitochondrial_share"],
                n_mads=settings.mitochondrial_mads,
                low=False,
                high=True,
                log=False,
                hard_high=settings.max_mitochondrial_share,
                explanation="share of mitochondrial counts, upper side, within its sample; never above "
                f"{settings.max_mitochondrial_share:g}",
            )
        )
    return limits


def least_genes(setting: int, n_genes_measured: int) -> int:
    """The fewest genes a cell may have: the setting, capped at a tenth of the genes measured."""
    return min(setting, max(1, int(n_genes_measured * HARD_CAP_SHARE)))


def doublet_limits(
    *,
    scores: npt.NDArray[np.float64],
    samples: Labels,
    judged: npt.NDArray[np.bool_],
    settings: SingleCellQuality,
) -> CellLimits:
    """Upper limit of the doublet score; NaN scores (too few cells) are never outside."""
    return cell_limits(
        metric="doublet_score",
        values=scores,
        samples=samples,
        judged=judged,
        n_mads=settings.doublet_mads,
        low=False,
        high=True,
        log=False,
        least_high=MIN_DOUBLET_SCORE,
        explanation=f"probability of two cells in one barcode, upper side, within its sample; never below "
        f"{MIN_DOUBLET_SCORE:g}",
    )
