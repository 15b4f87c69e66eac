"""From genes to instruments in the form that all estimators take, in groups of genes with equally many."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from consilience.causal.mr.estimators.estimator import Instruments

if TYPE_CHECKING:
    import numpy.typing as npt

    from consilience.causal.inputs import GeneInputs

    Floats = npt.NDArray[np.float64]
    Mask = npt.NDArray[np.bool_]

SIDES = ("b_exp", "se_exp", "b_out", "se_out")
ASYMMETRY = 1e-6
LEAST_EIGENVALUE = 1e-3
"""Of the LD matrix: below this, a combination of variants has all but no variance of its own."""


@dataclass(frozen=True)
class Exposure:
    """One exposure's instruments: effects (n,), errors (n,), `ld` (n, n); people behind both sides.

    `n_exp` and `n_out` are NaN where unknown (no direction is judged then).
    """

    name: str
    b_exp: Floats
    se_exp: Floats
    b_out: Floats
    se_out: Floats
    ld: Floats
    n_exp: float
    n_out: float


def of_gene(inputs: GeneInputs) -> Exposure:
    """The focal gene's own instruments: the variants with an effect on it."""
    chosen = np.flatnonzero(inputs.eqtl[:, 0] != 0)
    n_exp, n_out = float(inputs.n_eqtl[0]), float(inputs.n_gwas)
    errors = [np.full(chosen.size, n**-0.5 if n > 0 else np.nan) for n in (n_exp, n_out)]
    return Exposure(
        inputs.gene, inputs.eqtl[chosen, 0], errors[0], inputs.gwas[chosen], errors[1],
        inputs.ld[np.ix_(chosen, chosen)], n_exp, n_out,
    )  # fmt: skip


@dataclass(frozen=True)
class Group:
    """Exposures with equally many instruments: `index` (g,) their places in the list that was given.

    `bad_ld`, `singular_ld` (g,): estimators that use the LD must leave these out; `dropped` (g,): had
    unusable variants. `n_exp`, `n_out` (g,).
    """

    index: npt.NDArray[np.intp]
    instruments: Instruments
    bad_ld: Mask
    singular_ld: Mask
    dropped: Mask
    n_exp: Floats
    n_out: Floats


def groups(exposures: Iterable[Exposure]) -> Iterator[Group]:
    """All exposures, grouped by their number of usable instruments (0 too), many first.

    Alleles are turned to those that raise the exposure and instruments sorted, so no answer depends on the
    order of the variants or on which allele was counted, not even in its random numbers.
    """
    waiting: dict[int, list[tuple[int, Exposure, bool]]] = {}
    for place, one in enumerate(exposures):
        waiting.setdefault(len(one.b_exp), []).append((place, one, False))
    for n in range(max(waiting, default=-1), -1, -1):
        members = waiting.get(n, [])
        sides = {name: np.array([getattr(one, name) for _, one, _ in members]) for name in SIDES}
        usable = _usable(**sides) if members and n else np.ones((len(members), n), dtype=bool)
        whole = usable.all(axis=1)
        for row in np.flatnonzero(~whole):
            place, one, _ = members[row]
            rest = _cut(one, usable[row])
            waiting.setdefault(len(rest.b_exp), []).append((place, rest, True))
        kept = [members[row] for row in np.flatnonzero(whole)]
        if kept:
            yield _group(kept, {name: values[whole] for name, values in sides.items()})


def _usable(*, b_exp: Floats, se_exp: Floats, b_out: Floats, se_out: Floats) -> Mask:
    """Which variants (g, n) have finite effects and positive errors, and an effect on the exposure."""
    finite = np.isfinite(np.stack([b_exp, se_exp, b_out, se_out])).all(axis=0)
    return np.asarray(finite & (se_exp > 0) & (se_out > 0) & (b_exp != 0))


def _cut(one: Exposure, kept: Mask) -> Exposure:
    sides = {name: getattr(one, name)[kept] for name in SIDES}
    return replace(one, ld=one.ld[np.ix_(kept, kept)], **sides)


def _group(members: Sequence[tuple[int, Exposure, bool]], sides: dict[str, Floats]) -> Group:
    ones = [one for _, one, _ in members]
    sign = np.sign(sides["b_exp"])
    b_exp, b_out, se_exp, se_out = (
        sign * sides["b_exp"],
        sign * sides["b_out"],
        sides["se_exp"],
        sides["se_out"],
    )
    order = np.lexsort((b_out, se_out, se_exp, -b_exp / se_exp), axis=-1)
    turned = {"b_exp": b_exp, "se_exp": se_exp, "b_out": b_out, "se_out": se_out}
    ld = np.array([one.ld for one in ones]) * sign[:, :, None] * sign[:, None, :]
    rows = np.arange(len(ones))[:, None, None]
    ld = ld[rows, order[:, :, None], order[:, None, :]]
    bad, singular = judged_ld(ld)
    ld = np.where((bad | singular)[:, None, None], np.eye(ld.shape[1]), ld)
    parts = {name: np.take_along_axis(values, order, axis=1) for name, values in turned.items()}
    return Group(
        index=np.array([place for place, _, _ in members]),
        instruments=Instruments(tuple(one.name for one in ones), ld=ld, **parts),
        bad_ld=bad,
        singular_ld=singular,
        dropped=np.array([dropped for *_, dropped in members]),
        n_exp=np.array([one.n_exp for one in ones]),
        n_out=np.array([one.n_out for one in ones]),
    )


def judged_ld(ld: Floats) -> tuple[Mask, Mask]:
    """Which of (g, n, n) matrices are no correlations (g,), and which of the others are singular (g,)."""
    g, n = ld.shape[:2]
    if n == 0:
        return np.zeros(g, dtype=bool), np.zeros(g, dtype=bool)
    finite = np.asarray(np.isfinite(ld).all(axis=(1, 2)))
    whole = np.where(finite[:, None, None], ld, np.eye(n))
    fine = finite & (np.abs(whole) <= 1 + ASYMMETRY).all(axis=(1, 2))
    fine &= (np.abs(whole - whole.transpose(0, 2, 1)) <= ASYMMETRY).all(axis=(1, 2))
    fine &= (np.abs(np.diagonal(whole, axis1=1, axis2=2) - 1) <= ASYMMETRY).all(axis=1)
    least = np.linalg.eigvalsh(np.where(fine[:, None, None], whole, np.eye(n)))[:, 0]
    return np.asarray(~fine), np.asarray(least < LEAST_EIGENVALUE)
