"""The targets of synthetic samples, each held against the training patients themselves in the same split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from consilience.augment.judging import FIDELITY, PRIVACY, REAL_TRAIN
from consilience.foundation.errors import DataError
from consilience.measures.release import BALANCED

if TYPE_CHECKING:
    import pandas as pd

UTILITY = ("tstr_auc", "trtr_auc")


@dataclass(frozen=True, slots=True)
class Split:
    """One split: figures by generator (REAL_TRAIN among them), and its sizes in patients."""

    name: str
    n_train: int
    n_held_out: int
    figures: dict[str, dict[str, float]]


@dataclass(frozen=True, slots=True)
class Target:
    """A figure and the range it should lie in: `passed` if `low` ≤ `value` ≤ `high`.

    `value`: mean over splits (the worst split, for counts), relative to REAL_TRAIN as `how` says.
    `ceiling`: what REAL_TRAIN itself has, in the same terms: where that lies outside the range, nobody can
    be expected inside; NaN where it cannot be computed for anybody (too few patients), which is no failure
    of the generator. `error`: standard error over splits, as if they were independent.
    """

    name: str
    how: str
    value: float
    error: float
    low: float
    high: float
    ceiling: float
    passed: bool


R2_MARGIN = 0.01
WITHIN = (0.95, 1.05)
LEAST_CORRELATION = 0.90
MOST_TWO_SAMPLE = 0.60
UTILITY_MARGIN = 0.01
INFINITE = float("inf")


def splits_of(table: pd.DataFrame) -> tuple[Split, ...]:
    """A judged table by split, sorted; refused where a split lacks REAL_TRAIN or has a generator twice."""
    wanted = ("split", "generator", "n_train", "n_held_out")
    missing = [name for name in (*wanted, *FIDELITY, *PRIVACY) if name not in table.columns]
    if missing:
        raise DataError("columns are missing in the judged table", value=", ".join(missing[:6]))
    if not len(table):
        raise DataError("the judged table is empty")
    names = [name for name in (*FIDELITY, *PRIVACY, *UTILITY) if name in table.columns]
    found: dict[str, dict[str, dict[str, float]]] = {}
    sizes: dict[str, tuple[int, int]] = {}
    for row in table.to_dict("records"):
        split, generator = str(row["split"]), str(row["generator"])
        figures = found.setdefault(split, {})
        if generator in figures:
            raise DataError("a generator is judged twice in one split", where=split, value=generator)
        figures[generator] = {name: float(row[name]) for name in names}
        sizes[split] = (int(row["n_train"]), int(row["n_held_out"]))
    bare = [split for split, figures in found.items() if REAL_TRAIN not in figures]
    if bare:
        raise DataError("splits without the row of the training patients", value=", ".join(sorted(bare)[:5]),
                        mend=f"judge the training patients as {REAL_TRAIN}")  # fmt: skip
    return tuple(Split(name, *sizes[name], found[name]) for name in sorted(found))


def met_targets(generator: str, splits: Sequence[Split]) -> tuple[Target, ...]:
    """Every target for this generator (utility only where its columns are there)."""
    some = [one for one in splits if generator in one.figures]
    small = np.mean([one.n_train for one in some]) <= BALANCED.small_n
    most = BALANCED.small_membership_auc if small else BALANCED.membership_auc
    found = [
        _worst("lost_classes", generator, some),
        _worst("exact_copies", generator, some),
        _worst("near_copies", generator, some),
        _difference("class_mean_r2", generator, some, -R2_MARGIN, INFINITE),
        _difference("fold_change_r2", generator, some, -R2_MARGIN, INFINITE),
        _ratio("spread", generator, some, *WITHIN),
        _ratio("diversity", generator, some, *WITHIN),
        _difference("zero_error", generator, some, -INFINITE, 0.0),
        _ratio("correlation", generator, some, LEAST_CORRELATION, INFINITE),
        _plain("two_sample_linear", generator, some, MOST_TWO_SAMPLE),
        _plain("two_sample_spread", generator, some, MOST_TWO_SAMPLE),
        _plain("membership", generator, some, most),
    ]  # fmt: skip
    if all(np.isfinite(one.figures[generator].get(name, np.nan)) for one in some for name in UTILITY):
        away = [one.figures[generator]["tstr_auc"] - one.figures[generator]["trtr_auc"] for one in some]
        found.append(_target("utility", "TSTR − TRTR", away, [0.0] * len(some), -UTILITY_MARGIN, INFINITE))
    return tuple(found)


def _pairs(name: str, generator: str, splits: Sequence[Split]) -> tuple[list[float], list[float]]:
    return (
        [one.figures[generator][name] for one in splits],
        [one.figures[REAL_TRAIN][name] for one in splits],
    )


def _worst(name: str, generator: str, splits: Sequence[Split]) -> Target:
    mine, real = _pairs(name, generator, splits)
    return _target(name, "most in a split", [max(mine)], [max(real)], -INFINITE, 0.0)


def _plain(name: str, generator: str, splits: Sequence[Split], most: float) -> Target:
    mine, real = _pairs(name, generator, splits)
    return _target(name, "mean", mine, real, -INFINITE, most)


def _difference(name: str, generator: str, splits: Sequence[Split], low: float, high: float) -> Target:
    mine, real = _pairs(name, generator, splits)
    away = [value - best for value, best in zip(mine, real, strict=True)]
    return _target(name, f"minus {REAL_TRAIN}", away, [0.0] * len(real), low, high)


def _ratio(name: str, generator: str, splits: Sequence[Split], low: float, high: float) -> Target:
    """Ratio of means over splits: a ceiling near 0 in one split would ruin a mean of ratios.

    A generator without what could be computed for the ceiling (no structure, say) counts 0 there.
    """
    mine, real = (np.array(values) for values in _pairs(name, generator, splits))
    known = np.isfinite(real)
    best = float(real[known].mean()) if known.any() else float("nan")
    if not best > 0:
        nan = float("nan")
        return Target(name, f"ratio to {REAL_TRAIN}", nan, nan, low, high, nan, True)
    share = np.nan_to_num(mine[known]) / best
    return _target(name, f"ratio to {REAL_TRAIN}", share.tolist(), [1.0], low, high)


def _target(
    name: str, how: str, values: Sequence[float], ceiling: Sequence[float], low: float, high: float
) -> Target:
    value = float(np.mean(values))
    error = float(np.std(values, ddof=1) / np.sqrt(len(values))) if len(values) > 1 else float("nan")
    passed = bool(low - 1e-12 <= value <= high + 1e-12)
    return Target(name, how, value, error, low, high, float(np.mean(ceiling)), passed)
