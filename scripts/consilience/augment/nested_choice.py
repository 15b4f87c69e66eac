"""A generator that is chosen among several by what helps, anew in every training set and within it.

To choose on all patients and then to test on some of them would be choosing by the test. Used as a maker, the
choice is part of the fit: `utility` hands it training donors, it splits those, and refits what it chose to
all of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from consilience.augment.makers import Draw, Maker, fresh_seed
from consilience.augment.utility import utility
from consilience.foundation.errors import ModelError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from consilience.augment.generators.generator import Drawn
    from consilience.learning.samples import Samples


@dataclass(frozen=True)
class ChosenDraw:
    """Draws from the generator `key`; `scores`: mean AUC of each candidate on the inner held-out donors."""

    key: str
    scores: Mapping[str, float]
    draw: Draw

    def __call__(self, labels: npt.NDArray[np.str_], seed: int) -> Drawn:
        """As `Draw`."""
        return self.draw(labels, seed)


def chosen_within(
    makers: Mapping[str, Maker],
    *,
    protocol: Literal["tstr", "augmented"] = "augmented",
    classifier: str = "logistic_ridge",
    n_splits: int = 3,
    test_share: float = 0.3,
    fold: int = 1,
) -> Maker:
    """A maker that takes the candidate of best mean AUC over inner splits; of equals the first given."""

    def make(samples: Samples, seed: int) -> ChosenDraw:
        inner = utility(
            samples, makers, classifiers=(classifier,), sizes=(), n_splits=n_splits, test_share=test_share,
            fold=fold, seed=fresh_seed(seed, "inner choice"),
        )  # fmt: skip
        asked = inner[(inner["protocol"] == protocol) & inner["auc"].notna()]
        found = asked.groupby("generator")["auc"].mean()
        scores = {key: float(found[key]) for key in makers if key in found.index}
        if not scores:
            raise ModelError(
                "none of the generators could be judged within the training donors",
                value=", ".join(makers),
                mend="more donors of each class are needed, or another generator",
            )
        best = max(scores, key=lambda key: scores[key])
        return ChosenDraw(best, scores, makers[best](samples, fresh_seed(seed, "chosen fit", best)))

    return make
