"""References reduced to one summary, whatever their number and order."""

from __future__ import annotations

import torch

from consilience.foundation.errors import ModelError


def max_and_mean(features: torch.Tensor) -> torch.Tensor:
    """Largest and mean value of each feature over the references: (…, R, F) → (…, 2 F), for any R ≥ 1."""
    if features.ndim < 2 or features.shape[-2] < 1:
        raise ModelError("there are no references", value=tuple(features.shape), allowed="R of 1 or more",
                         mend="give at least one reference sample")  # fmt: skip
    return torch.cat((features.amax(dim=-2), features.mean(dim=-2)), dim=-1)
