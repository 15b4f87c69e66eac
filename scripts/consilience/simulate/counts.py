"""The count model: negative binomial with a gene-wise dispersion trend, drawn only where counts can be."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Floats32 = npt.NDArray[np.float32]
_STEP = 2.0**-24
_LARGE_MEAN = 1.0  # from here on every entry is possible, so its uniform number may be left unused


@dataclass(frozen=True, slots=True)
class Counts:
    """Non-zero counts of a block in row order: `indptr` (n + 1,), `genes` (nnz,), `values` (nnz,)."""

    indptr: npt.NDArray[np.int64]
    genes: npt.NDArray[np.int32]
    values: npt.NDArray[np.int32]

    def dense(self, n_genes: int) -> npt.NDArray[np.int64]:
        """Counts as (n, genes)."""
        n = self.indptr.size - 1
        matrix = np.zeros((n, n_genes), dtype=np.int64)
        matrix[np.repeat(np.arange(n), np.diff(self.indptr)), self.genes] = self.values
        return matrix


def dispersion_trend(*, abundance: Floats, floor: float, extra: float) -> Floats:
    """Dispersion of each gene by its abundance (counts per million): ``floor + extra / abundance``.

    The parametric trend of Anders and Huber (2010); `floor` is the biological part that depth cannot remove.
    """
    return floor + extra / np.maximum(abundance, 0.1)


def draw_counts(
    *, mean: Floats32, dispersion: Floats, rng: np.random.Generator, dropout: float = 0.0
) -> Counts:
    """Draw negative binomial counts for `mean` (n, genes) and `dispersion` (genes,): var = mean + disp mean².

    Counts are then lost with probability ``dropout / (1 + mean)``. Since P(X > 0) <= mean, one uniform
    number decides most entries without any further arithmetic; the others invert the distribution function
    exactly with that number, and large means are drawn as Poisson of gamma.
    """
    n, n_genes = mean.shape
    flat = mean.ravel()
    uniform = rng.random(flat.size, dtype=np.float32)
    # the superset of {u >= 1 - mean}: 2^-23 covers the step of u and the rounding of 1 - mean
    possible = np.flatnonzero(uniform >= np.float32(1.0 - 2.0 * _STEP) - flat)
    means = flat[possible].astype(np.float64)
    spread = np.maximum(dispersion[possible % n_genes], 1e-8)
    exact = uniform[possible].astype(np.float64) + rng.random(possible.size) * _STEP
    values = np.zeros(possible.size, dtype=np.int64)
    large = means > _LARGE_MEAN
    values[~large] = invert_negative_binomial(
        uniform=exact[~large], mean=means[~large], dispersion=spread[~large]
    )
    rate = rng.gamma(1.0 / spread[large], spread[large] * means[large])
    values[large] = rng.poisson(rate)
    if dropout > 0:
        values[rng.random(possible.size) < dropout / (1.0 + means)] = 0
    kept = values > 0
    places = possible[kept]
    indptr = np.searchsorted(places, np.arange(n + 1, dtype=np.int64) * n_genes)
    return Counts(
        indptr=indptr.astype(np.int64),
        genes=(places % n_genes).astype(np.int32),
        values=np.minimum(values[kept], np.iinfo(np.int32).max).astype(np.int32),
    )


def invert_negative_binomial(*, uniform: Floats, mean: Floats, dispersion: Floats) -> npt.NDArray[np.int64]:
    """Smallest k whose distribution function exceeds `uniform`; all arrays (n,), `dispersion` > 0."""
    result = np.zeros(uniform.size, dtype=np.int64)
    size = 1.0 / dispersion
    odds = dispersion * mean
    term = np.exp(-size * np.log1p(odds))
    todo = np.flatnonzero(uniform >= term)
    uniform, term, size = uniform[todo], term[todo], size[todo]
    ratio = (odds / (1.0 + odds))[todo]
    reached = term.copy()
    k = 0
    while todo.size:
        k += 1
        term *= ratio * (size + (k - 1)) / k
        reached += term
        # past the mode, terms below 1e-17 no longer move the sum: rounding, not probability, is left
        done = (uniform < reached) | ((term < 1e-17) & (k > 10))
        result[todo[done]] = k
        going = ~done
        todo, uniform, term, size = todo[going], uniform[going], term[going], size[going]
        ratio, reached = ratio[going], reached[going]
    return result


def with_mitochondrial_share(*, profile: Floats, mitochondrial: npt.NDArray[np.intp], share: float) -> Floats:
    """Scale profiles (n, genes) to sum to one per row with this share in the mitochondrial genes."""
    scaled = profile.copy()
    inside = scaled[:, mitochondrial].sum(axis=1, keepdims=True)
    outside = scaled.sum(axis=1, keepdims=True) - inside
    if mitochondrial.size == 0:
        return np.asarray(scaled / outside)
    scaled *= (1.0 - share) / outside
    scaled[:, mitochondrial] *= share / inside * outside / (1.0 - share)
    return scaled
