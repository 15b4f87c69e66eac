"""Bulk normalisation: size factors, which genes are kept, log counts per million of the effective library."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from consilience.foundation.errors import DataError
from consilience.study.sections import BulkQuality, NormalisationSection

if TYPE_CHECKING:
    import numpy.typing as npt

PER_MILLION = 1e6
MIN_REFERENCE_GENES = 10

Method = Literal["median of ratios", "median of ratios, positive counts"]


@dataclass(frozen=True, slots=True)
class SizeFactors:
    """`values` (samples,) relative depth; `method` in words; `n_genes` how many genes they rest on."""

    values: npt.NDArray[np.float64]
    method: Method
    n_genes: int


@dataclass(frozen=True, slots=True)
class Normalised:
    """`kept` (genes,) of all; `counts`, `x` (kept samples, kept genes); `highly_variable` (kept genes,)."""

    kept: npt.NDArray[np.bool_]
    counts: npt.NDArray[np.int64]
    x: npt.NDArray[np.float32]
    factors: SizeFactors
    highly_variable: npt.NDArray[np.bool_]


def size_factors(counts: npt.NDArray[np.integer]) -> SizeFactors:
    """DESeq2's median of ratios; `counts` (samples, genes).

    The reference is each gene's geometric mean over the samples, the factor of a sample the median ratio of
    its counts to the reference, over genes that every sample has. When fewer than ten genes are such, the
    'poscounts' form is used: geometric means with zeros counted as log 0 := 0 over all samples, ratios over
    the genes a sample has, and factors scaled to a geometric mean of 1.

    References
    ----------
    Anders S, Huber W. Genome Biology 11:R106, 2010; Love MI, Huber W, Anders S. Genome Biology 15:550, 2014.
    """
    detected = counts > 0
    in_all = detected.all(axis=0)
    if int(in_all.sum()) >= MIN_REFERENCE_GENES:
        logs = np.log(counts[:, in_all].astype(np.float64))
        values = np.exp(np.median(logs - logs.mean(axis=0), axis=1))
        return SizeFactors(values, "median of ratios", int(in_all.sum()))
    logs = np.log(np.where(detected, counts, 1).astype(np.float64))
    reference = logs.mean(axis=0)
    log_factors = np.empty(counts.shape[0])
    for row, (log_counts, has) in enumerate(zip(logs, detected, strict=True)):
        if not has.any():
            raise DataError("a sample without any count has no size factor", value=f"row {row + 1}")
        log_factors[row] = np.median((log_counts - reference)[has])
    values = np.exp(log_factors - log_factors.mean())
    return SizeFactors(values, "median of ratios, positive counts", int(detected.any(axis=0).sum()))


def kept_genes(
    counts: npt.NDArray[np.integer], *, min_count: int, min_samples: float
) -> npt.NDArray[np.bool_]:
    """Genes with `min_count` counts in at least the share `min_samples` of samples, and in one; (genes,)."""
    needed = max(1, math.ceil(min_samples * counts.shape[0] - 1e-9))
    return np.asarray((counts >= min_count).sum(axis=0) >= needed)


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
    return np.log1p(counts * (PER_MILLION / library)[:, None]).astype(np.float32)


def normalise_counts(
    counts: npt.NDArray[np.int64], *, quality: BulkQuality, normalisation: NormalisationSection
) -> Normalised:
    """Drop low genes, then size factors and log counts per million; `counts` (kept samples, genes)."""
    kept = kept_genes(counts, min_count=quality.min_count, min_samples=quality.min_samples)
    if not kept.any():
        raise DataError(
            f"no gene has {quality.min_count} counts in {quality.min_samples:.0%} of the samples",
            mend="lower quality.bulk.min_count or min_samples, or check that these are raw counts",
        )
    counts = np.ascontiguousarray(counts[:, kept])
    factors = size_factors(counts)
    library = effective_library(totals=counts.sum(axis=1), factors=factors.values)
    x = log_cpm(counts, library=library)
    variance = x.var(axis=0, dtype=np.float64)
    top = np.argsort(-variance, kind="stable")[: normalisation.highly_variable_genes]
    variable = np.zeros(counts.shape[1], dtype=bool)
    variable[top] = True
    return Normalised(kept, counts, x, factors, variable)


def normalisation_record(normalised: Normalised) -> dict[str, str | int | float]:
    """How X was made, for the file and the report."""
    return {
        "method": f"{normalised.factors.method} (DESeq2), log1p",
        "x": "log1p(counts per million of the effective library size)",
        "target_sum": PER_MILLION,
        "n_reference_genes": normalised.factors.n_genes,
        "n_highly_variable": int(normalised.highly_variable.sum()),
    }
