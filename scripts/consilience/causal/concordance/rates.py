"""False discovery rates over cell types."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]


def false_discovery_rates(p: Floats, *, correction: str) -> Floats:
    """`bh` (Benjamini and Hochberg 1995) or `by` (Benjamini and Yekutieli 2001: any dependence)."""
    from consilience.learning.differential.method import benjamini_hochberg

    found = benjamini_hochberg(p)
    if correction == "by":
        known = int(np.isfinite(p).sum())
        found = np.minimum(found * (1.0 / np.arange(1, known + 1)).sum(), 1.0)
    return found


def simes(p: Floats) -> float:
    """One p for all (Simes 1986): valid for independent tests and those that lean the same way."""
    known = np.isfinite(p)
    return float(false_discovery_rates(p, correction="bh")[known].min()) if known.any() else float("nan")
