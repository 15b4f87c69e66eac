"""All asked estimators on many exposures."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from consilience.causal.mr import flags as words
from consilience.causal.mr.estimators import estimator
from consilience.causal.mr.estimators.estimator import Estimates
from consilience.causal.mr.instruments import Exposure, groups
from consilience.causal.mr.steiger import BACKWARD, UNCLEAR, steiger

if TYPE_CHECKING:
    import numpy.typing as npt

    from consilience.causal.mr.estimators.estimator import Estimator
    from consilience.causal.mr.instruments import Group

    Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class MrResult:
    """One exposure by one method; NaN and a flag where there is no answer.

    `df` of the t distribution behind `p`, `low` and `high` (inf: normal); `n_snps` instruments behind the
    estimate; `direction` one of steiger's words, with its p-value; `flags` a key of `FLAGS` each.
    """

    name: str
    method: str
    estimate: float
    se: float
    low: float
    high: float
    p: float
    df: float
    q: float
    q_df: float
    q_p: float
    intercept: float
    intercept_se: float
    intercept_p: float
    n_snps: int
    direction: str
    direction_p: float
    flags: str


def estimate_all(
    exposures: Iterable[Exposure], methods: Sequence[str], *, bootstraps: int, seed: int
) -> list[list[MrResult]]:
    """Every exposure in the order given, by every method in the order given.

    An exposure's answers do not depend on the other exposures nor on their order.
    """
    asked = [estimator(key) for key in methods]
    ones = list(exposures)
    found: list[list[MrResult]] = [[] for _ in ones]
    for group in groups(ones):
        shared, direction, direction_p = _shared(group)
        for method in asked:
            answer, flagged = _answers(group, method, shared, bootstraps=bootstraps, seed=seed)
            n_snps = _n_snps(group, method)
            numbers = _numbers(answer)
            for row, place in enumerate(group.index):
                found[place].append(MrResult(
                    name=group.instruments.names[row], method=method.key, n_snps=n_snps,
                    direction=direction[row], direction_p=direction_p[row],
                    flags=words.joined(flagged[row]), **{name: numbers[name][row] for name in numbers},
                ))  # fmt: skip
    return found


def _numbers(answer: Estimates) -> dict[str, list[float]]:
    low, high = answer.interval()
    columns = {
        "estimate": answer.estimate, "se": answer.se, "low": low, "high": high, "p": answer.p,
        "df": answer.df, "q": answer.q, "q_df": answer.q_df, "q_p": answer.q_p,
        "intercept": answer.intercept, "intercept_se": answer.intercept_se, "intercept_p": answer.intercept_p,
    }  # fmt: skip
    return {name: column.tolist() for name, column in columns.items()}


def _n_snps(group: Group, method: Estimator) -> int:
    n: int = group.instruments.b_exp.shape[1]
    return min(n, 1) if method.key == "wald_ratio" else n


def _shared(group: Group) -> tuple[list[set[str]], list[str], list[float]]:
    """Flags that do not depend on the method, and the direction."""
    given = group.instruments
    g, n = given.b_exp.shape
    direction = steiger(given, n_exp=group.n_exp, n_out=group.n_out)
    blind = group.bad_ld | group.singular_ld
    told = np.where(blind, UNCLEAR, direction.words(words.SIGNIFICANT))
    f = ((given.b_exp / given.se_exp) ** 2).mean(axis=1) if n else np.full(g, np.inf)
    marks = {
        "unusable_variants": group.dropped,
        "no_instruments": np.full(g, n == 0),
        "bad_ld": group.bad_ld,
        "singular_ld": group.singular_ld,
        "weak_instruments": f < words.WEAK_F,
        "reverse_direction": told == BACKWARD,
    }
    return _sets(marks, g), told.tolist(), np.where(blind, np.nan, direction.p).tolist()


def _answers(
    group: Group, method: Estimator, shared: list[set[str]], *, bootstraps: int, seed: int
) -> tuple[Estimates, list[set[str]]]:
    given = group.instruments
    g, n = given.b_exp.shape
    few = n < max(method.min_variants, 1)
    blocked = (group.bad_ld | group.singular_ld) & method.uses_ld & (n > 0)
    if few:
        answer = Estimates.none(g)
    else:
        answer = method.estimate(given, bootstraps=bootstraps, seed=seed).without(blocked)
    answer = answer.without(~(np.isfinite(answer.estimate) & (answer.se > 0)))
    silent = np.isnan(answer.estimate)
    with np.errstate(invalid="ignore"):
        marks = {
            "few_variants": np.full(g, few),
            "not_estimable": silent & ~blocked & (not few),
            "ld_ignored": ~silent & (not method.uses_ld and method.min_variants > 1) & _correlated(group),
            "heterogeneous": answer.q_p < words.SIGNIFICANT,
            "directional_pleiotropy": answer.intercept_p < words.SIGNIFICANT,
            "egger_attenuated": ~np.isnan(answer.intercept) & (_i_squared(group) < words.ATTENUATED),
        }  # fmt: skip
    own = _sets(marks, g)
    return answer, [common | mine for common, mine in zip(shared, own, strict=True)]


def _correlated(group: Group) -> npt.NDArray[np.bool_]:
    """Whether any two instruments are (g,); all of a group whose LD cannot be used are taken for it."""
    n = group.instruments.b_exp.shape[1]
    apart = np.abs(group.instruments.ld) * (1 - np.eye(n))
    return np.asarray((apart > words.LD_IGNORED).any(axis=(1, 2)) | group.bad_ld | group.singular_ld)


def _i_squared(group: Group) -> Floats:
    """Share (g,) of the spread of the exposure effects that is not error, each over its outcome's error.

    Bowden, Del Greco, Minelli, Davey Smith, Sheehan, Thompson 2016 (doi 10.1093/ije/dyw220).
    """
    given = group.instruments
    b, se = given.b_exp / given.se_out, given.se_exp / given.se_out
    weight = se**-2
    mean = (b * weight).sum(axis=1, keepdims=True) / weight.sum(axis=1, keepdims=True)
    q = (weight * (b - mean) ** 2).sum(axis=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.maximum(0.0, 1 - (b.shape[1] - 1) / q))


def _sets(marks: dict[str, npt.NDArray[np.bool_]], g: int) -> list[set[str]]:
    found: list[set[str]] = [set() for _ in range(g)]
    for word, where in marks.items():
        for row in np.flatnonzero(where):
            found[row].add(word)
    return found
