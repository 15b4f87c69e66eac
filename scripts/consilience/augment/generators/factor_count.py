"""How many common factors (latents, of a VAE) a cohort can bear without telling who was there.

Every factor is learned from patients and carries a part of them. Few strong factors are shared by many
patients and tell little of any one; later ones are the patients themselves. How much is measured on donors
of the *training* set only, parted again and again: how well attacks tell donors that the factors were fitted
to from others. Every further factor brings correlation (its strength is shrunk, so that one that is noise
hardly counts), so the largest number that is allowed is taken. Held-out likelihood is no guide: it stops at
one or two factors (CHOL: a third of the correlation).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from consilience.foundation.seeds import stream
from consilience.learning.splits import donor_splits
from consilience.measures.membership import ATTACKS, attack_scores, class_codes

if TYPE_CHECKING:
    import numpy.typing as npt

    from consilience.augment.generators.generator import Drawn
    from consilience.learning.samples import Samples

    Floats = npt.NDArray[np.float64]

COUNTS = (1, 2, 3, 5, 8, 12, 20)
N_PARTS = 4
ASIDE = 0.3
FOLD = 3
"""Samples drawn per training sample in an inner trial."""
LEAST_KEPT = 4
WATCHED = ("distance", "correlation")
LEVELS = ("none", "balanced", "strict")
SMALL, LIMIT, SMALL_LIMIT = 20, 0.10, 0.20
"""Leak (AUC − 0.5) that `balanced` allows, and up to SMALL patients."""
MORE = 0.05
"""Leak that factors may add to that of the means, at `balanced`."""
LARGEST_SPAN = 0.25
"""Factors per patient above which they are kept as if they were patients."""


@dataclass(frozen=True)
class Trials:
    """What each number of factors in `counts` (c,) gave, mean over inner parts.

    `leak`: AUC − 0.5 of the strongest watched attack, as expected at the full number of patients.
    """

    counts: tuple[int, ...]
    leak: Floats


Draw = Callable[["Samples", int, "npt.NDArray[np.str_]", int], "Drawn"]
"""(training samples, number of factors, labels, seed) → samples drawn from a fit."""


def inner_trials(
    samples: Samples,
    *,
    draw: Draw,
    seed: int,
    attacks: Sequence[str] = WATCHED,
    tried: Sequence[int] = COUNTS,
) -> Trials | None:
    """Try the numbers of factors `tried` on inner parts of the donors; None where they cannot be parted.

    The leak through a mean or a factor falls as 1/n, so what was seen at the inner number of patients is
    scaled to the full one.
    """
    leaks, counts = [], None
    for part in donor_splits(
        samples.donors, labels=samples.labels, n_splits=N_PARTS, test_share=ASIDE, seed=seed
    ):
        inside, aside = samples.take(part.train), samples.take(part.test)
        sizes = [int((inside.labels == label).sum()) for label in np.unique(samples.labels)]
        if min(sizes) < LEAST_KEPT or len(aside) < LEAST_KEPT:
            return None
        counts = [k for k in tried if k < (len(inside) - len(sizes)) / 2] or [1]
        asked = np.repeat(inside.labels, FOLD)
        fresh = int(stream(seed, "inner-trial", part.name).integers(2**31))
        found = [attacked(inside, aside, draw(inside, k, asked, fresh), attacks) for k in counts]
        leaks.append(np.array(found) * len(inside) / len(samples))
    if counts is None:
        return None
    least = min(len(row) for row in leaks)
    leak = np.mean([row[:least] for row in leaks], axis=0).max(axis=1)
    return Trials(tuple(counts[:least]), leak)


def allowed_by(
    level: str, samples: Samples, *, draw: Draw, seed: int, tried: Sequence[int] = COUNTS
) -> tuple[int, Trials | None]:
    """The number of factors that a level of privacy allows, of those `tried`, and the trials it is from.

    `none`: the most; `balanced`: by `chosen_count`, with the gate's attacks; `strict`: the least leaking,
    by the attack on profiles too.
    """
    attacks = ATTACKS[:3] if level == "strict" else ATTACKS[:2]
    trials = inner_trials(samples, draw=draw, attacks=attacks, tried=tried, seed=seed)
    limit = SMALL_LIMIT if len(samples) <= SMALL else LIMIT
    most, more = {"none": (1.0, 0.0), "balanced": (limit, MORE), "strict": (0.0, 0.0)}[level]
    return chosen_count(trials, limit=most, more=more), trials


def attacked(inside: Samples, aside: Samples, drawn: Drawn, attacks: Sequence[str]) -> list[float]:
    """AUC − 0.5 of each attack on `drawn`."""
    pool = np.concatenate([inside.values, aside.values])
    member = np.arange(len(pool)) < len(inside)
    groups, made = class_codes((inside.labels, aside.labels, drawn.labels), len(pool), len(drawn.values))
    found = []
    for name in attacks:
        scores = attack_scores(name=name, pool=pool, groups=groups, synthetic=drawn.values, made=made)
        above = pairs = 0.0
        for group in np.unique(groups):
            mine = groups == group
            away = scores[mine & member][:, None] - scores[mine & ~member]
            above += float((away > 0).sum() + 0.5 * (away == 0).sum())
            pairs += away.size
        found.append(above / pairs - 0.5 if pairs else 0.0)
    return found


def chosen_count(trials: Trials | None, *, limit: float, more: float) -> int:
    """The largest number of factors that leaks at most `limit`; without trials 1.

    What the class means alone tell is not in the factors' hands: leaking `more` than the number that leaks
    least is always allowed.
    """
    if trials is None:
        return 1
    most = max(limit, float(trials.leak.min()) + more)
    return max(count for count, leak in zip(trials.counts, trials.leak, strict=True) if leak <= most)
