"""The published generator: each gene's mean over the references, times a factor that the network finds.

It has no noise: samples differ only because each is made from its own draw of references. A gene that is 0 in
all references stays 0, and the variance between samples shrinks as 1/R.
"""

from __future__ import annotations

import hashlib

import numpy as np
import torch
from torch import nn

from consilience.foundation.errors import ModelError
from consilience.foundation.seeds import stream
from consilience.pathways.wiring import Wiring
from consilience.rnagan.networks.pooling_layer import max_and_mean
from consilience.rnagan.networks.published_pathway_layer import Block, Normalised, PathwaysAndGenes, dense
from consilience.rnagan.presets import Preset


class PublishedGenerator(nn.Module):
    """References → [max; mean] → 256 → 64 → 16 → 64 → 256 → a factor for each gene, with skips as in a U-net.

    All samples are on the model's log scale.
    """

    def __init__(self, preset: Preset, wiring: Wiring, *, seed: int = 0) -> None:
        super().__init__()
        wide, vector, narrow = preset.hidden
        self.wiring, self.vector_size = wiring, vector
        self.inputs = PathwaysAndGenes(wiring, pathways=preset.pathways, base2=preset.base2, seed=seed)
        n = self.inputs.n_features
        self.normalised = Normalised(n)
        self.wide_in = Block(2 * n, wide, seed=seed, key="G wide in", dropout=preset.dropout)
        self.vector_in = Block(wide, vector, seed=seed, key="G vector in")
        self.latent = Block(vector, narrow, seed=seed, key="G latent")
        self.vector_out = Block(narrow, vector, seed=seed, key="G vector out")
        self.wide_out = Block(2 * vector, wide, seed=seed, key="G wide out")
        self.out = dense(2 * wide, len(wiring.genes), seed=seed, key="G out")

    def forward(self, references: torch.Tensor, n: int, seed: int) -> torch.Tensor:
        """`n` samples, each made from its own draw of R of the references with replacement: (R, G) → (n, G).

        The draw does not depend on the order of the references, and the first samples not on `n`.
        """
        if references.ndim != 2 or n < 1:
            raise ModelError(
                "samples are made from one group of references",
                value=f"references {tuple(references.shape)}, n {n}",
                allowed="references (R, G), n of 1 or more",
            )
        ordered = references[_order_by_content(references)]
        drawn = [
            stream(seed, "references", number).integers(len(ordered), size=len(ordered))
            for number in range(n)
        ]
        sets = ordered[torch.from_numpy(np.stack(drawn)).to(references.device)]
        return at_level_of(self.generate(sets), sets)

    def generate(self, references: torch.Tensor, *, observed: torch.Tensor | None = None) -> torch.Tensor:
        """One sample for each group, (…, R, G) → (…, G): what is trained."""
        linear = self.inputs.linear(references, observed)
        wide, vector, decoded = self._encode(linear)
        up = self.wide_out(torch.cat((decoded, vector), dim=-1))
        factor = torch.relu(self.out(torch.cat((up, wide), dim=-1)))
        return self.inputs.logarithm(factor * linear.mean(dim=-2))

    def group_vector(self, references: torch.Tensor, *, observed: torch.Tensor | None = None) -> torch.Tensor:
        """The vector of a group, (…, R, G) → (…, 64): the 64-unit layer behind the bottleneck."""
        return self._encode(self.inputs.linear(references, observed))[2]

    def _encode(self, linear: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Activations (…, 256), (…, 64) before the bottleneck, and (…, 64) behind it."""
        wide = self.wide_in(max_and_mean(self.normalised(self.inputs(linear))))
        vector = self.vector_in(wide)
        return wide, vector, self.vector_out(self.latent(vector))


def at_level_of(samples: torch.Tensor, references: torch.Tensor) -> torch.Tensor:
    """Shift each sample so that its expressed genes are at the level of its references, on the log scale.

    `samples` (…, G), `references` (…, R, G). The shift is the median, over genes expressed in the sample,
    of the references' mean logarithm less the sample's; genes at 0 stay there and none falls below.
    """
    difference = references.mean(dim=-2) - samples
    shift = torch.nanmedian(
        torch.where(samples > 0, difference, torch.full_like(difference, torch.nan)), dim=-1, keepdim=True
    ).values.nan_to_num()
    return torch.where(samples > 0, (samples + shift).clamp(min=0), samples)


def _order_by_content(references: torch.Tensor) -> torch.Tensor:
    """Row numbers in an order that depends on what the rows hold, not on where they stand."""
    rows = references.detach().cpu().contiguous().float().numpy()
    digests = [hashlib.sha256(row.tobytes()).digest() for row in rows]
    return torch.tensor(sorted(range(len(rows)), key=digests.__getitem__), device=references.device)
