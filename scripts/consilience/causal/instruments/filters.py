"""Which rows of the eQTL table may be instruments, before LD: p or FDR, place, people, direction."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from consilience.causal.instruments.harmonise import Harmonised
from consilience.causal.instruments.reasons import CODES
from consilience.causal.instruments.tables import Tables

if TYPE_CHECKING:
    import numpy.typing as npt

    from consilience.study.causal import InstrumentsSection

    Floats = npt.NDArray[np.float64]
    Flags = npt.NDArray[np.bool_]
    Reasons = npt.NDArray[np.int8]

MHC = ("6", 25_000_000, 34_000_000)
FEW_PEOPLE = 2 / 3
"""A variant with fewer people than this share of the others' 90th percentile is left out (as LDSC does)."""
STEIGER_P = 0.05


def log_p_limit(log_p: Floats, *, p: float, fdr: float, n_tests: int) -> float:
    """-log10 of the largest p-value of an instrument.

    With `fdr`, Benjamini-Hochberg over `n_tests` tests, of which `log_p` (m,) are the ones kept for their
    small p-values: ranks are the same as among all tests. Infinite where none passes.
    """
    if not fdr:
        return float(-np.log10(p))
    ordered = np.sort(log_p[np.isfinite(log_p)])[::-1]
    due = -np.log10(fdr * np.arange(1, ordered.size + 1) / max(n_tests, ordered.size))
    passing = np.flatnonzero(ordered >= due)
    return float(ordered[passing[-1]]) if passing.size else float("inf")


def filtered(
    tables: Tables, harmonised: Harmonised, *, settings: InstrumentsSection, limit: float
) -> Reasons:
    """Reason (p,) why a pair of variant and gene is no instrument (number of CODES; 0: it may be one)."""
    pairs, variants = tables.pairs, tables.variants
    weak = ~(pairs.log_p >= limit)
    reason = np.where(weak, CODES["weak"], harmonised.reason).astype(np.int8)
    tests = (
        ("mhc", in_mhc(variants.chromosome, variants.position)[pairs.variant] & settings.drop_mhc),
        ("far", is_far(tables, cis_kb=settings.cis_kb)),
        ("few_people", _few(tables, reason == 0)),
    )
    for name, drop in tests:
        reason[(reason == 0) & drop] = CODES[name]
    if tables.loci:
        absent = harmonised.ld_reason[pairs.variant]
        reason = np.where(reason == 0, absent, reason).astype(np.int8)
    if settings.steiger:
        reverse = _reverse(tables, harmonised, reason == 0, alone=settings.method == "clump")
        reason[(reason == 0) & reverse] = CODES["steiger"]
    return reason


def in_mhc(chromosome: npt.NDArray[np.object_], position: npt.NDArray[np.int64]) -> Flags:
    """Variants (v,) in the extended MHC; bounds hold in GRCh37 and GRCh38."""
    name, low, high = MHC
    return np.asarray((chromosome == name) & (position >= low) & (position <= high), dtype=bool)


def is_far(tables: Tables, *, cis_kb: float) -> Flags:
    """Pairs (p,) further apart than allowed; where either has no place nothing is known, and it is near."""
    pairs, genes, variants = tables.pairs, tables.genes, tables.variants
    here, there = variants.position[pairs.variant], genes.position[pairs.gene]
    known = (here >= 0) & (there >= 0)
    other = variants.chromosome[pairs.variant] != genes.chromosome[pairs.gene]
    return np.asarray(known & (other | (np.abs(here - there) > 1000.0 * cis_kb)), dtype=bool)


def steiger_z(trait: Floats, n_trait: Floats, expression: Floats, n_expression: Floats) -> Floats:
    """How much more a variant correlates with the trait than with expression, in standard errors.

    Standardised effects are correlations; Fisher's transformation (Hemani G et al. PLoS Genet 13:e1007081,
    2017). Positive: more of the trait.
    """
    top = 1 - 1e-12
    with np.errstate(invalid="ignore", divide="ignore"):
        error = np.sqrt(1 / np.maximum(n_trait - 3, 1) + 1 / np.maximum(n_expression - 3, 1))
        gap = np.arctanh(np.minimum(np.abs(trait), top)) - np.arctanh(np.minimum(np.abs(expression), top))
        return np.asarray(gap / error)


def _few(tables: Tables, usable: Flags) -> Flags:
    """Pairs with far fewer people than the gene's others, or whose variant has far fewer in the GWAS."""
    pairs, variants = tables.pairs, tables.variants
    few = np.zeros(len(usable), dtype=bool)
    rows = np.flatnonzero(usable)
    gene = pairs.gene[rows]
    order = np.lexsort((pairs.n[rows], gene))
    start = np.flatnonzero(np.diff(gene[order], prepend=-1))
    sizes = np.diff(np.append(start, len(order)))
    high = pairs.n[rows][order][start + np.floor(0.9 * (sizes - 1)).astype(np.int64)]
    few[rows[order]] = pairs.n[rows][order] < FEW_PEOPLE * np.repeat(high, sizes)
    people = variants.n[variants.in_gwas & np.isfinite(variants.n)]
    if people.size:
        few |= (variants.n < FEW_PEOPLE * np.quantile(people, 0.9))[pairs.variant]
    return few


def _reverse(tables: Tables, harmonised: Harmonised, usable: Flags, *, alone: bool) -> Flags:
    """Pairs whose variant explains significantly more of the trait than of expression.

    `alone`: of this gene's expression; else of that of the gene on which it acts most, since genes enter the
    model together.
    """
    from scipy import stats

    pairs, variants = tables.pairs, tables.variants
    strength, people = np.abs(np.nan_to_num(harmonised.eqtl)), pairs.n
    if not alone:
        rows = np.flatnonzero(usable)
        order = rows[np.lexsort((strength[rows], pairs.variant[rows]))]
        last = order[np.flatnonzero(np.diff(pairs.variant[order], append=-1))]  # its strongest pair
        best = np.zeros(len(variants.name), dtype=np.int64)
        best[pairs.variant[last]] = last
        strength, people = strength[best[pairs.variant]], people[best[pairs.variant]]
    z = steiger_z(harmonised.gwas[pairs.variant], variants.n[pairs.variant], strength, people)
    return np.asarray(z > stats.norm.isf(STEIGER_P))
