"""A linear support vector machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from consilience.learning.baselines.baseline import Baseline
from consilience.learning.baselines.preparing import checked, pareto_scaled, rotated, squashed

if TYPE_CHECKING:
    import numpy.typing as npt

    from consilience.learning.baselines.preparing import Floats

COST = 1.0
"""C of the machine, samples scaled to mean squared length 1."""


def fit_predict(
    train: npt.NDArray[np.floating],
    labels: npt.NDArray[np.bool_],
    test: npt.NDArray[np.floating],
    seed: int,
) -> Floats:
    """Side of and distance from the widest margin (m,); ranks only."""
    from sklearn.svm import SVC

    x, query = rotated(*pareto_scaled(*checked(train, labels, test)))
    machine = SVC(kernel="linear", C=COST, class_weight="balanced", tol=1e-8)
    machine.fit(x, labels)
    return squashed(np.asarray(machine.decision_function(query)), among=machine.decision_function(x))


BASELINE = Baseline(
    key="linear_svm",
    title="Linear support vector machine",
    reference="Cortes C, Vapnik V. Mach Learn 20:273, 1995; Furey TS, et al. Bioinformatics 16:906, 2000",
    doi="10.1007/BF00994018",
    assumes="A hyperplane with a wide margin parts the kinds.",
    limits="Rests on the samples near the margin, which are few.",
    probability=False,
    fit_predict=fit_predict,
)
