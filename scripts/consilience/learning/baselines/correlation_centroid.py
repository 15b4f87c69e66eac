"""The mean profile with which a sample correlates better."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from consilience.learning.baselines.baseline import Baseline
from consilience.learning.baselines.preparing import checked

if TYPE_CHECKING:
    import numpy.typing as npt

    from consilience.learning.baselines.preparing import Floats


def fit_predict(
    train: npt.NDArray[np.floating],
    labels: npt.NDArray[np.bool_],
    test: npt.NDArray[np.floating],
    seed: int,
) -> Floats:
    """½ + ¼ (correlation with the positive mean − with the negative) (m,); ranks only.

    Genes are centred midway between the two kinds, so that which of them is rarer does not matter.
    """
    x, query = checked(train, labels, test)
    one, other = x[labels].mean(axis=0), x[~labels].mean(axis=0)
    middle = 0.5 * (one + other)
    unit = _unit(query - middle)
    return np.asarray(0.5 + 0.25 * unit @ (_unit(one - middle) - _unit(other - middle)))


def _unit(profiles: Floats) -> Floats:
    """Profiles (…, genes) less their mean, of length 1; flat ones stay zero."""
    centred = profiles - profiles.mean(axis=-1, keepdims=True)
    length = np.sqrt((centred**2).sum(axis=-1, keepdims=True))
    return np.asarray(centred / np.where(length > 0, length, 1.0))


BASELINE = Baseline(
    key="correlation_centroid",
    title="Nearest centroid by correlation",
    reference="van 't Veer LJ, et al. Nature 415:530, 2002 (correlation with a mean profile)",
    doi="10.1038/415530a",
    assumes="The shape of a profile tells its kind, not its size.",
    limits="Genes that vary most decide; few genes make correlations rough.",
    probability=False,
    fit_predict=fit_predict,
)
