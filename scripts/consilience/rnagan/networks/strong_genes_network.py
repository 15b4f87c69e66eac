"""A head that looks at few genes: those that tell the references apart by more than chance.

The other heads let thousands of genes vote; where a handful carries all of the signal they drown it. This is
a nearest shrunken centroid (Tibshirani 2002, PNAS 99:6567) with thresholded t statistics as weights.
"""

from __future__ import annotations

import torch
from torch import Tensor

from consilience.rnagan.networks.solved_head_network import Folds, Head

PRIOR_REFERENCES = 4.0
"""How many references the typical variance of a gene counts as much as."""


def strong_genes_head(features: Tensor, folds: Folds, threshold: Tensor) -> Head:
    """Solve it from z-scores of references (..., m, G), in every fold.

    Its part "strong_genes" (..., G) are the weights of genes; `threshold` what is taken off each |t|.
    """
    positive, negative = folds.averages
    n = folds.weights.sum(-1)[:, None]
    n_positive = (folds.weights * folds.positive).sum(-1)[:, None].clamp(min=1)
    n_negative = (n - n_positive).clamp(min=1)
    square = features**2
    mean_positive, mean_negative = positive @ features, negative @ features
    spread = n_positive * (positive @ square - mean_positive**2)
    spread = (spread + n_negative * (negative @ square - mean_negative**2)).clamp(min=0)
    varying = torch.where(spread[..., 0, :] > 0, spread[..., 0, :] / (n[0] - 2).clamp(min=1), torch.nan)
    typical = torch.nanmedian(varying, dim=-1, keepdim=True).values.nan_to_num(nan=0.0).clamp(min=1e-8)
    variance = (spread + PRIOR_REFERENCES * typical[..., None, :]) / (n - 2 + PRIOR_REFERENCES)
    difference = mean_positive - mean_negative
    t = difference / (variance * (1 / n_positive + 1 / n_negative)).sqrt()
    weights = t.sign() * (t.abs() - threshold).clamp(min=0) / variance.sqrt()
    weights = weights / (weights.norm(dim=-1, keepdim=True) + 1e-6)
    middle = (weights * (mean_positive + mean_negative)).sum(-1) / 2
    left_out = (features * weights[..., 1:, :]).sum(-1) - middle[..., 1:]
    gap = (weights[..., 0, :] * difference[..., 0, :]).sum(-1)
    return Head(middle[..., 0], left_out, gap, {"strong_genes": weights[..., 0, :]})
