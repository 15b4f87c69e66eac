"""LD of the eQTL variants from a reference panel: which variants, which loci, and their correlations."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from consilience.foundation.errors import DataError
from consilience.foundation.jobs import progress
from consilience.sources.summary_statistics.columns import Associations
from consilience.sources.summary_statistics.findings import Findings
from consilience.sources.summary_statistics.ld import LdMatrix
from consilience.sources.summary_statistics.plink import Panel, correlations
from consilience.sources.summary_statistics.variants import (
    BASES,
    CHROMOSOMES,
    NOT_SINGLE,
    name_hashes,
    place_keys,
)
from consilience.sources.text import shown
from consilience.study.sections import SummaryStatisticsSection

LARGEST_MISSING = 0.1
MOST_PAIRS = 100_000_000
Indices = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Wanted:
    """Variants whose LD is asked for: `rows` (v,) of the panel, and their `names` (v,) in the eQTL table."""

    rows: Indices
    names: npt.NDArray[np.object_]


def panel_ld(
    panels: Sequence[Panel],
    gwas: Associations,
    eqtl: Associations,
    *,
    settings: SummaryStatisticsSection,
    findings: Findings,
) -> Iterator[LdMatrix]:
    """LD per locus of the variants that are in the eQTL table (p at most `ld_p`), the GWAS and a panel."""
    chosen = [
        wanted_variants(panel, gwas, eqtl, largest_p=settings.ld_p, findings=findings) for panel in panels
    ]
    loci: list[tuple[Panel, Wanted, Indices]] = []
    n_split = 0
    for panel, wanted in zip(panels, chosen, strict=True):
        found = loci_of(
            panel.chromosome[wanted.rows], panel.position[wanted.rows], window=settings.ld_window_kb * 1e3
        )
        for locus in found:
            parts = split_at_gaps(panel.position[wanted.rows[locus]], most=settings.ld_max_variants)
            n_split += len(parts) > 1
            loci += [(panel, wanted, locus[part]) for part in parts]
    n_pairs = sum(len(locus) * (len(locus) + 1) // 2 for _, _, locus in loci)
    if n_pairs > MOST_PAIRS:
        raise DataError(
            f"LD of these variants would be {n_pairs:,} pairs",
            where=shown(panels[0].path),
            allowed=f"at most {MOST_PAIRS:,}",
            mend="set summary_statistics: ld_p or ld_max_variants lower, or give a pruned panel "
            "(plink --indep-pairwise)",
        )
    if n_split:
        findings.alarm(
            f"{n_split:,} loci have more than {settings.ld_max_variants:,} variants and were split at their "
            "widest gaps (summary_statistics: ld_max_variants); LD across a split is not known"
        )
    yield from _matrices(loci, findings)


def wanted_variants(
    panel: Panel, gwas: Associations, eqtl: Associations, *, largest_p: float, findings: Findings
) -> Wanted:
    """The variants of a panel that are eQTLs and in the GWAS, by name, else by place and alleles."""
    near = eqtl.numbers("p_value") <= largest_p
    asked = np.intersect1d(eqtl.keys[near], gwas.keys)
    single = (panel.a1 >= 0) & (panel.a1 < NOT_SINGLE) & (panel.a2 >= 0) & (panel.a2 < NOT_SINGLE)
    places = place_keys(panel.chromosome, panel.position, panel.a1, panel.a2)
    match = first_match(name_hashes(panel.name), eqtl.keys)
    if not (match >= 0).any():  # the panel names its variants otherwise
        match = np.where(single, first_match(places, eqtl.places()), -1)
        findings.note(f"{shown(panel.path)}: its variants were found by place and alleles, not by name")
    present = (match >= 0) & np.isin(eqtl.keys[match], asked)
    fits = single & (eqtl.places()[match] % 16 == places % 16)
    if odd := int((present & ~fits).sum()):
        findings.note(f"{odd:,} variants have other alleles in {shown(panel.path)} than in the eQTL table")
    rows = np.flatnonzero(present & fits)
    _, once = np.unique(match[rows], return_index=True)
    rows = rows[np.sort(once)]
    names = eqtl.table.column("rsid").take(match[rows]).to_numpy()
    return Wanted(rows, np.asarray(names, dtype=object))


def first_match(values: npt.NDArray[Any], among: npt.NDArray[Any]) -> Indices:
    """For each of `values` (m,) the first index at which it is in `among` (n,), -1 where it is not."""
    if not len(among):
        return np.full(len(values), -1, dtype=np.int64)
    distinct, first = np.unique(among, return_index=True)
    at = np.minimum(np.searchsorted(distinct, values), len(distinct) - 1)
    return np.where(distinct[at] == values, first[at], -1)


def loci_of(chromosome: npt.NDArray[np.int8], position: Indices, *, window: float) -> list[Indices]:
    """Groups of variants (indices in order of position): neighbours within `window` bases belong together."""
    order = np.lexsort((position, chromosome))
    if not order.size:
        return []
    apart = (np.diff(chromosome[order]) != 0) | (np.diff(position[order]) > window)
    return [np.asarray(part) for part in np.split(order, np.flatnonzero(apart) + 1)]


def split_at_gaps(position: Indices, *, most: int) -> list[Indices]:
    """Parts of at most `most` neighbours (indices into sorted positions), cut where the gaps are widest.

    Each cut leaves a quarter of `most` or more on either side: a lone variant at an end is not cut off.
    """
    waiting, parts = [np.arange(len(position))], []
    while waiting:
        part = waiting.pop()
        if len(part) <= most:
            parts.append(part)
            continue
        margin = max(most // 4, 1)
        gaps = np.diff(position[part])[margin - 1 : len(part) - margin]
        cut = int(np.argmax(gaps)) + margin
        waiting += [part[cut:], part[:cut]]
    return parts


def _matrices(loci: Sequence[tuple[Panel, Wanted, Indices]], findings: Findings) -> Iterator[LdMatrix]:
    still = n_missing = 0
    for panel, wanted, locus in progress(loci, label="loci"):
        rows = wanted.rows[locus]
        found = correlations(panel.copies(rows), largest_missing=LARGEST_MISSING)
        n_missing += int((found.missing > LARGEST_MISSING).sum())
        still += int((~found.varies & (found.missing <= LARGEST_MISSING)).sum())
        rows, names = rows[found.varies], wanted.names[locus][found.varies]
        if not rows.size:
            continue
        first, last = panel.position[rows[0]], panel.position[rows[-1]]
        place = f"chr{CHROMOSOMES[panel.chromosome[rows[0]]]}_{first}_{last}"
        yield LdMatrix(
            place,
            tuple(names),
            tuple(BASES[k] for k in panel.a1[rows]),
            tuple(BASES[k] for k in panel.a2[rows]),
            found.r,
            float(np.linalg.eigvalsh(found.r)[0]),
        )
    findings.remove("LD panel: the variant does not vary", still)
    findings.remove(f"LD panel: more than {LARGEST_MISSING:.0%} of the genotypes missing", n_missing)
