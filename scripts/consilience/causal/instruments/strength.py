"""F statistics: of a variant, and of all of a gene's variants together."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]


def variant_f(effect: Floats, people: Floats) -> Floats:
    """F of each variant alone (m,): z², from standardised effects."""
    return np.asarray(effect**2 * people)


def joint_f(*, effect: Floats, ld: Floats, people: float) -> float:
    """F of a gene's n variants together: R² = e' C⁻¹ e of expression, with its degrees of freedom.

    Not finite where R² is not below 1 (effects and LD do not fit).
    """
    n = len(effect)
    explained = float(effect @ np.linalg.lstsq(ld, effect, rcond=None)[0])
    if not 0 <= explained < 1 or people <= n + 1:
        return float("nan")
    return explained / (1 - explained) * (people - n - 1) / n
