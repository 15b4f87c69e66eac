"""Shadow models: how much a *way of making* samples leaks, by making them again and again from known halves.

The generator is fitted to many random halves of the patients. For every patient this gives the scores of
its samples with the patient in and with the patient out; the attack on one fit is the likelihood ratio of
its score under the two, learned from all other fits (Carlini et al. 2022). It judges the generator and its
settings rather than one release, and is stronger than a plain distance where nobody is copied (each patient
is compared with itself); against copies it gains nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from consilience.foundation.errors import DataError
from consilience.foundation.seeds import stream
from consilience.measures.membership import attack_scores, class_codes

if TYPE_CHECKING:
    import numpy.typing as npt

    Made = tuple[npt.NDArray[np.float32], npt.NDArray[np.str_]]
    Make = Callable[[npt.NDArray[np.float32], npt.NDArray[np.str_], int], Made]

LEAST_SHADOWS = 6
LEAST_ON_A_SIDE = 2


@dataclass(frozen=True, slots=True)
class ShadowAttack:
    """Mean AUC over the fits, its standard error over fits, and how many there were; 0.5: no leak.

    `plain`: mean AUC of the same scores without the likelihood ratio.
    """

    auc: float
    error: float
    plain: float
    n_shadows: int


def shadow_attack(
    *,
    values: npt.NDArray[np.float32],
    labels: npt.NDArray[np.str_],
    make: Make,
    n_shadows: int = 16,
    attack: str = "correlation",
    seed: int = 0,
) -> ShadowAttack:
    """Attack `make(rows, labels, seed) → (samples, labels)` on halves of `values` (N, G), `labels` (N,).

    Costs `n_shadows` fits.
    """
    if n_shadows < LEAST_SHADOWS:
        raise DataError("too few shadow models", value=n_shadows, allowed=f"{LEAST_SHADOWS} or more")
    groups = np.unique(labels.astype(str), return_inverse=True)[1]
    inside = _halves(groups, n_shadows, seed)
    scores = np.empty(inside.shape)
    for number, member in enumerate(inside):
        fresh = int(stream(seed, "shadow", number).integers(2**31))
        made, made_labels = make(values[member], labels[member], fresh)
        real_class, made_class = class_codes((labels, labels[:0], made_labels), len(labels), len(made))
        scores[number] = attack_scores(
            name=attack, pool=values, groups=real_class, synthetic=made, made=made_class
        )  # fmt: skip
    found = np.array([
        (_auc(_likelihood_ratio(scores, inside, number), inside[number], groups),
         _auc(scores[number], inside[number], groups))
        for number in range(n_shadows)
    ])  # fmt: skip
    error = float(found[:, 0].std(ddof=1) / np.sqrt(n_shadows))
    return ShadowAttack(float(found[:, 0].mean()), error, float(found[:, 1].mean()), n_shadows)


def _halves(groups: npt.NDArray[np.intp], n: int, seed: int) -> npt.NDArray[np.bool_]:
    """Random halves of every class, in pairs of complements: all patients are in equally often; (n, N)."""
    inside = np.zeros((n, len(groups)), dtype=bool)
    for number in range(n):
        if number % 2:
            inside[number] = ~inside[number - 1]
            continue
        rng = stream(seed, "shadow-half", number)
        for group in np.unique(groups):
            rows = rng.permutation(np.flatnonzero(groups == group))
            if len(rows) < 2 * LEAST_ON_A_SIDE:
                raise DataError("a class is too small to be halved", value=len(rows), allowed="4 or more")
            inside[number, rows[: (len(rows) + int(rng.integers(2))) // 2]] = True
    return inside


def _likelihood_ratio(
    scores: npt.NDArray[np.float64], inside: npt.NDArray[np.bool_], target: int
) -> npt.NDArray[np.float64]:
    """Log likelihood ratio in / out of the target's scores, learned from the other fits: (N,)."""
    others = np.arange(len(scores)) != target
    # the complement of the target is no independent fit: it never has the same patients in
    mate = target ^ 1
    if mate < len(scores):
        others[mate] = False
    kept, members = scores[others], inside[others]
    means = []
    left = np.zeros_like(kept)
    for side in (members, ~members):
        count = np.maximum(side.sum(axis=0), 1)
        mean = np.where(side, kept, 0).sum(axis=0) / count
        left += np.where(side, kept - mean, 0)
        # a patient seen on one side only says nothing: its mean there is that of all
        mean = np.where(side.any(axis=0), mean, kept.mean(axis=0))
        means.append(mean)
    freedom = max(1, len(kept) - 2)
    variance = (left**2).sum(axis=0) / freedom
    variance = (variance + variance.mean()) / 2  # few fits per patient: half way to the common one
    into, out = means
    ratio: npt.NDArray[np.float64] = (
        (scores[target] - out) ** 2 - (scores[target] - into) ** 2
    ) / np.maximum(variance, 1e-12)
    return ratio


def _auc(
    scores: npt.NDArray[np.float64], member: npt.NDArray[np.bool_], groups: npt.NDArray[np.intp]
) -> float:
    """Share of (member, non-member) pairs of one class in which the member scores higher."""
    above = pairs = 0.0
    for group in np.unique(groups):
        mine = groups == group
        difference = scores[mine & member][:, None] - scores[mine & ~member]
        above += float((difference > 0).sum() + 0.5 * (difference == 0).sum())
        pairs += difference.size
    return above / pairs
