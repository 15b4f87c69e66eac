"""Which cells of a cohort are kept and which genes they have: the judgement, pass by pass."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from consilience.expression.cell_phenotypes import CellPhenotypes
from consilience.expression.cell_quality import CellLimits, count_limits, doublet_limits
from consilience.expression.doublets import MIN_CELLS, score_samples
from consilience.expression.genes import GeneMatch, GeneTable, resolve
from consilience.expression.naming import MIN_GENES_MATCHED
from consilience.expression.stream import CellMetrics, GeneColumns, cells_of_genes, measure_cells
from consilience.foundation.errors import DataError
from consilience.foundation.jobs import log
from consilience.sources.cells.matrix import CellMatrix, CountSource, Labels

if TYPE_CHECKING:
    import numpy.typing as npt

    from consilience.study.cohorts import Cohort
    from consilience.study.sections import SingleCellQuality

NO_PHENOTYPE = "no_phenotype"


@dataclass(frozen=True, slots=True)
class NamedGenes:
    """Genes under current symbols.

    `symbols` of the new columns, `source_ids` of each, where source genes go (`columns`), which source genes
    are mitochondrial (mask (source genes,)), and what became of each id (`match`).
    """

    symbols: tuple[str, ...]
    source_ids: tuple[str, ...]
    columns: GeneColumns
    mitochondrial: npt.NDArray[np.bool_]
    match: GeneMatch


@dataclass(frozen=True, slots=True)
class CellVerdict:
    """What was decided on each cell.

    `kept` (n,); `reasons` mask (n,) by reason; `metrics` by name, each (n,) float; `limits` of each metric;
    `gene_cells` (named genes,) kept cells in which a gene is seen; `largest` count of all.
    """

    kept: npt.NDArray[np.bool_]
    reasons: dict[str, npt.NDArray[np.bool_]]
    metrics: dict[str, npt.NDArray[np.float64]]
    limits: tuple[CellLimits, ...]
    gene_cells: npt.NDArray[np.int64]
    largest: int
    notes: tuple[str, ...]


def name_genes_of_cells(matrix: CellMatrix, *, table: GeneTable) -> NamedGenes:
    """Bring genes to current symbols: by their first id, else by their name; counts of one gene add up."""
    by_id, by_name = resolve(matrix.genes, table=table), resolve(matrix.gene_names, table=table)
    best = [
        name if not found and other else given
        for given, name, found, other in zip(
            matrix.genes, matrix.gene_names, by_id.symbol, by_name.symbol, strict=True
        )
    ]
    match = resolve(best, table=table)
    if match.n_matched < MIN_GENES_MATCHED * len(best) or not match.n_matched:
        raise DataError(
            f"only {match.n_matched} of {len(best)} gene ids are known human genes", where=matrix.where,
            value=", ".join(match.unmatched[:5]), allowed="symbols or Ensembl ids of human genes",
            mend="give a file with gene ids; data of other species must be brought to human genes first",
        )  # fmt: skip
    on_mt = set(table.mitochondrial)
    mitochondrial = [
        symbol in on_mt or any(name.upper().startswith("MT-") for name in names)
        for symbol, *names in zip(match.symbol, matrix.genes, matrix.gene_names, strict=True)
    ]
    sources: dict[str, list[str]] = {}
    for given, symbol in zip(best, match.symbol, strict=True):
        if symbol and given not in sources.setdefault(symbol, []):
            sources[symbol].append(given)
    columns = GeneColumns(np.asarray(match.row_of_input, dtype=np.int64), len(match.unique))
    ids = tuple(";".join(sources[symbol]) for symbol in match.unique)
    return NamedGenes(match.unique, ids, columns, np.array(mitochondrial), match)


def judge_cells(
    *, cohort: Cohort, counts: CountSource, barcodes: npt.NDArray[np.bytes_], phenotypes: CellPhenotypes,
    genes: NamedGenes, quality: SingleCellQuality, target_sum: float, seed: int,
) -> CellVerdict:  # fmt: skip
    """Limits on counts, genes and mitochondrial share; then doublets among the cells within them.

    Counts, genes and shares are over all genes of the source, doublet scores over the named ones.
    """
    described = phenotypes.described
    samples = Labels(np.maximum(phenotypes.samples.codes, 0), phenotypes.samples.levels)
    measured = measure_cells(source=counts, mitochondrial=genes.mitochondrial)
    metrics = metrics_of(measured, has_mitochondrial=bool(genes.mitochondrial.any()))
    limits = count_limits(
        metrics=metrics, samples=samples, judged=described, n_genes_measured=counts.n_genes, settings=quality
    )
    reasons = {NO_PHENOTYPE: ~described}
    reasons |= {
        limit.metric: described & limit.outside(metrics[limit.metric], samples.codes) for limit in limits
    }
    sound = ~np.any(list(reasons.values()), axis=0)
    log.info("%s: %d of %d cells within the limits of counts, genes and mitochondria",
             cohort.name, sound.sum(), sound.size)  # fmt: skip
    scores = score_samples(
        source=counts, genes=genes.columns, candidates=sound, samples=samples, barcodes=barcodes,
        n_entries=measured.n_genes, target_sum=target_sum, seed=seed, cohort=cohort.name,
    )  # fmt: skip
    metrics["doublet_score"] = scores
    limit = doublet_limits(scores=scores, samples=samples, judged=sound, settings=quality)
    reasons["doublet_score"] = sound & limit.outside(scores, samples.codes)
    kept = sound & ~reasons["doublet_score"]
    gene_cells = cells_of_genes(source=counts, metrics=measured, kept=kept, genes=genes.columns)
    notes = _notes(genes, phenotypes, limits, scores, sound)
    return CellVerdict(kept, reasons, metrics, (*limits, limit), gene_cells, measured.largest, tuple(notes))


def metrics_of(measured: CellMetrics, *, has_mitochondrial: bool) -> dict[str, npt.NDArray[np.float64]]:
    """Metrics by name; no mitochondrial share where no such gene is measured."""
    metrics = {
        "library_size": measured.totals.astype(np.float64),
        "n_genes": measured.n_genes.astype(np.float64),
    }
    return metrics | ({"mitochondrial_share": measured.mitochondrial_share()} if has_mitochondrial else {})


def _notes(
    genes: NamedGenes, phenotypes: CellPhenotypes, limits: list[CellLimits], scores: npt.NDArray[np.float64],
    sound: npt.NDArray[np.bool_],
) -> list[str]:  # fmt: skip
    notes = []
    if not genes.mitochondrial.any():
        notes.append("no mitochondrial gene is measured: cells are not judged by their mitochondrial share")
    pooled = [name for name, one in zip(phenotypes.samples.levels, limits[0].pooled, strict=True) if one]
    if pooled:
        notes.append(
            f"{len(pooled)} samples have too few cells for limits of their own and are judged by those of "
            f"all cells: {', '.join(pooled[:10])}{' …' if len(pooled) > 10 else ''}"
        )
    unscored = int((sound & np.isnan(scores)).sum())
    if unscored:
        notes.append(
            f"{unscored} cells are in samples of fewer than {MIN_CELLS} cells, too few to look for doublets"
        )
    return notes
