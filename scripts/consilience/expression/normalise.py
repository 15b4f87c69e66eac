"""Bulk normalisation: size factors, which genes are kept, log counts per million of the effective library."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from consilience.expression.log_values import INTENSITY_OFFSET, detected_genes, quantile_normalised
from consilience.foundation.errors import DataError
from consilience.sources.bulk.stored import BLOCK_GENES, Matrix, blocks, part, row_totals
from consilience.study.cohorts import Units
from consilience.study.sections import BulkQuality, NormalisationSection

if TYPE_CHECKING:
    import numpy.typing as npt

PER_MILLION = 1e6
MIN_REFERENCE_GENES = 10

COUNTED: tuple[Units, ...] = ("counts", "estimated_counts")
_PLUS_ONE = {
    units: (f"log2 of {units.upper()}", f"log2({units.upper()} + 1)") for units in ("tpm", "fpkm", "cpm")
}
LOG_METHODS = _PLUS_ONE | {
    "intensity": (
        f"log2 of intensity + {INTENSITY_OFFSET:g}, quantile normalisation",
        f"log2(intensity + {INTENSITY_OFFSET:g}), quantile normalised over the kept samples",
    ),
    "log2": ("none: logarithms as the source gives them", "logarithms to base 2 as the source gives them"),
}
"""How X is made of values that were not counted: in short, and what X is."""

Method = Literal["median of ratios", "median of ratios, positive counts"]


@dataclass(frozen=True, slots=True)
class SizeFactors:
    """`values` (samples,) relative depth; `method` in words; `n_genes` how many genes they rest on."""

    values: npt.NDArray[np.float64]
    method: Method
    n_genes: int


@dataclass(frozen=True, slots=True)
class Normalised:
    """The expression of the kept samples.

    `kept` (genes,) of all; `counts` (kept samples, kept genes), None where nothing was counted; `x` of the
    same shape, natural logarithms of counts and logarithms to base 2 of all else; `factors` None without
    counts; `mean`, `variance` and `highly_variable` (kept genes,).
    """

    units: Units
    kept: npt.NDArray[np.bool_]
    counts: Matrix | None
    x: Matrix
    factors: SizeFactors | None
    mean: npt.NDArray[np.float64]
    variance: npt.NDArray[np.float64]
    highly_variable: npt.NDArray[np.bool_]


def size_factors(counts: Matrix) -> SizeFactors:
    """DESeq2's median of ratios; `counts` (samples, genes).

    The reference is each gene's geometric mean over the samples, the factor of a sample the median ratio of
    its counts to the reference, over genes that every sample has. When fewer than ten genes are such, the
    'poscounts' form is used: geometric means with zeros counted as log 0 := 0 over all samples, ratios over
    the genes a sample has, and factors scaled to a geometric mean of 1.

    References
    ----------
    Anders S, Huber W. Genome Biology 11:R106, 2010; Love MI, Huber W, Anders S. Genome Biology 15:550, 2014.
    """
    n_samples, n_genes = counts.shape
    in_all, in_any = np.ones(n_genes, dtype=bool), np.zeros(n_genes, dtype=bool)
    for rows in blocks(n_samples):
        has = counts[rows] > 0
        in_all &= has.all(axis=0)
        in_any |= has.any(axis=0)
    common = int(in_all.sum()) >= MIN_REFERENCE_GENES
    used = in_all if common else in_any
    reference = np.zeros(int(used.sum()))
    for rows in blocks(n_samples):
        reference += np.log(np.maximum(counts[rows][:, used], 1).astype(np.float64)).sum(axis=0)
    reference /= n_samples
    log_factors = np.empty(n_samples)
    for rows in blocks(n_samples):
        for row, mine in enumerate(counts[rows][:, used], rows.start):
            has = mine > 0
            if not has.any():
                raise DataError("a sample without any count has no size factor", value=f"row {row + 1}")
            log_factors[row] = np.median(np.log(mine[has].astype(np.float64)) - reference[has])
    if common:
        return SizeFactors(np.exp(log_factors), "median of ratios", int(used.sum()))
    values = np.exp(log_factors - log_factors.mean())
    return SizeFactors(values, "median of ratios, positive counts", int(used.sum()))


def kept_genes(counts: Matrix, *, min_count: int, min_samples: float) -> npt.NDArray[np.bool_]:
    """Genes with `min_count` counts in at least the share `min_samples` of samples, and in one; (genes,)."""
    needed = max(1, math.ceil(min_samples * counts.shape[0] - 1e-9))
    return np.asarray(having_counts(counts, at_least=min_count) >= needed)


def having_counts(counts: Matrix, *, at_least: int = 1) -> npt.NDArray[np.int64]:
    """How many samples have so many counts of each gene; (genes,)."""
    having = np.zeros(counts.shape[1], dtype=np.int64)
    for rows in blocks(counts.shape[0]):
        having += (counts[rows] >= at_least).sum(axis=0)
    return having


def effective_library(
    *, totals: npt.NDArray[np.integer], factors: npt.NDArray[np.float64]
) -> npt.NDArray[np.float64]:
    """Size factors as library sizes: scaled to the geometric mean of the totals; (samples,)."""
    log_totals = np.log(np.maximum(totals, 1).astype(np.float64))
    return np.asarray(factors * np.exp(log_totals.mean() - np.log(factors).mean()))


def log_cpm(counts: npt.NDArray[np.integer], *, library: npt.NDArray[np.float64]) -> npt.NDArray[np.float32]:
    """log(1 + counts per million of `library`); (samples, genes) float32.

    With `library` the row totals this equals scanpy's ``normalize_total(target_sum=1e6)`` then ``log1p``.
    """
    result = np.empty(counts.shape, dtype=np.float32)
    for rows in blocks(counts.shape[0]):
        result[rows] = np.log1p(counts[rows] * (PER_MILLION / library[rows])[:, None])
    return result


@dataclass(frozen=True, slots=True, eq=False)
class LogCounts:
    """`log_cpm` of `counts` with `library` (samples,), made block by block when a block is asked for."""

    counts: Matrix
    library: npt.NDArray[np.float64]

    @property
    def shape(self) -> tuple[int, ...]:
        """Samples, genes."""
        return self.counts.shape

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the blocks."""
        return np.dtype(np.float32)

    def __getitem__(self, key: Any, /) -> npt.NDArray[np.float32]:
        return log_cpm(self.counts[key], library=self.library[key[0] if isinstance(key, tuple) else key])


def comparable(values: Any, *, units: Units) -> Matrix:
    """Logarithms that can be compared between samples, of counts or log2 values; (samples, genes).

    Counts per million of the row totals; intensities with one distribution for all; all else as it is.
    """
    if units in COUNTED:
        return LogCounts(values, np.maximum(row_totals(values), 1).astype(np.float64))
    return quantile_normalised(values) if units == "intensity" else np.asarray(values, dtype=np.float32)


def chosen_genes(
    values: Any, *, rows: npt.NDArray[np.intp], units: Units, quality: BulkQuality
) -> tuple[Any, npt.NDArray[np.bool_]]:
    """Values (rows, kept genes) of some samples, and which genes are kept (genes,).

    Kept are genes with enough counts in enough of these samples; of log2 values those above background in as
    many.
    """
    mine = part(values, rows=rows)
    if units in COUNTED:
        kept = kept_genes(mine, min_count=quality.min_count, min_samples=quality.min_samples)
    else:
        kept = detected_genes(mine, min_samples=quality.min_samples)
    return part(mine, columns=np.flatnonzero(kept)), kept


def normalise(
    values: Any,
    *,
    rows: npt.NDArray[np.intp],
    units: Units,
    quality: BulkQuality,
    normalisation: NormalisationSection,
) -> Normalised:
    """Drop low genes of the samples `rows`, then make them comparable; `values` (samples, genes)."""
    chosen, kept = chosen_genes(values, rows=rows, units=units, quality=quality)
    if not kept.any():
        enough = f"{quality.min_count} counts" if units in COUNTED else "values above background"
        raise DataError(
            f"no gene has {enough} in {quality.min_samples:.0%} of the samples",
            mend="lower quality.bulk.min_count or min_samples, or check that these are raw counts",
        )
    counts, factors = None, None
    if units in COUNTED:
        counts, factors = chosen, size_factors(chosen)
        library = effective_library(totals=row_totals(counts), factors=factors.values)
        x: Matrix = LogCounts(counts, library)
    else:
        x = comparable(chosen, units=units)
    mean, variance = moments(x)
    variable = np.zeros(x.shape[1], dtype=bool)
    variable[np.argsort(-variance, kind="stable")[: normalisation.highly_variable_genes]] = True
    return Normalised(units, kept, counts, x, factors, mean, variance, variable)


def moments(x: Matrix) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Mean and variance of each gene, in blocks of genes; (genes,)."""
    mean, variance = np.empty(x.shape[1]), np.empty(x.shape[1])
    for genes in blocks(x.shape[1], BLOCK_GENES):
        block = x[:, genes].astype(np.float64)
        mean[genes], variance[genes] = block.mean(axis=0), block.var(axis=0)
    return mean, variance


def normalisation_record(normalised: Normalised) -> dict[str, str | int | float]:
    """How X was made, for the file and the report."""
    n_variable = int(normalised.highly_variable.sum())
    if normalised.factors is None:
        method, x = LOG_METHODS[normalised.units]
        return {"method": method, "x": x, "n_highly_variable": n_variable}
    return {
        "method": f"{normalised.factors.method} (DESeq2), log1p",
        "x": "log1p(counts per million of the effective library size)",
        "target_sum": PER_MILLION,
        "n_reference_genes": normalised.factors.n_genes,
        "n_highly_variable": n_variable,
    }
