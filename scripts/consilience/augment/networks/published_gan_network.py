"""The plain generative adversarial network that the published autoencoder was compared with.

Song, RareDisease-Transcriptome-VAE, doi 10.5281/zenodo.18431155, supplement.
"""

from __future__ import annotations

import torch
from torch import nn
from torch.nn.functional import binary_cross_entropy

LATENT = 64
HIDDEN = (256, 512)


class PublishedGanGenerator(nn.Module):
    """Noise (n, 64) → shares of each gene's range (n, G), between 0 and 1."""

    def __init__(self, n_genes: int) -> None:
        super().__init__()
        narrow, wide = HIDDEN
        self.layers = nn.Sequential(
            nn.Linear(LATENT, narrow), nn.ReLU(), nn.Linear(narrow, wide), nn.ReLU(),
            nn.Linear(wide, n_genes), nn.Sigmoid(),
        )  # fmt: skip

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        """(n, 64) → (n, G)."""
        made: torch.Tensor = self.layers(z)
        return made


class PublishedGanDiscriminator(nn.Module):
    """Shares of each gene's range (n, G) → the probability of being real (n,)."""

    def __init__(self, n_genes: int) -> None:
        super().__init__()
        narrow, wide = HIDDEN
        self.layers = nn.Sequential(
            nn.Linear(n_genes, wide), nn.LeakyReLU(0.2), nn.Linear(wide, narrow), nn.LeakyReLU(0.2),
            nn.Linear(narrow, 1), nn.Sigmoid(),
        )  # fmt: skip

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(n, G) → (n,)."""
        found: torch.Tensor = self.layers(x)[:, 0]
        return found


def discriminator_loss(real: torch.Tensor, made: torch.Tensor) -> torch.Tensor:
    """Cross-entropy of the real ones called real, plus that of the made ones called made; both (n,)."""
    return binary_cross_entropy(real, torch.ones_like(real)) + binary_cross_entropy(
        made, torch.zeros_like(made)
    )


def generator_loss(made: torch.Tensor) -> torch.Tensor:
    """Cross-entropy of the made ones (n,) called real."""
    return binary_cross_entropy(made, torch.ones_like(made))
