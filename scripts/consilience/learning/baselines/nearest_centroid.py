"""The nearer of two mean profiles."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from consilience.learning.baselines.baseline import Baseline
from consilience.learning.baselines.preparing import checked, squashed

if TYPE_CHECKING:
    import numpy.typing as npt

    from consilience.learning.baselines.preparing import Floats


def fit_predict(
    train: npt.NDArray[np.floating],
    labels: npt.NDArray[np.bool_],
    test: npt.NDArray[np.floating],
    seed: int,
) -> Floats:
    """How much nearer (squared Euclidean distance) the positive mean profile is (m,); ranks only."""
    x, query = checked(train, labels, test)
    one, other = x[labels].mean(axis=0), x[~labels].mean(axis=0)
    weights, middle = one - other, 0.5 * (one + other)
    return squashed((query - middle) @ weights, among=(x - middle) @ weights)


BASELINE = Baseline(
    key="nearest_centroid",
    title="Nearest centroid",
    reference="Levner I. BMC Bioinformatics 6:68, 2005",
    doi="10.1186/1471-2105-6-68",
    assumes="Both kinds scatter equally in all genes around one mean profile.",
    limits="Genes that vary most decide; one kind made of several groups is blurred.",
    probability=False,
    fit_predict=fit_predict,
)
