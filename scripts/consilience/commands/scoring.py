"""A model's discriminator as other rooms ask for it, with the genes that the data at hand have."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    import numpy.typing as npt
    import torch

    from consilience.rnagan.model import Rnagan


class MaskedScorer:
    """The discriminator of a model, told which genes were `observed` (genes,)."""

    def __init__(self, model: Rnagan, observed: npt.NDArray[np.bool_]) -> None:
        import torch

        self._network = model.discriminator.train(False)
        self._observed = torch.from_numpy(observed)

    def __call__(
        self, query: torch.Tensor, positive: torch.Tensor, negative: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Logits (…, n) of queries (…, n, G) by references (…, R, G) and (…, S, G) or None."""
        found: torch.Tensor = self._network(
            query, positive, negative, observed=self._observed.to(query.device)
        )
        return found

    def parameters(self) -> Iterator[torch.nn.Parameter]:
        """Of the network: by these other rooms find its device."""
        return self._network.parameters()
