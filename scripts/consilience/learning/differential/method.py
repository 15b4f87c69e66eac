"""What every method of differential expression takes and gives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from consilience.foundation.errors import DataError

if TYPE_CHECKING:
    import numpy.typing as npt

LEAST_DONORS = 2
"""Donors of each kind below which there is no spread to compare a difference with."""


@dataclass(frozen=True)
class Differential:
    """One answer per gene; all arrays (genes,).

    `effect` in the method's own unit (see its `effect_is`), positive where the positive kind has more;
    `statistic`; `p` two-sided; `fdr` Benjamini-Hochberg. A gene that cannot be tested (it never varies) has
    effect 0, statistic 0, p 1 and fdr 1, and does not count among the tests.
    """

    effect: npt.NDArray[np.float64]
    statistic: npt.NDArray[np.float64]
    p: npt.NDArray[np.float64]
    fdr: npt.NDArray[np.float64]


@dataclass(frozen=True)
class DifferentialMethod:
    """A method and what must be known to use it.

    `run(values=, positive=, batches=)`: values (n, G) one row per donor and kind, on the scale that `needs`
    names; positive (n,) bool; batches (n,) integer codes.
    """

    name: str
    label: str
    doi: str
    needs: Literal["log", "counts"]
    effect_is: str
    assumptions: str
    limits: str
    run: Callable[..., Differential]


def check_two_kinds(
    values: npt.NDArray[np.floating], positive: npt.NDArray[np.bool_], *, least: int = LEAST_DONORS
) -> None:
    """Refuse what cannot be compared: one kind only, too few donors, NaN."""
    counts = int(positive.sum()), int((~positive).sum())
    if min(counts) < least:
        raise DataError(
            "too few donors to compare two kinds",
            value=f"{counts[0]} of the positive kind, {counts[1]} of the other",
            allowed=f"at least {least} donors of each kind",
            mend="add donors, or choose another positive level or label column",
        )
    if not np.isfinite(values).all():
        raise DataError(
            "some values are not numbers (NaN or infinite)",
            value=f"{int((~np.isfinite(values)).sum())} values",
            mend="leave those genes out, or measure them in every sample",
        )


def design_matrix(positive: npt.NDArray[np.bool_], batches: npt.NDArray[np.intp]) -> npt.NDArray[np.float64]:
    """Columns (n, 1 + batches): kind (0/1), then one indicator per batch (which holds the intercept).

    Refused when kind and batch cannot be told apart.
    """
    levels = np.unique(batches)
    indicators = (batches[:, None] == levels[None, :]).astype(np.float64)
    design = np.column_stack([positive.astype(np.float64), indicators])
    if np.linalg.matrix_rank(design) < design.shape[1]:
        raise DataError(
            "kinds and batches coincide: no batch holds donors of both kinds, so a difference between kinds "
            "cannot be told from one between batches",
            mend="leave the batch column out only if you know that batches do not differ",
        )
    if len(design) <= design.shape[1]:
        raise DataError("too few donors for so many batches",
                        value=f"{len(design)} donors, {len(levels)} batches",
                        allowed=f"at least {design.shape[1] + 1} donors")  # fmt: skip
    return design


def benjamini_hochberg(
    p: npt.NDArray[np.float64], *, tested: npt.NDArray[np.bool_] | None = None
) -> npt.NDArray[np.float64]:
    """False discovery rates (genes,) of p-values (Benjamini and Hochberg 1995).

    Genes that were not `tested` get 1 and do not count; a NaN p-value stays NaN and does not count.
    """
    known = np.isfinite(p) if tested is None else np.isfinite(p) & tested
    fdr = np.where(np.isnan(p), np.nan, 1.0)
    order = np.argsort(p[known], kind="stable")
    m = order.size
    if m:
        scaled = p[known][order] * m / np.arange(1, m + 1)
        adjusted = np.empty(m)
        adjusted[order] = np.minimum(np.minimum.accumulate(scaled[::-1])[::-1], 1.0)
        fdr[known] = adjusted
    return fdr


def differential(
    *,
    effect: npt.NDArray[np.float64],
    statistic: npt.NDArray[np.float64],
    p: npt.NDArray[np.float64],
    tested: npt.NDArray[np.bool_],
) -> Differential:
    """Put an answer together; genes that were not tested are neutral."""
    p = np.where(tested, np.clip(p, np.finfo(np.float64).tiny, 1.0), 1.0)
    return Differential(
        effect=np.where(tested, effect, 0.0),
        statistic=np.where(tested, statistic, 0.0),
        p=p,
        fdr=benjamini_hochberg(p, tested=tested),
    )
