"""Two sets of samples as clouds: kernel and energy distance, coverage, diversity, and pathway scores."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from consilience.foundation.errors import DataError
from consilience.measures.distances import distances, pairwise
from consilience.measures.gene_agreement import ratio

if TYPE_CHECKING:
    import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class CloudAgreement:
    """How the cloud of `compared` samples lies to that of the reference.

    `diversity`: mean distance between compared samples / between reference samples. `unique_share`: of rows
    that differ when rounded to 3 decimals. `mmd`: unbiased squared kernel distance (RBF; its width the
    median distance in the reference; 0 is ideal, slightly negative by chance; Gretton et al. 2012).
    `energy`: unbiased energy distance / mean distance in the reference (Székely & Rizzo 2013). `density`,
    `coverage` (Naeem et al. 2020), `precision`, `recall` (Kynkäänniemi et al. 2019), from the `k` nearest
    neighbours.
    """

    diversity: float
    unique_share: float
    mmd: float
    energy: float
    density: float
    coverage: float
    precision: float
    recall: float


def cloud_agreement(
    *, reference: npt.NDArray[np.floating], compared: npt.NDArray[np.floating], k: int = 5
) -> CloudAgreement:
    """Compare `compared` (n, G) with `reference` (m, G), both of at least 2 rows, by Euclidean distances."""
    own, other = pairwise(reference), pairwise(compared)
    between = distances(a=reference, b=compared)
    mean_own, mean_other = _mean_off_diagonal(own), _mean_off_diagonal(other)
    width = float(np.median(own[np.triu_indices(len(own), 1)]))
    kernel = [np.exp(-((one / width) ** 2) / 2) if width > 0 else np.full_like(one, np.nan)
              for one in (own, other, between)]  # fmt: skip
    mmd = _mean_off_diagonal(kernel[0]) + _mean_off_diagonal(kernel[1]) - 2 * float(kernel[2].mean())
    return CloudAgreement(
        diversity=ratio(mean_other, mean_own),
        unique_share=len(np.unique(np.round(compared, 3), axis=0)) / len(compared),
        mmd=mmd,
        energy=ratio(2 * float(between.mean()) - mean_own - mean_other, mean_own),
        **_coverage(own, other, between, k),
    )


def _coverage(
    own: npt.NDArray[np.float64], other: npt.NDArray[np.float64], between: npt.NDArray[np.float64], k: int
) -> dict[str, float]:
    """Density, coverage, precision, recall; `between` (reference, compared)."""
    k_own, k_other = min(k, len(own) - 1), min(k, len(other) - 1)
    inside = between <= np.partition(own, k_own, axis=1)[:, k_own, None]
    inside_other = between <= np.partition(other, k_other, axis=1)[:, k_other]
    return {
        "density": float(inside.sum()) / (k_own * between.shape[1]),
        "coverage": float(inside.any(axis=1).mean()),
        "precision": float(inside.any(axis=0).mean()),
        "recall": float(inside_other.any(axis=1).mean()),
    }


def diversity_within(
    *,
    reference: npt.NDArray[np.floating],
    compared: npt.NDArray[np.floating],
) -> float:
    """Mean distance between rows of `compared` / between rows of `reference`; NaN with one row."""
    if min(len(reference), len(compared)) < 2:
        return float("nan")
    return ratio(_mean_off_diagonal(pairwise(compared)), _mean_off_diagonal(pairwise(reference)))


def wasserstein(*, a: npt.NDArray[np.floating], b: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """Wasserstein-1 distance of every column of `a` (n, P) from the same column of `b` (m, P): (P,).

    The integral of |difference of quantile functions|, which are constant between the multiples of 1/n and
    1/m: all columns share these steps.
    """
    n, m = len(a), len(b)
    # in units of 1/(n·m), so that equal steps of the two are equal numbers
    ends = np.union1d(np.arange(1, n + 1) * m, np.arange(1, m + 1) * n)
    widths = np.diff(ends, prepend=0) / (n * m)
    middle = ends - 1
    found: npt.NDArray[np.float64] = widths @ np.abs(
        np.sort(a, axis=0)[middle // m] - np.sort(b, axis=0)[middle // n]
    ).astype(np.float64)
    return found


def pathway_distances(
    *,
    reference: npt.NDArray[np.floating],
    compared: npt.NDArray[np.floating],
    membership: Sequence[npt.NDArray[np.intp]],
) -> npt.NDArray[np.float64]:
    """Wasserstein-1 distance of pathway scores, in standard deviations of the reference's scores: (P,).

    A score is the mean of the pathway's genes (`membership`: their columns), each standardised by the
    reference; NaN for pathways whose score does not vary in the reference.
    """
    from scipy import sparse

    width = reference.shape[1]
    sizes = np.array([len(genes) for genes in membership])
    columns = np.concatenate([np.asarray(genes, dtype=np.intp) for genes in membership])
    if not sizes.size or sizes.min() < 1 or columns.min() < 0 or columns.max() >= width:
        raise DataError("a pathway without genes, or with a gene that is not measured",
                        allowed=f"columns 0 to {width - 1}, at least one in every pathway")  # fmt: skip
    weights = np.repeat(1 / sizes, sizes)
    matrix = sparse.csr_matrix(
        (weights, columns, np.concatenate([[0], np.cumsum(sizes)])), shape=(len(sizes), width)
    )
    centre = reference.mean(axis=0, dtype=np.float64)
    sd = reference.std(axis=0, dtype=np.float64)
    scale = np.where(sd > 1e-6, sd, np.inf)
    scores = [np.asarray((matrix @ ((values - centre) / scale).T).T) for values in (reference, compared)]
    spread = scores[0].std(axis=0)
    return wasserstein(a=scores[0], b=scores[1]) / np.where(spread > 1e-9, spread, np.nan)


def _mean_off_diagonal(square: npt.NDArray[np.float64]) -> float:
    n = len(square)
    return float((square.sum() - np.trace(square)) / (n * (n - 1)))
