"""The variational autoencoder as published for synthetic expression of a rare disease, and its loss.

Song, RareDisease-Transcriptome-VAE, doi 10.5281/zenodo.18431155. Two sizes were used: `MAIN` for the main
cohort, `EXTERNAL` for the second one.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn


@dataclass(frozen=True)
class VaeSizes:
    """Units from the genes inwards; `slope` of the leaky ReLU below zero; `dropout` after the outer layers.

    The decoder is the encoder turned around.
    """

    hidden: tuple[int, int]
    latent: int = 64
    slope: float = 0.0
    dropout: float = 0.0


MAIN = VaeSizes(hidden=(512, 256))
EXTERNAL = VaeSizes(hidden=(256, 128), slope=0.2, dropout=0.2)


class PublishedVae(nn.Module):
    """Shares of each gene's range (n, G), between 0 and 1, to the same through `latent` numbers."""

    def __init__(self, n_genes: int, sizes: VaeSizes = MAIN) -> None:
        super().__init__()
        wide, narrow = sizes.hidden
        self.sizes = sizes
        self.encoder = nn.Sequential(
            *_block(n_genes, wide, sizes, dropout=sizes.dropout), *_block(wide, narrow, sizes)
        )
        self.mean = nn.Linear(narrow, sizes.latent)
        self.log_variance = nn.Linear(narrow, sizes.latent)
        self.decoder = nn.Sequential(
            *_block(sizes.latent, narrow, sizes, dropout=sizes.dropout),
            *_block(narrow, wide, sizes),
            nn.Linear(wide, n_genes),
            nn.Sigmoid(),
        )

    def encode(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and log variance of the posterior of each row: (n, G) → (n, latent) both."""
        hidden = self.encoder(x)
        return self.mean(hidden), self.log_variance(hidden)

    def decode(self, z: torch.Tensor) -> torch.Tensor:
        """(n, latent) → (n, G), between 0 and 1."""
        made: torch.Tensor = self.decoder(z)
        return made

    def forward(
        self, x: torch.Tensor, noise: torch.Generator
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """One draw from each row's posterior decoded (n, G), and the posterior's mean and log variance."""
        mean, log_variance = self.encode(x)
        deviation = torch.randn(mean.shape, generator=noise, device=mean.device, dtype=mean.dtype)
        return self.decode(mean + deviation * torch.exp(0.5 * log_variance)), mean, log_variance


def vae_loss(
    made: torch.Tensor, x: torch.Tensor, mean: torch.Tensor, log_variance: torch.Tensor, *, kl_weight: float
) -> torch.Tensor:
    """Squared error summed over genes, plus `kl_weight` times the divergence from N(0, I): (n,)."""
    error = (made - x).square().sum(dim=1)
    divergence = -0.5 * (1 + log_variance - mean.square() - log_variance.exp()).sum(dim=1)
    return error + kl_weight * divergence


def _block(n_in: int, n_out: int, sizes: VaeSizes, *, dropout: float = 0.0) -> list[nn.Module]:
    rectified = nn.LeakyReLU(sizes.slope) if sizes.slope else nn.ReLU()
    layers: list[nn.Module] = [nn.Linear(n_in, n_out), nn.BatchNorm1d(n_out), rectified]
    return [*layers, nn.Dropout(dropout)] if dropout else layers
