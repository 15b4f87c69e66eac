"""The package doubleml for one gene, with given folds: a check on the estimates here, slow."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from consilience.foundation.errors import ConfigError

if TYPE_CHECKING:
    import numpy.typing as npt

    from consilience.causal.dml.donor_scores import DonorScores

    Floats = npt.NDArray[np.float64]

SCORES = {"partialling_out": "partialling out", "iv_type": "IV-type"}


@dataclass(frozen=True)
class BackendResult:
    """What doubleml says of one gene.

    `theta`, `se`, `p` (normal), clustered by donor where asked for; `scores` of donors (m, 1) that its
    predictions make.
    """

    theta: float
    se: float
    p: float
    scores: DonorScores


def doubleml_effect(
    *, outcome: Floats, treatment: Floats, confounders: Floats, donor: npt.NDArray[np.intp],
    folds: npt.NDArray[np.intp], learner: Any = None, score: str = "partialling_out", clustered: bool = True,
) -> BackendResult:  # fmt: skip
    """DoubleMLPLR of `outcome` (n,) on `treatment` (n,) given `confounders` (n, p).

    `donor` (n,) numbers 0 … m - 1, `folds` (m,) fold of each donor, `learner` of scikit-learn for all
    nuisances (default: Ridge(1.0)).
    """
    if score not in SCORES:
        raise ConfigError("no such score", value=score, allowed=", ".join(SCORES))
    if score == "iv_type" and set(np.unique(outcome)) <= {0.0, 1.0}:
        raise ConfigError("doubleml has no IV-type score for outcomes of 0 and 1", where="doubleml backend",
                          mend="give twice the outcome and halve the effect")  # fmt: skip
    import doubleml  # type: ignore[import-untyped]
    from sklearn.base import clone
    from sklearn.linear_model import Ridge

    learner = Ridge(alpha=1.0) if learner is None else learner
    data = doubleml.DoubleMLData.from_arrays(
        confounders, outcome, treatment, cluster_vars=donor if clustered else None
    )
    parts = {"ml_l": clone(learner), "ml_m": clone(learner)}
    if score == "iv_type":
        parts["ml_g"] = clone(learner)
    model = doubleml.DoubleMLPLR(
        data, **parts, n_folds=int(folds.max()) + 1, score=SCORES[score], draw_sample_splitting=False
    )
    cells, named = folds[donor], np.arange(folds.size)
    splits = [(np.flatnonzero(cells != k), np.flatnonzero(cells == k)) for k in range(int(folds.max()) + 1)]
    if clustered:
        by_donor = [((named[folds != k],), (named[folds == k],)) for k in range(int(folds.max()) + 1)]
        model.set_sample_splitting(splits, all_smpls_cluster=[by_donor])
    else:
        model.set_sample_splitting(splits)
    model.fit(store_predictions=True)
    scores = _scores(model, score, outcome=outcome, treatment=treatment, donor=donor, folds=folds)
    return BackendResult(float(model.coef[0]), float(model.se[0]), float(model.pval[0]), scores)


def _scores(
    model: Any, score: str, *, outcome: Floats, treatment: Floats, donor: npt.NDArray[np.intp],
    folds: npt.NDArray[np.intp],
) -> DonorScores:  # fmt: skip
    """Sums of doubleml's residuals within donors."""
    from consilience.causal.dml.donor_scores import DonorScores

    v = treatment - model.predictions["ml_m"].reshape(-1)
    u = outcome - model.predictions["ml_l"].reshape(-1)
    left = u if score == "partialling_out" else outcome - model.predictions["ml_g"].reshape(-1)

    def sums(values: Floats) -> Floats:
        made: Floats = np.bincount(donor, weights=values, minlength=folds.size).astype(np.float64)
        return made

    return DonorScores(
        b=sums(v * left)[:, None], a=sums(v * (v if score == "partialling_out" else treatment))[:, None],
        folds=folds, cells=np.bincount(donor, minlength=folds.size), squared_residuals=sums(v**2)[:, None],
        treatment_total=np.array([((treatment - treatment.mean()) ** 2).sum()]), outcome_residuals=sums(u**2),
        outcome_total=float(((outcome - outcome.mean()) ** 2).sum()),
    )  # fmt: skip
