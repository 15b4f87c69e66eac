"""LD as later stages read it: one long table of pairs, and what the matrices say of themselves."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from consilience.foundation.files import atomic_path
from consilience.sources.summary_statistics.findings import Findings
from consilience.sources.summary_statistics.ld import NEGATIVE_EIGENVALUE, LdMatrix, seems_squared

if TYPE_CHECKING:
    import pyarrow as pa

COLUMNS = (
    "locus",
    "rsid_1",
    "rsid_2",
    "r",
    "effect_allele_1",
    "other_allele_1",
    "effect_allele_2",
    "other_allele_2",
)
_SHOWN = 5
_WRITTEN_PAIRS = 1 << 17


@dataclass
class LdSummary:
    """What was written: loci, pairs, the `variants` named, and the loci that are odd in some way."""

    n_loci: int = 0
    n_pairs: int = 0
    variants: set[str] = field(default_factory=set)
    smallest_eigenvalue: float | None = None
    negative: list[str] = field(default_factory=list)
    squared: list[str] = field(default_factory=list)
    without_alleles: list[str] = field(default_factory=list)


def write_ld(
    path: Path, matrices: Iterable[LdMatrix], findings: Findings, *, one_coding: bool = False
) -> LdSummary:
    """Write the upper triangles with diagonals, some loci at a time; r is of the row's effect alleles.

    With `one_coding`, effects and LD are known to be of the same alleles although none is named.
    """
    import pyarrow as pa
    from pyarrow import parquet

    summary = LdSummary()
    with (
        atomic_path(path) as temporary,
        parquet.ParquetWriter(temporary, _schema(), compression="zstd") as writer,
    ):
        waiting: list[pa.Table] = []
        for one in matrices:
            waiting.append(_pairs(one))
            _add(summary, one, waiting[-1].num_rows)
            if sum(table.num_rows for table in waiting) >= _WRITTEN_PAIRS:
                writer.write_table(pa.concat_tables(waiting))
                waiting.clear()
        if waiting:
            writer.write_table(pa.concat_tables(waiting))
    for loci, words in (
        (summary.negative, "have negative eigenvalues"),
        (summary.squared, "have no negative entry among many: are they r² instead of r?"),
        (
            [] if one_coding else summary.without_alleles,
            "name no alleles, so the signs of r cannot be checked against the effects",
        ),
    ):
        if loci:
            more = f" and {len(loci) - _SHOWN} more" if len(loci) > _SHOWN else ""
            findings.alarm(f"{len(loci)} LD matrices {words}: {', '.join(loci[:_SHOWN])}{more}")
    return summary


def _add(summary: LdSummary, one: LdMatrix, n_pairs: int) -> None:
    summary.n_loci += 1
    summary.n_pairs += n_pairs
    summary.variants.update(one.rsid)
    smallest = summary.smallest_eigenvalue
    summary.smallest_eigenvalue = min(one.smallest_eigenvalue, smallest if smallest is not None else np.inf)
    if one.smallest_eigenvalue < NEGATIVE_EIGENVALUE:
        summary.negative.append(one.locus)
    if seems_squared(one.r):
        summary.squared.append(one.locus)
    if not any(one.effect):
        summary.without_alleles.append(one.locus)


def _schema() -> pa.Schema:
    import pyarrow as pa

    return pa.schema([(name, pa.float64() if name == "r" else pa.string()) for name in COLUMNS])


def _pairs(one: LdMatrix) -> pa.Table:
    import pyarrow as pa

    first, second = np.triu_indices(len(one.rsid))
    columns = {"locus": pa.repeat(one.locus, len(first)), "r": pa.array(one.r[first, second])}
    for name, values in (("rsid", one.rsid), ("effect_allele", one.effect), ("other_allele", one.other)):
        words = pa.array([value or None for value in values], pa.string())
        columns[f"{name}_1"], columns[f"{name}_2"] = words.take(pa.array(first)), words.take(pa.array(second))
    return pa.table({name: columns[name] for name in COLUMNS}, schema=_schema())
