"""Highly variable genes from moments are those of scanpy's 'seurat' flavour."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from consilience.expression.highly_variable import equal_width_bins, highly_variable

DOUBLE, SINGLE = 1e-6, 1e-3  # absolute, of the normalised dispersion


def logged(seed: int, n_cells: int = 300, n_genes: int = 500) -> sparse.csr_matrix:
    rng = np.random.default_rng(seed)
    mean = rng.lognormal(-1, 1.2, n_genes) * rng.lognormal(0, 0.4, (n_cells, 1))
    mean[: n_cells // 3, :40] *= 6
    counts = rng.poisson(mean * rng.gamma(4, 0.25, mean.shape))
    counts[:, 3] = 0
    return sparse.csr_matrix(np.log1p(counts / counts.sum(axis=1, keepdims=True) * 1e4))


def ours(values: sparse.csr_matrix, n_top: int) -> Any:
    plain = np.expm1(values.toarray())
    return highly_variable(mean=plain.mean(axis=0), variance=plain.var(axis=0, ddof=1), n_top=n_top)


@pytest.mark.parametrize("n_top", [1, 50, 200])
@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, DOUBLE), (np.float32, SINGLE)])
def test_same_genes_and_dispersions_as_scanpy(n_top: int, dtype: Any, tolerance: float) -> None:
    import anndata
    import scanpy as sc

    values = logged(n_top)
    data = anndata.AnnData(values.astype(dtype))
    sc.pp.highly_variable_genes(data, n_top_genes=n_top, flavor="seurat")
    found = ours(values, n_top)
    assert np.array_equal(found.selected, data.var["highly_variable"])
    assert np.allclose(found.dispersions_norm, data.var["dispersions_norm"], atol=tolerance, equal_nan=True)
    assert np.allclose(found.means, data.var["means"], atol=tolerance)
    assert np.allclose(found.dispersions, data.var["dispersions"], atol=tolerance, equal_nan=True)


def test_all_genes_are_marked_when_fewer_are_there() -> None:
    found = ours(logged(1, n_genes=30), 1000)
    assert found.selected.sum() == np.isfinite(found.dispersions_norm).sum()
    assert not found.selected[3]


def test_no_gene_varies() -> None:
    found = highly_variable(mean=np.ones(5), variance=np.zeros(5), n_top=2)
    assert not found.selected.any()


# pandas itself has no bins for equal subnormal numbers; no gene has such a mean (those of empty genes are 1e-12)
@given(st.lists(st.floats(0, 1e3, allow_subnormal=False), min_size=2, max_size=60), st.integers(1, 25))
@settings(deadline=None, max_examples=80)
def test_bins_are_those_of_pandas(values: list[float], n_bins: int) -> None:
    import pandas as pd

    array = np.array(values)
    spread = float(array.max() - array.min())
    if 0 < spread < 1e-9 * max(1.0, array.max()):
        return  # edges closer than doubles can tell apart
    expected = pd.cut(pd.Series(array), bins=n_bins, labels=False).to_numpy()
    assert np.array_equal(equal_width_bins(array, n_bins=n_bins), expected)
