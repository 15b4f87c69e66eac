"""Instruments of each focal gene, with the other genes that they regulate.

`prune` follows Porcu E et al. (Nat Commun 10:3300, 2019): (1) the focal gene's own cis-eQTLs, the stronger
first, without those in LD with one before; (2) all other genes that these variants regulate; (3) further
variants that regulate genes of this set and no others, strongest first, without those in LD with one before.
So a neighbour's variant never displaces the focal gene's. `clump` stops after (2). A gene whose effects are
nearly the focal gene's cannot be told from it: it is left out (with the variants that came for it) and named.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from consilience.causal.instruments.ld import Ld, prune
from consilience.causal.instruments.tables import Pairs

if TYPE_CHECKING:
    import numpy.typing as npt

    from consilience.study.causal import InstrumentsSection

    Floats = npt.NDArray[np.float64]
    Integers = npt.NDArray[np.int64]

NEAR_SINGULAR = 1e-8
SHARED = 0.5
"""Agreement with a gene that is left out above which the focal gene's effect cannot be called its own."""


@dataclass(frozen=True)
class Chosen:
    """One gene: n variants (its own first), k genes (itself first).

    `own` rows of the eQTL table that were kept, `pruned` those in LD with a stronger one. `eqtl`, `known`
    (n, k); `ld` (n, n); `n_absent` pairs of variants that no LD matrix has. `left_out` genes; `flags`.
    """

    variants: Integers
    genes: Integers
    eqtl: Floats
    known: npt.NDArray[np.bool_]
    rows: Integers
    ld: Floats
    own: Integers
    pruned: Integers
    n_absent: int
    left_out: Integers
    flags: tuple[str, ...] = ()


@dataclass(frozen=True)
class Candidates:
    """Usable pairs by gene and by variant.

    `pairs` all rows of the eQTL table, sorted by gene and variant; gene g's from start[g] to start[g + 1].
    `effect` (p,) harmonised, NaN where unusable; `usable` (p,) as instruments. `rows_of` the usable rows in
    the order of their variants, those of variant v from first[v] to first[v + 1].
    """

    pairs: Pairs
    start: Integers
    effect: Floats
    usable: npt.NDArray[np.bool_]
    rows_of: Integers
    first: Integers

    def of_gene(self, gene: int) -> Integers:
        """Usable rows of a gene, strongest first; ties in the order of the variants' names."""
        rows = np.arange(self.start[gene], self.start[gene + 1])
        rows = rows[self.usable[rows]]
        keys = self.pairs.variant[rows], -np.abs(self.effect[rows]), -self.pairs.log_p[rows]
        return rows[np.lexsort(keys)]

    def of_variants(self, variants: Integers) -> Integers:
        """Usable rows of all these variants, whatever the gene."""
        parts = [self.rows_of[self.first[v] : self.first[v + 1]] for v in variants]
        return np.concatenate(parts) if parts else np.empty(0, dtype=np.int64)

    def effects(self, genes: Integers, variants: Integers) -> tuple[Floats, Integers]:
        """Effects (n, k) as the table has them, also those too weak for instruments; its rows, -1: none."""
        rows = np.full((len(variants), len(genes)), -1, dtype=np.int64)
        for column, gene in enumerate(genes):
            low, high = self.start[gene], self.start[gene + 1]
            place = low + np.searchsorted(self.pairs.variant[low:high], variants)
            place = np.minimum(place, high - 1)
            found = (self.pairs.variant[place] == variants) & np.isfinite(self.effect[place])
            rows[found, column] = place[found]
        return np.where(rows >= 0, self.effect[rows], 0.0), rows


def candidates(
    pairs: Pairs, effect: Floats, usable: npt.NDArray[np.bool_], *, sizes: tuple[int, int]
) -> Candidates:
    """Index the pairs; `sizes`: how many genes and variants there are."""
    n_genes, n_variants = sizes
    start = np.searchsorted(pairs.gene, np.arange(n_genes + 1)).astype(np.int64)
    rows = np.flatnonzero(usable)
    rows = rows[np.argsort(pairs.variant[rows], kind="stable")]
    first = np.searchsorted(pairs.variant[rows], np.arange(n_variants + 1)).astype(np.int64)
    return Candidates(pairs, start, effect, usable, rows, first)


def choose_instruments(
    gene: int, found: Candidates, ld: Ld | None, settings: InstrumentsSection
) -> Chosen | None:
    """Instruments of one gene; None where it has none. Without `ld`: its strongest variant alone."""
    own = found.of_gene(gene)
    if not own.size:
        return None
    if ld is None:
        kept, flags = np.arange(len(own)) < 1, ["no_ld"]
    else:
        r, _ = ld.among(found.pairs.variant[own])
        kept, flags = prune(r, r2=settings.r2), []
    others = _other_genes(gene, found.pairs.variant[own[kept]], found)
    if len(others) > settings.max_genes:
        flags.append("too_many_genes")
    model = _Model(gene, own[kept], others[: settings.max_genes], list(others[settings.max_genes :]))
    while True:
        chosen = _with_variants(model, own[~kept], found, ld, settings, flags)
        alike = _agreement(chosen)
        drop, flag = alike > settings.gene_r2, "collinear_gene"
        if not drop.any() and len(chosen.genes) > len(chosen.variants):
            drop = np.arange(len(chosen.genes)) == len(chosen.genes) - 1  # genes are strongest first
            flag = "more_genes_than_variants"
        if not drop.any():
            return chosen
        raised = [flag, *(["shared_variants"] if (alike[drop] > SHARED).any() else [])]
        flags += [one for one in raised if one not in flags]
        model.left_out += list(chosen.genes[drop])
        model.others = model.others[~np.isin(model.others, chosen.genes[drop])]


@dataclass
class _Model:
    """A focal gene, rows of its own instruments, genes beside it (strongest first), those left out."""

    gene: int
    own: Integers
    others: Integers
    left_out: list[int] = field(default_factory=list)


def _other_genes(gene: int, variants: Integers, found: Candidates) -> Integers:
    """Other genes that these variants regulate, strongest first; ties in the order of their names."""
    rows = found.of_variants(variants)
    rows = rows[found.pairs.gene[rows] != gene]
    return _distinct(found.pairs.gene[rows], found.pairs.log_p[rows])


def _distinct(things: Integers, strength: Floats) -> Integers:
    """Different things by their greatest strength, strongest first; ties in their own order."""
    order = np.lexsort((things, -strength))
    _, first = np.unique(things[order], return_index=True)
    return things[order][np.sort(first)]


def _with_variants(
    model: _Model,
    pruned: Integers,
    found: Candidates,
    ld: Ld | None,
    settings: InstrumentsSection,
    flags: list[str],
) -> Chosen:
    own = found.pairs.variant[model.own]
    variants = own
    if ld is not None and settings.method == "prune" and model.others.size:
        more = _further(model, np.concatenate([own, found.pairs.variant[pruned]]), found)
        near, _ = ld.between(own, more)
        more = more[~(near**2 >= settings.r2).any(0)]
        kept = prune(ld.among(more)[0], r2=settings.r2)
        variants = np.concatenate([own, more[kept]])
    r, n_absent = ld.among(variants) if ld is not None else (np.eye(len(variants)), 0)
    genes = np.concatenate([[model.gene], model.others]).astype(np.int64)
    eqtl, rows = found.effects(genes, variants)
    acting = (eqtl != 0).any(0)
    acting[0] = True
    return Chosen(
        variants, genes[acting], eqtl[:, acting], rows[:, acting] >= 0, rows[:, acting], r, model.own, pruned,
        n_absent, np.array(model.left_out, dtype=np.int64), tuple(flags),
    )  # fmt: skip


def _further(model: _Model, seen: Integers, found: Candidates) -> Integers:
    """Variants that regulate genes of the model and no other, strongest first, without those `seen`."""
    parts = [np.arange(found.start[g], found.start[g + 1]) for g in (model.gene, *model.others)]
    rows = np.concatenate(parts)
    rows = rows[found.usable[rows]]
    variants, times = np.unique(found.pairs.variant[rows], return_counts=True)
    only = variants[times == found.first[variants + 1] - found.first[variants]]
    rows = rows[np.isin(found.pairs.variant[rows], np.setdiff1d(only, seen))]
    return _distinct(found.pairs.variant[rows], found.pairs.log_p[rows])


def _agreement(chosen: Chosen) -> Floats:
    """How much each gene's effects (k,) agree with the focal gene's (itself: 0).

    Squared correlation of predicted expression.
    """
    if len(chosen.genes) == 1:
        return np.zeros(1)
    ridge = NEAR_SINGULAR * np.eye(len(chosen.ld))
    products = chosen.eqtl.T @ np.linalg.solve(chosen.ld + ridge, chosen.eqtl)
    size = np.abs(np.diag(products))
    with np.errstate(invalid="ignore", divide="ignore"):
        agreement = products[0] ** 2 / (size[0] * size)
    agreement[0] = 0.0
    return np.asarray(np.nan_to_num(agreement))
