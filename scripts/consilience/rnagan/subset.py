"""A model asked about some of its genes only: the others count as not measured."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from consilience.foundation.errors import ModelError

if TYPE_CHECKING:
    import torch

    from consilience.rnagan.model import Rnagan


class OnGenes:
    """The discriminator of a model, for samples (…, n, k) of k of its genes in the order of `genes`."""

    def __init__(self, model: Rnagan, genes: Sequence[str]) -> None:
        import torch

        place = {gene: number for number, gene in enumerate(model.genes)}
        unknown = [gene for gene in genes if gene not in place]
        if unknown:
            raise ModelError("genes that the model does not know", value=", ".join(unknown[:5]))
        self._network = model.discriminator.train(mode=False)
        self._place = torch.tensor([place[gene] for gene in genes], dtype=torch.long)
        self._observed = torch.zeros(len(model.genes), dtype=torch.bool)
        self._observed[self._place] = True

    def __call__(
        self,
        query: torch.Tensor,
        positive: torch.Tensor,
        negative: torch.Tensor | None = None,
        /,
        **options: Any,
    ) -> torch.Tensor:
        """Logits (…, n) of queries (…, n, k) by references (…, R, k) and (…, S, k) or None."""
        parts = [None if part is None else self._spread(part) for part in (query, positive, negative)]
        found: torch.Tensor = self._network(*parts, observed=self._observed.to(query.device))
        return found

    def parameters(self) -> Iterator[torch.nn.Parameter]:
        """Of the network: by these other rooms find its device."""
        return self._network.parameters()

    def _spread(self, values: torch.Tensor) -> torch.Tensor:
        whole = values.new_zeros(*values.shape[:-1], len(self._observed))
        return whole.index_copy(-1, self._place.to(values.device), values)
