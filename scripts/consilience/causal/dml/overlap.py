"""Whether cells that express a gene and cells that do not can be compared.

Propensities, trimming, R² out of fold.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import numpy as np

from consilience.foundation.errors import ConfigError

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

TRIM = 0.01
"""Propensities nearer than this to 0 or 1 are cut back to it (as DoubleML)."""
POOR_SHARE = 0.1
FLAGS = {"poor_overlap": f"more than {POOR_SHARE:.0%} of the propensities are beyond the trimming threshold"}


@dataclass(frozen=True)
class Overlap:
    """Of n propensities.

    `least`, `low` (5 %), `middle`, `high` (95 %), `most`; `trimmed` beyond the threshold; `effective` share
    of cells that inverse weighting leaves (Kish), the worse of both arms; `auc` of the propensity.
    """

    least: float
    low: float
    middle: float
    high: float
    most: float
    trimmed: float
    effective: float
    auc: float

    @property
    def flag(self) -> str:
        """A word of FLAGS or ""."""
        return "poor_overlap" if self.trimmed > POOR_SHARE else ""

    def record(self) -> dict[str, float]:
        """For JSON."""
        return asdict(self)


def trimmed(propensity: Floats, *, threshold: float = TRIM) -> Floats:
    """Propensities cut back to threshold … 1 - threshold; NaN stays."""
    if not 0 <= threshold < 0.5:
        raise ConfigError("no such trimming threshold", value=threshold, allowed="0 or more, below 0.5")
    return np.clip(propensity, threshold, 1 - threshold)


def overlap(*, propensity: Floats, treated: npt.NDArray[np.bool_], threshold: float = TRIM) -> Overlap:
    """Summary of propensities (n,) of being `treated` (n,)."""
    from consilience.measures.ranking import auc

    cut = trimmed(propensity, threshold=threshold)
    shares = []
    for arm, chance in ((treated, cut), (~treated, 1 - cut)):
        weights = 1.0 / np.maximum(chance[arm], 1e-12)
        shares.append(
            float(weights.sum() ** 2 / (weights.size * (weights**2).sum())) if weights.size else 0.0
        )
    least, low, middle, high, most = np.quantile(propensity, [0.0, 0.05, 0.5, 0.95, 1.0]).tolist()
    both = bool(treated.any() and not treated.all())
    return Overlap(
        least=least, low=low, middle=middle, high=high, most=most,
        trimmed=float((propensity != cut).mean()), effective=min(shares),
        auc=float(auc(propensity, treated)) if both else float("nan"),
    )  # fmt: skip


def out_of_fold_r2(values: Floats, predicted: Floats) -> Floats:
    """1 - Σ (value - prediction)² / Σ (value - mean)² of each column (G,); NaN for a constant column."""
    total = ((values - values.mean(axis=0)) ** 2).sum(axis=0)
    left = ((values - predicted) ** 2).sum(axis=0)
    return np.where(total > 0, 1.0 - left / np.where(total > 0, total, 1.0), np.nan)
