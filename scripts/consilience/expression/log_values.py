"""Values that are no counts, on the log2 scale: made comparable, judged, and told from background.

Pure functions. All take (samples, genes) and none is larger in memory than its result and one block.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from consilience.sources.bulk.stored import blocks

if TYPE_CHECKING:
    import numpy.typing as npt

INTENSITY_OFFSET = 16.0
"""Added to intensities before the logarithm: below some 16 units an array measures its own background, and
without the offset that noise would weigh as much as the signal (as with Affymetrix' PLIER + 16)."""
BACKGROUND_PERCENTILE = 20.0
PANEL_GENES = 5_000


def to_log2(values: npt.NDArray[Any], *, units: str) -> npt.NDArray[np.float32]:
    """Values in `units` as logarithms to base 2: of intensity + 16, of TPM, FPKM, CPM + 1; logs as they are.

    Intensities below zero (background was subtracted) count as zero.
    """
    result = np.empty(values.shape, dtype=np.float32)
    offset = {"log2": 0.0, "intensity": INTENSITY_OFFSET}.get(units, 1.0)
    for rows in blocks(values.shape[0]):
        part = values[rows]
        result[rows] = part if units == "log2" else np.log2(np.maximum(part, 0.0) + offset)
    return result


def quantile_normalised(values: npt.NDArray[np.floating]) -> npt.NDArray[np.float32]:
    """Give every sample the same distribution: at each rank the mean of all samples at that rank.

    `values` (samples, genes). Equal values of a sample stay equal: they get the mean of their ranks' values.

    References
    ----------
    Bolstad BM, Irizarry RA, Åstrand M, Speed TP. Bioinformatics 19:185, 2003.
    """
    n_samples, n_genes = values.shape
    reference = np.zeros(n_genes)
    for row in range(n_samples):
        reference += np.sort(values[row])
    reference /= max(1, n_samples)
    before = np.concatenate([[0.0], np.cumsum(reference)])
    result = np.empty(values.shape, dtype=np.float32)
    for row in range(n_samples):
        order = np.argsort(values[row], kind="stable")
        ordered = values[row][order]
        starts = np.flatnonzero(np.concatenate([[True], ordered[1:] != ordered[:-1]]))
        stops = np.append(starts[1:], n_genes)
        single = stops - starts == 1
        means = (before[stops] - before[starts]) / (stops - starts)
        means[single] = reference[starts[single]]  # the difference of two sums is less exact
        result[row, order] = np.repeat(means, stops - starts)
    return result


def backgrounds(values: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """Background of each sample, its 20th percentile: at least a fifth of all genes is silent; (samples,)."""
    return np.array([np.percentile(row, BACKGROUND_PERCENTILE) for row in values], dtype=np.float64)


def detected_genes(values: npt.NDArray[np.floating], *, min_samples: float) -> npt.NDArray[np.bool_]:
    """Genes above background in at least the share `min_samples` of samples, and in one; (genes,).

    Of a panel, a table of fewer than 5,000 genes, all are kept: its genes were chosen because they matter,
    and its lowest fifth is no background.
    """
    if values.shape[1] < PANEL_GENES:
        return np.ones(values.shape[1], dtype=bool)
    needed = max(1, math.ceil(min_samples * values.shape[0] - 1e-9))
    above = np.zeros(values.shape[1], dtype=np.int64)
    for row, background in zip(values, backgrounds(values), strict=True):
        above += row > background
    return np.asarray(above >= needed)


def log_metrics(values: npt.NDArray[np.floating]) -> dict[str, npt.NDArray[np.float64]]:
    """Quality figures of each sample, (samples,): what depth and detected genes are for counts.

    Over the genes that at least half the samples express: `typical_expression`, 2 to the power of their
    median, `spread`, their interquartile range in log2, and `share_above_background`, the share of all genes
    above the cohort's background.
    """
    background = float(np.median(backgrounds(values)))
    above = np.zeros(values.shape[1], dtype=np.int64)
    for row in values:
        above += row > background
    expressed = 2 * above >= values.shape[0]
    if not expressed.any():
        expressed[:] = True
    quartiles = np.array([np.percentile(row[expressed], (25, 50, 75)) for row in values])
    return {
        "typical_expression": np.exp2(quartiles[:, 1]),
        "spread": quartiles[:, 2] - quartiles[:, 0],
        "share_above_background": np.array([(row > background).mean() for row in values]),
    }
