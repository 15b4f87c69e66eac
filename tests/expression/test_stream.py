"""The streamed numbers are scanpy's, whatever the blocks and the order of cells."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import sparse

from consilience.expression.stream import GeneColumns, accumulate_genes, cells_of_genes, measure_cells
from consilience.sources.cells.matrix import MemoryCounts

N_CELLS, N_GENES, TARGET = 400, 60, 1e4
EXACT = 1e-12  # relative; both sides in float64
SINGLE = 2e-6  # relative; scanpy in float32


def some_counts(seed: int = 0) -> sparse.csr_matrix:
    rng = np.random.default_rng(seed)
    mean = rng.lognormal(-1, 1.5, N_GENES) * rng.lognormal(0, 0.5, (N_CELLS, 1))
    counts = rng.poisson(mean).astype(np.int32)
    counts[5] = 0
    counts[7, 3] = 70_000
    return sparse.csr_matrix(counts)


def run(counts: sparse.csr_matrix, kept: Any, genes: GeneColumns, size: int = 64, **more: Any) -> Any:
    groups = more.pop("groups", np.zeros(counts.shape[0], dtype=np.int32))
    return accumulate_genes(
        source=MemoryCounts(counts), kept=kept, genes=genes, groups=groups, n_groups=int(groups.max()) + 1,
        target_sum=TARGET, size=size, **more,
    )  # fmt: skip


def every_gene() -> GeneColumns:
    return GeneColumns(np.arange(N_GENES), N_GENES)


def scanpy_data(counts: sparse.csr_matrix, dtype: Any) -> Any:
    import anndata

    return anndata.AnnData(counts.astype(dtype))


def test_metrics_are_those_of_scanpy() -> None:
    import scanpy as sc

    counts = some_counts()
    special = np.arange(N_GENES) % 7 == 0
    data = scanpy_data(counts, np.float64)
    data.var["mt"] = special
    sc.pp.calculate_qc_metrics(data, qc_vars=["mt"], percent_top=None, log1p=False, inplace=True)
    found = measure_cells(source=MemoryCounts(counts), mitochondrial=special, size=33)
    assert np.array_equal(found.totals, data.obs["total_counts"])
    assert np.array_equal(found.n_genes, data.obs["n_genes_by_counts"])
    share = data.obs["pct_counts_mt"].fillna(0).to_numpy() / 100
    assert np.allclose(found.mitochondrial_share(), share, rtol=EXACT)
    assert np.array_equal(found.gene_cells, data.var["n_cells_by_counts"])
    assert found.largest == 70_000


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, EXACT), (np.float32, SINGLE)])
def test_normalised_values_and_moments_are_those_of_scanpy(dtype: Any, tolerance: float) -> None:
    import scanpy as sc

    counts = some_counts()
    metrics = measure_cells(source=MemoryCounts(counts), mitochondrial=np.zeros(N_GENES, dtype=bool))
    kept = metrics.n_genes >= 15
    assert 0 < kept.sum() < N_CELLS
    n_cells = cells_of_genes(source=MemoryCounts(counts), metrics=metrics, kept=kept, genes=every_gene())
    genes = every_gene().keep(n_cells >= 40)
    logged: list[np.ndarray] = []
    moments = run(counts, kept, genes, with_log=True, sink=lambda part, values: logged.append(values))
    data = scanpy_data(counts, dtype)
    sc.pp.filter_cells(data, min_genes=15)
    sc.pp.filter_genes(data, min_cells=40)
    assert data.shape == (kept.sum(), genes.n_genes)
    assert np.array_equal(moments.n_cells, (data.X > 0).sum(axis=0).A1)
    assert np.array_equal(moments.totals, data.X.sum(axis=0).A1)
    sc.pp.normalize_total(data, target_sum=TARGET)
    normalised = data.X.toarray().astype(np.float64)
    sc.pp.log1p(data)
    assert np.allclose(np.concatenate(logged), data.X.data, rtol=SINGLE)
    logs = data.X.toarray().astype(np.float64)
    for mine, theirs in (
        (moments.mean, normalised.mean(axis=0)), (moments.variance, normalised.var(axis=0, ddof=1)),
        (moments.log_mean, logs.mean(axis=0)), (moments.log_variance, logs.var(axis=0, ddof=1)),
    ):  # fmt: skip
        assert np.allclose(mine, theirs, rtol=100 * tolerance, atol=tolerance)


@pytest.mark.parametrize("size", [1, 13, 399, 10_000])
def test_blocks_change_no_bit(size: int) -> None:
    counts, kept = some_counts(), np.arange(N_CELLS) % 5 != 0
    groups = (np.arange(N_CELLS) % 3).astype(np.int32)
    one, other = (run(counts, kept, every_gene(), size=s, groups=groups) for s in (64, size))
    for name in one.__slots__:
        assert np.array_equal(getattr(one, name), getattr(other, name)), name


def test_order_of_cells_changes_nothing_but_rounding() -> None:
    counts, order = some_counts(), np.random.default_rng(1).permutation(N_CELLS)
    everyone = np.ones(N_CELLS, dtype=bool)
    one, other = run(counts, everyone, every_gene()), run(counts[order], everyone, every_gene())
    assert np.array_equal(one.totals, other.totals)
    assert np.array_equal(one.size_factors[order], other.size_factors)
    for name in ("mean", "variance", "log_mean", "log_variance"):
        assert np.allclose(getattr(one, name), getattr(other, name), rtol=1e-11), name


def test_group_totals_are_plain_sums() -> None:
    counts, kept = some_counts(), np.arange(N_CELLS) % 4 != 1
    groups = (np.arange(N_CELLS) % 3).astype(np.int32)
    groups[:20] = -1
    found = run(counts, kept, every_gene(), groups=groups).group_totals
    for group in range(3):
        assert np.array_equal(found[group], counts.toarray()[kept & (groups == group)].sum(axis=0))


def test_two_ids_of_one_gene_are_added_before_anything_else() -> None:
    counts = some_counts()
    target = np.arange(N_GENES) - 1
    target[:2], target[30] = [4, -1], 4
    genes = GeneColumns(target, N_GENES - 1)
    assert genes.merges
    dense = np.zeros((N_CELLS, N_GENES - 1), dtype=np.int64)
    for gene, column in enumerate(target):
        if column >= 0:
            dense[:, column] += counts.toarray()[:, gene]
    kept = np.arange(N_CELLS) % 3 > 0
    metrics = measure_cells(source=MemoryCounts(counts), mitochondrial=np.zeros(N_GENES, dtype=bool))
    assert np.array_equal(
        cells_of_genes(source=MemoryCounts(counts), metrics=metrics, kept=kept, genes=genes, size=50),
        (dense[kept] > 0).sum(axis=0),
    )
    blocks: list[Any] = []
    found = run(counts, kept, genes, sink=lambda part, values: blocks.append(part))
    assert np.array_equal(sparse.vstack(blocks).toarray(), dense[kept])
    direct = run(
        sparse.csr_matrix(dense.astype(np.int32)), kept, GeneColumns(np.arange(N_GENES - 1), N_GENES - 1)
    )
    assert np.array_equal(found.log_mean, direct.log_mean)
