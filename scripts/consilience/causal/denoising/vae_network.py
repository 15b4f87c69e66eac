"""The network: counts in, a normal posterior over few latent numbers out, and expected counts from those.

Encoder: y = log1p(counts / size factor), standardised. Its first layer sums genes to their pathways (genes of
no pathway go through a plain layer), a second one mixes; beside both runs a straight line from genes to
latents, which starts as principal axes. No donor, batch or disease enters, so a donor never seen is encoded
like any other.
Decoder: log mean = log size factor + level + W z + batch + donor, all per gene. The donor's part is a few
numbers of that donor times loadings per gene; it is 0 for a donor who was not in training. What tells donors
or batches apart is thus explained without z.
"""

from __future__ import annotations

import torch
from torch import nn

from consilience.causal.denoising.count_losses import negative_binomial, zero_inflated
from consilience.pathways.layer import PathwayLinear
from consilience.pathways.wiring import Wiring

LARGEST = 8.0
"""Standardised inputs are kept within this."""
UNITS = 64


class DenoisingNetwork(nn.Module):
    """Sizes: `n_genes` G, `latent` L, `n_batches`, `n_donors`, `donor_size` numbers of a donor.

    `wiring` of the pathways (None: a plain first layer). `zero_inflated`: the likelihood with more zeros.
    """

    def __init__(
        self,
        *,
        n_genes: int,
        latent: int,
        n_batches: int,
        n_donors: int,
        donor_size: int,
        wiring: Wiring | None,
        learned: bool = True,
        zeros: bool = False,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.latent, self.zeros = latent, zeros
        self.register_buffer("centre", torch.zeros(n_genes))
        self.register_buffer("scale", torch.ones(n_genes))
        self.centre: torch.Tensor
        self.scale: torch.Tensor
        self.pathways = None if wiring is None else PathwayLinear(wiring, learned=learned, seed=seed)
        outside = torch.ones(n_genes, dtype=torch.bool)
        if wiring is not None:
            outside[torch.as_tensor(wiring.member.astype("int64"))] = False
        self.register_buffer("outside", torch.nonzero(outside)[:, 0], persistent=False)
        self.outside: torch.Tensor
        self.plain = nn.Linear(len(self.outside), UNITS) if len(self.outside) else None
        n_first = (UNITS if self.plain else 0) + (len(wiring.pathways) if wiring is not None else 0)
        self.norm = nn.LayerNorm(n_first)
        self.mix = nn.Linear(n_first, UNITS)
        self.head = nn.Linear(UNITS, 2 * latent)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)
        self.straight = nn.Parameter(torch.zeros(n_genes, latent))
        self.level = nn.Parameter(torch.zeros(n_genes))
        self.loadings = nn.Parameter(torch.zeros(latent, n_genes))
        self.batch_effect = nn.Parameter(torch.zeros(n_batches, n_genes))
        self.donor_numbers = nn.Parameter(torch.zeros(n_donors, donor_size))
        self.donor_loadings = nn.Parameter(torch.zeros(donor_size, n_genes))
        self.log_size = nn.Parameter(torch.zeros(n_genes))
        self.zero_level = nn.Parameter(torch.full((n_genes if zeros else 0,), -3.0))
        self.zero_slope = nn.Parameter(torch.zeros(1 if zeros else 0))

    def standardised(self, counts: torch.Tensor, size_factor: torch.Tensor) -> torch.Tensor:
        """Inputs of the encoder (B, G)."""
        logged = torch.log1p(counts / size_factor[:, None])
        return ((logged - self.centre) / self.scale).clamp(-LARGEST, LARGEST)

    def encode(self, inputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and log variance (B, L) of the latents of standardised inputs (B, G)."""
        first = [] if self.pathways is None else [self.pathways(inputs)]
        if self.plain is not None:
            rest = inputs if self.pathways is None else inputs[:, self.outside]
            first.append(self.plain(rest))
        hidden = nn.functional.elu(self.norm(torch.cat(first, dim=1)))
        found = self.head(nn.functional.elu(self.mix(hidden)))
        mean = inputs @ self.straight + found[:, : self.latent]
        return mean, found[:, self.latent :].clamp(-8.0, 4.0)

    def decode(
        self,
        latents: torch.Tensor,
        size_factor: torch.Tensor,
        batch: torch.Tensor,
        donor: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Log of expected counts (B, G); `batch`, `donor` (B,) codes, -1 where not known."""
        found = torch.log(size_factor)[:, None] + self.level + latents @ self.loadings
        if len(self.batch_effect):
            found = found + _one_hot(batch, len(self.batch_effect), latents.dtype) @ self.batch_effect
        if donor is not None and self.donor_loadings.numel():
            numbers = _one_hot(donor, len(self.donor_numbers), latents.dtype) @ self.donor_numbers
            found = found + numbers @ self.donor_loadings
        return found

    def log_likelihood(self, log_mean: torch.Tensor, counts: torch.Tensor) -> torch.Tensor:
        """Log probability of counts (B, G) of each cell (B,)."""
        if not self.zeros:
            return negative_binomial(log_mean, self.log_size, counts)
        return zero_inflated(log_mean, self.log_size, self.log_odds_of_loss(log_mean), counts)

    def log_odds_of_loss(self, log_mean: torch.Tensor) -> torch.Tensor:
        """Log odds (B, G) that a count is lost: per gene, falling with the expected count."""
        return self.zero_level - nn.functional.softplus(self.zero_slope) * log_mean


def _one_hot(codes: torch.Tensor, n: int, dtype: torch.dtype) -> torch.Tensor:
    """Rows of zeros where the code is -1."""
    return (codes[:, None] == torch.arange(n, device=codes.device)).to(dtype)
