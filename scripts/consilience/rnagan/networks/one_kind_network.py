"""With references of one kind only: how a query's distance to them compares with their own distances."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from consilience.rnagan.networks.reference_scale_network import Rule, count_genes

SPREAD_OF_DISTANCE, LEAST_SPREAD = 0.1, 0.01
"""Share of the references' mean distance, and a distance, that are added to the spread of distances."""
DISTANCE_OF_ONE = 1.0
"""What stands for the references' own distance where there is one: a correlation of a half."""


def one_kind_rule(
    references: Sequence[Tensor], weights: Sequence[Tensor], *, slope: Tensor, shift: Tensor,
    observed: Tensor | None,
) -> Rule:  # fmt: skip
    """Slope times the mean over weightings of (own distance - the query's) / spread, plus shift.

    Scaled references (..., m, genes) and gene weights (..., genes) in each weighting. The distance is the
    mean squared difference from the references' mean: 2 (1 - correlation), for one reference. Scaled samples
    have length 1 per gene, so that it is linear in them. A reference's own distance is to the mean of the
    others, and a query's is what it would be to such means.
    """
    n_genes = (
        count_genes(weights[0], observed)[..., 0, 0] if observed is not None else references[0].shape[-1]
    )
    directions, offset = [], shift
    for samples in references:
        m = samples.shape[-2]
        mean = samples.mean(-2)
        squares = ((samples - mean[..., None, :]) ** 2).sum(-1) / torch.as_tensor(n_genes)[..., None]
        # a reference lies m / (m - 1) times as far from the mean of the others as from the mean of all
        own = squares * (m / max(m - 1, 1)) ** 2 if m > 1 else torch.full_like(squares, DISTANCE_OF_ONE)
        centre = own.mean(-1)
        spread = own.std(-1, unbiased=False) if m > 1 else centre / 2
        step = slope / (len(references) * (spread + SPREAD_OF_DISTANCE * centre + LEAST_SPREAD))
        length = (mean**2).sum(-1) / n_genes + squares.mean(-1) / max(m - 1, 1) ** 2
        directions.append(2 * (step / n_genes)[..., None] * mean)
        offset = offset + step * (centre - 1 - length)
    return Rule.of_scaled(weights, directions, offset=offset, observed=observed)
