"""What temperature does: total variance = decoded latent part × f(T) + noise part.

Prior sampling draws z = T·ε and decodes it. At T = 0 every sample of a class is decoded from one point, so
all that varies is the noise the generator adds; the rest is the latent part. f(T), the latent part in units
of that at T = 1, is T² for a linear decoder; a decoder that saturates (a sigmoid) stays below. A generator
without noise has no variance but the latent one: what the decoder does not carry is lost, and T can only
widen what there is, not bring back what is missing.

Posterior sampling draws z = μᵢ + T·σᵢ·ε about a training patient i. The means of the patients do not move
with T, so at T = 0 their decoded variance is left beside the noise, each sample the reconstruction of one
patient (a copy, as far as the decoder can draw one). T scales the uncertainty about a patient only; over all
patients the samples at T = 1 follow the aggregate posterior, which is what prior sampling should have been
drawn from, and is wider than N(0, I) where the KL term had little weight.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from consilience.augment.temperature import TEMPERATURES
from consilience.foundation.errors import ConfigError
from consilience.measures.gene_agreement import ratio, within_class

if TYPE_CHECKING:
    import numpy.typing as npt

    from consilience.augment.generators.generator import Drawn, Fitted
    from consilience.learning.samples import Samples

Sampling = Literal["prior", "posterior"]
N_DRAWN = 500
NOTHING = 0.01
"""A share of the real variance below which a part is called absent."""


@dataclass(frozen=True)
class VariancePart:
    """Within-class variance at one temperature, summed over genes, as shares of the real one.

    `total` = `still` + `latent`. `still`: what is left at T = 0 (noise; in posterior sampling with the
    decoded means of the patients). `latent`: what T moves. `growth`: f(T), latent part / that at T = 1 (T²
    for a linear decoder; NaN where there is hardly any). `reached`: share of genes whose variance is at
    least half the real one.
    """

    temperature: float
    total: float
    latent: float
    still: float
    growth: float
    reached: float


@dataclass(frozen=True)
class Explanation:
    """`parts` by temperature; `needed`: T at which `total` would be the real variance (NaN: at none).

    `words`: sentences for the report.
    """

    sampling: Sampling
    parts: tuple[VariancePart, ...]
    needed: float
    words: tuple[str, ...]


def explain(
    fitted: Fitted,
    samples: Samples,
    *,
    temperatures: Sequence[float] = TEMPERATURES,
    sampling: Sampling = "prior",
    n_drawn: int = N_DRAWN,
    seed: int = 0,
) -> Explanation:
    """Take apart the variance of what `fitted` draws, beside that of `samples` (its training patients).

    Draws at T = 0 and at each temperature share their random numbers. `sampling` says which words apply.
    """
    if not all(np.isfinite(one) and one > 0 for one in temperatures):
        raise ConfigError("temperatures must be positive", value=temperatures, mend="for example 0.5, 1, 2")
    labels = np.tile(np.sort(samples.labels), -(-n_drawn // len(samples)))
    wanted = sorted({*map(float, temperatures), 1.0})
    drawn = [fitted.sample(labels, seed=seed, temperature=one) for one in (0.0, *wanted)]
    real = _variances(samples.values, samples.labels)
    still, *moved = (_variances_of(one) for one in drawn)
    unit = float(moved[wanted.index(1.0)].sum() - still.sum())
    whole = float(real.sum())
    parts = tuple(
        VariancePart(
            temperature=one,
            total=ratio(float(found.sum()), whole),
            latent=ratio(float(found.sum() - still.sum()), whole),
            still=ratio(float(still.sum()), whole),
            growth=ratio(float(found.sum() - still.sum()), unit) if unit > NOTHING * whole else float("nan"),
            reached=float((found >= real / 2)[real > 0].mean()) if (real > 0).any() else float("nan"),
        )
        for one, found in zip(wanted, moved, strict=True)
    )
    needed = _needed(parts)
    return Explanation(sampling, parts, needed, _words(parts, needed, sampling))


def _variances_of(drawn: Drawn) -> npt.NDArray[np.float64]:
    return _variances(drawn.values, drawn.labels)


def _variances(values: npt.NDArray[np.floating], labels: npt.NDArray[np.str_]) -> npt.NDArray[np.float64]:
    """Gene-wise variance within classes (G,), pooled."""
    freedom = max(1, len(values) - len(np.unique(labels)))
    found: npt.NDArray[np.float64] = (within_class(values, labels) ** 2).sum(axis=0) / freedom
    return found


def _needed(parts: tuple[VariancePart, ...]) -> float:
    """T at which the total is that of the patients, interpolated; NaN outside of what was drawn."""
    totals = np.array([part.total for part in parts])
    logs = np.log([part.temperature for part in parts])
    turns = np.flatnonzero((totals[:-1] < 1) & (totals[1:] >= 1))
    if not turns.size:
        return float("nan")
    place = int(turns[0])
    share = (1 - totals[place]) / (totals[place + 1] - totals[place])
    return float(np.exp(logs[place] + share * (logs[place + 1] - logs[place])))


def _words(parts: tuple[VariancePart, ...], needed: float, sampling: Sampling) -> tuple[str, ...]:
    one = next(part for part in parts if part.temperature == 1.0)
    last = parts[-1]
    words = [
        f"At T = 1 the samples have {one.total:.0%} of the patients' variance within classes:"
        f" {one.latent:.0%} from the latent part, {one.still:.0%} that does not move with T."
    ]
    if max(abs(part.latent) for part in parts) < NOTHING:
        words.append("There is no latent part to speak of, so temperature does nothing here.")
        return tuple(words)
    if np.isfinite(last.growth):
        words.append(
            f"At T = {last.temperature:g} the latent part is {last.growth:.1f} times that at T = 1"
            f" (a linear decoder: {last.temperature**2:.1f} times)."
        )
    if sampling == "posterior":
        words.append(
            "Sampling is about training patients: their decoded means stay at any T, and T scales only the"
            " uncertainty about each; towards T = 0 every sample is the reconstruction of one patient."
        )
    elif one.still < NOTHING:
        words.append(
            "The generator adds no noise: variance that its decoder does not carry is missing gene by gene,"
            " and temperature widens only the directions that are there."
        )
    words.append(
        f"The whole variance would be reached at T = {needed:.2f}, with"
        f" {one.reached:.0%} of the genes at half their variance or more at T = 1."
        if np.isfinite(needed)
        else f"No temperature up to {last.temperature:g} reaches just the whole variance"
        f" (from {parts[0].total:.0%} to {last.total:.0%})."
    )
    return tuple(words)
