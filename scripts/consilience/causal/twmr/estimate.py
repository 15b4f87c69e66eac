"""All estimators on all genes, stacked by size: no gene is visited alone."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from consilience.causal.twmr.direct import MOST_VARIANTS, Fits, averaged, fits, learnt
from consilience.causal.twmr.flags import FLAGS
from consilience.causal.twmr.fuller import fuller
from consilience.causal.twmr.heterogeneity import Judged, judged, outlying, q_p
from consilience.causal.twmr.moments import Moments, joined, moments
from consilience.causal.twmr.plain import plain
from consilience.causal.twmr.published import published
from consilience.causal.twmr.sized import PIVOT_SMALL, PIVOT_ZERO, Sized, pivots, sized, stacked, usable
from consilience.causal.twmr.strength import (
    COLLINEAR,
    SEPARABLE,
    WEAK,
    agreement,
    condition,
    conditional_f,
    redundant,
)

if TYPE_CHECKING:
    import numpy.typing as npt

    from consilience.causal.inputs_file import Bucket

    Floats = npt.NDArray[np.float64]
    Integers = npt.NDArray[np.int64]
    Bools = npt.NDArray[np.bool_]

NUMBERS = (
    "alpha", "se", "p", "z", "df", "alpha_published", "se_published", "p_published", "alpha_plain",
    "se_plain", "p_plain", "q", "q_p", "condition", "conditional_f", "alpha_cleaned", "se_cleaned",
    "p_cleaned", "q_cleaned", "q_p_cleaned", "n_genes", "se_fixed",
    "disturbed",
)  # fmt: skip


@dataclass(frozen=True)
class Estimates:
    """One entry a row of the inputs (N,): `numbers` by name, NaN where not estimated; `raised` by flag.

    `outliers` (row -> variants), `dropped` and `twins` (row -> columns of genes) hold rows that have any.
    """

    numbers: dict[str, Floats]
    raised: dict[str, Bools]
    outliers: dict[int, list[int]] = field(default_factory=dict)
    dropped: dict[int, list[int]] = field(default_factory=dict)
    twins: dict[int, list[int]] = field(default_factory=dict)


@dataclass(frozen=True)
class _Group:
    """Genes with k genes each, of several sizes n: `part` and `place` (G,) say where their effects are."""

    rows: Integers
    columns: Integers
    part: Integers
    place: Integers
    of: Moments

    def only(self, which: Bools) -> _Group:
        return _Group(
            self.rows[which], self.columns[which], self.part[which], self.place[which], self.of.rows(which)
        )


def estimate(buckets: Iterable[Bucket], n_rows: int, *, together: bool = True) -> Estimates:
    """The default estimate of every row, the published one, least squares, and what to make of them.

    `together`: how often variants act directly, and how strongly, is learnt from all rows (see `direct`)
    where there are enough of them; rows do not depend on each other in any other way, nor on their order.
    """
    found = Estimates(
        {name: np.full(n_rows, np.nan) for name in NUMBERS},
        {flag: np.zeros(n_rows, dtype=bool) for flag in FLAGS},
    )
    parts, groups = _first_pass(buckets, found)
    small: list[Fits] = []
    for group in groups:
        for kept in _without_redundant(group, found):
            small += _second_pass(kept, parts, found)
    if together:
        _average(small, found)
    return found


def _average(small: list[Fits], found: Estimates) -> None:
    """Genes of few variants once more, with what all of them say of direct effects."""
    law = learnt(small)
    if law is None:
        return
    for one in small:
        answer = averaged(one, law)
        for name in ("alpha", "se", "p", "z", "disturbed"):
            found.numbers[name][one.rows] = getattr(answer, name)
        found.numbers["df"][one.rows] = np.inf
        found.raised["disturbed"][one.rows] = answer.disturbed > 0.5


def _small(group: _Group, parts: list[Sized]) -> list[Fits]:
    few = group.only(np.asarray(group.of.n <= MOST_VARIANTS))
    stacks = []
    for part in np.unique(few.part):
        own = few.only(few.part == part)
        stacks.append(fits(_with_columns(parts[part], own), own.of))
    return stacks


def _first_pass(buckets: Iterable[Bucket], found: Estimates) -> tuple[list[Sized], list[_Group]]:
    """Everything that grows with n: one solution of the LD a gene, the published estimate, the moments."""
    parts: list[Sized] = []
    by_k: dict[int, list[_Group]] = {}
    ready = (own for bucket in buckets for own in sized(bucket, usable(bucket, found.raised)))
    for own in stacked(ready):
        pivot = pivots(own.ld)
        found.numbers["n_genes"][own.rows] = own.eqtl.shape[2]
        found.raised["ld_singular"][own.rows] = pivot <= PIVOT_ZERO
        found.raised["ld_near_singular"][own.rows] = (pivot > PIVOT_ZERO) & (pivot < PIVOT_SMALL)
        good = own.only(np.asarray(pivot > PIVOT_ZERO))
        if not len(good.rows):
            continue
        solved = np.linalg.solve(good.ld, np.concatenate([good.eqtl, good.gwas[:, :, None]], axis=2))
        _published(good, solved, found)
        of = moments(
            eqtl=good.eqtl, gwas=good.gwas, solved=solved, n=good.n, n_eqtl=good.n_eqtl, n_gwas=good.n_gwas
        )  # fmt: skip
        part, place = np.full(len(good.rows), len(parts)), np.arange(len(good.rows))
        by_k.setdefault(good.eqtl.shape[2], []).append(_Group(good.rows, good.columns, part, place, of))
        parts.append(good)
    return parts, [_together(groups) for _, groups in sorted(by_k.items())]


def _together(groups: list[_Group]) -> _Group:
    return _Group(
        rows=np.concatenate([one.rows for one in groups]),
        columns=np.concatenate([one.columns for one in groups]),
        part=np.concatenate([one.part for one in groups]),
        place=np.concatenate([one.place for one in groups]),
        of=joined([one.of for one in groups]),
    )


def _published(good: Sized, solved: Floats, found: Estimates) -> None:
    from scipy.special import ndtr

    alpha, se = published(
        eqtl=good.eqtl, gwas=good.gwas, ld=good.ld, solved=solved, n=good.n, n_eqtl=good.n_eqtl,
        n_gwas=good.n_gwas,
    )  # fmt: skip
    numbers = {"alpha": alpha, "se": se, "p": 2.0 * ndtr(-np.abs(alpha / se))}
    for name, values in numbers.items():
        found.numbers[f"{name}_published"][good.rows] = values


def _without_redundant(group: _Group, found: Estimates) -> list[_Group]:
    """The genes again, by how many are left once neighbours that repeat one another are out."""
    ready: list[_Group] = []
    todo = group
    few = todo.of.n < todo.columns.shape[1]
    found.raised["fewer_variants_than_genes"][todo.rows] = few
    todo = todo.only(~few)
    while len(todo.rows):
        correlations = agreement(todo.of)
        lengths = np.einsum("gjj->gj", todo.of.exposures)
        out = np.where(condition(correlations) > COLLINEAR, redundant(correlations, lengths), -1)
        ready.append(todo.only(out < 0))
        todo, out = todo.only(out >= 0), out[out >= 0]
        if not len(todo.rows):
            break
        found.raised["neighbours_dropped"][todo.rows] = True
        for row, columns, at in zip(todo.rows, todo.columns, out, strict=True):
            found.dropped.setdefault(int(row), []).append(int(columns[at]))
        k = todo.columns.shape[1]
        keep = np.argsort(np.arange(k)[None, :] == out[:, None], axis=1, kind="stable")[:, :-1]
        todo = _Group(
            todo.rows, np.take_along_axis(todo.columns, keep, axis=1), todo.part, todo.place,
            todo.of.columns(keep),
        )  # fmt: skip
    return [one for one in ready if len(one.rows)]


def _second_pass(group: _Group, parts: list[Sized], found: Estimates) -> list[Fits]:
    """Estimates of genes of one k from their moments; gives those of few variants."""
    numbers, raised = found.numbers, found.raised
    correlations = agreement(group.of)
    numbers["condition"][group.rows] = condition(correlations)
    lost = numbers["condition"][group.rows] > SEPARABLE
    raised["not_separable"][group.rows] = lost
    _note_twins(group, correlations, found)
    group = group.only(~lost)
    if not len(group.rows):
        return []
    rows, of, k = group.rows, group.of, group.columns.shape[1]
    base, df = plain(of), of.n - k
    answer, error, judgement = _default(of, base.q)
    numbers["se_fixed"][rows] = error
    _plain(rows, base.alpha, base.se, found)
    for name, values in _named(answer, judgement).items():
        numbers[name][rows] = values
    numbers["df"][rows] = judgement.df
    numbers["z"][rows] = judgement.z
    numbers["q"][rows] = np.where(df > 0, base.q, np.nan)
    numbers["q_p"][rows] = q_p(base.q, df)
    numbers["conditional_f"][rows] = conditional_f(of)
    raised["weak_instruments"][rows] = numbers["conditional_f"][rows] < WEAK
    raised["no_heterogeneity_test"][rows] = df == 0
    raised["heterogeneous"][rows] = np.nan_to_num(numbers["q_p"][rows], nan=1.0) < 0.05
    _clean(group, parts, found)
    return _small(group, parts)


def _default(of: Moments, q: Floats) -> tuple[Floats, Floats, Judged]:
    one = fuller(of)
    return one.alpha, one.se, judged(alpha=one.alpha, se=one.se, q=q, df=of.n - of.both.shape[1])


def _named(alpha: Floats, judgement: Judged, end: str = "") -> dict[str, Floats]:
    return {f"alpha{end}": alpha, f"se{end}": judgement.se, f"p{end}": judgement.p}


def _plain(rows: Integers, alpha: Floats, se: Floats, found: Estimates) -> None:
    from scipy.special import ndtr

    found.numbers["alpha_plain"][rows] = alpha
    found.numbers["se_plain"][rows] = se
    found.numbers["p_plain"][rows] = 2.0 * ndtr(-np.abs(alpha / se))


def _note_twins(group: _Group, correlations: Floats, found: Estimates) -> None:
    """Neighbours that a focal gene can hardly be told from, nearest first."""
    close = found.numbers["condition"][group.rows] > COLLINEAR
    found.raised["collinear"][group.rows] = close
    limit = (COLLINEAR - 1.0) / (COLLINEAR + 1.0)
    for place in np.flatnonzero(close):
        shared = np.abs(correlations[place, 0, 1:])
        order = np.argsort(-shared, kind="stable")
        own = [int(group.columns[place, 1 + at]) for at in order if shared[at] > limit]
        found.twins[int(group.rows[place])] = own


def _clean(group: _Group, parts: list[Sized], found: Estimates) -> None:
    """Heterogeneous genes once more, without the variants that fit worst."""
    k = group.columns.shape[1]
    odd = group.only(found.raised["heterogeneous"][group.rows])
    for part in np.unique(odd.part):
        own = odd.only(odd.part == part)
        stack = _with_columns(parts[part], own)
        inverse: Floats = np.asarray(np.linalg.inv(stack.ld), dtype=np.float64)
        out = outlying(
            eqtl=stack.eqtl, gwas=stack.gwas, inverse=inverse, n=own.of.n, n_eqtl=stack.n_eqtl,
            n_gwas=stack.n_gwas,
        )  # fmt: skip
        some: Bools = np.asarray(out.any(axis=1))
        if not some.any():
            continue
        of = _moments_without(stack.only(some), out[some], own.of.n[some])
        base, rows = plain(of), own.rows[some]
        answer, _, judgement = _default(of, base.q)
        numbers = _named(answer, judgement, "_cleaned")
        numbers |= {"q_cleaned": base.q, "q_p_cleaned": q_p(base.q, of.n - k)}
        for name, values in numbers.items():
            found.numbers[name][rows] = values
        found.raised["outliers"][rows] = True
        for row, gone in zip(rows, out[some], strict=True):
            found.outliers[int(row)] = np.flatnonzero(gone).tolist()


def _with_columns(source: Sized, own: _Group) -> Sized:
    """The effects of these genes, without neighbours that were dropped."""
    columns = _positions(source.columns[own.place], own.columns)
    return Sized(
        own.rows, own.columns, source.n[own.place],
        np.take_along_axis(source.eqtl[own.place], columns[:, None, :], axis=2), source.gwas[own.place],
        source.ld[own.place], np.take_along_axis(source.n_eqtl[own.place], columns, axis=1),
        source.n_gwas[own.place],
    )  # fmt: skip


def _positions(among: Integers, wanted: Integers) -> Integers:
    """Where each wanted column (G, k) stands among all columns (G, K) of its row."""
    return np.asarray((among[:, None, :] == wanted[:, :, None]).argmax(axis=2))


def _moments_without(stack: Sized, out: Bools, n: Floats) -> Moments:
    keep = ~out
    both = keep[:, :, None] & keep[:, None, :]
    ld = np.where(both, stack.ld, np.eye(stack.ld.shape[1]))
    eqtl, gwas = stack.eqtl * keep[:, :, None], stack.gwas * keep
    solved = np.linalg.solve(ld, np.concatenate([eqtl, gwas[:, :, None]], axis=2))
    return moments(
        eqtl=eqtl, gwas=gwas, solved=solved, n=n - out.sum(axis=1), n_eqtl=stack.n_eqtl, n_gwas=stack.n_gwas
    )
