"""The counts of a bulk matrix under current gene symbols."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from consilience.expression.duplicates import merge_duplicates
from consilience.expression.genes import GeneMatch, GeneTable, resolve
from consilience.foundation.errors import DataError
from consilience.sources.bulk.matrix import BulkMatrix

if TYPE_CHECKING:
    import numpy.typing as npt

MIN_GENES_MATCHED = 0.2


@dataclass(frozen=True, slots=True)
class NamedCounts:
    """`counts` (samples, genes) under current `symbols`; `source_ids` what the source calls each gene."""

    counts: npt.NDArray[np.int64]
    symbols: tuple[str, ...]
    source_ids: tuple[str, ...]
    match: GeneMatch


def name_genes(matrix: BulkMatrix, *, table: GeneTable, where: str) -> NamedCounts:
    """Bring counts to current symbols by the id column that names most genes; counts of one gene add up."""
    columns = [matrix.genes, *matrix.gene_columns.values()]
    matches = [resolve(ids, table=table) for ids in columns]
    best = max(range(len(matches)), key=lambda one: (len(matches[one].unique), -one))
    ids, match = columns[best], matches[best]
    share = match.n_matched / max(1, len(ids))
    if share < MIN_GENES_MATCHED:
        raise DataError(
            f"only {match.n_matched} of {len(ids)} gene ids ({share:.1%}) are known human genes",
            where=where, value=", ".join(match.unmatched[:5]),
            allowed="symbols, Ensembl ids or Entrez ids of human genes",
            mend="give a table with gene ids; probes of arrays and transcripts must be summed to genes first",
        )  # fmt: skip
    counts = merge_duplicates(values=matrix.values.T, match=match, additive=True)
    sources: dict[str, list[str]] = {}
    for source, symbol in zip(ids, match.symbol, strict=True):
        if symbol and source not in sources.setdefault(symbol, []):
            sources[symbol].append(source)
    return NamedCounts(
        counts=np.ascontiguousarray(counts.T),
        symbols=match.unique,
        source_ids=tuple(";".join(sources[symbol]) for symbol in match.unique),
        match=match,
    )
