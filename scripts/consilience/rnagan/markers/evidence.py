"""Error rates of markers by permuted labels.

What is tested. For a patient q the model has a slope along gene g, and the patient's value lies on one side
of the neutral value. Does the sign of the slope times that distance differ between patients of both kinds,
whom neither the references nor the model's training knew? The statistic is a moderated t of this difference
within batches, one-sided: a marker must hold in unseen donors, in the direction in which the model uses it
for them. For a pathway it is the t of the members' contributions (slope × distance) together.

Why not the size of the effect. A model may weigh a gene strongly for what it knows of other genes (its
pathway moves, say). If the gene itself does not differ, weight × noise would beat a permutation null in which
the weight was small. The sign of the slope, and a t, do not change when a gene's weight or the gain of the
whole model is multiplied; so genes without a difference stay calibrated beside genes with one. P says whether
a marker holds in new patients; the effect says how much the model makes of it.

Three ways, by who has seen what:

`permute`  The scorer never saw these labels (it was trained on other cohorts), or is refitted for each
           permutation. Every donor is asked about once, compared with other donors; labels are permuted
           within batches, by donors, and everything (folds, references, refit, slopes, statistic) is redone.
           Exact for "labels are dealt by chance within batches".
`splits`   Refitting for each permutation costs too much. The donors are halved again and again; the model
           is fitted and conditioned on one half, and only the labels of the other half are permuted, which
           is exact for each split and needs no new fit. P-values of the splits depend on each other in
           unknown ways; they are combined by a rule that holds for all of them (Gasparin, Wang and Ramdas
           2025, 10.1073/pnas.2410849122), and is cautious for it.
`held_out` The scorer was trained on some of these donors with their labels: these are references, and only
           donors it has not seen are asked about and permuted. One split, exact.

Counts are pooled over features (after each feature's null was brought to mean 0 and standard deviation 1
where references are permuted too), so that few permutations resolve small p-values:
p = (1 + null draws at least as large) / (1 + all null draws).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from consilience.foundation.seeds import stream
from consilience.learning.differential.moderated_t import VariancePrior, fit_prior, shrink
from consilience.rnagan.markers.contrast import Contrast, contrast, prior_of, t_statistic
from consilience.rnagan.markers.features import Pathways, UnitSlopes, sums, unit_slopes
from consilience.rnagan.markers.questions import Model, plain_slopes, slopes_of
from consilience.rnagan.markers.relabel import relabellings
from consilience.rnagan.markers.splits import folds

if TYPE_CHECKING:
    import numpy.typing as npt

    from consilience.rnagan.markers.cohort import Cohort

Way = Literal["permute", "splits", "held_out", "none"]
LEAST_RELABELLINGS = 10
"""With fewer possible labellings than this, no p-value below 0.1 could come out."""


@dataclass(frozen=True)
class Evidence:
    """`statistic` and `p` (F,), genes then pathways; `tested` (F,) False where nothing varies (p is 1).

    `permutations` labellings used, `possible` how many there are. Without a valid way, p is NaN and
    `why` says why.
    """

    way: Way
    statistic: npt.NDArray[np.float64]
    p: npt.NDArray[np.float64]
    tested: npt.NDArray[np.bool_]
    permutations: int
    possible: int
    why: str = ""


def permuted_evidence(
    model: Model, cohort: Cohort, pathways: Pathways, *, n_folds: int, count: int, steps: int, seed: int
) -> Evidence:
    """Way `permute`: everything is redone for each labelling."""

    def slopes(unit_positive: npt.NDArray[np.bool_]) -> TestedSlopes:
        positive = cohort.relabelled(unit_positive)
        splits = folds(cohort, positive, count=n_folds, seed=seed)
        slope = slopes_of(
            model, cohort, positive, splits, lambda question: plain_slopes(question, steps=steps)
        )
        return TestedSlopes.of(cohort, slope, sets=bool(pathways.names))

    def statistics(unit_positive: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
        return slopes(unit_positive).statistics(contrast(cohort.units, unit_positive), pathways, prior)

    labels = relabellings(cohort.units, count=count, seed=seed)
    found, truth = slopes(cohort.units.positive), contrast(cohort.units, cohort.units.positive)
    prior = found.prior(truth)
    true = found.statistics(truth, pathways, prior)
    if labels.possible < LEAST_RELABELLINGS:
        return _nothing("permute", true, labels.possible)
    null = np.array([statistics(positive) for positive in labels.positive], dtype=np.float32)
    tested, n_genes = true != 0, len(cohort.samples.genes)
    p = np.ones(true.size)
    for kind in (slice(0, n_genes), slice(n_genes, true.size)):
        p[kind] = pooled_p(*standardised(true[kind], null[:, kind]), tested=tested[kind])
    return Evidence("permute", true, p, tested, len(null), labels.possible)


@dataclass(frozen=True)
class SplitEvidence:
    """What one split says: `statistic`, `p` (F,) and how many labellings its queries could have."""

    statistic: npt.NDArray[np.float64]
    p: npt.NDArray[np.float64]
    possible: int


def split_evidence(
    slope: npt.NDArray[np.float64], asked: Cohort, pathways: Pathways, *, count: int, seed: int
) -> SplitEvidence:
    """Permute the labels of the donors asked about; model, references and slopes stay as they are."""
    labels = relabellings(asked.units, count=count, seed=seed)
    found = TestedSlopes.of(asked, slope)
    truth = contrast(asked.units, asked.units.positive)
    prior = found.prior(truth)
    true = found.statistics(truth, pathways, prior)
    if labels.possible < LEAST_RELABELLINGS:
        return SplitEvidence(true, np.full(true.size, np.nan), labels.possible)
    return SplitEvidence(
        true, _conditional_p(found, asked, labels.positive, true, pathways, prior), labels.possible
    )


def combined(parts: Sequence[SplitEvidence], *, way: Way, permutations: int, seed: int) -> Evidence:
    """One p-value per feature from those of the splits (the p-value itself where there is one split)."""
    statistic = np.array([part.statistic for part in parts])
    possible = min(part.possible for part in parts)
    true, tested = statistic.mean(axis=0), (statistic != 0).any(axis=0)
    if possible < LEAST_RELABELLINGS:
        return _nothing(way, true, possible)
    together = np.array([part.p for part in parts])
    p = twice_the_median(together, seed=seed) if len(parts) > 1 else together[0]
    return Evidence(way, true, p, tested, permutations, possible)


def twice_the_median(p: npt.NDArray[np.float64], *, seed: int) -> npt.NDArray[np.float64]:
    """Smallest of twice the median of the first 1, 2, … p-values (splits, F), splits in random order (F,).

    Valid however the p-values depend on each other, because a random order makes them exchangeable.
    """
    shuffled = p[stream(seed, "order of splits").permutation(len(p))]
    best = np.ones(p.shape[1])
    for first in range(1, len(p) + 1):
        best = np.minimum(best, 2 * np.median(shuffled[:first], axis=0))
    return best


def _conditional_p(
    found: TestedSlopes,
    asked: Cohort,
    labels: npt.NDArray[np.bool_],
    true: npt.NDArray[np.float64],
    pathways: Pathways,
    prior: VariancePrior | None,
) -> npt.NDArray[np.float64]:
    draws = [found.statistics(contrast(asked.units, positive), pathways, prior) for positive in labels]
    null = np.array(draws, dtype=np.float32)
    n_genes, p = len(asked.samples.genes), np.ones(true.size)
    for kind in (slice(0, n_genes), slice(n_genes, true.size)):
        p[kind] = pooled_p(true[kind], null[:, kind], tested=true[kind] != 0)
    return p


@dataclass(frozen=True)
class TestedSlopes:
    """Slopes of donor units as tests use them: the `sign` for genes, the slope itself (`whole`) for sums."""

    sign: UnitSlopes
    whole: UnitSlopes | None

    @classmethod
    def of(cls, cohort: Cohort, slope: npt.NDArray[np.float64], *, sets: bool = True) -> TestedSlopes:
        """Build from the slopes of samples (n, G)."""
        return cls(unit_slopes(cohort, np.sign(slope)), unit_slopes(cohort, slope) if sets else None)

    def prior(self, labels: Contrast) -> VariancePrior | None:
        """Prior of the genes' variances under the true labels; permuted ones use the same, as SAM does.

        (Permuted labels turn differences of markers into variance; a prior of their own would be wider.)
        """
        return prior_of(labels, self.sign.contribution(labels))

    def statistics(
        self, labels: Contrast, pathways: Pathways, prior: VariancePrior | None
    ) -> npt.NDArray[np.float64]:
        """Statistics of genes, then of pathways (G + P,)."""
        parts = [t_statistic(labels, self.sign.contribution(labels), prior=prior)]
        if pathways.names and self.whole is not None:
            parts.append(t_statistic(labels, sums(self.whole.contribution(labels), pathways)))
        return np.concatenate(parts)


def standardised(
    true: npt.NDArray[np.float64], null: npt.NDArray[np.floating]
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float32]]:
    """Bring each feature to its own null's mean 0 and standard deviation 1: (F,), (B, F).

    Means and variances of the features' null draws are shrunk towards what the features have in common, as
    far as they have it. A null draw is judged by the other draws, as the true one is.
    """
    n = len(null)
    draws = null.astype(np.float64)
    varies = draws.std(axis=0) > 0
    if n < 3 or not varies.any():
        return true, null.astype(np.float32)
    total, squares = draws.sum(axis=0), (draws**2).sum(axis=0)
    mean, variance = total / n, draws.var(axis=0, ddof=1)
    prior = fit_prior(variance[varies], freedom=n - 1)
    common = float(mean[varies].mean())
    noise = float(np.median(variance[varies])) / n
    between = max(float(mean[varies].var()) - noise, 0.0)
    trust = between / (between + noise)

    def scaled(
        value: npt.NDArray[np.float64],
        mean: npt.NDArray[np.float64],
        variance: npt.NDArray[np.float64],
        n: int,
    ) -> npt.NDArray[np.float64]:
        sd = np.sqrt(shrink(variance, freedom=n - 1, prior=prior, n_genes=variance.size)[0])
        centre = common + trust * (mean - common)
        return np.divide(value - centre, sd, out=np.zeros(value.shape), where=sd > 0)

    others_mean = (total - draws) / (n - 1)
    others = np.maximum((squares - draws**2) / (n - 1) - others_mean**2, 0.0) * (n - 1) / (n - 2)
    z = scaled(true, mean, variance, n)
    return z, scaled(draws, others_mean, others, n - 1).astype(np.float32)


def pooled_p(
    true: npt.NDArray[np.float64], null: npt.NDArray[np.floating], *, tested: npt.NDArray[np.bool_]
) -> npt.NDArray[np.float64]:
    """Share of null draws of all tested features that are at least as large, the true draw counted (F,)."""
    p = np.ones(true.size)
    if tested.any():
        pool = np.sort(null[:, tested], axis=None)
        # compared in the null's own precision, so that equal draws are equal
        above = pool.size - np.searchsorted(pool, true[tested].astype(pool.dtype), side="left")
        p[tested] = (1 + above) / (1 + pool.size)
    return p


def no_evidence(n: int, why: str) -> Evidence:
    """No valid p-value can be given."""
    return Evidence("none", np.zeros(n), np.full(n, np.nan), np.ones(n, dtype=bool), 0, 0, why)


def _nothing(way: Way, true: npt.NDArray[np.float64], possible: int) -> Evidence:
    why = (
        f"only {possible} labelling{'s are' if possible != 1 else ' is'} possible within batches: no p-value "
        "can be small (more donors of both kinds in the same batch are needed)"
    )
    return Evidence(way, true, np.full(true.size, np.nan), true != 0, 0, possible, why)
