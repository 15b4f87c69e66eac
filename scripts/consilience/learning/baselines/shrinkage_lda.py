"""Linear discriminant analysis with a covariance shrunk towards a multiple of the identity."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from consilience.learning.baselines.baseline import Baseline
from consilience.learning.baselines.preparing import checked, pareto_scaled, squashed

if TYPE_CHECKING:
    import numpy.typing as npt

    from consilience.learning.baselines.preparing import Flags, Floats


def shrinkage(gram: Floats, *, n_genes: int) -> tuple[float, float]:
    """Ledoit and Wolf's share of the identity and its multiple μ, from centred samples' products (n, n)."""
    n = len(gram)
    lengths = np.diag(gram)
    mu = float(lengths.sum()) / (n * n_genes)
    # |S|², |S − μ I|², and the mean of |x xᵀ − S|² over samples, all per gene
    squared = float((gram**2).sum()) / n**2
    spread = squared / n_genes - mu**2
    noise = (float((lengths**2).sum()) / n - squared) / (n * n_genes)
    share = min(1.0, noise / spread) if spread > 0 else 1.0
    return share, mu


def weights(x: Floats, labels: Flags) -> Floats:
    """Weights (genes,): inverse shrunken covariance times difference of means, no genes² matrix made."""
    means = {kind: x[labels == kind].mean(axis=0) for kind in (True, False)}
    centred = x - np.where(labels[:, None], means[True], means[False])
    gram = centred @ centred.T
    share, mu = shrinkage(gram, n_genes=x.shape[1])
    gap = np.asarray(means[True] - means[False])
    floor = max(share * mu, 1e-6 * mu)
    if floor <= 0:
        return gap
    # (floor·I + c XᵀX)⁻¹ g = (g − c Xᵀ (floor·I + c XXᵀ)⁻¹ X g) / floor
    c = (1 - share) / len(x)
    inner = np.linalg.solve(floor * np.eye(len(x)) + c * gram, centred @ gap)
    return np.asarray((gap - c * centred.T @ inner) / floor)


def fit_predict(
    train: npt.NDArray[np.floating],
    labels: npt.NDArray[np.bool_],
    test: npt.NDArray[np.floating],
    seed: int,
) -> Floats:
    """Score along the discriminant, zero midway between the means (m,); ranks only."""
    x, query = pareto_scaled(*checked(train, labels, test))
    w = weights(x, labels)
    middle = 0.5 * (x[labels].mean(axis=0) + x[~labels].mean(axis=0))
    return squashed((query - middle) @ w, among=(x - middle) @ w)


BASELINE = Baseline(
    key="shrinkage_lda",
    title="Linear discriminant analysis, shrunken covariance",
    reference="Ledoit O, Wolf M. J Multivar Anal 88:365, 2004; Guo Y, et al. Biostatistics 8:86, 2007",
    doi="10.1016/S0047-259X(03)00096-4",
    assumes="Both kinds are normal with the same covariance.",
    limits="With ten samples the covariance is mostly the identity.",
    probability=False,
    fit_predict=fit_predict,
)
