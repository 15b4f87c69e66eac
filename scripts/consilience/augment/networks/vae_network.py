"""The default VAE: class means, a few factors with a non-linear part, noise of each gene and of each sample.

Decoder of latents z (d) and w (1) for class c, on the warped and standardised scale:

    mean = class mean[c] + noise[c] · (W z + V (tanh(A z + b[c]) − tanh(b[c])))
    sd = noise[c] · exp(γ w − γ²)

so that a gene that varies more in a class does so in its factors too. w makes some samples noisier than
others, as patients are; −γ² keeps the mean variance. What lies at the floor counts as "at most that"
(censored normal likelihood). The encoder takes W and the noise from the decoder
(the exact posterior of the linear part), so that it has no weights per gene that could learn patients by
heart; a small network corrects it.

References
----------
Kingma DP, Welling M. Auto-encoding variational Bayes. ICLR 2014. Sohn K, Lee H, Yan X. NeurIPS 2015.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import nn

HALF_LOG_TWO_PI = 0.5 * math.log(2 * math.pi)
LARGEST_LOG = 6.0


@dataclass(frozen=True)
class Posterior:
    """Normal posteriors, dimension by dimension: `mean`, `log_variance` (B, d + 1), w last."""

    mean: torch.Tensor
    log_variance: torch.Tensor

    def draw(self, noise: torch.Generator | None = None) -> torch.Tensor:
        """One draw for each row, differentiable (B, d + 1)."""
        epsilon = torch.randn(
            self.mean.shape, generator=noise, device=self.mean.device, dtype=self.mean.dtype
        )
        return self.mean + torch.exp(0.5 * self.log_variance) * epsilon


def gaussian_kl(mean: torch.Tensor, log_variance: torch.Tensor) -> torch.Tensor:
    """KL divergence of N(mean, exp(log_variance)) from N(0, 1), for each entry."""
    return 0.5 * (mean**2 + torch.exp(log_variance) - 1 - log_variance)


def censored_log_likelihood(
    values: torch.Tensor, mean: torch.Tensor, log_sd: torch.Tensor, floor: torch.Tensor
) -> torch.Tensor:
    """Log density of a normal for each entry (B, G); at or below `floor` (G,), the log of its mass there."""
    sd = torch.exp(log_sd)
    seen = -0.5 * ((values - mean) / sd) ** 2 - log_sd - HALF_LOG_TWO_PI
    below = values <= floor
    if not bool(below.any()):
        return seen
    rows, columns = torch.nonzero(below, as_tuple=True)
    place = (floor[columns] - mean[rows, columns]) / sd.expand_as(mean)[rows, columns]
    return seen.masked_scatter(below, torch.special.log_ndtr(place))


class VaeNetwork(nn.Module):
    """Sizes: `n_genes` G, `n_classes` C, `latent` d, `hidden` units of both non-linear parts."""

    def __init__(self, *, n_genes: int, n_classes: int, latent: int, hidden: int) -> None:
        super().__init__()
        self.latent = latent
        self.class_mean = nn.Parameter(torch.zeros(n_classes, n_genes))
        self.log_noise = nn.Parameter(torch.zeros(n_classes, n_genes))
        self.loadings = nn.Parameter(torch.zeros(n_genes, latent))
        self.bend = nn.Parameter(torch.zeros(n_genes, hidden))
        self.bend_in = nn.Linear(latent + n_classes, hidden)
        self.log_wobble = nn.Parameter(torch.tensor(-2.0))
        self.noisy_slope = nn.Parameter(torch.tensor(1.0))
        self.noisy_offset = nn.Parameter(torch.tensor(0.0))
        self.noisy_log_variance = nn.Parameter(torch.tensor(-4.0))
        self.correct_in = nn.Linear(latent + 1 + n_classes, hidden)
        self.correct_out = nn.Linear(hidden, 2 * latent)
        nn.init.zeros_(self.correct_out.weight)
        nn.init.zeros_(self.correct_out.bias)
        self.register_buffer("floor", torch.full((n_genes,), -1e9))
        self.floor: torch.Tensor

    def _one_hot(self, codes: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.one_hot(codes, len(self.class_mean)).to(self.class_mean.dtype)

    def bent(self, z: torch.Tensor, codes: torch.Tensor) -> torch.Tensor:
        """The non-linear part of factors z (B, d), 0 at 0: (B, hidden)."""
        known = self._one_hot(codes)
        inside = torch.tanh(self.bend_in(torch.cat([z, known], dim=1)))
        return inside - torch.tanh(self.bend_in(torch.cat([torch.zeros_like(z), known], dim=1)))

    def decode(self, latents: torch.Tensor, codes: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Mean and log sd (B, G) of latents (B, d + 1) in classes `codes` (B,)."""
        z, w = latents[:, : self.latent], latents[:, self.latent :]
        factors = z @ self.loadings.T + self.bent(z, codes) @ self.bend.T
        mean = self.class_mean[codes] + torch.exp(self.log_noise[codes]) * factors
        wobble = torch.exp(self.log_wobble)
        return mean, (self.log_noise[codes] + (wobble * w - wobble**2)).clamp(-LARGEST_LOG, LARGEST_LOG)

    def encode(self, values: torch.Tensor, codes: torch.Tensor) -> Posterior:
        """Posteriors of rows (B, G): of the linear part exactly, corrected by a small network."""
        away = (values - self.class_mean[codes]) * torch.exp(-self.log_noise[codes])
        eye = torch.eye(self.latent, dtype=values.dtype, device=values.device)
        precision = self.loadings.T @ self.loadings + eye
        z = torch.linalg.solve(precision, (away @ self.loadings).T).T
        log_variance = -torch.log(torch.diagonal(precision)).expand_as(z)
        left = (away - z @ self.loadings.T) ** 2
        loudness = 0.5 * torch.log(left.mean(dim=1, keepdim=True).clamp_min(1e-6))
        features = torch.cat([torch.tanh(z / 2), loudness, self._one_hot(codes)], dim=1)
        more = self.correct_out(torch.tanh(self.correct_in(features)))
        w = self.noisy_slope * (loudness + self.noisy_offset)
        mean = torch.cat([z + more[:, : self.latent], w], dim=1)
        variance = torch.cat([log_variance + more[:, self.latent :], self.noisy_log_variance.expand_as(w)], 1)
        return Posterior(mean, variance.clamp(-12, 4))

    def evidence(
        self, values: torch.Tensor, codes: torch.Tensor, *, noise: torch.Generator | None, draws: int = 1
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Log likelihood (mean over draws) and KL divergence of each row, (B,); their difference bounds."""
        found = self.encode(values, codes)
        told = torch.zeros(len(values), dtype=values.dtype, device=values.device)
        for _ in range(draws):
            mean, log_sd = self.decode(found.draw(noise), codes)
            told = told + censored_log_likelihood(values, mean, log_sd, self.floor).sum(dim=1) / draws
        return told, gaussian_kl(found.mean, found.log_variance).sum(dim=1)
