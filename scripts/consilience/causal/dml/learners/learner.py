"""What a learner of nuisances is, and what it assumes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

Kind = Literal["value", "probability"]


class FitPredict(Protocol):
    """Learn g targets from `train` (n, p), predict them for `test` (m, p) → (m, g).

    `targets` (n, g) share the confounders, so that one fit may serve all genes. `groups` (n,) donor of each
    training cell: whatever is tuned inside is tuned on donors left out, and cells that it predicts are always
    of other donors. `kind`: a conditional mean ("value"), or the probability of 1 where the targets are 0 and
    1 ("probability": results within 0..1). A target that does not vary in training is predicted by its mean.
    The same `seed` gives the same numbers; the order of genes or of training cells does not matter beyond
    rounding.
    """

    def __call__(
        self,
        *,
        train: Floats,
        targets: Floats,
        test: Floats,
        groups: npt.NDArray[np.intp],
        kind: Kind,
        seed: int,
    ) -> Floats:
        """Predictions (m, g)."""
        ...


@dataclass(frozen=True)
class Learner:
    """A learner of nuisances, with what a reader needs to judge it by.

    `sums` says that the partially linear scores need no residuals of cells: sums within donors suffice
    (see `ridge_scores`).
    """

    key: str
    title: str
    reference: str
    doi: str
    assumes: str
    limits: str
    fit_predict: FitPredict
    sums: bool = False
