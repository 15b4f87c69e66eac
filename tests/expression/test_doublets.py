"""Planted doublets are found about as well as Scrublet finds them; where there are none, few cells are removed."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pytest
from scipy import sparse

from consilience.expression.cell_quality import doublet_limits
from consilience.expression.doublets import score_samples
from consilience.expression.stream import GeneColumns
from consilience.sources.cells.matrix import Labels, MemoryCounts
from consilience.study.sections import SingleCellQuality

N_CELLS, N_GENES, SHARE = 700, 1000, 0.07


def planted(
    n_types: int, *, seed: int = 0, n: int = N_CELLS
) -> tuple[sparse.csr_matrix, np.ndarray, np.ndarray]:
    """Counts, which cells are single, and which are doublets of two different types."""
    rng = np.random.default_rng(seed)
    profiles = rng.normal(0, 1.3, N_GENES) + rng.normal(0, 1.2, (n_types, N_GENES)) * (
        rng.random((n_types, N_GENES)) < 0.15
    )
    profiles = np.exp(profiles)
    profiles /= profiles.sum(axis=1, keepdims=True)

    def draw(types: np.ndarray) -> np.ndarray:
        mean = profiles[types] * rng.lognormal(np.log(1500), 0.35, (types.size, 1))
        return rng.poisson(mean * rng.gamma(5, 0.2, mean.shape))

    first = rng.integers(0, n_types, n)
    counts, n_double = draw(first), round(n * SHARE) if n_types > 1 else 0
    second = rng.integers(0, n_types, n_double)
    counts[:n_double] += draw(second)
    single, mixed = np.arange(n) >= n_double, np.zeros(n, dtype=bool)
    mixed[:n_double] = second != first[:n_double]
    return sparse.csr_matrix(counts.astype(np.int32)), single, mixed


def scores_of(
    counts: sparse.csr_matrix, *, order: Any = None, seed: int = 1, samples: Labels | None = None
) -> Any:
    n = counts.shape[0]
    order = np.arange(n) if order is None else order
    names = np.array([f"cell{k:05d}".encode() for k in range(n)])[order]
    return score_samples(
        source=MemoryCounts(counts[order]), genes=GeneColumns(np.arange(N_GENES), N_GENES),
        candidates=np.ones(n, dtype=bool), samples=samples or Labels.constant("S", n), barcodes=names,
        n_entries=np.diff(counts[order].indptr).astype(np.int32), target_sum=1e4, seed=seed, cohort="c",
    )  # fmt: skip


def auc(positive: np.ndarray, negative: np.ndarray) -> float:
    """Chance that a positive scores above a negative, ties half."""
    difference = positive[:, None] - negative[None, :]
    return float(((difference > 0) + 0.5 * (difference == 0)).mean())


@pytest.mark.parametrize("seed", [0, 1])
def test_planted_doublets_are_found(seed: int) -> None:
    counts, single, mixed = planted(5, seed=seed)
    assert auc(scores_of(counts)[mixed], scores_of(counts)[single]) > 0.95


@pytest.mark.slow
def test_about_as_good_as_scrublet() -> None:
    import anndata
    import scanpy as sc
    from scipy.stats import spearmanr

    counts, single, mixed = planted(4, n=1200)
    mine = scores_of(counts)
    data = anndata.AnnData(counts.astype(np.float32))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sc.pp.scrublet(data, verbose=False, random_state=0)
    theirs = data.obs["doublet_score"].to_numpy()
    assert auc(mine[mixed], mine[single]) > auc(theirs[mixed], theirs[single]) - 0.02
    assert spearmanr(mine, theirs).statistic > 0.3


def test_few_cells_are_removed_where_no_doublets_are() -> None:
    counts, _, _ = planted(1)
    scores, samples = scores_of(counts), Labels.constant("S", N_CELLS)
    limits = doublet_limits(
        scores=scores, samples=samples, judged=np.ones(N_CELLS, dtype=bool), settings=SingleCellQuality()
    )
    assert limits.outside(scores, samples.codes).mean() < 0.02


def test_most_doublets_of_different_types_are_removed_and_few_others() -> None:
    counts, single, mixed = planted(5)
    scores, samples = scores_of(counts), Labels.constant("S", N_CELLS)
    limits = doublet_limits(
        scores=scores, samples=samples, judged=np.ones(N_CELLS, dtype=bool), settings=SingleCellQuality()
    )
    removed = limits.outside(scores, samples.codes)
    assert removed[mixed].mean() > 0.5
    assert removed[single].mean() < 0.03


def test_scores_follow_names_not_order_and_are_reproducible() -> None:
    counts, _, _ = planted(3, n=200)
    order = np.random.default_rng(3).permutation(200)
    one = scores_of(counts)
    assert np.array_equal(one, scores_of(counts))
    assert np.allclose(one[order], scores_of(counts, order=order), atol=0.02)
    assert np.mean(one[order] == scores_of(counts, order=order)) > 0.95
    assert not np.array_equal(one, scores_of(counts, seed=2))


def test_samples_are_scored_on_their_own_in_any_number_of_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    counts, _, _ = planted(3, n=300)
    samples = Labels((np.arange(300) % 3 == 0).astype(np.int32), ("A", "B"))
    together = scores_of(counts, samples=samples)
    monkeypatch.setattr("consilience.expression.doublets.REFERENCE_ENTRIES", 1)
    assert np.array_equal(together, scores_of(counts, samples=samples))
    monkeypatch.setattr("consilience.expression.doublets.MIN_CELLS", 150)
    alone = scores_of(counts, samples=samples)
    assert np.isnan(alone[samples.codes == 1]).all()
    assert np.array_equal(alone[samples.codes == 0], together[samples.codes == 0])


def test_neighbours_are_counted_as_a_full_sort_does() -> None:
    from consilience.expression.doublets import DoubletReference, doublet_scores

    rng = np.random.default_rng(5)
    weights = rng.normal(size=(N_GENES, 3)).astype(np.float32)
    points = rng.normal(size=(90, 3)).astype(np.float32)
    reference = DoubletReference(weights, np.zeros(3, dtype=np.float32), points, 30, 11)
    logged = sparse.random(40, N_GENES, 0.003, random_state=1, format="csr", dtype=np.float32)
    own = np.where(np.arange(40) < 30, np.arange(40), -1)
    found = doublet_scores(logged=logged, reference=reference, own=own)
    for cell, point in enumerate(logged @ weights):
        distances = ((points.astype(np.float64) - point) ** 2).sum(axis=1)
        if own[cell] >= 0:
            distances[own[cell]] = np.inf
        q = ((np.argsort(distances)[:11] >= 30).sum() + 1) / 13
        assert np.isclose(found[cell], q * 0.025 / (0.95 - q * 0.925)), cell
