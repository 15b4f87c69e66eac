"""Highly variable genes from streamed moments; the 'seurat' flavour of scanpy, without its matrix."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

N_BINS = 20


@dataclass(frozen=True, slots=True)
class HighlyVariable:
    """Statistics of each gene, all (genes,).

    `means` log1p of the mean normalised count; `dispersions` log(variance / mean), NaN where a gene does
    not vary; `dispersions_norm` their z-score within the bin of mean; `selected` the marked genes.
    """

    means: npt.NDArray[np.float64]
    dispersions: npt.NDArray[np.float64]
    dispersions_norm: npt.NDArray[np.float64]
    selected: npt.NDArray[np.bool_]


def highly_variable(
    *, mean: npt.NDArray[np.float64], variance: npt.NDArray[np.float64], n_top: int
) -> HighlyVariable:
    """Mark the `n_top` genes that vary most for their mean (all of them where there are fewer).

    `mean`, `variance` (genes,) of normalised counts before the logarithm, variance with n - 1. Equals
    ``scanpy.pp.highly_variable_genes(flavor="seurat", n_top_genes=n_top)`` on the logarithms.

    References
    ----------
    Satija R et al. Spatial reconstruction of single-cell gene expression data. Nat Biotechnol 33:495, 2015.
    """
    mean = np.where(mean == 0, 1e-12, mean)
    ratio = variance / mean
    dispersions = np.full(mean.size, np.nan)
    np.log(ratio, out=dispersions, where=ratio > 0)
    means = np.log1p(mean)
    centre, spread = _bin_statistics(dispersions, equal_width_bins(means, n_bins=N_BINS))
    with np.errstate(divide="ignore", invalid="ignore"):
        normalised = (dispersions - centre) / spread
    return HighlyVariable(means, dispersions, normalised, _top(normalised, n_top))


def equal_width_bins(values: npt.NDArray[np.float64], *, n_bins: int) -> npt.NDArray[np.intp]:
    """Bin of each value, right edges included, the lowest edge moved out by a thousandth (as pandas.cut)."""
    if not values.size:
        return np.empty(0, dtype=np.intp)
    low, high = float(values.min()), float(values.max())
    if low == high:
        widen = 0.001 * abs(low) if low else 0.001
        edges = np.linspace(low - widen, high + widen, n_bins + 1)
    else:
        edges = np.linspace(low, high, n_bins + 1)
        edges[0] -= (high - low) * 0.001
    return np.searchsorted(edges, values, side="left") - 1


def _bin_statistics(
    dispersions: npt.NDArray[np.float64], bins: npt.NDArray[np.intp]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Mean and sd (n - 1) of the dispersions in the bin of each gene; a gene alone in its bin is scored 1."""
    centre, spread = np.full(dispersions.size, np.nan), np.full(dispersions.size, np.nan)
    for number in np.unique(bins):
        mine = bins == number
        inside = dispersions[mine & np.isfinite(dispersions)]
        if inside.size == 1:
            centre[mine], spread[mine] = 0.0, inside[0]
        elif inside.size > 1:
            centre[mine], spread[mine] = inside.mean(), inside.std(ddof=1)
    return centre, spread


def _top(scores: npt.NDArray[np.float64], n_top: int) -> npt.NDArray[np.bool_]:
    known = scores[~np.isnan(scores)]
    if not known.size:
        return np.zeros(scores.size, dtype=bool)
    place = min(n_top, known.size)
    cut = np.partition(known, known.size - place)[known.size - place]
    return np.asarray(np.nan_to_num(scores, nan=-np.inf) >= cut)
