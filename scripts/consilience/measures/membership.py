"""Membership inference: telling from synthetic samples which patients their generator was trained on.

An attack gives every real patient, of training and held-out alike, a score; the AUC of the score for
membership is the leak, 0.5 is none. Scores are compared within classes only. As long as the generator did
not look, train and held-out patients of a class are exchangeable, so redrawing who was a member gives the
exact distribution of the AUC without a leak, however few patients there are and however many synthetic
samples.

Attacks (chosen by power on shrunk Gaussians, copulas, under-dispersed samplers, SMOTE and bootstraps fitted
to real cohorts): `distance`, nearest synthetic sample by Euclidean distance, the customary one;
`correlation`, nearest by correlation of gene-standardised profiles: in thousands of genes lengths
concentrate and angles do not: stronger against samplers that copy nobody, about equal against copies;
`profile`, the same after class means are taken away: sees the leak that is in the class means alone, which
any table of means from the same patients has too (Homer et al. 2008); `span`, nearest in the space in which
all real patients are equally far apart: sees that samples are combinations of training patients. Principal
components (10 or 20) lose power: what makes a patient recognisable is outside of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from consilience.foundation.errors import DataError
from consilience.foundation.seeds import stream
from consilience.measures.distances import correlation_space, nearest, standard_space

if TYPE_CHECKING:
    import numpy.typing as npt

ATTACKS = ("distance", "correlation", "profile", "span")
N_PERMUTATIONS = 1999


@dataclass(frozen=True, slots=True)
class Attack:
    """AUC of one attack, its interval `low` to `high` (95 %, over patients), and what no leak gives.

    `null_high`: 95 % quantile of the AUC without a leak: below it, a leak cannot be seen with so few
    patients. `p`: one-sided permutation p-value.
    """

    name: str
    auc: float
    low: float
    high: float
    null_high: float
    p: float


def membership_attacks(
    *,
    train: npt.NDArray[np.floating],
    held_out: npt.NDArray[np.floating],
    synthetic: npt.NDArray[np.floating],
    labels: tuple[npt.NDArray[np.generic], npt.NDArray[np.generic], npt.NDArray[np.generic]] | None = None,
    seed: int = 0,
    attacks: tuple[str, ...] = ATTACKS,
) -> tuple[Attack, ...]:
    """Attack `synthetic` (k, G) with patients of `train` (n, G) and `held_out` (m, G): one result per attack.

    `labels`: classes of the three. A patient is compared with synthetic samples of the same class, if any.
    """
    pool = np.concatenate([train, held_out])
    member = np.arange(len(pool)) < len(train)
    groups, made = class_codes(labels, len(pool), len(synthetic))
    return tuple(
        judge_attack(
            name=name,
            scores=attack_scores(name=name, pool=pool, groups=groups, synthetic=synthetic, made=made),
            member=member,
            groups=groups,
            seed=seed,
        )
        for name in attacks
    )


def attack_scores(
    *,
    name: str,
    pool: npt.NDArray[np.floating],
    groups: npt.NDArray[np.intp],
    synthetic: npt.NDArray[np.floating],
    made: npt.NDArray[np.intp],
) -> npt.NDArray[np.float64]:
    """Minus the distance of each patient of `pool` (N, G) from the nearest synthetic one of its class: (N,).

    `groups` (N,), `made` (k,): class numbers. Nothing here knows who is a member.
    """
    places = _places(name, pool, groups, synthetic, made)
    scores = np.empty(len(pool))
    for group in np.unique(groups):
        mine = groups == group
        theirs = made == group
        references = places[1][theirs] if theirs.any() else places[1]
        scores[mine] = -nearest(queries=places[0][mine], references=references, k=1).distance[:, 0]
    return scores


def _places(
    name: str,
    pool: npt.NDArray[np.floating],
    groups: npt.NDArray[np.intp],
    synthetic: npt.NDArray[np.floating],
    made: npt.NDArray[np.intp],
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Patients and synthetic samples in the attack's space, (N, d) and (k, d)."""
    if name == "distance":
        return pool.astype(np.float64), synthetic.astype(np.float64)
    if name == "correlation":
        space = correlation_space(pool)
        return space(pool), space(synthetic)
    standard = standard_space(pool)
    left, right = standard(pool), standard(synthetic)
    if name == "profile":
        for group in np.unique(groups):
            centre = left[groups == group].mean(axis=0)
            left[groups == group] -= centre
            right[made == group] -= centre
        return _unit(left), _unit(right)
    if name == "span":
        # coordinates in which the patients' own covariance is the identity: K = L Lᵀ over all real patients
        values, vectors = np.linalg.eigh(left @ left.T)
        used = values > 1e-8 * values[-1]
        back = vectors[:, used] / values[used]
        return (left @ left.T) @ back, (right @ left.T) @ back
    raise DataError("there is no such attack", value=name, allowed=", ".join(ATTACKS))


def judge_attack(
    *,
    name: str,
    scores: npt.NDArray[np.float64],
    member: npt.NDArray[np.bool_],
    groups: npt.NDArray[np.intp],
    seed: int,
) -> Attack:
    """AUC within groups with its null; `scores`, `member`, `groups` (N,)."""
    from scipy.stats import rankdata

    ranks = np.empty(len(scores))
    for group in np.unique(groups):
        ranks[groups == group] = rankdata(np.round(scores[groups == group], 12))
    auc = _auc(ranks, member[None], groups)[0]
    null = _auc(ranks, redrawn(member, groups, N_PERMUTATIONS, seed), groups)
    if not np.isfinite(auc):
        raise DataError("no class has both training and held-out patients, so membership cannot be judged",
                        mend="hold out patients of every class")  # fmt: skip
    pairs = _effective(member, groups)
    error = _hanley_mcneil(auc, *pairs)
    return Attack(
        name=name,
        auc=float(auc),
        low=max(0.0, float(auc) - 1.96 * error),
        high=min(1.0, float(auc) + 1.96 * error),
        null_high=float(np.quantile(null, 0.95)),
        p=float((1 + (null >= auc - 1e-12).sum()) / (1 + len(null))),
    )


def redrawn(
    member: npt.NDArray[np.bool_], groups: npt.NDArray[np.intp], n: int, seed: int
) -> npt.NDArray[np.bool_]:
    """`member` (N,) permuted within groups, `n` times: (n, N)."""
    rng = stream(seed, "membership-null")
    drawn = np.empty((n, len(member)), dtype=bool)
    for group in np.unique(groups):
        mine = groups == group
        drawn[:, mine] = rng.permuted(np.broadcast_to(member[mine], (n, int(mine.sum()))), axis=1)
    return drawn


def _auc(
    ranks: npt.NDArray[np.float64], members: npt.NDArray[np.bool_], groups: npt.NDArray[np.intp]
) -> npt.NDArray[np.float64]:
    """Share of (member, other) pairs of one group that the ranks order rightly; `members` (b, N) → (b,)."""
    above = np.zeros(len(members))
    pairs = 0
    for group in np.unique(groups):
        mine = groups == group
        inside = members[:, mine]
        n = int(inside[0].sum())
        above += inside @ ranks[mine] - n * (n + 1) / 2
        pairs += n * (int(mine.sum()) - n)
    return above / pairs if pairs else np.full(len(members), np.nan)


def _effective(member: npt.NDArray[np.bool_], groups: npt.NDArray[np.intp]) -> tuple[int, int]:
    """Members and non-members in groups that have both."""
    both = [groups == group for group in np.unique(groups) if 0 < member[groups == group].mean() < 1]
    return sum(int(member[mine].sum()) for mine in both), sum(int((~member[mine]).sum()) for mine in both)


def _hanley_mcneil(auc: float, n: int, m: int) -> float:
    """Standard error of an AUC of n positives and m negatives (Hanley & McNeil 1982)."""
    first, second = auc / (2 - auc), 2 * auc**2 / (1 + auc)
    variance = auc * (1 - auc) + (n - 1) * (first - auc**2) + (m - 1) * (second - auc**2)
    return float(np.sqrt(max(0.0, variance) / (n * m)))


def class_codes(
    labels: tuple[npt.NDArray[np.generic], npt.NDArray[np.generic], npt.NDArray[np.generic]] | None,
    n_real: int,
    n_made: int,
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Class numbers of real (train, then held-out) and synthetic rows; all 0 without labels."""
    if labels is None:
        return np.zeros(n_real, dtype=np.intp), np.zeros(n_made, dtype=np.intp)
    everyone = np.concatenate([one.astype(str) for one in labels])
    _, code = np.unique(everyone, return_inverse=True)
    return code[:n_real], code[n_real:]


def _unit(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    values = values - values.mean(axis=1, keepdims=True)
    values /= np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-12)
    return values
