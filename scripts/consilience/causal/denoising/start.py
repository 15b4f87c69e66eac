"""Where the training starts: gene moments and principal axes of the training cells, in closed form."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from consilience.foundation.seeds import stream

if TYPE_CHECKING:
    import numpy.typing as npt
    from scipy import sparse

    Floats = npt.NDArray[np.float64]

ROUNDS, MORE = 4, 8
"""Rounds of the subspace iteration, and axes more than asked for."""
LEAST_SD = 0.1
LOG_SIZE = (-3.0, 4.0)
SHRINK = 5.0
"""Counts that are added to both sides of a ratio of counts."""


@dataclass(frozen=True)
class Start:
    """Of G genes: `centre`, `scale` of the logs, `level` (log of expected count per size factor), `log_size`.

    `axes` (G, L) orthonormal, `sds` (L,) of the logs along them (0 where there are fewer), `batch_effect`
    (batches, G) log ratios.
    """

    centre: Floats
    scale: Floats
    level: Floats
    log_size: Floats
    axes: Floats
    sds: Floats
    batch_effect: Floats


def start_of(
    counts: sparse.csr_matrix, size_factor: Floats, batch: npt.NDArray[np.intp], *, n_batches: int,
    latent: int, seed: int,
) -> Start:  # fmt: skip
    """Start for cells `counts` (m, G) CSR with `size_factor` (m,) and `batch` (m,) codes."""
    logs = log_normalised(counts, size_factor)
    m = counts.shape[0]
    centre = np.asarray(logs.mean(axis=0)).ravel().astype(np.float64)
    square = np.asarray(logs.multiply(logs).mean(axis=0)).ravel().astype(np.float64)
    scale = np.maximum(np.sqrt(np.maximum(square - centre**2, 0)), LEAST_SD)
    total, expected = np.asarray(counts.sum(axis=0)).ravel().astype(np.float64), size_factor.sum()
    rate = (total + 0.5) / expected
    of_batch = np.zeros((n_batches, counts.shape[1]))
    for code in range(n_batches):
        mine = batch == code
        seen = np.asarray(counts[mine].sum(axis=0)).ravel()
        of_batch[code] = np.log((seen + SHRINK) / (rate * size_factor[mine].sum() + SHRINK))
    # variance of a count around its expectation: μ + μ²/θ, summed over cells
    second = np.asarray(counts.multiply(counts).sum(axis=0)).ravel()
    cross = np.asarray(counts.T @ size_factor).ravel() * rate
    weight = rate**2 * (size_factor**2).sum()
    spread = second - 2 * cross + weight - total
    log_size = np.log(weight / np.maximum(spread, 1e-3 * weight))
    axes, sds = principal_axes(logs, centre, most=min(latent, m - 1, counts.shape[1]), seed=seed)
    return Start(
        centre, scale, np.log(rate), np.clip(log_size, *LOG_SIZE), _widened(axes, latent),
        np.pad(sds, (0, latent - sds.size)), of_batch,
    )  # fmt: skip


def log_normalised(counts: sparse.csr_matrix, size_factor: Floats) -> sparse.csr_matrix:
    """log1p(counts / size factor) of the same entries."""
    found = counts.copy()
    found.data = np.log1p(found.data / np.repeat(size_factor, np.diff(found.indptr))).astype(np.float32)
    return found


def principal_axes(logs: sparse.csr_matrix, centre: Floats, *, most: int, seed: int) -> tuple[Floats, Floats]:
    """The first axes (G, k) of cells (m, G) around `centre`, and the sd along each (k,); signs are fixed.

    Subspace iteration on the sparse matrix, which is never centred in memory (Halko N, Martinsson PG, Tropp
    JA. SIAM Rev 53:217, 2011).
    """
    m, n_genes = logs.shape
    if most < 1:
        return np.zeros((n_genes, 0)), np.zeros(0)
    width = min(most + MORE, m, n_genes)
    basis = stream(seed, "denoising axes").standard_normal((n_genes, width))
    for _ in range(ROUNDS):
        basis, _ = np.linalg.qr(basis)
        scores = logs @ basis - centre @ basis
        basis = logs.T @ scores - np.outer(centre, scores.sum(axis=0))
    basis, _ = np.linalg.qr(basis)
    scores = logs @ basis - centre @ basis
    values, turn = np.linalg.eigh(scores.T @ scores)
    order = np.argsort(values)[::-1][:most]
    axes = basis @ turn[:, order]
    axes *= np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(order.size)])
    return axes, np.sqrt(np.maximum(values[order], 0) / m)


def _widened(axes: Floats, latent: int) -> Floats:
    return np.pad(axes, ((0, 0), (0, latent - axes.shape[1])))
