"""Where the default VAE begins: class means, spreads and loadings in closed form, shrunk as far as data say.

A network of 5,000 genes cannot find its means and axes from 50 patients by gradient steps without learning
the patients by heart on the way. So it begins at estimates that are good already: means and spreads of
censored normal distributions (zeros are "below what is seen"), class differences and loadings shrunk
towards 0 by how strong such effects are over all genes, and probabilistic principal components.

References
----------
Stephens M. False discovery rates: a new deal. Biostatistics 18:275, 2017 (adaptive shrinkage).
Tipping ME, Bishop CM. Probabilistic principal component analysis. J R Stat Soc B 61:611, 1999.
Smyth GK. Stat Appl Genet Mol Biol 3:3, 2004 (spreads shrunk towards their common prior).
Tobin J. Econometrica 26:24, 1958 (censored normal).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Codes = npt.NDArray[np.intp]

EM_STEPS = 25
FARTHEST_BELOW = 2.0
"""A censored mean is held within so many spreads below the floor: further down, data say nothing of it."""
LEAST_NOISE = 0.05
"""Share of a gene's variance that stays its own, whatever the loadings explain."""
SCALES = 12


@dataclass(frozen=True)
class Moments:
    """`means`, `spreads` (C, G) of classes; `filled` (n, G): values, those on the floor as expected.

    Everything is of the normal distribution before it is cut at the floor.
    """

    means: Floats
    spreads: Floats
    filled: Floats


@dataclass(frozen=True)
class Axes:
    """Principal axes within classes, of rows in units of their class's spread.

    `strengths` (k,): variances along them, largest first, of all that there are; `loadings` (G, m ≤ k): the
    first m of them, each of length √strength; `rows` (n, G): what they are of. `freedom`: rows less classes.
    """

    strengths: Floats
    loadings: Floats
    rows: Floats
    freedom: int


@dataclass(frozen=True)
class Start:
    """A linear decoder: `means`, `noise` (C, G), `loadings` (G, d) in units of the noise.

    `wobble`: sd of a sample's log noise.
    """

    means: Floats
    noise: Floats
    loadings: Floats
    wobble: float


def moments(values: Floats, codes: Codes, *, floor: float, least: float = 1e-3) -> Moments:
    """Censored normal moments by class; `codes` (n,) number the classes, all of which occur."""
    n_classes = int(codes.max()) + 1
    raw = np.stack([values[codes == one].mean(axis=0) for one in range(n_classes)])
    freedom = max(1, len(values) - n_classes)
    pooled = np.sqrt(np.maximum(((values - raw[codes]) ** 2).sum(axis=0) / freedom, least**2))
    means, filled, extra = raw, values.copy(), np.zeros_like(values)
    genes = np.flatnonzero((values <= floor).any(axis=0))
    if genes.size:
        means = raw.copy()
        means[:, genes], pooled[genes], filled[:, genes], extra[:, genes] = _censored(
            values[:, genes], codes, floor=floor, freedom=freedom, least=least
        )
    square = (filled - means[codes]) ** 2 + extra
    return Moments(means, _spreads(square, codes, pooled, least=least), filled)


def _censored(
    values: Floats, codes: Codes, *, floor: float, freedom: int, least: float
) -> tuple[Floats, Floats, Floats, Floats]:
    """EM of the Tobit model: means (C, g), spread (g,), expected values (n, g), their variances (n, g)."""
    from scipy.special import log_ndtr

    n_classes = int(codes.max()) + 1
    below = values <= floor
    filled, extra = values.copy(), np.zeros_like(values)
    for _ in range(EM_STEPS):
        means = np.stack([filled[codes == one].mean(axis=0) for one in range(n_classes)])
        square = (filled - means[codes]) ** 2 + extra
        spread = np.sqrt(np.maximum(square.sum(axis=0) / freedom, least**2))
        means = np.maximum(means, floor - FARTHEST_BELOW * spread)
        place = (floor - means) / spread
        ratio = np.exp(-0.5 * place**2 - 0.5 * np.log(2 * np.pi) - log_ndtr(place))
        expected = means - spread * ratio
        variance = spread**2 * np.maximum(1 - place * ratio - ratio**2, 0)
        filled = np.where(below, expected[codes], values)
        extra = np.where(below, variance[codes], 0.0)
    return means, spread, filled, extra


def _spreads(square: Floats, codes: Codes, pooled: Floats, *, least: float) -> Floats:
    """Class-wise spreads (C, G): log ratio to the pooled one shrunk by what is noise in it."""
    from scipy.special import digamma, polygamma

    found = []
    for one in range(int(codes.max()) + 1):
        mine = square[codes == one]
        freedom = len(mine) - 1
        if freedom < 2:
            found.append(pooled)
            continue
        ratio = np.log(np.maximum(mine.sum(axis=0) / freedom, least**2) / pooled**2)
        ratio -= digamma(freedom / 2) - np.log(freedom / 2)
        clear = pooled > 2 * least
        noise = float(polygamma(1, freedom / 2))
        centre = float(np.median(ratio[clear])) if clear.any() else 0.0
        true = float(np.var(ratio[clear])) - noise if clear.any() else 0.0
        kept = max(0.0, true) / (max(0.0, true) + noise)
        found.append(pooled * np.exp(0.5 * (centre + kept * (np.clip(ratio, -6, 6) - centre))))
    spreads = np.maximum(np.stack(found), least)
    # over all classes together, the variance of a gene stays what it was
    weights = np.maximum(np.bincount(codes) - 1, 0.5)
    found_variance = np.average(spreads**2, axis=0, weights=weights)
    return np.maximum(spreads * pooled / np.sqrt(found_variance), least)


def shrunk(effects: Floats, errors: Floats) -> Floats:
    """Posterior means of effects (G,) with standard errors (G,) under a mixture of normals around 0."""
    z = effects / errors
    top = max(2.0, float(np.quantile(np.abs(z), 0.999)))
    widths = np.concatenate([[0.0], np.geomspace(0.25, top, SCALES - 1)]) ** 2
    total = 1 + widths
    log_density = -0.5 * (z[:, None] ** 2 / total + np.log(total))
    density = np.exp(log_density - log_density.max(axis=1, keepdims=True))
    weights = np.full(SCALES, 1 / SCALES)
    for _ in range(20):
        share = density * weights
        share /= share.sum(axis=1, keepdims=True)
        weights = share.mean(axis=0)
    found: Floats = effects * (share @ (widths / total))
    return found


def shrunk_means(found: Moments, codes: Codes) -> Floats:
    """Class means (C, G), their differences from the mean of all shrunk gene by gene."""
    counts = np.bincount(codes).astype(np.float64)
    centre = np.average(found.means, axis=0, weights=counts)
    if len(counts) == 1:
        return found.means
    errors = found.spreads * np.sqrt(1 / counts - 1 / counts.sum())[:, None]
    rows = zip(found.means - centre, errors, strict=True)
    return np.stack([centre + shrunk(difference, error) for difference, error in rows])


def axes(found: Moments, codes: Codes, *, most: int) -> Axes:
    """The `most` strongest axes (fewer with fewer patients), their loadings shrunk gene by gene."""
    freedom = max(1, len(codes) - len(found.means))
    rows = (found.filled - found.means[codes]) / found.spreads[codes]
    values, vectors = np.linalg.eigh(rows @ rows.T / freedom)
    order = np.argsort(-values, kind="stable")[: max(0, freedom - 1)]
    values, vectors = np.maximum(values[order], 0.0), vectors[:, order]
    raw = rows.T @ vectors[:, :most] / np.sqrt(freedom)
    own = np.maximum(1 - (raw**2).sum(axis=1), LEAST_NOISE)
    loadings = np.empty_like(raw)
    for number, axis in enumerate(raw.T):
        kept = shrunk(axis, np.sqrt(own / freedom))
        length = float(np.sqrt(kept @ kept))
        loadings[:, number] = kept * np.sqrt(values[number]) / length if length > 1e-9 else 0.0
    return Axes(values, loadings, rows, freedom)


def start(found: Moments, means: Floats, along: Axes, *, latent: int) -> Start:
    """A linear decoder with `latent` factors (fewer where there are fewer axes); `means` (C, G)."""
    size = min(latent, along.loadings.shape[1])
    strengths = along.strengths
    left_over = float(strengths[size:].mean()) if len(strengths) > size else 0.0
    share = np.maximum(strengths[:size] - left_over, 0.0) / np.maximum(strengths[:size], 1e-12)
    loadings = along.loadings[:, :size] * np.sqrt(share)
    noise = np.sqrt(np.maximum(1 - (loadings**2).sum(axis=1), LEAST_NOISE))
    loadings = loadings / noise[:, None]
    rows = along.rows / noise
    scores = rows @ loadings @ np.linalg.inv(np.eye(size) + loadings.T @ loadings)
    loudness = 0.5 * np.log(np.maximum(((rows - scores @ loadings.T) ** 2).mean(axis=1), 1e-6))
    return Start(means, found.spreads * noise, loadings, float(np.clip(loudness.std(), 0.02, 0.7)))
