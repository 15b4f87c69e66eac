"""How likely each barcode holds two cells of different kinds; the idea of Scrublet, in flat memory.

Doublets of a sample are imitated by adding up random pairs of its cells and thinning the sums. A cell that
lies among imitations is likely a doublet. The reference (observed and imitated cells) is a bounded subsample
of each sample, chosen by the sorted names of cells, so that memory does not grow and the order of cells does
not matter. Two cells of the same kind in one barcode cannot be told in this way.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from consilience.expression.highly_variable import highly_variable
from consilience.expression.stream import GeneColumns, select_block
from consilience.foundation.seeds import stream
from consilience.sources.cells.matrix import BLOCK_CELLS, CountSource, Labels

if TYPE_CHECKING:
    import numpy.typing as npt
    from scipy import sparse

REFERENCE_CELLS = 1500
IMITATIONS_PER_CELL = 2
EXPECTED_SHARE = 0.05
N_COMPONENTS = 30
N_GENES = 1000
MIN_CELLS = 50
"""A sample with fewer cells is not scored: too few neighbours to judge by."""
REFERENCE_ENTRIES = 24_000_000
"""Entries of all references held at one time (about 200 MB); more samples than fit are scored in turns."""
_CELLS_AT_ONCE = 1024


@dataclass(frozen=True, slots=True)
class DoubletReference:
    """What a cell is compared with.

    `weights` (genes, components) and `offset` (components,) take log-normalised counts to components;
    `points` (observed + imitated, components), the first `n_observed` being observed; `k` neighbours.
    """

    weights: npt.NDArray[np.float32]
    offset: npt.NDArray[np.float32]
    points: npt.NDArray[np.float32]
    n_observed: int
    k: int


def build_reference(
    *, counts: sparse.csr_matrix, target_sum: float, rng: np.random.Generator
) -> DoubletReference:
    """Imitate doublets of the cells `counts` (cells, genes) and lay out both in their components.

    References
    ----------
    Wolock SL, Lopez R, Klein AM. Scrublet: computational identification of cell doublets in single-cell
    transcriptomic data. Cell Syst 8:281, 2019.
    """
    n = counts.shape[0]
    observed = log_normalised(counts, target_sum=target_sum)
    weights, offset = _components(counts, observed)
    imitated = log_normalised(imitate(counts, rng=rng), target_sum=target_sum)
    points = np.concatenate([observed @ weights - offset, imitated @ weights - offset])
    k = max(3, round(0.5 * np.sqrt(n) * (1 + IMITATIONS_PER_CELL)))
    return DoubletReference(weights, offset, points.astype(np.float32), n, min(k, n - 1))


def imitate(counts: sparse.csr_matrix, *, rng: np.random.Generator) -> sparse.csr_matrix:
    """Counts of imitated doublets (cells x IMITATIONS_PER_CELL, genes): sums of random pairs, thinned.

    Each keeps a share of its counts drawn evenly from 1/2 to 1 (two cells share the reagents of one droplet).
    Without this, imitations stand out by their depth alone, and where all cells are of one kind the deepest
    ones would be taken for doublets.
    """
    n = counts.shape[0]
    pairs = rng.integers(0, n, size=(2, n * IMITATIONS_PER_CELL))
    pairs[1] = np.where(pairs[0] == pairs[1], (pairs[1] + 1) % n, pairs[1])
    summed = (counts[pairs[0]] + counts[pairs[1]]).tocsr()
    shares = rng.uniform(0.5, 1.0, size=summed.shape[0])
    summed.data = rng.binomial(summed.data, np.repeat(shares, np.diff(summed.indptr))).astype(np.int32)
    summed.eliminate_zeros()
    return summed


def doublet_scores(
    *, logged: sparse.csr_matrix, reference: DoubletReference, own: npt.NDArray[np.int64]
) -> npt.NDArray[np.float64]:
    """Score of each cell of `logged` (cells, genes): the probability of a doublet given its neighbours.

    `own` (cells,) place of the cell among the observed reference cells, -1 where it is none. With q the share
    of imitations among the neighbours, r imitations per observed cell, and s the expected share of doublets,
    the score is (q s / r) / (1 - s - q (1 - s - s / r)), q with one imitation and one observed cell added.
    """
    from consilience.expression.cell_kernels import nearest_share

    points = (logged @ reference.weights - reference.offset).astype(np.float32)
    lengths = (reference.points**2).sum(axis=1)
    simulated = np.zeros(points.shape[0], dtype=np.int64)
    heap = np.empty((2, reference.k))
    for start in range(0, points.shape[0], _CELLS_AT_ONCE):
        rows = slice(start, start + _CELLS_AT_ONCE)
        distances = lengths - 2.0 * (points[rows] @ reference.points.T)
        nearest_share(distances, reference.n_observed, reference.k, own[rows], heap, simulated[rows])
    ratio, share = float(IMITATIONS_PER_CELL), EXPECTED_SHARE
    q = (simulated + 1.0) / (reference.k + 2.0)
    return np.asarray(q * share / ratio / (1.0 - share - q * (1.0 - share - share / ratio)))


def log_normalised(counts: sparse.csr_matrix, *, target_sum: float) -> sparse.csr_matrix:
    """log1p of counts scaled to `target_sum` per cell; (cells, genes) float32 CSR."""
    from scipy import sparse

    totals = np.asarray(counts.sum(axis=1), dtype=np.float64).ravel()
    factors = np.where(totals > 0, target_sum / np.maximum(totals, 1), 0.0)
    data = np.log1p(counts.data * np.repeat(factors, np.diff(counts.indptr))).astype(np.float32)
    return sparse.csr_matrix((data, counts.indices, counts.indptr), shape=counts.shape)


def _components(
    counts: sparse.csr_matrix, logged: sparse.csr_matrix
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Weights (genes, components) of the standardised variable genes, and the offset of their means."""
    n, n_genes = logged.shape
    normalised = logged.astype(np.float64)
    np.expm1(normalised.data, out=normalised.data)
    mean, variance = _mean_variance(normalised)
    seen = np.bincount(counts.indices, minlength=n_genes) >= 3
    scored = highly_variable(mean=mean[seen], variance=variance[seen], n_top=N_GENES)
    genes = np.flatnonzero(seen)[scored.selected]
    part = logged[:, genes].toarray().astype(np.float64)
    mean, sd = part.mean(axis=0), part.std(axis=0)
    sd[sd == 0] = 1.0
    vectors = principal_axes((part - mean) / sd, n_axes=max(1, min(N_COMPONENTS, genes.size - 1, n - 1)))
    weights = np.zeros((n_genes, vectors.shape[1]), dtype=np.float32)
    weights[genes] = vectors / sd[:, None]
    return weights, (mean / sd @ vectors).astype(np.float32)


def principal_axes(centred: npt.NDArray[np.float64], *, n_axes: int) -> npt.NDArray[np.float64]:
    """Leading principal axes (columns, n_axes) of `centred` (rows, columns), by its smaller product."""
    from scipy.linalg import eigh

    wide = centred.shape[0] < centred.shape[1]
    product = centred @ centred.T if wide else centred.T @ centred
    roots, vectors = eigh(product, subset_by_index=[product.shape[0] - n_axes, product.shape[0] - 1])
    if not wide:
        return np.asarray(vectors)
    return np.asarray(centred.T @ vectors / np.sqrt(np.maximum(roots, 1e-12)))


def _mean_variance(matrix: sparse.csr_matrix) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    n = matrix.shape[0]
    mean = np.asarray(matrix.sum(axis=0)).ravel() / n
    squares = np.bincount(matrix.indices, weights=matrix.data**2, minlength=matrix.shape[1])
    return mean, np.maximum(squares - n * mean**2, 0.0) / max(n - 1, 1)


def score_samples(
    *,
    source: CountSource,
    genes: GeneColumns,
    candidates: npt.NDArray[np.bool_],
    samples: Labels,
    barcodes: npt.NDArray[np.bytes_],
    n_entries: npt.NDArray[np.int32],
    target_sum: float,
    seed: int,
    cohort: str,
) -> npt.NDArray[np.float64]:
    """Doublet scores of the `candidates` (mask (n,)) within their samples; NaN for all others.

    `n_entries` (n,) genes seen in each cell, by which the references are shared out over passes.
    """
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    scores = np.full(source.n_cells, np.nan)
    chosen = _choose_reference(candidates, samples, barcodes, seed, cohort)
    # One thread: rounding in the linear algebra, and with it neighbours, must not depend on their number.
    with threadpool_limits(limits=1, user_api="blas"):
        for turn in _turns(chosen, n_entries, n_genes=genes.n_genes):
            references = {
                code: build_reference(
                    counts=counts,
                    target_sum=target_sum,
                    rng=stream(seed, cohort, "doublets", samples.levels[code]),
                )
                for code, counts in _collect(source, genes, {code: chosen[code] for code in turn})
            }
            mine = candidates & np.isin(samples.codes, turn)
            own = np.full(source.n_cells, -1, dtype=np.int64)
            for code in turn:
                own[chosen[code]] = np.arange(chosen[code].size)
            for start, block in source.blocks(BLOCK_CELLS, mine):
                rows = start + np.flatnonzero(mine[start : start + block.shape[0]])
                part = select_block(block, kept=mine[start : start + block.shape[0]], genes=genes)
                logged = log_normalised(part, target_sum=target_sum)
                scores[rows] = _score_cells(logged, samples.codes[rows], references, own[rows])
    return scores


def _score_cells(
    logged: sparse.csr_matrix,
    codes: npt.NDArray[np.int32],
    references: dict[int, DoubletReference],
    own: npt.NDArray[np.int64],
) -> npt.NDArray[np.float64]:
    """Scores of cells (cells, genes), each by the reference of its sample."""
    scores = np.empty(codes.size)
    for code in np.unique(codes):
        mine = np.flatnonzero(codes == code)
        scores[mine] = doublet_scores(logged=logged[mine], reference=references[int(code)], own=own[mine])
    return scores


def _choose_reference(
    candidates: npt.NDArray[np.bool_],
    samples: Labels,
    barcodes: npt.NDArray[np.bytes_],
    seed: int,
    cohort: str,
) -> dict[int, npt.NDArray[np.int64]]:
    """Reference cells of each sample large enough to be scored, in the order of their names."""
    chosen = {}
    for code, name in enumerate(samples.levels):
        mine = np.flatnonzero(candidates & (samples.codes == code))
        if mine.size >= MIN_CELLS:
            mine = mine[np.argsort(barcodes[mine], kind="stable")]
            picked = stream(seed, cohort, "doublet reference", name).permutation(mine.size)[:REFERENCE_CELLS]
            chosen[code] = mine[np.sort(picked)]
    return chosen


def _turns(
    chosen: dict[int, npt.NDArray[np.int64]], n_entries: npt.NDArray[np.int32], *, n_genes: int
) -> Iterator[list[int]]:
    """Samples whose references (entries of cells, then weights and points) fit into memory together."""
    turn: list[int] = []
    held = 0
    for code, cells in chosen.items():
        layout = (n_genes + cells.size * (1 + IMITATIONS_PER_CELL)) * N_COMPONENTS // 2
        size = int(n_entries[cells].sum()) + layout
        if turn and held + size > REFERENCE_ENTRIES:
            yield turn
            turn, held = [], 0
        turn.append(code)
        held += size
    if turn:
        yield turn


def _collect(
    source: CountSource, genes: GeneColumns, chosen: dict[int, npt.NDArray[np.int64]]
) -> Iterator[tuple[int, sparse.csr_matrix]]:
    """Counts of the reference cells of each sample, in the order in which they were chosen."""
    from scipy import sparse

    wanted = np.zeros(source.n_cells, dtype=bool)
    for cells in chosen.values():
        wanted[cells] = True
    parts = [
        select_block(block, kept=wanted[start : start + block.shape[0]], genes=genes)
        for start, block in source.blocks(BLOCK_CELLS, wanted)
    ]
    together = sparse.vstack(parts, format="csr")
    del parts
    row_of = np.cumsum(wanted) - 1
    for code, cells in chosen.items():
        yield code, together[row_of[cells]]
