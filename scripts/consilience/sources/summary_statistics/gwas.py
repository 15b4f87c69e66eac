"""The GWAS of a cohort: read in batches, checked, sorted by place."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from consilience.foundation.errors import DataError
from consilience.sources.summary_statistics.associations import Source, read_associations, shared_columns
from consilience.sources.summary_statistics.columns import (
    Associations,
    gathered,
    in_order,
    table_of,
    without_repeats,
)
from consilience.sources.summary_statistics.effects import SCALES, neg_log10_p
from consilience.sources.summary_statistics.findings import Findings
from consilience.sources.summary_statistics.variants import CHROMOSOMES

if TYPE_CHECKING:
    import pyarrow as pa

_P_DISAGREES = 0.05
_ENOUGH = 20
_AT_ONCE = 1 << 20


def read_gwas(source: Source, *, findings: Findings) -> Associations:
    """Read and check a GWAS of any layout: unusable rows are counted, impossible values refused."""
    tables: list[pa.Table] = []
    scale, found = "given", dict[str, str]()
    for batch, found in read_associations(source, findings=findings):  # noqa: B007
        tables.append(table_of("gwas", shared_columns(batch)))
        scale = batch.effects.scale
    if "effect_allele_frequency" not in found:
        findings.note("the GWAS gives no allele frequencies, so palindromic variants cannot be aligned")
    gwas = gathered("gwas", tables, scale)
    gwas = without_repeats(
        gwas, findings, same="GWAS: the same row twice", several="GWAS: one name on several rows"
    )
    if not len(gwas):
        raise DataError(
            "no row of the GWAS can be used",
            where=source.header.where,
            value="; ".join(f"{reason}: {n}" for reason, n in findings.removed.items()),
        )
    if {"beta", "odds_ratio"} & found.keys() and {"standard_error", "ci_lower"} & found.keys():
        _compare_p(gwas, findings)
    _suspect_odds_ratios(gwas, findings)
    chromosome = gwas.codes("chromosome").astype(np.int64)
    chromosome = np.where(chromosome < 0, len(CHROMOSOMES), chromosome)
    gwas, was_sorted = in_order(gwas, (chromosome, gwas.position))
    if not was_sorted:
        findings.note("the GWAS rows were not sorted by chromosome and position; they are now")
    if scale == "standardised":
        findings.note(f"the GWAS gives z only: its effects are {SCALES[scale]}")
    return gwas


def _compare_p(gwas: Associations, findings: Findings) -> None:
    """Compare stated p-values with beta and standard error."""
    n_given = n_off = below = 0
    for start in range(0, len(gwas), _AT_ONCE):
        rows = slice(start, start + _AT_ONCE)
        p, z = gwas.numbers("p_value")[rows], gwas.numbers("z")[rows]
        given = p > 1e-300
        exact = neg_log10_p(z[given])
        n_off += int((np.abs(-np.log10(p[given]) - exact) > 0.1 * np.maximum(exact, 1.0)).sum())
        n_given += int(given.sum())
        below += int((p <= 1e-300).sum())
    if n_off > _P_DISAGREES * n_given:
        findings.alarm(
            f"the p-values of {n_off:,} of {n_given:,} GWAS rows do not follow from beta and standard error "
            "(genomic control, or another scale?); beta and standard error are used"
        )
    if below:
        findings.note(
            f"{below:,} GWAS p-values are too small for a computer number; taken from beta and standard error"
        )


def _suspect_odds_ratios(gwas: Associations, findings: Findings) -> None:
    beta = gwas.numbers("beta")
    if gwas.scale == "given" and len(beta) >= _ENOUGH and beta.min() > 0 and 0.5 < np.median(beta) < 2:
        findings.alarm(
            f"all {len(beta):,} effects of the GWAS are above 0 and around 1 (median {np.median(beta):.3g}): "
            "odds ratios in a column named beta? Name the column odds_ratio in summary_statistics: columns"
        )
