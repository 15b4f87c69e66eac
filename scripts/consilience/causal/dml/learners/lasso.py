"""Lasso for all targets at once, each with its own penalty, chosen on donors left out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from consilience.causal.dml.learners.learner import Kind, Learner
from consilience.causal.dml.learners.ridge import donor_groups

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

SHARES = np.geomspace(1.0, 1e-3, 16)
"""Penalties as shares of the least one that leaves nothing."""
TOLERANCE, SWEEPS = 1e-8, 5_000
LEAST_CHANCE = 0.01


def fit_predict(
    *, train: Floats, targets: Floats, test: Floats, groups: npt.NDArray[np.intp], kind: Kind, seed: int
) -> Floats:
    """Predictions (m, g); see `learner.FitPredict`. The seed is not used: nothing is random.

    Probabilities are linear ones, cut to 0.01 … 0.99.
    """
    del seed
    parts = donor_groups(groups)
    sums = [Sums.of(train[parts == part], targets[parts == part]) for part in np.unique(parts)]
    whole = Sums.total(sums)
    errors = np.zeros((SHARES.size, targets.shape[1]))
    penalties = None if len(sums) < 2 else whole.penalties()
    if penalties is not None:
        for held in sums:
            errors += held.errors(whole.without(held).paths(penalties))
    chosen = (
        np.argmin(errors, axis=0) if penalties is not None else np.full(targets.shape[1], SHARES.size // 2)
    )
    paths = whole.paths(whole.penalties())
    weights = paths[chosen, np.arange(targets.shape[1])]
    made: Floats = weights[:, 0] + test @ weights[:, 1:].T
    return np.clip(made, LEAST_CHANCE, 1 - LEAST_CHANCE) if kind == "probability" else made


class Sums:
    """Sums of products over cells.

    `gram` (q, q) of the constant and confounders, `cross` (g, q), `squares` (g,).
    """

    def __init__(self, gram: Floats, cross: Floats, squares: Floats) -> None:
        self.gram, self.cross, self.squares = gram, cross, squares

    @classmethod
    def of(cls, x: Floats, targets: Floats) -> Sums:
        """Of cells `x` (n, p) and `targets` (n, g)."""
        design = np.column_stack([np.ones(len(x)), x])
        return cls(design.T @ design, targets.T @ design, (targets**2).sum(0))

    @classmethod
    def total(cls, parts: list[Sums]) -> Sums:
        """Of all parts together."""
        return cls(
            *(np.sum([getattr(one, name) for one in parts], axis=0) for name in ("gram", "cross", "squares"))
        )

    def without(self, part: Sums) -> Sums:
        """All but this part."""
        return Sums(self.gram - part.gram, self.cross - part.cross, self.squares - part.squares)

    def standardised(self) -> tuple[Floats, Floats, Floats, Floats]:
        """Correlations (p, p), their cross products (g, p) per cell, means (p,) and deviations (p,)."""
        n = self.gram[0, 0]
        means = self.gram[0, 1:] / n
        inner = self.gram[1:, 1:] / n - np.outer(means, means)
        size = np.diag(inner)
        sd = np.where(
            size > 1e-12 * np.maximum(np.diag(self.gram)[1:] / n, 1e-300), np.sqrt(np.maximum(size, 0)), 0
        )
        unit = np.where(sd > 0, 1 / np.where(sd > 0, sd, 1), 0.0)
        inner = inner * np.outer(unit, unit)
        inner[np.diag_indices_from(inner)] = 1.0
        return inner, (self.cross[:, 1:] / n - np.outer(self.cross[:, 0] / n, means)) * unit, means, unit

    def penalties(self) -> Floats:
        """λ (g, L) of each target."""
        _, cross, _, _ = self.standardised()
        most: Floats = np.maximum(np.abs(cross).max(axis=1, initial=0.0), 1e-12)
        return most[:, None] * SHARES

    def paths(self, penalties: Floats) -> Floats:
        """Constants and coefficients (L, g, q) on the scale of the confounders."""
        from consilience.causal.dml.learners.lasso_kernels import lasso_paths

        inner, cross, means, unit = self.standardised()
        n = self.gram[0, 0]
        spread = np.sqrt(np.maximum(self.squares / n - (self.cross[:, 0] / n) ** 2, 0.0))
        spread = np.where(spread > 0, spread, 1.0)
        found = np.zeros((penalties.shape[1], *cross.shape))
        scaled = np.ascontiguousarray(cross / spread[:, None])
        lasso_paths(
            np.ascontiguousarray(inner), scaled, penalties / spread[:, None], TOLERANCE, SWEEPS, found
        )
        slopes = found * spread[:, None] * unit
        constants = self.cross[:, 0] / n - slopes @ means
        made: Floats = np.concatenate([constants[:, :, None], slopes], axis=2)
        return made

    def errors(self, paths: Floats) -> Floats:
        """Σ (target - prediction)² (L, g) over these cells."""
        products = np.einsum("lgq,lgq->lg", paths @ self.gram, paths)
        left: Floats = self.squares - 2 * np.einsum("lgq,gq->lg", paths, self.cross) + products
        return left


LEARNER = Learner(
    key="lasso",
    title="Lasso",
    reference="Tibshirani R. J R Stat Soc B 58:267, 1996; Friedman J, et al. J Stat Softw 33:1, 2010",
    doi="10.1111/j.2517-6161.1996.tb02080.x",
    assumes="Few confounders act, and linearly.",
    limits="Of confounders that go together one is taken; probabilities are linear ones, cut to 0.01 … 0.99.",
    fit_predict=fit_predict,
)
