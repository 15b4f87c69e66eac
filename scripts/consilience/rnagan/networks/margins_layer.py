"""Genes' margins: from values to normal scores by rank, and back by smoothed quantiles."""

from __future__ import annotations

from dataclasses import dataclass

import torch

N_NODES = 65
"""Equally likely points of the normal distribution at which a margin's mean and sd are taken."""


@dataclass(frozen=True)
class Margins:
    """How scores become values, gene by gene.

    `knots` (R + 2,) scores, ascending; `values` (R + 2, G) at the knots; `mean`, `sd` (G,) wanted, `centre`,
    `spread` (G,) of the quantile function under normal scores; `floor`: value at which a gene counts as not
    seen (0, or −inf where references have values below); `least` (G,): no gene that is seen comes below it.
    """

    knots: torch.Tensor
    values: torch.Tensor
    mean: torch.Tensor
    sd: torch.Tensor
    centre: torch.Tensor
    spread: torch.Tensor
    floor: float
    least: torch.Tensor


def normal_scores(references: torch.Tensor, noise: torch.Generator) -> torch.Tensor:
    """Ranks as normal quantiles, (R, G) → (R, G): mean 0 and variance 1 (R − 1) per gene; ties by lot.

    A gene that does not vary gets 0.
    """
    n = len(references)
    lot = torch.rand(references.shape, generator=noise).to(references.device)
    # by value, then by lot: a stable sort by value of what was sorted by lot
    shuffled = lot.argsort(dim=0)
    order = shuffled.gather(0, references.gather(0, shuffled).argsort(dim=0, stable=True))
    rank = torch.empty_like(order)
    steps = torch.arange(n, device=references.device)[:, None].expand_as(order)
    rank.scatter_(0, order, steps)
    quantiles = _quantiles(n).to(references.device)
    quantiles = quantiles / quantiles.std()
    varies = references.amax(dim=0) > references.amin(dim=0)
    return quantiles[rank] * varies


def prepare_margins(references: torch.Tensor, *, tail: torch.Tensor, prior: torch.Tensor) -> Margins:
    """Margins of references (R, G); `tail`, `prior` as in `GeneratorSizes`."""
    n = len(references)
    ordered = references.sort(dim=0).values
    inner = _quantiles(n).to(references.device)
    # a straight line beyond the outermost two, on either side
    step = (inner[-1] - inner[0]) / max(1, n - 1)
    low = ordered[0] - tail * (ordered[1] - ordered[0])
    high = ordered[-1] + tail * (ordered[-1] - ordered[-2])
    far = 2 * step
    knots = torch.cat([inner[:1] - far, inner, inner[-1:] + far])
    floor = 0.0 if bool(references.amin() >= 0) else -torch.inf
    # half of the smallest value seen: what is not zero stays apart from zero
    least = references.where(references > floor, torch.inf).amin(dim=0) / 2 if floor == 0 else low
    least = least.where(least.isfinite(), torch.zeros_like(least))
    low = low.where(ordered[0] > floor, ordered[0]).clamp(min=floor)
    values = torch.cat([low[None], ordered, high[None]])
    nodes = _quantiles(N_NODES).to(references.device)[:, None].expand(-1, ordered.shape[1])
    at_nodes = interpolate(nodes, knots, values)
    mean, sd = references.mean(dim=0), moderated_sd(references, prior)
    return Margins(knots, values, mean, sd, at_nodes.mean(dim=0), at_nodes.std(dim=0),
                   floor, least)  # fmt: skip


def turn_back(scores: torch.Tensor, margins: Margins) -> torch.Tensor:
    """Values of scores, (n, G) → (n, G), with the wanted means and sds; what is at the floor stays there."""
    raw = interpolate(scores, margins.knots, margins.values)
    varies = margins.spread > 0
    factor = torch.where(
        varies, margins.sd / torch.where(varies, margins.spread, 1), torch.zeros_like(margins.sd)
    )
    values = margins.mean + (raw - margins.centre) * factor
    if margins.floor == 0:
        values = torch.maximum(values, margins.least)
    return torch.where(raw <= margins.floor, raw.clamp(min=margins.floor), values)


def interpolate(scores: torch.Tensor, knots: torch.Tensor, values: torch.Tensor) -> torch.Tensor:
    """Piecewise linear through (knots (K,), values (K, G)), at scores (n, G); flat beyond the ends."""
    place = torch.searchsorted(knots, scores.detach().contiguous()).clamp(1, len(knots) - 1)
    share = ((scores - knots[place - 1]) / (knots[place] - knots[place - 1])).clamp(0, 1)
    return values.gather(0, place - 1) * (1 - share) + values.gather(0, place) * share


def moderated_sd(references: torch.Tensor, prior: torch.Tensor) -> torch.Tensor:
    """Sd per gene, (R, G) → (G,), drawn on the log scale towards a quadratic trend over the mean.

    The trend counts as `prior` degrees of freedom, the references as R − 1. Genes that do not vary keep 0.
    """
    mean, sd = references.double().mean(dim=0), references.double().std(dim=0)
    varies = sd > 1e-6
    if int(varies.sum()) < 10:
        return sd.to(references.dtype)
    x = (mean - mean.mean()) / mean.std().clamp(min=1e-9)
    design = torch.stack([torch.ones_like(x), x, x.square()], dim=1)
    logs = torch.where(varies, sd, torch.ones_like(sd)).log()
    square = design[varies].T @ design[varies] + 1e-6 * torch.eye(3, dtype=x.dtype, device=x.device)
    line = design @ torch.linalg.solve(square, design[varies].T @ logs[varies])
    weight = prior / (prior + len(references) - 1)
    moderate = ((1 - weight) * logs + weight * line.clamp(logs.min(), logs.max())).exp()
    return torch.where(varies, moderate, torch.zeros_like(sd)).to(references.dtype)


def _quantiles(n: int) -> torch.Tensor:
    """Normal quantiles at (k + ½) / n: (n,)."""
    share = (torch.arange(n, dtype=torch.float64) + 0.5) / n
    quantiles: torch.Tensor = torch.special.ndtri(share).float()
    return quantiles
