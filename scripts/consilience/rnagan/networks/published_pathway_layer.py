"""What both published networks begin with: pathways beside genes, and the dense blocks after them."""

from __future__ import annotations

import torch
from torch import nn

from consilience.foundation.errors import ModelError
from consilience.foundation.seeds import stream
from consilience.pathways.layer import PathwayLinear
from consilience.pathways.wiring import Wiring
from consilience.rnagan.presets import PathwayMode

SLOPE = 0.01


class PathwaysAndGenes(nn.Module):
    """Log-scale samples → the values of their pathways, then those of their genes, on the linear scale.

    `pathways`: "none"; "fixed", the mean of each pathway's genes; "learned", learned weights where the mask
    has a member and nowhere else; "free", a dense weight for every gene of every pathway, as the paper's LP
    networks have it (P × G weights, all of them trained: for comparison only). No bias, as published.

    The paper's fixed weights are 1, ours 1 / pathway size: behind the batch normalisation both are the same.
    """

    def __init__(self, wiring: Wiring, *, pathways: PathwayMode, base2: bool, seed: int) -> None:
        super().__init__()
        self.genes = wiring.genes
        self.pathways = () if pathways == "none" else wiring.pathways
        self.base2 = base2
        self.layer: nn.Module | None = None
        if pathways == "free":
            self.layer = dense(len(wiring.genes), len(wiring.pathways), seed=seed, key="free", bias=False)
        elif pathways != "none":
            self.layer = PathwayLinear(wiring, bias=False, learned=pathways == "learned", seed=seed)

    @property
    def n_features(self) -> int:
        """Pathways and genes."""
        return len(self.pathways) + len(self.genes)

    def linear(self, samples: torch.Tensor, observed: torch.Tensor | None = None) -> torch.Tensor:
        """Without the logarithm, and 0 where a gene was not observed, as published: (…, n, G) → (…, n, G).

        Values below zero (an array below its background) count as zero: the published networks know none.
        """
        if samples.shape[-1] != len(self.genes):
            raise ModelError(
                "the samples have the wrong number of genes",
                value=tuple(samples.shape),
                allowed=f"(…, {len(self.genes)}), in the order of the model's genes",
            )
        positive = samples.clamp(min=0)
        values = torch.exp2(positive) - 1 if self.base2 else torch.expm1(positive)
        return values if observed is None else values * observed.to(values.dtype).unsqueeze(-2)

    def logarithm(self, values: torch.Tensor) -> torch.Tensor:
        """Back to the scale of the samples."""
        return torch.log2(values + 1) if self.base2 else torch.log1p(values)

    def scores(self, linear: torch.Tensor) -> torch.Tensor:
        """Pathways of samples on the linear scale: (…, G) → (…, P)."""
        if self.layer is None:
            return linear[..., :0]
        scores: torch.Tensor = self.layer(linear)
        return scores

    def forward(self, linear: torch.Tensor) -> torch.Tensor:
        """Pathways, then genes: (…, G) → (…, P + G)."""
        return linear if self.layer is None else torch.cat((self.scores(linear), linear), dim=-1)


class Normalised(nn.Module):
    """LeakyReLU(0.01), then batch normalisation over all rows: (…, F) → (…, F)."""

    def __init__(self, n_features: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(n_features)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Rows of all leading dimensions are normalised together."""
        rows = nn.functional.leaky_relu(x, SLOPE).reshape(-1, x.shape[-1])
        if self.training and len(rows) < 2:
            raise ModelError(
                "batch normalisation cannot be trained on a single row",
                mend="train with two queries (or groups) or more at a time",
            )
        normal: torch.Tensor = self.norm(rows)
        return normal.reshape(x.shape)


class Block(nn.Module):
    """Dense, LeakyReLU, batch normalisation, and dropout where there is any: (…, in) → (…, out)."""

    def __init__(self, n_in: int, n_out: int, *, seed: int, key: str, dropout: float = 0.0) -> None:
        super().__init__()
        self.dense = dense(n_in, n_out, seed=seed, key=key)
        self.normalised = Normalised(n_out)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Through the block."""
        return self.after(self.dense(x))

    def after(self, x: torch.Tensor) -> torch.Tensor:
        """What follows the dense layer."""
        y: torch.Tensor = self.dropout(self.normalised(x))
        return y


def dense(n_in: int, n_out: int, *, seed: int, key: str, bias: bool = True) -> nn.Linear:
    """A dense layer with Glorot-uniform weights (the default of the paper's software) and a bias of 0.

    The weights depend on `seed`, `key` and the sizes alone; torch's global random numbers are not touched.
    """
    layer: nn.Linear = nn.utils.skip_init(nn.Linear, n_in, n_out, bias=bias)  # type: ignore[no-untyped-call]
    generator = torch.Generator().manual_seed(int(stream(seed, "dense", key).integers(2**63)))
    nn.init.xavier_uniform_(layer.weight, generator=generator)
    if bias:
        nn.init.zeros_(layer.bias)
    return layer
