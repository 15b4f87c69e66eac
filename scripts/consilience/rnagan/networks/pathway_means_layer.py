"""Pathways of scaled samples: weighted means over each pathway's observed genes."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from consilience.pathways.layer import PathwayLinear
from consilience.pathways.wiring import Wiring


class PathwayMeans(PathwayLinear):
    """A pathway layer that knows which genes were observed, and its own transpose.

    A pathway's value is the sum of its weights times scaled genes over the sum of its weights' sizes, both
    over observed genes: at first the mean of its genes, and 0 where none of them was observed.
    """

    member: Tensor
    pathway: Tensor

    def __init__(self, wiring: Wiring, *, learned: bool) -> None:
        super().__init__(wiring, bias=False, learned=learned)
        sizes = np.diff(wiring.start)[wiring.pathway_of_weight]
        with torch.no_grad():  # learned weights begin where fixed ones stay
            self.weight.copy_(torch.from_numpy(1 / sizes.astype(np.float64)))
        for name, values in (("member", wiring.member), ("pathway", wiring.pathway_of_weight)):
            self.register_buffer(name, torch.from_numpy(values.astype(np.int64)), persistent=False)

    def means(self, scaled: Tensor, observed: Tensor | None) -> Tensor:
        """Pathways of scaled samples (..., n, G), which are 0 where not observed (..., G): (..., n, P)."""
        values: Tensor = self(scaled) / self._sizes(observed)[..., None, :]
        return values

    def of_genes(self, of_pathways: Tensor, observed: Tensor | None) -> Tensor:
        """Directions over genes (..., G) that directions over pathways (..., P) amount to."""
        edges = (of_pathways / self._sizes(observed))[..., self.pathway] * self.weight
        found = _summed(edges, self.member, len(self.genes))
        return found if observed is None else found * observed

    def _sizes(self, observed: Tensor | None) -> Tensor:
        """Sums of the sizes of each pathway's weights over observed genes: (..., P)."""
        edges = self.weight.abs()
        if observed is not None:
            edges = edges * observed[..., self.member]
        return _summed(edges, self.pathway, len(self.pathways)) + 1e-6


def _summed(edges: Tensor, place: Tensor, n: int) -> Tensor:
    """Sums of edges (..., E) that have the same place (E,): (..., n)."""
    flat = edges.reshape(-1, edges.shape[-1])
    found = flat.new_zeros(len(flat), n).index_add(1, place, flat)
    return found.reshape(*edges.shape[:-1], n)
