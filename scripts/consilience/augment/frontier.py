"""The frontier between fidelity and privacy: which generators are on it, and which to take for a level.

Two scores per generator and split, both 1 at best:

`fidelity`  mean over the figures of `SHORTFALLS` of 1 / (1 + s), where s is how much worse the figure is than
            that of the training patients themselves (REAL_TRAIN of the same split), in units of what the
            target allows. 1: nowhere worse than real patients; 0.5: everywhere exactly at the limit; towards
            0: far off. Bounded, so that one wild figure does not drown the others, and paired with the
            ceiling of the same split, so that an unlucky split lowers neither.
`privacy`   1 − 2 (membership AUC − 0.5). 1: nobody can tell who took part; 0: everybody can. Above 1 by
            chance, which averages out over splits.

Standard errors over splits are those for overlapping splits: s² (1/J + m/n), J splits of n training and m
held-out patients.

References
----------
Nadeau C, Bengio Y. Inference for the generalization error. Mach Learn 2003;52:239-281.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from consilience.augment.frontier_targets import Split, Target, met_targets, splits_of
from consilience.augment.judging import REAL_TRAIN
from consilience.foundation.errors import ConfigError, DataError, did_you_mean
from consilience.measures.release import LEVELS, PrivacyThresholds

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd

LEAST_FIGURES = 3
ALPHA = 0.05
"""One-sided level at which one generator counts as better than another over splits."""


@dataclass(frozen=True, slots=True)
class Score:
    """Mean over splits and its standard error (NaN with one split)."""

    value: float
    error: float


@dataclass(frozen=True, slots=True)
class Standing:
    """One generator: its targets, its two scores, and whom it beats on one score without losing on the other.

    `leak`: membership AUC − 0.5. `n_met` of `len(targets)` targets are met.
    """

    generator: str
    n_splits: int
    targets: tuple[Target, ...]
    n_met: int
    fidelity: Score
    privacy: Score
    leak: Score
    dominates: tuple[str, ...]
    dominated_by: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """The generator for a level of privacy, why, and how it stands.

    `within`: it keeps the level's limits; False where no generator does and the most private is taken (the
    release gate will refuse it). `refused`: a sentence for each generator that does not keep them.
    `all_met`: every target is met.
    """

    generator: str
    level: str
    within: bool
    all_met: bool
    why: str
    targets: tuple[Target, ...]
    dominated_by: tuple[str, ...]
    refused: tuple[str, ...]


def standings(table: pd.DataFrame) -> tuple[Standing, ...]:
    """All generators of a judged table, the most faithful first; REAL_TRAIN too, without rivals.

    `table`: one row per split and generator, with columns `split`, `generator`, `n_train`, `n_held_out` and
    the figures of `judging.FIDELITY` and `PRIVACY`; REAL_TRAIN is one of the generators and has every split.
    Columns `tstr_auc` and `trtr_auc`, where there, give the target of utility.
    """
    splits = splits_of(table)
    names = sorted({name for one in splits for name in one.figures})
    rivals = [name for name in names if name != REAL_TRAIN]
    scores = {name: _scores(name, splits) for name in names}
    better = {
        (a, b): _dominates(scores[a], scores[b], _overlap(splits)) for a in rivals for b in rivals if a != b
    }
    found = [
        Standing(
            generator=name,
            n_splits=int(np.isfinite(scores[name][0]).sum()),
            targets=(targets := met_targets(name, splits)),
            n_met=sum(target.passed for target in targets),
            fidelity=_score(scores[name][0], _overlap(splits)),
            privacy=_score(scores[name][1], _overlap(splits)),
            leak=_score((1 - scores[name][1]) / 2, _overlap(splits)),
            dominates=tuple(other for other in rivals if better.get((name, other))),
            dominated_by=tuple(other for other in rivals if better.get((other, name))),
        )
        for name in names
    ]
    return tuple(sorted(found, key=lambda one: (-one.fidelity.value, one.generator)))


def choose(
    table: pd.DataFrame,
    level: str,
    *,
    among: Sequence[str] | None = None,
    limits: PrivacyThresholds | None = None,
) -> Choice:
    """The most faithful generator that keeps the limits of `level` (none, balanced, strict).

    Of those that cannot be told from the most faithful one (within one standard error of the paired
    difference), the most private is taken. Where none keeps them it is the one that leaks least of those that
    neither lose a class nor copy. `among`: the generators to choose from, else all of the table; `limits` in
    place of the level's own.
    """
    limits = limits or thresholds_of(level)
    splits = splits_of(table)
    found = {
        one.generator: one
        for one in standings(table)
        if one.generator != REAL_TRAIN and (among is None or one.generator in among)
    }
    if not found:
        raise DataError("no judged generator to choose from", value=", ".join(among or ()))
    broken = {name: _broken(name, splits, limits) for name in found}
    refused = tuple(f"{name}: {'; '.join(why)}" for name, why in broken.items() if why)
    allowed = [name for name in found if not broken[name]]
    if allowed:
        taken, why = _most_faithful(allowed, found, splits)
    else:
        sound = [name for name in found if not _unsound(name, splits)] or list(found)
        taken = max(sound, key=lambda name: (found[name].privacy.value, found[name].fidelity.value))
        why = "no generator keeps the limits of this level; this one leaks least of those that lose no class"
    one = found[taken]
    why = (
        f"{why} (fidelity {one.fidelity.value:.2f}, membership AUC {0.5 + one.leak.value:.2f}, "
        f"{one.n_met} of {len(one.targets)} targets, {one.n_splits} splits)"
    )
    return Choice(
        taken,
        level,
        bool(allowed),
        one.n_met == len(one.targets),
        why,
        one.targets,
        one.dominated_by,
        refused,
    )


def thresholds_of(level: str) -> PrivacyThresholds:
    """The limits of a level by its name."""
    if level not in LEVELS:
        raise ConfigError("no such level of privacy", value=level, allowed=", ".join(LEVELS),
                          mend=did_you_mean(level, LEVELS))  # fmt: skip
    return LEVELS[level]


def _most_faithful(
    allowed: list[str], found: dict[str, Standing], splits: Sequence[Split]
) -> tuple[str, str]:
    best = max(allowed, key=lambda name: found[name].fidelity.value)
    faithful = {name: _scores(name, splits)[0] for name in allowed}
    near = [best]
    for name in allowed:
        difference = _score(faithful[best] - faithful[name], _overlap(splits))
        if name != best and difference.value <= difference.error:  # NaN with one split: never near
            near.append(name)
    taken = max(near, key=lambda name: (found[name].privacy.value, found[name].fidelity.value))
    if taken == best:
        return taken, "the most faithful that keeps the limits of this level"
    return taken, (
        f"as faithful as {best} within one standard error, and the most private of those that are, "
        "of all that keep the limits of this level"
    )


def _broken(name: str, splits: Sequence[Split], limits: PrivacyThresholds) -> list[str]:
    """What keeps a generator from a level: means over splits above its limits."""
    rows = [one.figures[name] for one in splits if name in one.figures]
    n_train = np.mean([one.n_train for one in splits])
    why = _unsound(name, splits)
    most_auc = limits.small_membership_auc if n_train <= limits.small_n else limits.membership_auc
    held = {f"membership_{attack}": most_auc for attack in limits.attacks}
    for figure, limit in ({"closest_share": limits.closest_share} | held).items():
        value = float(np.mean([row.get(figure, np.nan) for row in rows]))
        if not value <= limit:
            why.append(f"{figure.replace('_', ' ')} {value:.2f} above {limit:.2f}")
    return why


def _unsound(name: str, splits: Sequence[Split]) -> list[str]:
    """What no level allows: lost classes and copies of patients."""
    why = []
    for figure in ("lost_classes", "exact_copies", "near_copies"):
        rows = [one.figures[name] for one in splits if name in one.figures]
        most = max((row.get(figure, np.nan) for row in rows), default=np.nan)
        if most > 0:
            why.append(f"{figure.replace('_', ' ')}: {most:g} in a split")
    return why


SHORTFALLS = {
    "class_mean_r2": 0.01, "fold_change_r2": 0.01, "spread": 0.05, "diversity": 0.05, "zero_error": 0.01,
    "correlation": 0.10, "two_sample_linear": 0.06, "two_sample_spread": 0.06, "two_sample_joint": 0.06,
}  # fmt: skip
"""Figures of the fidelity score and the shortfall that counts as one (a ratio's is of its logarithm)."""
HIGH = ("class_mean_r2", "fold_change_r2", "correlation")
LOW = ("zero_error", "two_sample_linear", "two_sample_spread", "two_sample_joint")


def shortfalls(figures: dict[str, float], ceiling: dict[str, float]) -> dict[str, float]:
    """How much worse than `ceiling` each figure of SHORTFALLS is, in what is allowed; never below 0."""
    found = {}
    for name, allowed in SHORTFALLS.items():
        value, best = figures.get(name, np.nan), ceiling.get(name, np.nan)
        if name in HIGH:
            worse = best - value
        elif name in LOW:
            worse = value - max(best, 0.5 if name.startswith("two_sample") else 0.0)
        else:
            worse = abs(float(np.log(max(value, 1e-6) / max(best, 1e-6))))
        found[name] = max(0.0, worse) / allowed if np.isfinite(worse) else float("nan")
    return found


def _scores(name: str, splits: Sequence[Split]) -> npt.NDArray[np.float64]:
    """Fidelity and privacy in every split, NaN where it was not judged: (2, J)."""
    found = np.full((2, len(splits)), np.nan)
    for place, one in enumerate(splits):
        if name not in one.figures:
            continue
        short = np.array(list(shortfalls(one.figures[name], one.figures[REAL_TRAIN]).values()))
        short = short[np.isfinite(short)]
        if len(short) >= LEAST_FIGURES:
            found[0, place] = float((1 / (1 + short)).mean())
        found[1, place] = 1 - 2 * (one.figures[name].get("membership", np.nan) - 0.5)
    return found


def _overlap(splits: Sequence[Split]) -> float:
    """Held-out patients per training patient."""
    return float(np.mean([one.n_held_out / max(1, one.n_train) for one in splits]))


def _score(values: npt.NDArray[np.float64], overlap: float) -> Score:
    known = values[np.isfinite(values)]
    if len(known) == 0:
        return Score(float("nan"), float("nan"))
    if len(known) == 1:
        return Score(float(known[0]), float("nan"))
    return Score(float(known.mean()), float(known.std(ddof=1) * np.sqrt(1 / len(known) + overlap)))


def _dominates(a: npt.NDArray[np.float64], b: npt.NDArray[np.float64], overlap: float) -> bool:
    """Whether `a` (2, J) is better than `b` on one score beyond chance, and not worse on the other."""
    from scipy.stats import t as student

    ahead = []
    for one, other in zip(a, b, strict=True):
        difference = _score(one - other, overlap)
        n = int(np.isfinite(one - other).sum())
        if not difference.value >= 0:
            return False
        beyond = n > 1 and difference.value > student.ppf(1 - ALPHA, n - 1) * difference.error
        ahead.append(bool(beyond and difference.value > 0))
    return any(ahead)
