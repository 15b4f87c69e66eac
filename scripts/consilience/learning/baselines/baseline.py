"""What a simple classifier is, and what it assumes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt


class FitPredict(Protocol):
    """Learn from `train` (n, genes) with `labels` (n,) bool, score `test` (m, genes) → (m,) in 0..1.

    A greater score is more like the positive kind. The same `seed` gives the same scores; the order of the
    training samples does not matter beyond rounding.
    """

    def __call__(
        self,
        train: npt.NDArray[np.floating],
        labels: npt.NDArray[np.bool_],
        test: npt.NDArray[np.floating],
        seed: int,
    ) -> npt.NDArray[np.float64]:
        """Scores (m,)."""
        ...


@dataclass(frozen=True)
class Baseline:
    """A simple classifier, with what a reader needs to judge it by.

    `probability`: its scores are meant as probabilities; otherwise they only rank.
    """

    key: str
    title: str
    reference: str
    doi: str
    assumes: str
    limits: str
    probability: bool
    fit_predict: FitPredict
