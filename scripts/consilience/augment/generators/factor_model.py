"""What classes have in common: a few directions, how strong they are, and how samples differ in width.

Directions are learned from the patients, or taken from other, public samples: then only how strong they are
here, a matrix of k × k numbers, is learned from the patients.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from consilience.augment.generators.factors import principal, standardised
from consilience.foundation.errors import DataError

if TYPE_CHECKING:
    import numpy.typing as npt

    from consilience.augment.generators.classes import Part
    from consilience.learning.samples import Samples

    Floats = npt.NDArray[np.float64]

PUBLIC = 20
"""Directions taken from public samples."""
LEAST_SHARED = 0.5
"""Share of the genes that public samples must have."""
WIDEST = 0.5
LEAST_FOR_WIDTH = 4
LARGEST_SHARE = 0.98
"""Of a gene's variance that factors may explain."""


@dataclass(frozen=True)
class Learned:
    """What is common to the classes, in each gene's sds: `axes` (k, G), `own` (G,), and `width`."""

    axes: Floats
    own: Floats
    width: float


def residuals(parts: tuple[Part, ...]) -> Floats:
    """Samples of all classes (n, G), less their class's mean, in its sds."""
    return np.concatenate([standardised(part) for part in parts])


def common(parts: tuple[Part, ...], rank: int, *, public: Floats | None = None) -> Learned:
    """Factors of all classes together: along `public` (K, G), orthonormal, and `rank` of the patients' own.

    A sample's leading variances are too large and its directions lie askew, the more so the more genes there
    are for each patient; both are corrected as in the spiked covariance model (Paul 2007), so that a
    direction that is hardly known hardly counts.
    """
    rows = residuals(parts)
    freedom = max(1, len(rows) - len(parts))
    known = np.zeros((0, rows.shape[1])) if public is None else public
    scores = rows @ known.T
    rest_rows = rows - scores @ known
    varying = max(1, int((rows != 0).any(axis=0).sum()))
    variances, directions = principal(rest_rows)
    variances = variances * max(1, len(rows) - 1) / freedom
    rank = min(rank, max(0, len(variances) - 1))
    rest = float(variances[rank:].sum()) / max(1, freedom - rank)
    strength = spiked(variances[:rank], rest=rest, per_patient=varying / freedom)
    noise = float((rest_rows**2).sum()) / freedom / varying
    axes = np.concatenate([
        along(known, scores, freedom=freedom, noise=noise), np.sqrt(strength)[:, None] * directions[:rank],
    ])  # fmt: skip
    share = (axes**2).sum(axis=0)
    axes *= np.sqrt(np.minimum(1.0, LARGEST_SHARE / np.maximum(share, 1e-300)))
    own: Floats = np.sqrt(1 - (axes**2).sum(axis=0))
    return Learned(axes, own, width_of(parts, np.concatenate([known, directions[:rank]])))


def along(known: Floats, scores: Floats, *, freedom: int, noise: float) -> Floats:
    """Axes (k, G) within `known` (K, G) directions with the covariance of `scores` (n, K), less the noise."""
    if not len(known):
        return known
    values, vectors = np.linalg.eigh(scores.T @ scores / freedom)
    # the largest of K eigenvalues of pure noise
    kept = np.maximum(values - noise * (1 + np.sqrt(len(known) / freedom)) ** 2, 0.0)
    axes: Floats = np.sqrt(kept)[:, None] * (vectors.T @ known)
    return axes


def public_directions(reference: Samples, genes: tuple[str, ...], *, most: int = PUBLIC) -> Floats:
    """Leading directions (k, G) of other samples within their labels and batches; genes they lack are 0."""
    place = {gene: number for number, gene in enumerate(reference.genes)}
    shared = [number for number, gene in enumerate(genes) if gene in place]
    if len(shared) < LEAST_SHARED * len(genes):
        raise DataError("the reference lacks most of the genes", value=f"{len(shared)} of {len(genes)}",
                        mend="give samples with the same gene names")  # fmt: skip
    reference = reference.take(np.argsort(reference.names, kind="stable"))
    rows = reference.values[:, [place[genes[number]] for number in shared]].astype(np.float64)
    group = np.unique(np.stack([reference.labels, reference.batches]), axis=1, return_inverse=True)[1].ravel()
    for number in np.unique(group):
        rows[group == number] -= rows[group == number].mean(axis=0)
    sd = rows.std(axis=0)
    rows = np.where(sd > 1e-6, rows / np.where(sd > 1e-6, sd, 1.0), 0.0)
    found = np.zeros((min(most, max(1, len(rows) - 1)), len(genes)))
    directions = principal(rows, most=len(found))[1]
    found[: len(directions), shared] = directions
    return found[: len(directions)]


def spiked(variances: Floats, *, rest: float, per_patient: float) -> Floats:
    """What of sample variances (k,) is true and along the found direction; `rest`: those of noise, mean.

    `per_patient` γ: genes per degree of freedom. Over noise of σ² = rest / γ per gene, a true variance σ²ℓ
    is found as σ²ℓ(1 + γ/(ℓ − 1)), along a direction whose squared cosine with the true one is
    (1 − γ/(ℓ − 1)²) / (1 + γ/(ℓ − 1)).
    """
    noise = max(rest / per_patient, 1e-300)
    found = variances / noise
    half = found + 1 - per_patient
    true = (half + np.sqrt(np.maximum(half**2 - 4 * found, 0.0))) / 2
    above = np.maximum(true - 1, 1e-12)
    cosine = np.maximum(1 - per_patient / above**2, 0.0) / (1 + per_patient / above)
    strength: Floats = above * noise * cosine
    return strength


def width_of(parts: tuple[Part, ...], directions: Floats) -> float:
    """Sd of the log length of residuals outside `directions` (k, G), less what chance gives."""
    found, weight = [], 0
    for part in parts:
        rows = standardised(part)
        rows = rows - (rows @ directions.T) @ directions
        gram = rows @ rows.T
        square = np.diag(gram)
        if len(rows) < LEAST_FOR_WIDTH or not (square > 0).all():
            continue
        off = gram[~np.eye(len(rows), dtype=bool)]
        by_chance = 0.5 * float((off**2).mean()) / float(square.mean()) ** 2
        found.append((float(np.log(square).var(ddof=1)) / 4 - by_chance) * len(rows))
        weight += len(rows)
    return float(np.sqrt(np.clip(sum(found) / weight, 0.0, WIDEST**2))) if weight else 0.0
