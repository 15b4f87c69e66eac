"""What simple methods expect of one half of a cell's counts from the other half.

Each gives the expected count per size factor (m, G) of cells it has not seen. With a gene-wise size θ, fitted
for each method on training cells, all are judged by the same likelihood.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from consilience.causal.denoising.start import log_normalised, principal_axes

if TYPE_CHECKING:
    import numpy.typing as npt
    from scipy import sparse

    Floats = npt.NDArray[np.float64]
    Codes = npt.NDArray[np.intp]

LEAST_RATE = 1e-4
"""Smallest expected count per size factor."""
NEIGHBOURS = 30
THETA_STEPS, THETA_RATE = 20, 0.1


def gene_means(counts: sparse.csr_matrix, size_factor: Floats) -> Floats:
    """Expected count of each gene per size factor (G,)."""
    return np.asarray((np.asarray(counts.sum(axis=0)).ravel() + 0.5) / size_factor.sum())


def type_means(counts: sparse.csr_matrix, size_factor: Floats, kind: Codes, n_types: int) -> Floats:
    """The same of each cell type (types, G), drawn towards the mean over all by one count."""
    mean = gene_means(counts, size_factor)
    found = np.empty((n_types, counts.shape[1]))
    for code in range(n_types):
        mine = np.flatnonzero(kind == code)
        seen = np.asarray(counts[mine].sum(axis=0)).ravel()
        found[code] = (seen + 1) / (size_factor[mine].sum() + 1 / mean)
    return found


def pca_expected(
    given: sparse.csr_matrix, given_size: Floats, train: sparse.csr_matrix, train_size: Floats, *,
    latent: int, seed: int,
) -> tuple[Floats, Floats]:  # fmt: skip
    """Expected counts of cells `given` (m, G), and scores on the axes (m, L), by principal components.

    The reconstructed logarithm is taken back to counts, and each gene is scaled to its mean over the training
    cells (the mean of logarithms is less than the logarithm of the mean).
    """
    logs = log_normalised(train, train_size)
    centre = np.asarray(logs.mean(axis=0)).ravel().astype(np.float64)
    axes, _ = principal_axes(logs, centre, most=min(latent, *train.shape), seed=seed)

    def back(counts: sparse.csr_matrix, size: Floats) -> tuple[Floats, Floats]:
        mine = log_normalised(counts, size)
        scores = mine @ axes - centre @ axes
        return np.maximum(np.expm1(centre + scores @ axes.T), LEAST_RATE), scores

    rates, _ = back(train, train_size)
    scale = gene_means(train, train_size) / (train_size @ rates / train_size.sum())
    found, scores = back(given, given_size)
    return found * scale, scores


def neighbours_expected(
    scores: Floats, train_scores: Floats, train: sparse.csr_matrix, train_size: Floats
) -> Floats:
    """Mean over the nearest training cells on principal axes, with one count of the mean over all."""
    square = (train_scores**2).sum(axis=1)
    away = square - 2 * scores @ train_scores.T
    near = np.argpartition(away, min(NEIGHBOURS, len(square)) - 1, axis=1)[:, :NEIGHBOURS]
    mean, found = gene_means(train, train_size), np.empty((len(scores), train.shape[1]))
    for row, mine in enumerate(near):
        seen = np.asarray(train[mine].sum(axis=0)).ravel()
        found[row] = (seen + 1) / (train_size[mine].sum() + 1 / mean)
    return found


def fitted_sizes(counts: npt.NDArray[np.float32], expected: Floats) -> Floats:
    """Log size θ of each gene (G,) under which counts (m, G) around `expected` (m, G) are likeliest."""
    import torch

    from consilience.causal.denoising.count_losses import negative_binomial

    # from the moments: Σ μ² / Σ ((x - μ)² - μ)
    weight = (expected**2).sum(axis=0)
    spread = ((counts - expected) ** 2 - expected).sum(axis=0)
    first = np.log(weight / np.maximum(spread, 0.01 * weight))
    with torch.enable_grad():
        log_size = torch.from_numpy(first.astype(np.float32)).requires_grad_()
        log_mean, seen = torch.from_numpy(np.log(expected).astype(np.float32)), torch.from_numpy(counts)
        optimiser = torch.optim.Adam([log_size], lr=THETA_RATE)
        for _ in range(THETA_STEPS):
            optimiser.zero_grad()
            cost = -negative_binomial(log_mean, log_size, seen).sum()
            torch.autograd.backward(cost)
            optimiser.step()
    return np.asarray(log_size.detach().numpy(), dtype=np.float64)


def cost_of(counts: npt.NDArray[np.float32], expected: Floats, log_size: Floats) -> float:
    """Minus the summed log probability of counts (m, G)."""
    import torch

    from consilience.causal.denoising.count_losses import negative_binomial

    with torch.no_grad():
        return -float(negative_binomial(
            torch.from_numpy(np.log(expected).astype(np.float32)),
            torch.from_numpy(log_size.astype(np.float32)), torch.from_numpy(counts),
        ).double().sum())  # fmt: skip
