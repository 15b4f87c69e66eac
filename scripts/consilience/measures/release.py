"""Whether synthetic samples may leave the house, and how near copies are taken out before that is asked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from consilience.foundation.errors import DataError
from consilience.measures.copies import NEAR, find_copies
from consilience.measures.membership import ATTACKS, Attack
from consilience.measures.privacy import Privacy

if TYPE_CHECKING:
    import numpy.typing as npt


@dataclass(frozen=True, slots=True)
class PrivacyThresholds:
    """What a release may not exceed.

    `small_n`: up to so many training patients `small_membership_auc` holds in place of `membership_auc`.
    `attacks`: which must stay below; the others are reported. A figure above its threshold fails only if
    chance does not explain it (one-sided p ≤ `alpha`, membership redrawn); with few patients a leak may
    hide, which is said as a note, and is a failure where `refuse_unresolved`.
    """

    exact_copies: int = 0
    near_share: float = 0.0
    closest_share: float = 0.60
    membership_auc: float = 0.60
    small_membership_auc: float = 0.70
    small_n: int = 20
    attacks: tuple[str, ...] = ("distance", "correlation")
    alpha: float = 0.01
    refuse_unresolved: bool = False

    def __post_init__(self) -> None:
        unknown = set(self.attacks) - set(ATTACKS)
        if unknown:
            raise DataError(
                "there is no such attack", value=", ".join(sorted(unknown)), allowed=", ".join(ATTACKS)
            )


NONE = PrivacyThresholds(closest_share=1.0, attacks=())
"""No copy of a patient, exact or near; whether somebody took part may be guessed, and how well is told."""
BALANCED = PrivacyThresholds()
STRICT = PrivacyThresholds(attacks=ATTACKS, refuse_unresolved=True)
LEVELS = {"none": NONE, "balanced": BALANCED, "strict": STRICT}
"""By the names that configuration and command line use."""


@dataclass(frozen=True, slots=True)
class Reason:
    """One figure beside its threshold: `passed`, and a sentence with the numbers."""

    name: str
    passed: bool
    value: float
    limit: float
    sentence: str


@dataclass(frozen=True, slots=True)
class Release:
    """The verdict: `passed` if every reason is; `notes`: what could not be seen, or has no threshold."""

    passed: bool
    reasons: tuple[Reason, ...]
    notes: tuple[str, ...]

    def failures(self) -> tuple[str, ...]:
        """Sentences of what failed."""
        return tuple(reason.sentence for reason in self.reasons if not reason.passed)


def release_gate(privacy: Privacy, *, thresholds: PrivacyThresholds = BALANCED) -> Release:
    """Hold the figures against the thresholds; every figure is a reason, passed or not."""
    limit = (
        thresholds.small_membership_auc
        if privacy.n_train <= thresholds.small_n
        else thresholds.membership_auc
    )
    closest = privacy.closest
    reasons = [
        _counted("exact copies", privacy.exact_copies, thresholds.exact_copies, privacy.n_synthetic),
        _near(privacy, thresholds),
        _judged("share of samples closer to training than to as many held-out patients", closest.share,
                thresholds.closest_share, closest.p, closest.null_high, thresholds),
    ]  # fmt: skip
    notes = []
    for attack in privacy.attacks:
        name = f"membership AUC ({attack.name})"
        if attack.name in thresholds.attacks:
            reasons.append(_judged(name, attack.auc, limit, attack.p, attack.null_high, thresholds))
            if attack.null_high > limit:
                notes.append(_unresolved(privacy, attack, limit))
        else:
            notes.append(
                f"{name}: {attack.auc:.2f} [{attack.low:.2f}, {attack.high:.2f}]; it has no threshold"
            )
    missing = sorted(set(thresholds.attacks) - {attack.name for attack in privacy.attacks})
    if missing:
        raise DataError("the privacy result lacks attacks that the thresholds name", value=", ".join(missing))
    return Release(all(reason.passed for reason in reasons), tuple(reasons), tuple(notes))


def _counted(name: str, value: int, limit: int, of: int) -> Reason:
    passed = value <= limit
    sentence = f"{name}: {value} of {of} samples (allowed {limit})"
    return Reason(name, passed, float(value), float(limit), sentence)


def _near(privacy: Privacy, thresholds: PrivacyThresholds) -> Reason:
    passed = privacy.near_share <= thresholds.near_share
    return Reason(
        "near copies", passed, privacy.near_share, thresholds.near_share,
        f"near copies: {privacy.near_copies} of {privacy.n_synthetic} samples lie within half the distance "
        f"from a training patient to the nearest other one ({privacy.near_share:.2%}; allowed "
        f"{thresholds.near_share:.2%}; of held-out patients {privacy.near_held_out:.2%})",
    )  # fmt: skip


def _judged(
    name: str, value: float, limit: float, p: float, null_high: float, thresholds: PrivacyThresholds
) -> Reason:
    above, shown = value > limit, p <= thresholds.alpha
    unresolved = thresholds.refuse_unresolved and null_high > limit
    passed = not (above and shown) and not unresolved
    tail = f"p = {p:.2g} without a leak"
    if unresolved and not (above and shown):
        tail += f"; with so few patients chance alone gives up to {null_high:.2f}, so it cannot be cleared"
    elif above and not shown:
        tail += ": chance explains it"
    return Reason(name, passed, value, limit, f"{name}: {value:.2f} (limit {limit:.2f}; {tail})")


def _unresolved(privacy: Privacy, attack: Attack, limit: float) -> str:
    return (
        f"membership ({attack.name}): with {privacy.n_train} training and {privacy.n_held_out} held-out "
        f"patients chance alone gives AUCs up to {attack.null_high:.2f}, so a leak near the limit of "
        f"{limit:.2f} would not be seen"
    )


@dataclass(frozen=True, slots=True)
class Cleaned:
    """Samples without near copies: `values` (k', G), `source` (k',): the row given, −1 for one drawn anew.

    `n_removed` samples were taken out, `n_redrawn` put in their places in `rounds` draws.
    """

    values: npt.NDArray[np.float32]
    source: npt.NDArray[np.intp]
    n_removed: int
    n_redrawn: int
    rounds: int


def remove_near_copies(
    *,
    synthetic: npt.NDArray[np.float32],
    train: npt.NDArray[np.float32],
    donors: npt.NDArray[np.generic] | None = None,
    redraw: Callable[[npt.NDArray[np.intp], int], npt.NDArray[np.float32]] | None = None,
    max_rounds: int = 10,
    near: float = NEAR,
) -> Cleaned:
    """Take out of `synthetic` (k, G) every near copy of a row of `train` (n, G).

    `redraw(rows, round)` gives new samples in place of those `rows` of the first ones (of their class,
    say); rounds count from 1. What is still a copy after `max_rounds`, or without `redraw`, is dropped.
    This removes copies, not every leak: judge the rest with `privacy` all the same.
    """
    values = np.array(synthetic, dtype=np.float32)
    source = np.arange(len(values))
    bad = np.flatnonzero(find_copies(synthetic=values, train=train, donors=donors, near=near).near)
    n_removed, rounds = len(bad), 0
    while redraw is not None and len(bad) and rounds < max_rounds:
        rounds += 1
        drawn = np.asarray(redraw(bad, rounds), dtype=np.float32)
        if drawn.shape != (len(bad), values.shape[1]):
            raise DataError("the generator drew another number of samples or genes than asked",
                            value=drawn.shape, allowed=f"({len(bad)}, {values.shape[1]})")  # fmt: skip
        values[bad], source[bad] = drawn, -1
        bad = bad[find_copies(synthetic=drawn, train=train, donors=donors, near=near).near]
    keep = np.ones(len(values), dtype=bool)
    keep[bad] = False
    return Cleaned(values[keep], source[keep], n_removed, n_removed - len(bad), rounds)
