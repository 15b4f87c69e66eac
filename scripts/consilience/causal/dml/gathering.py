"""One estimate from several divisions into folds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]

Rule = Literal["upper_bound", "spread"]
QUANTILE = 1.96


def gather(theta: Floats, se: Floats, *, rule: Rule = "upper_bound") -> tuple[Floats, Floats]:
    """Median effect and its standard error (G,) over repeats; `theta`, `se` (repeats, G).

    "upper_bound": from the median upper 95 % bound, as DoubleML since 0.10; "spread": √ median (se² + (θ -
    median)²), as before and in Chernozhukov V et al. Econom J 21:C1, 2018, definition 3.3.
    """
    middle = np.median(theta, axis=0)
    if rule == "spread":
        return middle, np.sqrt(np.median(se**2 + (theta - middle) ** 2, axis=0))
    return middle, (np.median(theta + QUANTILE * se, axis=0) - middle) / QUANTILE
