"""A head that looks at few genes: those that tell the references apart by more than chance.

The other heads let thousands of genes vote; where a handful carries all of the signal they drown it. This is
a nearest shrunken centroid (Tibshirani 2002, PNAS 99:6567) with thresholded t statistics as weights.
"""

from __future__ import annotations

from torch import Tensor

from consilience.rnagan.networks.solved_head_network import Folds, Head, contrasts_of


def strong_genes_head(features: Tensor, folds: Folds, threshold: Tensor) -> Head:
    """Solve it from z-scores of references (..., m, G), in every fold.

    Its part "strong_genes" (..., G) are the weights of genes; `threshold` what is taken off each |t|.
    """
    found = contrasts_of(features, folds)
    weights = found.t.sign() * (found.t.abs() - threshold).clamp(min=0) / found.variance.sqrt()
    weights = weights / (weights.norm(dim=-1, keepdim=True) + 1e-6)
    middle = (weights * (found.mean_positive + found.mean_negative)).sum(-1) / 2
    left_out = (features * weights[..., 1:, :]).sum(-1) - middle[..., 1:]
    difference = (found.mean_positive - found.mean_negative)[..., 0, :]
    gap = (weights[..., 0, :] * difference).sum(-1)
    return Head(middle[..., 0], left_out, gap, {"strong_genes": weights[..., 0, :]})
