"""What every attribution takes and gives: slopes of the score along each gene, for each query."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from consilience.rnagan.markers.scorer import Scorer

if TYPE_CHECKING:
    import numpy.typing as npt


@dataclass(frozen=True)
class Question:
    """What is asked: queries (n, G) and references of both kinds (R, G), (S, G), float32.

    `scorer` compares them.
    """

    scorer: Scorer
    query: npt.NDArray[np.float32]
    positive: npt.NDArray[np.float32]
    negative: npt.NDArray[np.float32]

    @property
    def positive_mean(self) -> npt.NDArray[np.float64]:
        """Typical value of each gene in positive references (G,)."""
        return np.asarray(self.positive.mean(axis=0, dtype=np.float64))

    @property
    def negative_mean(self) -> npt.NDArray[np.float64]:
        """Typical value of each gene in negative references (G,)."""
        return np.asarray(self.negative.mean(axis=0, dtype=np.float64))

    @property
    def neutral(self) -> npt.NDArray[np.float64]:
        """Reference value of each gene: halfway between the kinds (G,)."""
        return (self.positive_mean + self.negative_mean) / 2


@dataclass(frozen=True)
class Slopes:
    """What one unit more of each gene adds to the logit.

    `slope` (n, G), averaged along the attribution's own path; `exact` (G,) False where an approximation was
    taken; `error` the largest relative error that the attribution can tell of itself (NaN where it cannot).
    """

    slope: npt.NDArray[np.float64]
    exact: npt.NDArray[np.bool_]
    error: float = float("nan")


@dataclass(frozen=True)
class AttributionSettings:
    """How finely attributions are computed.

    `steps` nodes of a path; `exact_genes` genes occluded one by one (the rest by their slope; 0: none, None:
    all); `tolerance` relative completeness error at which a path is fine enough, `most_steps` where it ends;
    `step` relative size of a finite difference.
    """

    steps: int = 8
    most_steps: int = 64
    tolerance: float = 0.02
    exact_genes: int | None = 128
    step: float = 0.05


@dataclass(frozen=True)
class Attribution:
    """An attribution and what must be known to use it. `run(question, settings) -> Slopes`."""

    name: str
    label: str
    doi: str
    assumptions: str
    limits: str
    run: Callable[[Question, AttributionSettings], Slopes]


def fitted_slope(
    contribution: npt.NDArray[np.float64],
    distance: npt.NDArray[np.float64],
    weight: npt.NDArray[np.float64],
) -> npt.NDArray[np.float64]:
    """One slope per feature (F,): least squares of contributions on distances, through the neutral value.

    `contribution` to the logit and `distance` from the neutral value (n, F), `weight` of each query (n,).
    Queries far from neutral say more; one that sits on it says nothing. A feature that never leaves it has
    slope 0.
    """
    scale = weight @ distance**2
    total = weight @ (contribution * distance)
    return np.asarray(np.divide(total, scale, out=np.zeros_like(total), where=scale > 0))
