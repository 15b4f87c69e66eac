"""What a table of usefulness says: means over splits, differences from real samples alone, and claims.

Splits of one cohort share patients, so their figures are not independent, and Student's interval of their
mean is too narrow by far. The variance of the mean is therefore taken as (1/J + n_test / n_train) s² (Nadeau
and Bengio), which counts what the training sets share. Where that interval of a difference contains 0, no
claim is made.

References
----------
Nadeau C, Bengio Y. Machine Learning 52:239, 2003. Bouckaert RR, Frank E. PAKDD 2004, LNAI 3056:3.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from consilience.augment.judging import REAL_TRAIN
from consilience.augment.utility import MEASURES
from consilience.foundation.errors import DataError

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd

LEAST_SPLITS = 5
"""Splits below which no claim is made."""
GAIN, LOSS, NO_CLAIM = "gain", "loss", "no claim"
LESS_IS_BETTER = ("brier",)
COLUMNS = (
    "generator", "protocol", "classifier", "n_per_class", "measure", "mean", "low", "high", "n_splits",
    "difference", "difference_low", "difference_high", "p", "claim",
    "over_twice", "over_twice_low", "over_twice_high", "over_twice_claim",
)  # fmt: skip
KEYS = ["generator", "protocol", "classifier", "n_per_class"]


@dataclass(frozen=True, slots=True)
class SplitMean:
    """Mean over J splits with the corrected interval and two-sided p-value of being 0.

    The interval is NaN for one split, and where all splits give the same figure (unless it is 0).
    """

    mean: float
    low: float
    high: float
    p: float
    n_splits: int

    def claim(self, *, less_is_better: bool = False) -> str:
        """`gain` or `loss` where the interval leaves 0 out, `no claim` elsewhere and with few splits."""
        if self.n_splits < LEAST_SPLITS or not (self.low > 0 or self.high < 0):
            return NO_CLAIM
        return GAIN if (self.low > 0) != less_is_better else LOSS


def split_mean(
    values: npt.NDArray[np.floating], *, test_ratio: float, level: float = 0.95
) -> SplitMean:  # fmt: skip
    """Mean of `values` (J,), one per repeated split that holds out `test_ratio` = n_test / n_train."""
    from scipy.stats import t

    if not 0 < level < 1 or not test_ratio >= 0:
        raise DataError("level and share of the test are out of range", value=f"{level}, {test_ratio}")
    nan = float("nan")
    n = len(values)
    if n == 0:
        return SplitMean(nan, nan, nan, nan, 0)
    mean = float(np.mean(values))
    if n == 1:
        return SplitMean(mean, nan, nan, nan, 1)
    spread = float(np.std(values, ddof=1))
    # the same difference in every split is rounding or a coarse measure, not a sure thing
    if mean != 0 and spread < 1e-9:
        return SplitMean(mean, nan, nan, nan, n)
    error = float(np.sqrt(1 / n + test_ratio)) * spread
    reach = float(t.ppf(0.5 + level / 2, n - 1)) * error
    p = float(2 * t.sf(abs(mean) / error, n - 1)) if error > 0 else float(mean == 0)
    return SplitMean(mean, mean - reach, mean + reach, p, n)


def summarised(table: pd.DataFrame, *, level: float = 0.95) -> pd.DataFrame:
    """One row per generator, protocol, classifier, size and measure of a table of `utility`.

    `difference`: from `trtr` in the same splits; `over_twice`: from the real samples repeated, the fair
    control for `augmented` (NaN for `trtr` and `twice`). Positive Brier differences are losses.
    """
    import pandas as pd

    real = table[table["generator"] == REAL_TRAIN]
    controls = {
        name: real[real["protocol"] == name].set_index(["classifier", "n_per_class", "split"]).sort_index()
        for name in ("trtr", "twice")
    }
    rows: list[dict[str, Any]] = []
    for key, group in table.groupby(KEYS, sort=True):
        named = dict(zip(KEYS, key, strict=True))
        found = group.set_index("split")
        for measure in MEASURES:
            against = {name: _matching(control, named, measure) for name, control in controls.items()}
            rows.append(named | _one(found, measure, against, str(named["protocol"]), level))
    return pd.DataFrame(rows, columns=list(COLUMNS))


def _matching(control: pd.DataFrame, named: dict[str, Any], measure: str) -> pd.Series[Any]:
    """The control's figures by split, of the same classifier and size."""
    place = (named["classifier"], named["n_per_class"])
    if not len(control) or place not in control.index.droplevel("split"):
        return control[measure].iloc[:0].droplevel([0, 1])
    found: pd.Series[Any] = control.loc[place, measure]
    return found


def _one(
    found: pd.DataFrame, measure: str, against: dict[str, pd.Series[Any]], protocol: str, level: float
) -> dict[str, Any]:
    ratio = float(found["test_ratio"].mean())
    values = found[measure]
    mean = split_mean(values.dropna().to_numpy(), test_ratio=ratio, level=level)
    gaps = {
        name: split_mean((values - control).dropna().to_numpy(), test_ratio=ratio, level=level)
        for name, control in against.items()
    }
    nan = float("nan")
    nothing = SplitMean(nan, nan, nan, nan, 0)
    plain = nothing if protocol == "trtr" else gaps["trtr"]
    twice = gaps["twice"] if protocol in ("augmented", "tstr") else nothing
    less = measure in LESS_IS_BETTER
    return {
        "measure": measure, "mean": mean.mean, "low": mean.low, "high": mean.high, "n_splits": mean.n_splits,
        "difference": plain.mean, "difference_low": plain.low, "difference_high": plain.high, "p": plain.p,
        "claim": plain.claim(less_is_better=less) if plain.n_splits else "",
        "over_twice": twice.mean, "over_twice_low": twice.low, "over_twice_high": twice.high,
        "over_twice_claim": twice.claim(less_is_better=less) if twice.n_splits else "",
    }  # fmt: skip
