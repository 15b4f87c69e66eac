"""The part of the negative binomial's log likelihood that has gamma functions, for counts above 0 alone."""

from __future__ import annotations

import math

import numpy as np

from consilience.foundation.compiled import compiled

FEW = 12
"""Up to this count the terms of a gene are tabulated."""


@compiled
def digamma(x: float) -> float:
    """Derivative of the log gamma function, for x > 0 (recurrence, then the asymptotic series)."""
    found = 0.0
    while x < 8.0:
        found -= 1.0 / x
        x += 1.0
    inverse = 1.0 / (x * x)
    series = inverse * (
        1 / 12 - inverse * (1 / 120 - inverse * (1 / 252 - inverse * (1 / 240 - inverse * (1 / 132))))
    )
    return found + math.log(x) - 0.5 / x - series


@compiled
def gamma_terms(counts: np.ndarray, size: np.ndarray, rows: np.ndarray, slopes: np.ndarray) -> None:
    """Fill `rows` (B,) with Σ log Γ(x + θ) / (Γ(θ) x!), `slopes` (B, G; zeros) with θ (ψ(x + θ) − ψ(θ))."""
    n, n_genes = counts.shape
    values, steps = np.zeros((n_genes, FEW + 1)), np.zeros((n_genes, FEW + 1))
    for gene in range(n_genes):
        theta = size[gene]
        for step in range(FEW):
            values[gene, step + 1] = values[gene, step] + math.log((theta + step) / (step + 1.0))
            steps[gene, step + 1] = steps[gene, step] + theta / (theta + step)
    for row in range(n):
        total = 0.0
        for gene in range(n_genes):
            count = counts[row, gene]
            if count == 0:
                continue
            if count <= FEW:
                total += values[gene, int(count)]
                slopes[row, gene] = steps[gene, int(count)]
            else:
                theta = size[gene]
                total += math.lgamma(count + theta) - math.lgamma(theta) - math.lgamma(count + 1.0)
                slopes[row, gene] = theta * (digamma(count + theta) - digamma(theta))
        rows[row] = total
