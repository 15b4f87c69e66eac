"""What markers ask of a model: a score of queries, given references of both kinds."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from consilience.foundation.errors import ModelError

if TYPE_CHECKING:
    import numpy.typing as npt
    import torch

    from consilience.learning.samples import Samples

BLOCK_ENTRIES = 1 << 24
"""Most numbers of a block of queries (64 MB of float32)."""


class Scorer(Protocol):
    """Logits that queries are of the positive kind, differentiable in the query.

    Queries are scored one by one: the logit of one does not depend on the others. A scorer may also offer
    `occluded(query, values, positive, negative) -> (n, G)`: the logits with feature g of a query set to
    `values[g]`, computed faster than by scoring n × G queries; and its own pathway inputs (see `own_inputs`).
    """

    def __call__(
        self, query: torch.Tensor, positive: torch.Tensor, negative: torch.Tensor | None, /
    ) -> torch.Tensor:
        """Score query (n, G) by positive (R, G) and negative (S, G) references: (n,)."""
        ...


Refit = Callable[["Samples", "npt.NDArray[np.bool_]"], Scorer]
"""Gives a scorer trained on these samples and labels (positive or not), and on no others."""


class ReferenceContrast:
    """The published use of a one-sided scorer: logit under positive less that under negative references."""

    def __init__(self, scorer: Scorer) -> None:
        self.scorer = scorer

    def __call__(
        self, query: torch.Tensor, positive: torch.Tensor, negative: torch.Tensor | None, /
    ) -> torch.Tensor:
        """Score (n, G) queries: (n,)."""
        found = self.scorer(query, positive, None)
        return found if negative is None else found - self.scorer(query, negative, None)

    def parameters(self) -> Any:
        """Parameters of the scorer, where it has any."""
        return getattr(self.scorer, "parameters", lambda: iter(()))()


def tensor(scorer: Scorer, values: npt.NDArray[Any]) -> torch.Tensor:
    """Values as a float32 tensor on the scorer's device."""
    import torch

    parameters = getattr(scorer, "parameters", None)
    first = next(iter(parameters()), None) if callable(parameters) else None
    device = first.device if isinstance(first, torch.Tensor) else torch.device("cpu")
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32)).to(device)


def evaluation(scorer: Scorer) -> Scorer:
    """The scorer as it is used (no dropout), where it is a torch module."""
    import torch

    inner = scorer.scorer if isinstance(scorer, ReferenceContrast) else scorer
    if isinstance(inner, torch.nn.Module):
        inner.eval()
    return scorer


def logits(
    scorer: Scorer,
    query: npt.NDArray[Any],
    positive: npt.NDArray[Any],
    negative: npt.NDArray[Any] | None,
) -> npt.NDArray[np.float64]:
    """Score queries (n, G) in blocks: (n,)."""
    import torch

    pos = tensor(scorer, positive)
    neg = None if negative is None else tensor(scorer, negative)
    rows = max(1, BLOCK_ENTRIES // max(1, query.shape[1]))
    parts = []
    with torch.inference_mode():
        for start in range(0, len(query), rows):
            found = scorer(tensor(scorer, query[start : start + rows]), pos, neg)
            parts.append(checked(found, len(query[start : start + rows])))
    return np.concatenate(parts) if parts else np.zeros(0)


def gradients(
    scorer: Scorer,
    query: npt.NDArray[Any],
    positive: npt.NDArray[Any],
    negative: npt.NDArray[Any] | None,
) -> npt.NDArray[np.float64]:
    """Derivative of each query's logit by each of its features (n, G)."""
    import torch

    pos = tensor(scorer, positive)
    neg = None if negative is None else tensor(scorer, negative)
    rows = max(1, BLOCK_ENTRIES // 4 // max(1, query.shape[1]))
    parts = []
    for start in range(0, len(query), rows):
        x = tensor(scorer, query[start : start + rows]).requires_grad_(True)
        with torch.enable_grad():
            found = scorer(x, pos, neg)
            checked(found, len(x))
            (slope,) = torch.autograd.grad(found.sum(), x, allow_unused=True)
        slope = torch.zeros_like(x) if slope is None else slope
        parts.append(finite(slope.detach().cpu().numpy().astype(np.float64), "gradients"))
    return np.concatenate(parts) if parts else np.zeros(query.shape)


def checked(found: torch.Tensor, n: int) -> npt.NDArray[np.float64]:
    """One finite logit per query, or a clear error."""
    if tuple(found.shape) != (n,):
        raise ModelError(
            "the scorer gives scores of a wrong shape", value=tuple(found.shape), allowed=f"({n},)"
        )
    return finite(found.detach().cpu().numpy().astype(np.float64), "scores")


def finite(values: npt.NDArray[np.float64], what: str) -> npt.NDArray[np.float64]:
    """The values, refused when the model gives NaN or infinity."""
    if not np.isfinite(values).all():
        raise ModelError(f"the model gives {what} that are not numbers (NaN or infinite)",
                         mend="the model is damaged or the input lies far outside its scale: "
                         "check its units, or train it again")  # fmt: skip
    return values
