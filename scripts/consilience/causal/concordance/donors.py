"""The cell side drawn anew: how far the agreement depends on who the donors are.

The same few donors stand behind all genes. Genes of one program move together in them, so by chance alone a
program may differ between patients and controls, and when the trait's genes are of that program, the two
sides seem to agree (or to disagree). No dealing of genes shows this; what each donor adds does: with the
population side as it is, the covariance c = Σ (x - mean x) y over genes is one number, a sum over donors, its
variance holds all correlation between genes, and c / se is a t with the donors' degrees of freedom. The
covariance and not r is tested because it is linear in the donors; r is bounded, and its error too small just
where chance has made it large.

Double machine learning tells each donor's part of the error of each effect ("pull"; dml/pulls.py), and the
parts of c are sums of them over genes. Tables without pulls are left with the jackknife over estimates
without each donor. It is never too small on average (Efron and Stein), but where nuisances are cross-fitted
among a dozen donors the variance is twice too large, since without a donor the nuisances of all folds differ.

References
----------
Efron B, Stein C. The jackknife estimate of variance. Annals of Statistics 1981, 9:586.
Cameron AC, Gelbach JB, Miller DL. Robust inference with multiway clustering. J Bus Econ Stat 2011, 29:238.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from consilience.causal.concordance.correlations import pearson

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Numbers = npt.NDArray[np.intp]

LEAST_DONORS = 5
LEAST_GENES = 5
SPENT = 3
"""Degrees of freedom: two arms, and one more because each gene's scale is estimated from the same donors
(with m - 2, 7 % of nulls were rejected at 6, 8 and 12 donors)."""


@dataclass(frozen=True)
class DonorTest:
    """`p` two-sided, `df`; `r` (m,) correlations without each donor in turn; `n_genes` that all of them have.

    `widening`: by what an interval from resampled blocks must be stretched to hold the donors' part too;
    `shared_noise`: share of the cell side's noise that all genes have in common (it moves no correlation).
    """

    p: float
    df: float
    r: Floats
    n_genes: int
    widening: float
    shared_noise: float


def donor_test(
    *, x: Floats, y: Floats, left_out: Floats, block: Numbers, df: float = float("inf"),
    score: Floats | None = None, parts: Floats | None = None,
) -> DonorTest | None:  # fmt: skip
    """Test x, y (g,) with y estimated without each donor, `left_out` (m, g); None where that cannot be.

    Genes that cannot be estimated without some donor do not count. `df`: degrees of freedom of the estimates
    of y, where they are fewer than donors - 2; the test has one less. `score` (g,) and `parts` (donors, g) as
    in `left_out.LeftOut`: their sums take the place of the jackknife.
    """
    used = np.isfinite(left_out).all(axis=0) & np.isfinite(x) & np.isfinite(y)
    if score is not None and parts is not None:
        used &= np.isfinite(score) & np.isfinite(parts).all(axis=0)
    x, y, left_out, block = x[used], y[used], left_out[:, used], block[used]
    m, n = left_out.shape
    r = pearson(x, y) if n >= LEAST_GENES else float("nan")
    if m < LEAST_DONORS or not np.isfinite(r):
        return None
    from scipy import stats

    if score is None or parts is None:
        tested, delta = y, np.sqrt((m - 1) / m) * (left_out - left_out.mean(axis=0))
    else:
        tested, delta = score[used], parts[:, used]
    centred = x - x.mean()
    variance = float(((delta @ centred) ** 2).sum())
    freedom = float(min(m - SPENT, df - 1))
    if not variance > 0 or freedom < 1:
        return None
    common = float((delta.mean(axis=1) ** 2).sum() / (delta**2).sum(axis=0).mean())
    return DonorTest(
        p=float(2 * stats.t.sf(abs(float(centred @ tested)) / np.sqrt(variance), freedom)),
        df=freedom,
        r=np.array([pearson(x, row) for row in left_out]),
        n_genes=n,
        widening=_widening(x, y, r, delta, block, freedom),
        shared_noise=min(common, 0.95),
    )


def _widening(x: Floats, y: Floats, r: float, delta: Floats, block: Numbers, freedom: float) -> float:
    """Root of (blocks + donors - both) / blocks: two-way clustered variance of r; and a t for few donors."""
    from scipy import stats

    n = len(x)
    zx, zy = (x - x.mean()) / x.std(), (y - y.mean()) / y.std()
    _, place = np.unique(block, return_inverse=True)
    own = np.bincount(place, weights=(zx * zy - r * (zx**2 + zy**2) / 2) / n)
    # at no correlation: the gradient of r itself shrinks where chance has made r large
    slope = zx / (n * y.std())
    cell = np.stack([np.bincount(place, weights=slope * (row - row.mean())) for row in delta])
    blocks, donors, both = float(own @ own), float((cell.sum(axis=1) ** 2).sum()), float((cell**2).sum())
    if not blocks > 0:
        return 1.0
    # what the donors' parts have too much is in donors and in both: the sum must not fall below either part
    whole = max(blocks, donors, blocks + donors - both)
    satterthwaite = whole**2 / (blocks**2 / max(len(own) - 1, 1) + (whole - blocks) ** 2 / freedom)
    return float(np.sqrt(whole / blocks) * stats.t.ppf(0.975, satterthwaite) / stats.norm.ppf(0.975))
