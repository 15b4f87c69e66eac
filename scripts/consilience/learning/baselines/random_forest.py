"""A vote of decision trees, each grown on a resample."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from consilience.foundation.seeds import stream
from consilience.learning.baselines.baseline import Baseline
from consilience.learning.baselines.preparing import checked

if TYPE_CHECKING:
    import numpy.typing as npt

    from consilience.learning.baselines.preparing import Floats

TREES = 300


def fit_predict(
    train: npt.NDArray[np.floating],
    labels: npt.NDArray[np.bool_],
    test: npt.NDArray[np.floating],
    seed: int,
) -> Floats:
    """Share of the trees' votes for the positive kind (m,)."""
    from sklearn.ensemble import RandomForestClassifier

    x, query = checked(train, labels, test)
    # trees draw rows by place: in a fixed order of the rows their order as given cannot matter
    order = np.lexsort([labels, x.sum(axis=1)])
    forest = RandomForestClassifier(
        n_estimators=TREES,
        n_jobs=1,
        random_state=int(stream(seed, "random forest").integers(2**31)),
    )
    forest.fit(x[order].astype(np.float32), labels[order])
    votes: Floats = forest.predict_proba(query.astype(np.float32))[:, 1]
    return votes


BASELINE = Baseline(
    key="random_forest",
    title="Random forest",
    reference="Breiman L. Mach Learn 45:5, 2001",
    doi="10.1023/A:1010933404324",
    assumes="Thresholds on single genes, in combination, tell the kinds apart.",
    limits="With few samples each tree sees little; faint signal in many genes is missed.",
    probability=True,
    fit_predict=fit_predict,
)
