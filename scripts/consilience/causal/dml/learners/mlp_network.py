"""A small network from confounders to all targets at once."""

from __future__ import annotations

import torch
from torch import nn


class NuisanceNetwork(nn.Module):
    """p confounders → g targets: two hidden layers that all targets share, beside a linear way.

    The last layers start at 0: the first prediction is the mean, and targets are alike whatever their order.
    """

    def __init__(self, *, n_inputs: int, n_targets: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.trunk = nn.Sequential(
            nn.Linear(n_inputs, hidden), nn.SiLU(), nn.Dropout(dropout), nn.Linear(hidden, hidden), nn.SiLU(),
        )  # fmt: skip
        self.curved = nn.Linear(hidden, n_targets)
        self.straight = nn.Linear(n_inputs, n_targets, bias=False)
        for layer in (self.curved.weight, self.curved.bias, self.straight.weight):
            nn.init.zeros_(layer)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Predictions (rows, g), standardised values or logits."""
        made: torch.Tensor = self.curved(self.trunk(x)) + self.straight(x)
        return made
