"""Size factors against a slow form of DESeq2's definition; log counts against scanpy."""

from __future__ import annotations

import math
import statistics

import anndata
import numpy as np
import pytest
import scanpy as sc
from hypothesis import given
from hypothesis import strategies as st

from consilience.expression.normalise import effective_library, kept_genes, log_cpm, size_factors
from consilience.foundation.errors import DataError
from consilience.foundation.seeds import stream


def draw(n_samples: int, n_genes: int, *, mean: float, seed: int) -> np.ndarray:
    rng = stream(seed, "counts")
    mu = rng.lognormal(mean, 1, n_genes) * rng.lognormal(0, 0.5, (n_samples, 1))
    return rng.poisson(rng.gamma(4, mu / 4))


def slow_median_of_ratios(counts: list[list[int]]) -> list[float]:
    """Anders and Huber 2010, equation 5, in plain Python."""
    n_samples, n_genes = len(counts), len(counts[0])
    whole = [g for g in range(n_genes) if all(counts[s][g] > 0 for s in range(n_samples))]
    means = {g: math.exp(sum(math.log(counts[s][g]) for s in range(n_samples)) / n_samples) for g in whole}
    # DESeq2 takes the median of the logarithms
    return [
        math.exp(statistics.median(math.log(counts[s][g] / means[g]) for g in whole))
        for s in range(n_samples)
    ]


def slow_positive_counts(counts: list[list[int]]) -> list[float]:
    """DESeq2's type 'poscounts' in plain Python."""
    n_samples, n_genes = len(counts), len(counts[0])
    factors = []
    for s in range(n_samples):
        ratios = []
        for g in range(n_genes):
            if counts[s][g] > 0:
                log_mean = (
                    sum(math.log(counts[t][g]) for t in range(n_samples) if counts[t][g] > 0) / n_samples
                )
                ratios.append(math.log(counts[s][g]) - log_mean)
        factors.append(math.exp(statistics.median(ratios)))
    scale = math.exp(sum(map(math.log, factors)) / n_samples)
    return [factor / scale for factor in factors]


@pytest.mark.parametrize("seed", range(5))
def test_median_of_ratios(seed: int) -> None:
    counts = draw(7, 120, mean=4, seed=seed)
    found = size_factors(counts)
    assert found.method == "median of ratios"
    assert found.n_genes == int((counts > 0).all(axis=0).sum())
    np.testing.assert_allclose(found.values, slow_median_of_ratios(counts.tolist()), rtol=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_positive_counts_where_no_gene_is_in_all_samples(seed: int) -> None:
    counts = draw(12, 60, mean=0, seed=seed)
    counts[np.arange(60) % 12, np.arange(60)] = 0
    found = size_factors(counts)
    assert found.method == "median of ratios, positive counts"
    np.testing.assert_allclose(found.values, slow_positive_counts(counts.tolist()), rtol=1e-12)
    assert np.log(found.values).sum() == pytest.approx(0, abs=1e-9)


@given(st.integers(0, 50), st.integers(2, 40))
def test_a_sample_sequenced_k_times_deeper_has_k_times_the_factor(seed: int, times: int) -> None:
    counts = draw(5, 80, mean=5, seed=seed) + 1
    deeper = np.concatenate([counts, counts[:1] * times])
    factors = size_factors(deeper).values
    assert factors[5] / factors[0] == pytest.approx(times, rel=1e-9)


def test_factors_do_not_follow_a_few_loud_genes_but_totals_do() -> None:
    counts = draw(6, 400, mean=5, seed=3)
    loud = counts.copy()
    loud[0, :10] *= 1000
    assert size_factors(loud).values[0] == pytest.approx(size_factors(counts).values[0], rel=0.05)
    assert loud[0].sum() > 5 * counts[0].sum()


def test_a_sample_without_counts_has_no_factor() -> None:
    counts = draw(4, 50, mean=3, seed=1)
    counts[2] = 0
    with pytest.raises(DataError, match="without any count"):
        size_factors(counts)


def test_log_cpm_is_scanpys_when_the_factor_is_the_total() -> None:
    counts = draw(9, 200, mean=3, seed=2)
    totals = counts.sum(axis=1)
    library = effective_library(totals=totals, factors=totals / 12345.0)
    np.testing.assert_allclose(library, totals, rtol=1e-12)
    data = anndata.AnnData(X=counts.astype(np.float64))
    sc.pp.normalize_total(data, target_sum=1e6)
    sc.pp.log1p(data)
    found = log_cpm(counts, library=library)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, data.X, rtol=1e-6)


def test_the_effective_library_keeps_the_scale_of_the_totals() -> None:
    counts = draw(9, 200, mean=3, seed=5)
    library = effective_library(totals=counts.sum(axis=1), factors=size_factors(counts).values)
    assert np.log(library).mean() == pytest.approx(np.log(counts.sum(axis=1)).mean())


@given(st.integers(0, 30), st.integers(1, 20), st.floats(0, 1))
def test_kept_genes_are_those_a_count_by_hand_keeps(seed: int, min_count: int, share: float) -> None:
    counts = draw(7, 30, mean=2, seed=seed)
    found = kept_genes(counts, min_count=min_count, min_samples=share)
    for gene in range(30):
        having = sum(1 for sample in range(7) if counts[sample, gene] >= min_count)
        assert bool(found[gene]) == (having >= 1 and having >= share * 7 - 1e-9)
