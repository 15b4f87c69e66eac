"""Cohorts of cells: read in blocks, name the genes, judge the cells, normalise, write; memory stays flat."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from consilience.expression.cell_phenotypes import (
    MAX_LEVELS_CARRIED,
    CellPhenotypes,
    other_columns,
    refuse_bad_design,
    standard_cell_columns,
    with_cell_types,
)
from consilience.expression.cell_quality import least_genes
from consilience.expression.cell_report import cell_quality_record, removed_cells
from consilience.expression.cell_selection import selected_cells, without_empty_barcodes
from consilience.expression.cell_types import label_cells
from consilience.expression.cell_verdict import CellVerdict, NamedGenes, judge_cells, name_genes_of_cells
from consilience.expression.genes import GeneTable, load_gene_table
from consilience.expression.h5ad_writer import CellsWriter
from consilience.expression.highly_variable import HighlyVariable, highly_variable
from consilience.expression.store import open_expression
from consilience.expression.stream import GeneColumns, GeneMoments, accumulate_genes
from consilience.foundation.errors import DataError, Problem
from consilience.foundation.files import atomic_path, scratch_folder, write_json, write_parquet
from consilience.foundation.jobs import log
from consilience.sources.cells.matrix import CellMatrix, CountSource, kept_in_memory
from consilience.sources.cells.read import read_cells
from consilience.sources.raw_folder import open_raw_folder

if TYPE_CHECKING:
    import numpy.typing as npt

    from consilience.study.cohorts import Cohort
    from consilience.study.sections import CellTypesSection, NormalisationSection, QualitySection

FORMAT_VERSION = 1


def prepare_cells(
    *,
    cohort: Cohort,
    raw_dir: Path,
    quality: QualitySection,
    normalisation: NormalisationSection,
    cell_types: CellTypesSection,
    min_samples_per_arm: int,
    seed: int,
    expression_path: Path,
    removed_path: Path,
    qc_path: Path,
) -> None:
    """Prepare one single-cell or perturbation cohort (see `prepare.prepare_cohort`)."""
    with scratch_folder(expression_path.parent / f".tmp-cells-{cohort.name}") as scratch:
        matrix = read_cells(open_raw_folder(raw_dir), cohort=cohort, scratch=scratch)
        log.info("%s: %d cells, %d genes", cohort.name, matrix.n_cells, len(matrix.genes))
        matrix = selected_cells(cohort, matrix)
        matrix = without_empty_barcodes(
            matrix, min_genes=least_genes(quality.single_cell.min_genes, len(matrix.genes))
        )
        phenotypes = standard_cell_columns(
            cohort=cohort, matrix=matrix, min_samples_per_arm=min_samples_per_arm
        )
        table = load_gene_table()
        genes = name_genes_of_cells(matrix, table=table)
        counts = kept_in_memory(matrix.counts)
        verdict = judge_cells(
            cohort=cohort, counts=counts, barcodes=matrix.barcodes, phenotypes=phenotypes, genes=genes,
            quality=quality.single_cell, target_sum=normalisation.target_sum, seed=seed,
        )  # fmt: skip
        refuse_what_is_left(
            cohort, phenotypes=phenotypes, verdict=verdict, min_samples_per_arm=min_samples_per_arm
        )
        found = None
        if cell_types.markers and cohort.kind == "single_cell" and not cohort.cell_type:
            found = label_cells(
                markers=cell_types.markers, table=table, counts=counts, kept=verdict.kept,
                genes=genes.columns, symbols=genes.symbols, gene_cells=verdict.gene_cells,
                target_sum=normalisation.target_sum, seed=seed, cohort=cohort.name,
            )  # fmt: skip
            phenotypes = with_cell_types(phenotypes, found)
        names = unique_names(matrix, phenotypes)
        kept_genes = genes_seen(verdict, minimum=quality.single_cell.min_cells_per_gene, where=matrix.where)
        moments, variable, record = write_expression(
            expression_path, cohort=cohort, matrix=matrix, counts=counts, names=names, phenotypes=phenotypes,
            genes=genes, kept_genes=kept_genes, verdict=verdict, table=table, normalisation=normalisation,
        )  # fmt: skip
    write_parquet(removed_path, removed_cells(names=names, phenotypes=phenotypes, verdict=verdict))
    quality_record = cell_quality_record(
        cohort, matrix=matrix, phenotypes=phenotypes, genes=genes, verdict=verdict, moments=moments,
        highly_variable=variable.selected, normalisation=record,
    )  # fmt: skip
    if found:
        quality_record["cell_types"] = found.record
    write_json(qc_path, quality_record)


def refuse_what_is_left(
    cohort: Cohort, *, phenotypes: CellPhenotypes, verdict: CellVerdict, min_samples_per_arm: int
) -> None:
    """Refuse a cohort whose kept cells no longer answer the question."""
    n_removed, n = int((~verdict.kept).sum()), verdict.kept.size
    try:
        if n_removed == n:
            raise DataError("no cell passes quality control", where=f"cohort {cohort.name}")
        refuse_bad_design(
            cohort=cohort,
            standard=phenotypes.standard,
            cells=verdict.kept,
            min_samples_per_arm=min_samples_per_arm,
        )
    except DataError as error:
        counted = ", ".join(
            f"{name} {int(mask.sum())}" for name, mask in verdict.reasons.items() if mask.any()
        )
        removed = Problem(
            f"quality control removed {n_removed} of {n} cells ({counted})", f"cohort {cohort.name}",
            mend="look at these cells; if they are sound, raise the MADs in quality.single_cell",
        )  # fmt: skip
        raise DataError.from_problems([removed, *error.problems]) from error


def unique_names(matrix: CellMatrix, phenotypes: CellPhenotypes) -> npt.NDArray[np.bytes_]:
    """Names of the cells: barcodes, with the sample before them (and a number) where they are not unique."""
    names = matrix.barcodes
    if np.unique(names).size == names.size:
        return names
    samples = np.array([*(level.encode() for level in phenotypes.samples.levels), b""])
    names = np.char.add(np.char.add(samples[phenotypes.samples.codes], b"_"), names)
    unique, first = np.unique(names, return_index=True)
    if unique.size < names.size:
        again = np.setdiff1d(np.arange(names.size), first)
        names = names.astype(f"S{names.dtype.itemsize + 12}")
        names[again] = [names[row] + b"-%d" % row for row in again]
    return names


def genes_seen(verdict: CellVerdict, *, minimum: int, where: str) -> npt.NDArray[np.bool_]:
    """Genes (named genes,) seen in at least `minimum` kept cells."""
    seen = verdict.gene_cells >= minimum
    if not seen.any():
        raise DataError(
            "no gene is seen in enough cells",
            where=where,
            value=int(verdict.gene_cells.max()),
            allowed=f"at least {minimum} cells (quality.single_cell.min_cells_per_gene)",
        )
    return seen


def write_expression(
    path: Path, *, cohort: Cohort, matrix: CellMatrix, counts: CountSource, names: npt.NDArray[np.bytes_],
    phenotypes: CellPhenotypes, genes: NamedGenes, kept_genes: npt.NDArray[np.bool_], verdict: CellVerdict,
    table: GeneTable, normalisation: NormalisationSection,
) -> tuple[GeneMoments, HighlyVariable, dict[str, Any]]:  # fmt: skip
    """Write the kept cells and genes in one pass; gives their moments, the variable genes and the record."""
    streamed = int(verdict.kept.sum()) > normalisation.stream_above_cells
    columns: GeneColumns = genes.columns.keep(kept_genes)
    with atomic_path(path) as temporary:
        with CellsWriter(
            temporary, n_genes=columns.n_genes, largest=verdict.largest * (1 + genes.match.n_duplicates),
            most_entries=int(verdict.metrics["n_genes"][verdict.kept].sum()), with_x=not streamed,
        ) as writer:  # fmt: skip
            moments = accumulate_genes(
                source=counts,
                kept=verdict.kept,
                genes=columns,
                groups=phenotypes.samples.codes,
                n_groups=len(phenotypes.samples.levels),
                target_sum=normalisation.target_sum,
                sink=writer.append,
                with_log=not streamed,
            )
            variable = highly_variable(
                mean=moments.mean, variance=moments.variance, n_top=normalisation.highly_variable_genes
            )
            record = normalisation_record(normalisation, variable, streamed=streamed)
            writer.finish(
                obs_names=names[verdict.kept], obs=obs_columns(cohort, matrix, phenotypes, verdict, moments),
                var_names=tuple(np.array(genes.symbols, dtype=object)[kept_genes]),
                var=var_columns(genes, kept_genes, table, moments, variable),
                uns=unstructured(cohort, phenotypes, record, streamed=streamed),
                varm={"pseudobulk": np.ascontiguousarray(moments.group_totals.T)},
            )  # fmt: skip
        verify_written(temporary, moments=moments, n_cells=int(verdict.kept.sum()), where=str(path))
    return moments, variable, record


def normalisation_record(
    normalisation: NormalisationSection, variable: HighlyVariable, *, streamed: bool
) -> dict[str, Any]:
    """How the log-normalised values are made, for the file and the report."""
    return {
        "method": "library size per cell, log1p",
        "x": "log1p(counts / size_factor); not stored: computed from counts and obs['size_factor'] when read"
        if streamed else "log1p(counts / size_factor)",
        "target_sum": normalisation.target_sum,
        "highly_variable": "dispersion within bins of the mean (scanpy flavor 'seurat')",
        "n_highly_variable": int(variable.selected.sum()),
        "streamed": streamed,
    }  # fmt: skip


def obs_columns(
    cohort: Cohort, matrix: CellMatrix, phenotypes: CellPhenotypes, verdict: CellVerdict, moments: GeneMoments
) -> dict[str, Any]:
    """Columns of the kept cells: standard ones, further ones of the source, metrics, size factors."""
    kept = verdict.kept
    columns: dict[str, Any] = {
        name: column.take(kept).compact() for name, column in phenotypes.standard.items()
    }
    for source, name in other_columns(cohort=cohort, matrix=matrix, taken=tuple(columns)).items():
        column = matrix.columns[source].take(kept).compact()
        if column.numeric:
            columns[name] = column.numbers()
        elif len(column.levels) <= MAX_LEVELS_CARRIED:
            columns[name] = column
    columns |= {
        name: values[kept] for name, values in (*verdict.metrics.items(), *phenotypes.numbers.items())
    }
    return columns | {"size_factor": moments.size_factors}


def var_columns(
    genes: NamedGenes,
    kept: npt.NDArray[np.bool_],
    table: GeneTable,
    moments: GeneMoments,
    variable: HighlyVariable,
) -> dict[str, Any]:
    """Columns of the kept genes; `mean` and `variance` are of the log-normalised values."""
    rows = np.flatnonzero(kept)
    ids = [table.ensembl_ids[table.row_of[genes.symbols[row]]].encode() for row in rows]
    return {
        "ensembl_id": np.array(ids),
        "source_id": np.array([genes.source_ids[row].encode() for row in rows]),
        "n_cells": moments.n_cells, "total_counts": moments.totals,
        "mean": moments.log_mean, "variance": moments.log_variance,
        "means": variable.means, "dispersions": variable.dispersions,
        "dispersions_norm": variable.dispersions_norm, "highly_variable": variable.selected,
    }  # fmt: skip


def unstructured(
    cohort: Cohort, phenotypes: CellPhenotypes, record: dict[str, Any], *, streamed: bool
) -> dict[str, Any]:
    """What the file says of itself; `log1p` tells scanpy that X is on the logarithm."""
    told = {
        "consilience": {
            "cohort": cohort.name, "kind": cohort.kind, "units": "counts", "normalisation": record,
            "format_version": FORMAT_VERSION, "pseudobulk_samples": list(phenotypes.samples.levels),
        }
    }  # fmt: skip
    return told if streamed else {**told, "log1p": {}}


def verify_written(path: Path, *, moments: GeneMoments, n_cells: int, where: str) -> None:
    """Read the file back block by block: the counts of every gene must be those that were summed up."""
    expression = open_expression(path)
    totals = np.zeros(moments.totals.size, dtype=np.int64)
    for _, block in expression.counts():
        totals += np.bincount(block.indices, weights=block.data, minlength=totals.size).astype(np.int64)
    if expression.shape != (n_cells, totals.size) or not np.array_equal(totals, moments.totals):
        raise DataError("what was written is not what can be read back", where=where,
                        mend="check the disk and run again")  # fmt: skip
