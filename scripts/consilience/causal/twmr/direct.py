"""Direct effects of single variants, as frequent and as large as all genes of a study together show them.

A variant that acts on the trait past the genes of the model biases a gene with few variants, and the gene's
own Q hardly sees it. So any one or two variants of a gene may have an error larger than noise: with the
frequency `share`, by ``1 + extra`` in variance; all have noise times `spread`. These three numbers are taken
from all genes with n > k by maximum likelihood, and each gene's effect is a mean over which of its variants
are disturbed (S), weighted by how well that fits:

    P(S) ~ share^|S| (1 - share)^(n - |S|) |I + extra P_SS|^(-1/2) exp(-RSS_S / 2 s²),
    RSS_S = y'Py - (Py)_S' (I / extra + P_SS)⁻¹ (Py)_S,

P the residual projection in the metric of LD. With no prior on the effects themselves this is Pitman's
estimator for errors of that law, whose intervals cover exactly where law and eQTL effects are known (Pitman
EJG, Biometrika 30:391, 1939); for mixtures of good and bad variants in MR see Burgess S et al. (Nat Commun
11:376, 2020). A gene's answer depends on the other genes through these three numbers alone.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from itertools import combinations
from typing import TYPE_CHECKING

import numpy as np

from consilience.causal.twmr.fuller import fuller
from consilience.causal.twmr.moments import Moments

if TYPE_CHECKING:
    import numpy.typing as npt

    from consilience.causal.twmr.sized import Sized

    Floats = npt.NDArray[np.float64]
    Integers = npt.NDArray[np.int64]

MOST_VARIANTS = 12
"""Genes with more variants are judged by their own Q."""
LEAST_GENES = 100
"""Genes with n > k below which nothing is learnt from them."""
MOST_GENES = 2_000
"""Genes with n > k that are enough to learn from; of more a part, evenly over small and large residuals."""
SHARES = np.array(
    [0.0, 0.0025, 0.005, 0.01, 0.015, 0.02, 0.03, 0.04, 0.06, 0.08, 0.1, 0.13, 0.16, 0.2, 0.25, 0.3, 0.4]
)
EXTRAS = 2.0 ** np.arange(2, 9)
SPREADS = 1.25 ** np.arange(18)
NEGLIGIBLE = 1e-4
NORMAL_975 = 1.959963984540054
BISECTIONS = 50


@dataclass(frozen=True)
class Law:
    """Errors of variants: a `share` has noise and `extra` times noise; all have `spread` times the noise."""

    share: float
    extra: float
    spread: float


@dataclass(frozen=True)
class Fits:
    """G genes with up to m variants (rows beyond `n` are empty) and k genes, in units of noise.

    `rows` (G,) of the file, `of` the moments; `projection` P (G, m, m), `misfit` Py (G, m), `rss` (G,), whose
    noise has variance `noise` (G,); `weighted` (G, m, k + 1) = C⁻¹[A y]; `inverse` (G, m, m) = C⁻¹.
    """

    rows: Integers
    of: Moments
    projection: Floats
    misfit: Floats
    rss: Floats
    noise: Floats
    weighted: Floats
    inverse: Floats


@dataclass(frozen=True)
class Averaged:
    """Effects `alpha` (G,), `se`: 1/1.96 of half the 95 % interval, `p`, `z`.

    `disturbed` (G,): the chance that any variant is.
    """

    alpha: Floats
    se: Floats
    p: Floats
    z: Floats
    disturbed: Floats


def fits(stack: Sized, of: Moments) -> Fits:
    """What the law of errors is learnt from and applied to."""
    k = of.both.shape[1]
    exposures = stack.eqtl * np.sqrt(stack.n_eqtl)[:, None, :]
    outcome = stack.gwas * np.sqrt(stack.n_gwas)[:, None]
    scaled = np.concatenate([exposures, outcome[..., None]], axis=2)
    inverse: Floats = np.asarray(np.linalg.inv(stack.ld), dtype=np.float64)
    weighted = inverse @ scaled
    bread = np.linalg.inv(of.exposures)
    a = np.einsum("gij,gj->gi", bread, of.both)
    own = weighted[..., :k]
    projection = inverse - own @ bread @ np.swapaxes(own, 1, 2)
    misfit = weighted[..., k] - np.einsum("gmk,gk->gm", own, a)
    rss = np.maximum(of.outcome - np.sum(a * of.both, axis=1), 0.0)
    flat = of.n <= k  # nothing is left but rounding
    projection[flat], misfit[flat], rss[flat] = 0.0, 0.0, 0.0
    return Fits(stack.rows, of, projection, misfit, rss, 1.0 + np.sum(a**2, axis=1), weighted, inverse)


def learnt(parts: list[Fits]) -> Law | None:
    """The law of errors that fits all genes best; None where too few have n > k."""
    judging = [_only(one, one.of.n > one.of.both.shape[1]) for one in parts]
    judging = [one for one in judging if len(one.rows)]
    n_genes = sum(len(one.rows) for one in judging)
    if n_genes < LEAST_GENES:
        return None
    judging = [_thinned(one, MOST_GENES / n_genes) for one in judging] if n_genes > MOST_GENES else judging
    best, found = -np.inf, None
    for extra in EXTRAS:
        terms = [(one, *_terms(one, float(extra))) for one in judging]
        for spread in SPREADS:
            total = np.zeros(len(SHARES))
            for one, fall, log_det in terms:
                total += _log_likelihood(one, fall, log_det, float(spread))
            top = total.max()
            weights = np.exp(total - top)
            whole = top + float(np.log(weights.mean()))
            if whole > best:
                share = float(weights @ SHARES / weights.sum())
                best, found = whole, Law(share, float(extra), float(spread))
    return found


def averaged(one: Fits, law: Law) -> Averaged:
    """Effects over all choices of disturbed variants."""
    fall, log_det = _terms(one, law.extra)
    log = _log_weights(one, fall, log_det, law.spread) + _sizes(one) * _log_odds(law.share)
    weights = np.exp(log - log.max(axis=1, keepdims=True))
    weights /= weights.sum(axis=1, keepdims=True)
    gene, choice = np.nonzero(weights > NEGLIGIBLE)
    answer = fuller(_moments_of(one, gene, choice, law.extra))
    alpha, se = np.zeros(weights.shape), np.ones(weights.shape)
    alpha[gene, choice], se[gene, choice] = answer.alpha, answer.se * np.sqrt(law.spread)
    kept = np.zeros(weights.shape)
    kept[gene, choice] = weights[gene, choice]
    kept /= kept.sum(axis=1, keepdims=True)
    return _gathered(kept, alpha, se)


def _gathered(weights: Floats, alpha: Floats, se: Floats) -> Averaged:
    """Mean, and the interval around it that holds 95 % of a mixture of normals (G, S)."""
    from scipy.special import ndtr, ndtri

    centre = np.sum(weights * alpha, axis=1)
    away = centre[:, None] - alpha

    def beyond(half: Floats) -> Floats:
        sides = ndtr((away - half[:, None]) / se) + ndtr((-away - half[:, None]) / se)
        return np.asarray(np.sum(weights * sides, axis=1))

    p = beyond(np.abs(centre))
    low, high = np.zeros(len(centre)), np.max(np.where(weights > 0, np.abs(away) + 3 * se, 0.0), axis=1)
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        more = beyond(middle) > 0.05
        low, high = np.where(more, middle, low), np.where(more, high, middle)
    with np.errstate(divide="ignore"):
        z = -ndtri(p / 2.0)
    z = np.where(np.isfinite(z), z, np.abs(centre) / (high / NORMAL_975))
    return Averaged(centre, high / NORMAL_975, p, np.sign(centre) * z, 1.0 - weights[:, 0])


def _choices(m: int) -> tuple[Integers, Integers, Floats]:
    """Pairs of places (S,), and how many of them count (S,): none, one, two."""
    pairs = list(combinations(range(m), 2))
    first = [0, *range(m), *(i for i, _ in pairs)]
    second = [0, *range(m), *(j for _, j in pairs)]
    return np.array(first), np.array(second), np.array([0.0, *[1.0] * m, *[2.0] * len(pairs)])


def _sizes(one: Fits) -> Floats:
    return _choices(one.misfit.shape[1])[2]


def _core(one: Fits, matrix: Floats, extra: float) -> tuple[Floats, Floats, Floats, Floats]:
    """(I / extra + matrix_SS)⁻¹ as its three entries (G, S), and |I + extra matrix_SS|."""
    i, j, size = _choices(one.misfit.shape[1])
    a, b, c = matrix[:, i, i] + 1 / extra, matrix[:, j, j] + 1 / extra, matrix[:, i, j]
    det = np.where(size == 2, a * b - c**2, a)
    first = np.where(size == 2, b, 1.0) / det * (size > 0)
    return first, a / det * (size == 2), -c / det * (size == 2), np.where(size > 0, det * extra**size, 1.0)


def _terms(one: Fits, extra: float) -> tuple[Floats, Floats]:
    """By how much each choice lowers the residual squares (G, S), and its log determinant (G, S)."""
    i, j, _ = _choices(one.misfit.shape[1])
    first, second, both, det = _core(one, one.projection, extra)
    d, e = one.misfit[:, i], one.misfit[:, j]
    return first * d**2 + second * e**2 + 2 * both * d * e, np.log(det)


def _log_weights(one: Fits, fall: Floats, log_det: Floats, spread: float) -> Floats:
    """Log likelihood (G, S) of each choice, without its prior; impossible ones -inf."""
    _, j, size = _choices(one.misfit.shape[1])
    log = -0.5 * ((one.rss[:, None] - fall) / (one.noise[:, None] * spread) + log_det)
    return np.where((size > 0) & (j[None, :] >= one.of.n[:, None]), -np.inf, log)


def _log_likelihood(one: Fits, fall: Floats, log_det: Floats, spread: float) -> Floats:
    """Log likelihood of all genes for each of SHARES."""
    log = _log_weights(one, fall, log_det, spread)
    top = log.max(axis=1, keepdims=True)
    weights, size = np.exp(log - top), _sizes(one)
    by_size = np.stack([weights[:, size == s].sum(axis=1) for s in (0, 1, 2)], axis=1)
    odds = SHARES / (1 - SHARES)
    inside = np.log(by_size @ np.stack([odds**0, odds, odds**2]))
    free = one.of.n - one.of.both.shape[1]
    rest = (top[:, 0] - 0.5 * free * np.log(spread)).sum()
    return np.asarray(inside.sum(axis=0) + one.of.n.sum() * np.log1p(-SHARES) + rest)


def _log_odds(share: float) -> float:
    return float(np.log(max(share, 1e-12) / (1 - share)))


def _moments_of(one: Fits, gene: Integers, choice: Integers, extra: float) -> Moments:
    """Moments of genes with the errors of a choice of variants made larger."""
    i, j, _ = _choices(one.misfit.shape[1])
    first, second, both, _ = (part[gene, choice] for part in _core(one, one.inverse, extra))
    i, j, k = i[choice], j[choice], one.of.both.shape[1]
    v, w = one.weighted[gene, i], one.weighted[gene, j]
    cross = both[:, None, None] * v[:, :, None] * w[:, None, :]
    change = (
        first[:, None, None] * v[:, :, None] * v[:, None, :]
        + second[:, None, None] * w[:, :, None] * w[:, None, :]
        + cross + np.swapaxes(cross, 1, 2)
    )  # fmt: skip
    lost = (
        first * one.inverse[gene, i, i]
        + second * one.inverse[gene, j, j]
        + 2 * both * one.inverse[gene, i, j]
    )
    of = one.of.rows(gene)
    return Moments(
        n=of.n - lost, exposures=of.exposures - change[:, :k, :k], both=of.both - change[:, :k, k],
        outcome=of.outcome - change[:, k, k], scale=of.scale,
    )  # fmt: skip


def _only(one: Fits, which: npt.NDArray[np.bool_]) -> Fits:
    parts = {field.name: getattr(one, field.name) for field in fields(one)}
    return Fits(**{name: part.rows(which) if name == "of" else part[which] for name, part in parts.items()})


def _thinned(one: Fits, part: float) -> Fits:
    """A part of the genes, whatever their order: evenly spaced among their residual squares."""
    count = max(1, round(part * len(one.rows)))
    places = ((np.arange(count) + 0.5) * len(one.rows) / count).astype(np.int64)
    which = np.zeros(len(one.rows), dtype=bool)
    which[np.argsort(one.rss / one.noise, kind="stable")[places]] = True
    return _only(one, which)
