"""Standard errors, degrees of freedom and p-values of effects that few donors carry.

Disease is constant within a donor, so all information lies between donors, and cells only sharpen each
donor's mean expression. Errors clustered by donor are too small with few donors, for three reasons:
residuals out of fold share the errors of the nuisances, so donors' scores are not independent; donors with
many cells dominate; and confounders use up donors. All three are known exactly when the nuisances are
linear in expression: the effect is then a contrast of the cells' expression, θ = Σ wᵢ Dᵢ, and the weights
hold outcomes, confounders and folds only.

What shrunk nuisances leave of the confounders is taken out of effect and contrast first. Given those,
expression varies by a donor's own level (variance σ_δ² in controls, another in cases) and a cell's own
noise (σ²). Both are measured on the residuals of least squares of expression on confounders and disease,
whose expected sums of squares are known. Under the null hypothesis θ²/V̂ is a ratio of quadratic forms in
normal variables, one of them of rank one; its distribution gives the factor and the degrees of freedom of a
plain t.

References
----------
Bell RM, McCaffrey DF. Survey Methodology 28:169, 2002. Imbens GW, Kolesár M. Rev Econ Stat 98:701, 2016
(degrees of freedom from the design). Satterthwaite FE. Biometrics Bulletin 2:110, 1946. Cameron AC, Miller
DL. J Hum Resour 50:317, 2015 (few clusters).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from consilience.causal.dml.quadratic_ratio import LEVEL, SINGULAR, student_of
from consilience.causal.dml.ridge_scores import Choice, choose
from consilience.causal.dml.ridge_solving import PENALTIES, solve_ridge

if TYPE_CHECKING:
    from collections.abc import Sequence

    import numpy.typing as npt

    from consilience.causal.dml.moments import Moments

    Floats = npt.NDArray[np.float64]
    Places = npt.NDArray[np.intp]

MIN_FREEDOM = 1.0
"""With fewer degrees of freedom nothing is said."""
GRID = 2.0
"""Noise ratios are rounded to powers of this, shares of cases to `SHARE_STEP`.

Genes alike share one design.
"""
SHARE_STEP = 0.05
FLAGS = {
    "few_donor_freedom": "confounders leave fewer than one degree of freedom between donors: no p-value",
    "no_variation": "expression does not vary between or within donors once confounders are out",
}


@dataclass(frozen=True)
class Contrast:
    """Effects as sums of weight × expression over cells, θ = Σ wᵢ Dᵢ, in m donors and G genes.

    `donors` (m, G) sums of the weights within donors, `squares` (G,) sums of squared weights,
    `confounders` (G, q - 1) Σ wᵢ xᵢ (the constant first): 0 where nothing was shrunk.
    """

    donors: Floats
    squares: Floats
    confounders: Floats


@dataclass(frozen=True)
class DonorTest:
    """For each gene (G,): `se`, `df`, `statistic` θ/se, `p` of θ = 0 and the 95 % interval `low` … `high`.

    They are those of the effect without what penalties left of the confounders (`without_confounders`),
    which is statistic·se and the middle of the interval. `between` and `within` are the variances of
    donors' levels (pooled) and of cells, `trouble` (G,) a word of FLAGS or "".
    """

    se: Floats
    df: Floats
    statistic: Floats
    p: Floats
    low: Floats
    high: Floats
    between: Floats
    within: Floats
    trouble: npt.NDArray[np.str_]


def ridge_contrast(moments: Moments, *, folds: Places, penalty: float | Choice | None = None) -> Contrast:
    """The contrast behind the partialling-out effect with ridge nuisances; arguments as `ridge_scores`.

    Donors of fold -1 have no weight. Residuals of expression in fold f subtract ridge predictions, which are
    sums over the cells of other folds: what these get is collected in `shares`.
    """
    used = np.flatnonzero(folds >= 0)
    fold = np.where(folds >= 0, np.searchsorted(np.unique(folds[used]), folds), -1)
    penalty = choose(moments, fold) if penalty is None else penalty
    n_folds, q, n_genes = int(fold.max()) + 1, moments.gram.shape[1] - 1, moments.squares.shape[1]
    weight = np.where(fold >= 0, 1.0 / np.bincount(fold[used], minlength=n_folds)[fold], 0.0)
    sums, squared = np.zeros((fold.size, q)), np.zeros(fold.size)
    shares = np.empty((n_folds, n_genes, q))
    for k in range(n_folds):
        gram = moments.gram[(fold >= 0) & (fold != k)].sum(0)
        held, mine = gram[:q, :q], fold == k
        grid = np.array(PENALTIES) * gram[0, 0] if isinstance(penalty, Choice) else np.array([penalty])
        of_outcome = penalty.outcome[k] if isinstance(penalty, Choice) else 0
        residual = np.append(-solve_ridge(held, gram[q:, :q], penalty=float(grid[of_outcome]))[0], 1.0)
        products = moments.gram[mine] @ residual
        sums[mine] = weight[mine, None] * products[:, :q]
        squared[mine] = weight[mine] ** 2 * (products @ residual)
        total = sums[mine].sum(0)[None]
        table = np.stack([solve_ridge(held, total, penalty=float(one))[0] for one in grid])
        shares[k] = table[penalty.treatment[k]] if isinstance(penalty, Choice) else table[0]
    everywhere = shares.sum(0)
    donors, squares = np.zeros((fold.size, n_genes)), np.full(n_genes, squared.sum())
    confounders = np.tile(sums.sum(0), (n_genes, 1))
    for k in range(n_folds):
        others, mine = everywhere - shares[k], fold == k
        donors[mine] = sums[mine, :1] - moments.gram[mine, 0, :q] @ others.T
        gram = moments.gram[mine].sum(0)[:q, :q]
        through = others @ gram
        squares += np.einsum("gq,gq->g", through, others) - 2 * others @ sums[mine].sum(0)
        confounders -= through
    return Contrast(donors, np.maximum(squares, 0.0), confounders)


def scaled(contrast: Contrast, denominator: Floats) -> Contrast:
    """The contrast of numerator / `denominator` (G,)."""
    with np.errstate(divide="ignore", invalid="ignore"):
        factor = np.where(denominator != 0, 1.0 / np.where(denominator != 0, denominator, 1.0), np.nan)
    return Contrast(
        contrast.donors * factor, contrast.squares * factor**2, contrast.confounders * factor[:, None]
    )


def mean_contrast(contrasts: Sequence[Contrast]) -> Contrast:
    """Of the mean effect over repeats. Squared weights are bounded by their mean (cells matter little)."""
    return Contrast(*(np.mean([getattr(one, name) for one in contrasts], axis=0)
                      for name in ("donors", "squares", "confounders")))  # fmt: skip


@dataclass(frozen=True)
class Residuals:
    """Least squares of G genes on q columns, seen in donors' means.

    `means` (m, G) mean residuals, `within` (G,) variance of residuals within donors, `maker` (m, m) takes
    donors' levels to mean residuals, `noise` (m, m) covariance of mean residuals per unit of `within`,
    `rank`.
    """

    means: Floats
    within: Floats
    maker: Floats
    noise: Floats
    rank: int


def without_confounders(moments: Moments, *, theta: Floats, contrast: Contrast) -> tuple[Floats, Contrast]:
    """Effects and contrast less what penalties left of the confounders in them.

    Shrunk nuisances leave Σ wᵢ xᵢ ≠ 0: confounders of donors, of which there are few values, get into the
    effect. The part is known up to the coefficients of expression on confounders; those of least squares
    remove it.
    """
    q = contrast.confounders.shape[1]
    inverse, _ = _inverse(moments.gram.sum(0)[:q, :q])
    through = contrast.confounders @ inverse
    left = np.einsum("gq,gq->g", through, moments.cross.sum(0)[:, :q])
    squares = contrast.squares - np.einsum("gq,gq->g", through, contrast.confounders)
    donors = contrast.donors - moments.gram[:, 0, :q] @ through.T
    return theta - left, Contrast(donors, np.maximum(squares, 0.0), np.zeros_like(contrast.confounders))


def _inverse(gram: Floats) -> tuple[Floats, int]:
    """Inverse of sums of products and their rank; columns that repeat others count once."""
    scale = 1.0 / np.sqrt(np.maximum(np.diag(gram), 1e-300))
    values, vectors = np.linalg.eigh(gram * np.outer(scale, scale))
    sound = values > SINGULAR * values[-1]
    root = vectors[:, sound] / np.sqrt(values[sound]) * scale[:, None]
    return root @ root.T, int(sound.sum())


def donor_residuals(moments: Moments) -> Residuals:
    """Residuals of expression on the constant, confounders and disease (columns that repeat others.

    Harmless).
    """
    cells = moments.cells.astype(np.float64)
    gram, cross = moments.gram.sum(0), moments.cross.sum(0)
    inverse, rank = _inverse(gram)
    coefficients = cross @ inverse
    sums = moments.gram[:, 0, :]
    averages = sums / cells[:, None]
    means = (moments.cross[:, :, 0] - sums @ coefficients.T) / cells[:, None]
    left = moments.squares.sum(0) - np.einsum("gq,gq->g", coefficients, cross)
    freedom = cells.sum() - cells.size - rank
    within = np.maximum(left - cells @ means**2, 0.0) / max(freedom, 1.0)
    through = averages @ inverse
    return Residuals(
        means=means, within=within, maker=np.eye(cells.size) - through @ sums.T,
        noise=np.diag(1.0 / cells) - through @ averages.T, rank=rank,
    )  # fmt: skip


def donor_test(
    moments: Moments, *, disease: npt.NDArray[np.floating], theta: Floats, contrast: Contrast,
    arms: bool = True, left: Residuals | None = None,
) -> DonorTest:  # fmt: skip
    """Test effects `theta` (G,) whose contrast is known; `disease` (m,) 0 or 1.

    `arms`: donors' levels may vary more among cases than among controls, or less. Donors without weight in
    the contrast still tell how much donors differ. `left`: residuals, where they are not `donor_residuals`.
    """
    left = donor_residuals(moments) if left is None else left
    theta, contrast = without_confounders(moments, theta=theta, contrast=contrast)
    cells = moments.cells.astype(np.float64)
    groups = [disease > 0.5, disease <= 0.5] if arms else [np.ones(cells.size, dtype=np.bool_)]
    freedom, noise = float((left.maker**2).sum()), float(np.trace(left.noise))
    total = (left.means**2).sum(0)
    between = np.maximum(total - left.within * noise, 0.0) / max(freedom, SINGULAR)
    ratio = noise_ratio(between=between, within=left.within)
    sound = (total > 0) & np.isfinite(theta) & np.isfinite(contrast.squares)
    trouble = np.where(sound, "", "no_variation").astype(object)
    made = {name: np.full(theta.size, np.nan) for name in ("se", "df")}
    # weights may also differ between cells of one donor: that part meets the noise of cells alone
    inside = left.within * np.maximum(contrast.squares - (contrast.donors**2 / cells[:, None]).sum(0), 0.0)
    if freedom < MIN_FREEDOM:
        trouble[sound], sound = "few_donor_freedom", np.zeros_like(sound)
    for one in np.unique(ratio[sound]):
        spread = 1.0 + one / cells
        wanted = np.stack([(contrast.donors[group] ** 2 * spread[group, None]).sum(0) for group in groups])
        forms = [quadratic_form(left.maker, spread, group) for group in groups]
        weighted = left.means**2 / spread[:, None]
        seen = np.stack([weighted[group].sum(0) for group in groups])
        traces = np.array([max(float(np.trace(form)), SINGULAR) for form in forms])
        variance = (wanted * seen / traces[:, None]).sum(0)
        share = np.round(wanted[0] / np.maximum(wanted.sum(0), 1e-300) / SHARE_STEP) * SHARE_STEP
        for part in np.unique(share[sound & (ratio == one)]):
            those = np.flatnonzero(sound & (ratio == one) & (share == part))
            weights = (part, 1.0 - part) if arms else (1.0,)
            form = sum(weight * each / trace
                       for weight, each, trace in zip(weights, forms, traces, strict=True))  # fmt: skip
            direction = contrast.donors[:, those] * np.sqrt(spread)[:, None]
            factor, df = student_of(np.asarray(form), direction)
            made["se"][those] = np.sqrt(variance[those] * factor**2 + inside[those])
            made["df"][those] = df
    short = sound & ~(made["df"] >= MIN_FREEDOM)
    trouble[short] = "few_donor_freedom"
    made["se"][short] = made["df"][short] = np.nan
    return _tested(theta, made["se"], made["df"], between=between, within=left.within, trouble=trouble)


def noise_ratio(*, between: Floats, within: Floats) -> Floats:
    """Variance of cells over variance of donors' levels (G,), rounded to powers of 2, 1/8 to 1,024."""
    with np.errstate(divide="ignore", invalid="ignore"):
        power = np.log(within / between) / np.log(GRID)
    rounded: Floats = np.clip(np.round(np.nan_to_num(power, nan=0.0, posinf=10, neginf=-3)), -3, 10)
    return GRID**rounded


def quadratic_form(maker: Floats, spread: Floats, group: npt.NDArray[np.bool_]) -> Floats:
    """Σ of squared mean residuals / `spread` over a group, as a form (m, m) in standardised levels."""
    rows = maker[group] * np.sqrt(spread) / np.sqrt(spread[group, None])
    return rows.T @ rows


def _tested(
    theta: Floats, se: Floats, df: Floats, *, between: Floats, within: Floats,
    trouble: npt.NDArray[np.object_],
) -> DonorTest:  # fmt: skip
    from scipy.stats import t as student

    with np.errstate(divide="ignore", invalid="ignore"):
        statistic = np.where(se > 0, theta / se, np.nan)
    half = student.ppf(1 - LEVEL / 2, df) * se
    return DonorTest(
        se=se, df=df, statistic=statistic, p=2 * student.sf(np.abs(statistic), df), low=theta - half,
        high=theta + half, between=between, within=within, trouble=trouble.astype(np.str_),
    )  # fmt: skip
