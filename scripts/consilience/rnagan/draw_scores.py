"""Logits of many queries under many draws of references, in blocks of bounded memory."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from consilience.foundation.errors import ModelError

if TYPE_CHECKING:
    import numpy.typing as npt
    import torch

    from consilience.rnagan.reference_draws import Rows

    Floats = npt.NDArray[np.float64]

BLOCK_ENTRIES = 1 << 25
"""Most numbers in the queries of one block, over all its draws (128 MB as float32)."""


class Scorer(Protocol):
    """Logits that queries are of the references' kind.

    `score(query (…, n, G), positive (…, R, G), negative (…, S, G) or None) -> (…, n)`, float32 tensors; a
    keyword `observed` (G,) bool is given only where not all genes were measured. A query's logit depends on
    no other query.

    A scorer may also have `over_draws(query (n, G), positive (N, G), negative (M, G) or None,
    positive_rows (D, R), negative_rows (D, S) or None, observed=None) -> (D, n)`, the same logits for
    references given as rows, so that what depends on one sample only is computed once and not in each draw.
    """

    def __call__(
        self, query: torch.Tensor, positive: torch.Tensor, negative: torch.Tensor | None, /, **options: Any
    ) -> torch.Tensor:
        """Score the queries."""
        ...


def score_draws(
    score: Scorer,
    *,
    query: npt.NDArray[np.float32],
    positive: npt.NDArray[np.float32],
    negative: npt.NDArray[np.float32] | None,
    positive_rows: Rows,
    negative_rows: Rows | None,
    observed: npt.NDArray[np.bool_] | None = None,
    block_entries: int = BLOCK_ENTRIES,
) -> Floats:
    """Logits (D, n) of queries (n, G) under D draws of references.

    `positive` (N, G) and `negative` (M, G) are all references, `positive_rows` (D, R) and `negative_rows`
    (D, S) the ones of each draw. A torch module is scored as it is used (without dropout).
    """
    import torch

    device = _device(score)
    was_training = bool(getattr(score, "training", False))
    if was_training and isinstance(score, torch.nn.Module):
        score.eval()
    options = {} if observed is None else {"observed": torch.from_numpy(observed).to(device)}
    tensors = [None if x is None else torch.from_numpy(x).to(device) for x in (positive, negative)]
    rows = [None if x is None else torch.from_numpy(x).to(device) for x in (positive_rows, negative_rows)]
    n_draws, (n, n_genes) = len(positive_rows), query.shape
    found = np.empty((n_draws, n))
    # all draws of few queries, or few draws of all queries: whichever keeps the block small
    step = max(1, min(n, block_entries // max(1, n_genes)))
    try:
        with torch.inference_mode():
            for start in range(0, n, step):
                part = torch.from_numpy(np.ascontiguousarray(query[start : start + step])).to(device)
                found[:, start : start + step] = _all_draws(
                    score, part, tensors, rows, options, block_entries=block_entries
                )
    finally:
        if was_training and isinstance(score, torch.nn.Module):
            score.train()
    return finite(found)


def finite(logits: Floats) -> Floats:
    """The logits, refused when the model gives NaN or infinity."""
    if not np.isfinite(logits).all():
        raise ModelError(
            "the model gives scores that are not numbers (NaN or infinite)",
            value=f"{int((~np.isfinite(logits)).sum())} of {logits.size}",
            mend="the samples lie far outside the model's scale (check their units), or the model is "
            "damaged: train it again",
        )
    return logits


def _all_draws(
    score: Scorer,
    query: Any,
    tensors: list[Any],
    rows: list[Any],
    options: dict[str, Any],
    block_entries: int,
) -> Floats:
    """Logits (D, n) of one block of queries (n, G)."""
    n_draws = len(rows[0])
    over_draws = getattr(score, "over_draws", None)
    if over_draws is not None:
        return _numbers(over_draws(query, *tensors, *rows, **options), (n_draws, len(query)))
    widest = max(len(query), *(row.shape[1] for row in rows if row is not None))
    step = max(1, block_entries // max(1, widest * query.shape[1]))
    parts = []
    for start in range(0, n_draws, step):
        block = slice(start, start + step)
        positive = tensors[0][rows[0][block]]
        negative = None if rows[1] is None else tensors[1][rows[1][block]]
        several = len(positive)
        part = score(query.expand(several, *query.shape), positive, negative, **options)
        parts.append(_numbers(part, (several, len(query))))
    return np.concatenate(parts)


def _numbers(found: Any, shape: tuple[int, int]) -> Floats:
    if tuple(found.shape) != shape:
        raise ModelError(
            "the scorer gives scores of a wrong shape", value=tuple(found.shape), allowed=str(shape)
        )
    return np.asarray(found.detach().cpu().numpy(), dtype=np.float64)


def _device(score: Any) -> Any:
    """Where the scorer's weights are; the CPU for a plain function."""
    import torch

    parameters = getattr(score, "parameters", None)
    first = next(iter(parameters()), None) if callable(parameters) else None
    return first.device if isinstance(first, torch.Tensor) else torch.device("cpu")
