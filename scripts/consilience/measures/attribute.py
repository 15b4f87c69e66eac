"""Attribute inference: guessing what is not known of a patient from synthetic samples and all that is known.

The attacker knows every gene of a patient but one, and the class; guesses from the synthetic samples of that
class whether the missing gene is high or low; and does so for many genes. What synthetic samples teach about
the *population* helps with any patient and is no leak. A leak is what they teach about the patients they were
made from alone: the accuracy on training patients less that on held-out ones (Yeom et al. 2018), the
advantage, 0 without a leak. In another attack every gene is known and the class is guessed.

As long as the generator did not look, train and held-out donors of a class are exchangeable, so redrawing who
was a member gives the exact distribution of the advantage without a leak. What is high is said by the
synthetic samples (above their median in the class), the same for members and others.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from consilience.foundation.errors import DataError
from consilience.foundation.seeds import stream
from consilience.measures.distances import canonical_order, distances
from consilience.measures.membership import N_PERMUTATIONS, class_codes, redrawn

if TYPE_CHECKING:
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Labels = tuple[npt.NDArray[np.generic], npt.NDArray[np.generic], npt.NDArray[np.generic]]

ATTACKS = ("nearest", "ridge", "label")
"""`nearest`: the gene's value in the nearest synthetic sample by the other genes. `ridge`: linear regression
of the gene on all others. `label`: the class of the nearest synthetic sample."""
N_GENES = 50
PENALTY = 0.03
"""Of the ridge, as a share of the samples' mean squared length."""
MOST_SYNTHETIC = 600
"""Synthetic samples of a class that an attack learns from, at most."""
LEAST_BALANCE = 0.2
"""A gene is guessed where both high and low have this share of the patients at least."""


@dataclass(frozen=True, slots=True)
class AttributeAttack:
    """One attack: accuracy on `train` and `held_out` patients (mean over genes and patients), and advantage.

    `advantage`: train − held_out, `low` to `high` (95 %, over donors); `null_high`: 95 % quantile without a
    leak; `p`: one-sided permutation p-value; `n_genes`: how many genes were guessed (0 for the label).
    """

    name: str
    train: float
    held_out: float
    advantage: float
    low: float
    high: float
    null_high: float
    p: float
    n_genes: int


def attribute_attacks(
    *,
    train: npt.NDArray[np.floating],
    held_out: npt.NDArray[np.floating],
    synthetic: npt.NDArray[np.floating],
    labels: Labels | None = None,
    donors: tuple[npt.NDArray[np.generic], npt.NDArray[np.generic]] | None = None,
    genes: npt.NDArray[np.intp] | None = None,
    n_genes: int = N_GENES,
    seed: int = 0,
    attacks: tuple[str, ...] = ATTACKS,
) -> tuple[AttributeAttack, ...]:
    """Attack `synthetic` (k, G) with patients of `train` (n, G) and `held_out` (m, G): one result per attack.

    `labels`: classes of the three; without them there is no attack on the label. `donors`: of train and
    held-out rows. `genes`: columns that are sensitive; else `n_genes` at random among those that divide the
    patients. The result does not depend on the order of rows.
    """
    pool = np.concatenate([train, held_out]).astype(np.float64)
    member = np.arange(len(pool)) < len(train)
    who = np.arange(len(pool)).astype(str) if donors is None else np.concatenate(donors).astype(str)
    _check(pool, synthetic, member, who)
    groups, made = class_codes(labels, len(pool), len(synthetic))
    order = canonical_order(pool)
    pool, member, groups = pool[order], member[order], groups[order]
    who = np.arange(len(pool)).astype(str) if donors is None else who[order]
    order = canonical_order(synthetic)
    order = order[_fewer(made[order], seed)]
    fake, made = synthetic[order].astype(np.float64), made[order]
    found = []
    for name in attacks:
        if name not in ATTACKS:
            raise DataError("there is no such attack", value=name, allowed=", ".join(ATTACKS))
        if name == "label":
            if labels is None or len(np.unique(made)) < 2:
                continue
            right, number = label_guessed(pool=pool, groups=groups, synthetic=fake, made=made), 0
        else:
            chosen = sensitive(pool, groups=groups, n=n_genes, seed=seed) if genes is None else genes
            right = genes_guessed(
                name=name, pool=pool, groups=groups, synthetic=fake, made=made, genes=chosen
            ).mean(axis=1)
            number = len(chosen)
        found.append(judged(name, right, member=member, groups=groups, donors=who, seed=seed, n_genes=number))
    return tuple(found)


def sensitive(
    pool: npt.NDArray[np.floating], *, groups: npt.NDArray[np.intp], n: int, seed: int
) -> npt.NDArray[np.intp]:
    """Columns of `pool` (N, G), ascending: `n` at random of those whose halves divide every class.

    Nothing here knows who is a member.
    """
    balance = np.ones(pool.shape[1])
    for group in np.unique(groups):
        mine = pool[groups == group]
        share = (mine > np.median(mine, axis=0)).mean(axis=0)
        balance = np.minimum(balance, np.minimum(share, 1 - share))
    usable = np.flatnonzero(balance >= LEAST_BALANCE)
    if not len(usable):
        raise DataError(
            "no gene divides the patients into high and low", value=f"{pool.shape[1]} genes",
            mend="name the sensitive genes, or give more patients",
        )  # fmt: skip
    return np.sort(stream(seed, "attribute genes").permutation(usable)[:n])


def genes_guessed(
    *,
    name: str,
    pool: Floats,
    groups: npt.NDArray[np.intp],
    synthetic: Floats,
    made: npt.NDArray[np.intp],
    genes: npt.NDArray[np.intp],
) -> npt.NDArray[np.bool_]:
    """Whether high or low is guessed rightly: (N, len(genes)). `groups` (N,), `made` (k,): class numbers."""
    real, fake = _standardised(pool, pool), _standardised(synthetic, pool)
    right = np.zeros((len(pool), len(genes)), dtype=bool)
    for group in np.unique(groups):
        mine = np.flatnonzero(groups == group)
        theirs = made == group
        learned = fake[theirs] if theirs.any() else fake
        cut = np.median(learned[:, genes], axis=0)
        guess = (_nearest_values if name == "nearest" else _ridge_values)(real[mine], learned, genes)
        right[mine] = (guess > cut) == (real[np.ix_(mine, genes)] > cut)
    return right


def label_guessed(
    *, pool: Floats, groups: npt.NDArray[np.intp], synthetic: Floats, made: npt.NDArray[np.intp]
) -> Floats:
    """1 where the nearest of `synthetic` (k, G) is of the patient's class, else 0: (N,)."""
    near = distances(a=_standardised(pool, pool), b=_standardised(synthetic, pool)).argmin(axis=1)
    return np.asarray(made[near] == groups, dtype=np.float64)


def _standardised(values: Floats, pool: Floats) -> Floats:
    """Values (n, G) in sds of the patients (N, G); genes that do not vary among these are 0."""
    sd = pool.std(axis=0)
    varies = sd > 1e-6 * max(1.0, float(np.abs(pool).max()))
    return np.where(varies, (values - pool.mean(axis=0)) / np.where(varies, sd, 1.0), 0.0)


def _nearest_values(real: Floats, fake: Floats, genes: npt.NDArray[np.intp]) -> Floats:
    """Each gene's value in the nearest of `fake` (k, G) by all others, for rows of `real`: (n, genes)."""
    square = distances(a=real, b=fake) ** 2
    found = np.empty((len(real), len(genes)))
    for place, gene in enumerate(genes):
        others = square - (real[:, gene, None] - fake[:, gene]) ** 2
        found[:, place] = fake[others.argmin(axis=1), gene]
    return found


def _ridge_values(real: Floats, fake: Floats, genes: npt.NDArray[np.intp]) -> Floats:
    """Each gene's value by ridge regression on all others, learned from `fake` (k, G): (n, genes).

    All genes are in one k × k inverse A; without gene s it is (A⁻¹ − s sᵀ)⁻¹ s = A s / (1 − sᵀ A s).
    """
    centre = fake.mean(axis=0)
    left, right = real - centre, fake - centre
    gram = right @ right.T
    penalty = PENALTY * max(float(np.trace(gram)) / len(gram), 1e-12)
    inverse = np.linalg.inv(gram + penalty * np.eye(len(gram)))
    across = left @ right.T
    values = right[:, genes]
    solved = inverse @ values
    solved = solved / (1 - (values * solved).sum(axis=0))
    own = left[:, genes] * (values * solved).sum(axis=0)
    return np.asarray(across @ solved - own + centre[genes])


def judged(
    name: str,
    right: Floats,
    *,
    member: npt.NDArray[np.bool_],
    groups: npt.NDArray[np.intp],
    donors: npt.NDArray[np.str_],
    seed: int,
    n_genes: int,
) -> AttributeAttack:
    """Advantage of members over others within classes; `right` (N,) each patient's share of right guesses.

    Donors are redrawn, with all of their samples, among donors of the same classes.
    """
    accuracy = _accuracies(right, member[None], groups)
    train, held_out = float(accuracy[0, 0]), float(accuracy[1, 0])
    levels, donor = np.unique(donors, return_inverse=True)
    classes = np.unique(groups)
    counts = np.stack([np.bincount(donor[groups == one], minlength=len(levels)) for one in classes], axis=1)
    strata = np.unique(counts, axis=0, return_inverse=True)[1].ravel()
    inside = np.zeros(len(levels), dtype=bool)
    inside[donor[member]] = True
    drawn = redrawn(inside, strata, N_PERMUTATIONS, seed)[:, donor]
    null = np.subtract(*_accuracies(right, drawn, groups))
    error = _error(right, member, groups, donor)
    gap = train - held_out
    return AttributeAttack(
        name=name, train=train, held_out=held_out, advantage=gap,
        low=max(-1.0, gap - 1.96 * error), high=min(1.0, gap + 1.96 * error),
        null_high=float(np.quantile(null, 0.95)),
        p=float((1 + (null >= gap - 1e-12).sum()) / (1 + len(null))), n_genes=n_genes,
    )  # fmt: skip


def _accuracies(right: Floats, members: npt.NDArray[np.bool_], groups: npt.NDArray[np.intp]) -> Floats:
    """Accuracy of members and of others, a mean over classes by their sizes: `members` (b, N) → (2, b)."""
    total, weight = np.zeros((2, len(members))), 0
    for group in np.unique(groups):
        mine = groups == group
        inside = members[:, mine]
        n = inside.sum(axis=1)
        if not (0 < n[0] < mine.sum()):
            continue
        total[0] += mine.sum() * (inside @ right[mine]) / n
        total[1] += mine.sum() * (~inside @ right[mine]) / (mine.sum() - n)
        weight += int(mine.sum())
    if not weight:
        raise DataError("no class has both training and held-out patients, so guesses cannot be compared",
                        mend="hold out patients of every class")  # fmt: skip
    return total / weight


def _error(
    right: Floats, member: npt.NDArray[np.bool_], groups: npt.NDArray[np.intp], donor: npt.NDArray[np.intp]
) -> float:
    """Standard error of the advantage: by what each donor adds to it."""
    adds = np.zeros(len(right))
    used = [one for one in np.unique(groups) if 0 < member[groups == one].mean() < 1]
    size = sum(int((groups == one).sum()) for one in used)
    for one in used:
        for side, sign in ((member, 1.0), (~member, -1.0)):
            rows = (groups == one) & side
            n = int(rows.sum())
            spread = np.sqrt(n / (n - 1)) if n > 1 else 1.0
            adds[rows] = sign * spread * (right[rows] - right[rows].mean()) / n * (groups == one).sum() / size
    return float(np.sqrt((np.bincount(donor, adds) ** 2).sum()))


def _fewer(made: npt.NDArray[np.intp], seed: int) -> npt.NDArray[np.intp]:
    """Rows of at most MOST_SYNTHETIC samples of each class."""
    rows = [
        stream(seed, "attribute samples", int(one)).permutation(np.flatnonzero(made == one))[:MOST_SYNTHETIC]
        for one in np.unique(made)
    ]
    return np.sort(np.concatenate(rows))


def _check(
    pool: Floats,
    synthetic: npt.NDArray[np.floating],
    member: npt.NDArray[np.bool_],
    who: npt.NDArray[np.str_],
) -> None:
    if synthetic.ndim != 2 or not len(synthetic) or synthetic.shape[1] != pool.shape[1] or pool.shape[1] < 2:
        raise DataError("the sets do not have the same genes, or fewer than two",
                        value=f"{pool.shape[1]} and {synthetic.shape[1:]}")  # fmt: skip
    if not (np.isfinite(pool).all() and np.isfinite(synthetic).all()):
        raise DataError("values that are no numbers", where="attribute inference")
    shared = np.intersect1d(who[member], who[~member])
    if shared.size:
        raise DataError("donors are both in training and held out, so a leak cannot be judged",
                        value=", ".join(shared[:5].tolist()), mend="split by donor")  # fmt: skip
