"""Markers against what was planted: whether the ranking is right, and the signs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from consilience.foundation.errors import DataError
from consilience.measures.ranking import average_precision

if TYPE_CHECKING:
    import numpy.typing as npt


@dataclass(frozen=True)
class Recovery:
    """How well planted features are found.

    `auprc` average precision of |score|, `chance` its value for a random order (share of planted genes),
    `sign_accuracy` share of planted genes whose sign is right, `sign_accuracy_top` the same among those
    within the first `n_planted` ranks; `n_planted`, `n_genes`; `false_share` and `power` of what was called
    (NaN when nothing was).
    """

    auprc: float
    chance: float
    sign_accuracy: float
    sign_accuracy_top: float
    n_planted: int
    n_genes: int
    n_called: int
    false_share: float
    power: float


def recovery(
    *,
    features: Sequence[str],
    effect: npt.NDArray[np.float64],
    truth: Mapping[str, float],
    score: npt.NDArray[np.float64] | None = None,
    fdr: npt.NDArray[np.float64] | None = None,
    level: float = 0.05,
) -> Recovery:
    """Compare signed `effect` (F,) with planted effects by name (0: not planted).

    Features are ranked by `score` (F,; |effect| without it); features without a truth are left out.
    """
    known = np.array([name in truth for name in features])
    planted = np.array([truth.get(name, 0.0) for name in features])[known]
    is_planted = planted != 0
    if not is_planted.any() or is_planted.all():
        raise DataError("nothing to compare with: some features must be planted and some not",
                        value=f"{int(is_planted.sum())} planted of {planted.size}")  # fmt: skip
    signed = effect[known]
    rank = np.abs(signed) if score is None else score[known]
    right = np.sign(signed) == np.sign(planted)
    first = np.zeros(planted.size, dtype=bool)
    first[np.argsort(-rank, kind="stable")[: int(is_planted.sum())]] = True
    top = is_planted & first
    called = np.zeros(planted.size, dtype=bool) if fdr is None else fdr[known] <= level
    n_called = int(called.sum())
    return Recovery(
        auprc=average_precision(rank, is_planted),
        chance=float(is_planted.mean()),
        sign_accuracy=float(right[is_planted].mean()),
        sign_accuracy_top=float(right[top].mean()) if top.any() else float("nan"),
        n_planted=int(is_planted.sum()),
        n_genes=planted.size,
        n_called=n_called,
        false_share=float((called & ~is_planted).sum() / n_called) if n_called else float("nan"),
        power=float((called & is_planted).sum() / is_planted.sum()) if fdr is not None else float("nan"),
    )
