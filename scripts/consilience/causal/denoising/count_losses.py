"""Log likelihood of counts under the negative binomial, and under one with more zeros than that.

Parameters of a count x: mean μ and size θ (variance μ + μ²/θ), both given as logarithms.

References
----------
Lopez R et al. Deep generative modeling for single-cell transcriptomics. Nat Methods 15:1053, 2018.
Risso D et al. A general and flexible method for signal extraction from single-cell RNA-seq data. Nat Commun
9:284, 2018.
"""

from __future__ import annotations

from typing import Any

import torch
from torch.nn.functional import softplus

SMALLEST_LOG_SIZE, LARGEST_LOG_SIZE = -5.0, 7.0
"""Sizes θ are kept within these: beyond, the likelihood is flat in θ."""


class _NegativeBinomial(torch.autograd.Function):
    """Sum over genes of the log likelihood, with its gradient in closed form."""

    @staticmethod
    def forward(
        ctx: Any, log_mean: torch.Tensor, log_size: torch.Tensor, counts: torch.Tensor
    ) -> torch.Tensor:
        odds = log_mean - log_size
        over = softplus(odds)
        size = torch.exp(log_size)
        gammas, steps = _gamma_terms(counts, size)
        slope = counts - (counts + size) * torch.sigmoid(odds)
        ctx.save_for_backward(slope, steps - size * over - slope)
        return (counts * (odds - over) - size * over).sum(dim=1) + gammas

    @staticmethod
    def backward(ctx: Any, *given: torch.Tensor) -> tuple[torch.Tensor | None, ...]:
        slope, of_size = ctx.saved_tensors
        return given[0][:, None] * slope, given[0] @ of_size, None


def _gamma_terms(counts: torch.Tensor, size: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Sums (B,) of log Γ(x + θ) / (Γ(θ) x!), and (B, G) its derivative by log θ: 0 where the count is 0.

    Few counts of a cell are above 0, so these alone are looked at, in double precision.
    """
    if counts.device.type == "cpu":
        from consilience.causal.denoising.count_kernels import gamma_terms

        sums, slopes = torch.empty(len(counts), dtype=torch.float64), torch.zeros_like(counts)
        gamma_terms(counts.detach().numpy(), size.detach().double().numpy(), sums.numpy(), slopes.numpy())
        return sums.to(counts.dtype), slopes
    return gamma_terms_of_torch(counts, size)


def gamma_terms_of_torch(counts: torch.Tensor, size: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The same on any device."""
    rows, genes = torch.nonzero(counts, as_tuple=True)
    seen, theta = counts[rows, genes].double(), size.double()[genes]
    each = torch.lgamma(seen + theta) - torch.lgamma(theta) - torch.lgamma(seen + 1)
    sums = each.new_zeros(len(counts)).index_add_(0, rows, each)
    slopes = torch.zeros_like(counts)
    slopes[rows, genes] = (theta * (torch.digamma(seen + theta) - torch.digamma(theta))).to(counts.dtype)
    return sums.to(counts.dtype), slopes


def negative_binomial(log_mean: torch.Tensor, log_size: torch.Tensor, counts: torch.Tensor) -> torch.Tensor:
    """Log likelihood of each row (B,): `log_mean`, `counts` (B, G), `log_size` (G,)."""
    bounded = log_size.clamp(SMALLEST_LOG_SIZE, LARGEST_LOG_SIZE)
    found: torch.Tensor = _NegativeBinomial.apply(log_mean, bounded, counts)  # type: ignore[no-untyped-call]
    return found


def zero_inflated(
    log_mean: torch.Tensor, log_size: torch.Tensor, log_odds: torch.Tensor, counts: torch.Tensor
) -> torch.Tensor:
    """The same where a count is lost with the probability sigmoid(`log_odds`) (B, G)."""
    size = torch.exp(log_size.clamp(SMALLEST_LOG_SIZE, LARGEST_LOG_SIZE))
    zero = -size * softplus(log_mean - torch.log(size))  # log probability of 0 of the negative binomial
    empty = (counts == 0).to(counts.dtype)
    # every entry counts as kept, log(1 − π) + NB; where there is nothing, log(π + (1 − π) NB(0)) instead
    kept = negative_binomial(log_mean, log_size, counts) - softplus(log_odds).sum(dim=1)
    lost = torch.logaddexp(log_odds, zero) - zero
    return kept + (empty * lost).sum(dim=1)
