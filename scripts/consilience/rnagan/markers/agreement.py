"""Do attributions agree? And one effect and one rank out of several."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt


@dataclass(frozen=True)
class Consensus:
    """One answer out of several attributions.

    `effect` (F,) mean of the attributions' effects, `rank` (F,) mean rank of |effect| scaled to (0, 1] with
    1 the strongest, `agreement` (F,) share of attributions with the consensus' sign (0 where effect is 0).
    """

    effect: npt.NDArray[np.float64]
    rank: npt.NDArray[np.float64]
    agreement: npt.NDArray[np.float64]


def consensus(effects: npt.NDArray[np.float64]) -> Consensus:
    """Combine effects (attributions, F)."""
    from scipy.stats import rankdata

    effect = effects.mean(axis=0)
    ranks = rankdata(np.abs(effects), axis=1) / max(1, effects.shape[1])
    same = (np.sign(effects) == np.sign(effect)) & (effect != 0)
    return Consensus(effect, ranks.mean(axis=0), same.mean(axis=0))


def pairwise_agreement(
    effects: npt.NDArray[np.float64], names: tuple[str, ...], *, top: int
) -> list[dict[str, Any]]:
    """Rank correlation of effects, and sign agreement and overlap of the `top` features, for each pair.

    The correlation is null where one of both is constant.
    """
    from scipy.stats import rankdata

    found = []
    for first in range(len(names)):
        for second in range(first + 1, len(names)):
            a, b = effects[first], effects[second]
            varies = np.ptp(a) > 0 and np.ptp(b) > 0
            rho = float(np.corrcoef(rankdata(a), rankdata(b))[0, 1]) if varies else None
            best = [set(strongest(effect, top).tolist()) for effect in (a, b)]
            either = sorted(best[0] | best[1])
            found.append({
                "first": names[first],
                "second": names[second],
                "rank_correlation": rho,
                "sign_agreement": float((np.sign(a) == np.sign(b))[either].mean()) if either else None,
                "overlap": len(best[0] & best[1]) / max(1, len(either)),
            })  # fmt: skip
    return found


def strongest(effect: npt.NDArray[np.float64], top: int) -> npt.NDArray[np.intp]:
    """Places of the `top` largest |effect| that are not 0 (at most top,); ties go to the first."""
    order = np.argsort(-np.abs(effect), kind="stable")[:top]
    return np.asarray(order[effect[order] != 0])
