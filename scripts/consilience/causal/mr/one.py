"""One exposure given as arrays: what a notebook calls."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from consilience.causal.mr.estimate import MrResult, estimate_all
from consilience.causal.mr.instruments import Exposure
from consilience.foundation.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import ArrayLike


def mendelian_randomisation(
    method: str,
    *,
    b_exp: ArrayLike,
    se_exp: ArrayLike,
    b_out: ArrayLike,
    se_out: ArrayLike,
    ld: ArrayLike | None = None,
    n_exp: float = float("nan"),
    n_out: float = float("nan"),
    name: str = "",
    bootstraps: int = 1_000,
    seed: int = 0,
) -> MrResult:
    """Effect of an exposure on an outcome from n variants, effects of the same allele on both sides.

    `ld` (n, n) signed correlations (none: independent); `n_exp` and `n_out` people, for the direction.
    """
    columns = {"b_exp": b_exp, "se_exp": se_exp, "b_out": b_out, "se_out": se_out}
    given = {key: np.atleast_1d(np.asarray(value, dtype=np.float64)) for key, value in columns.items()}
    shape = given["b_exp"].shape
    matrix = np.eye(shape[0]) if ld is None else np.asarray(ld, dtype=np.float64)
    for key, values in given.items():
        if values.shape != shape or values.ndim != 1:
            raise DataError("not one number a variant", where=key, value=values.shape, allowed=str(shape))
        if key.startswith("se_") and (values < 0).any():
            row = int(np.flatnonzero(values < 0)[0])
            raise DataError(
                "a standard error is negative", where=f"{key}: variant {row + 1}", value=values[row],
                mend="were effects and standard errors swapped?",
            )  # fmt: skip
    if matrix.shape != (shape[0], shape[0]):
        raise DataError(
            "not one row and column a variant", where="ld", value=matrix.shape,
            allowed=str((shape[0], shape[0])),
        )  # fmt: skip
    one = Exposure(name, **given, ld=matrix, n_exp=n_exp, n_out=n_out)
    return estimate_all([one], [method], bootstraps=bootstraps, seed=seed)[0][0]
