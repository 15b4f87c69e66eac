"""Bulk cohorts: read, name the genes, judge the samples, normalise, write."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from consilience.expression.bulk_quality import Verdict, judge_samples, sample_metrics
from consilience.expression.bulk_report import quality_record, removed_table
from consilience.expression.genes import GeneTable, load_gene_table
from consilience.expression.h5ad import write_h5ad
from consilience.expression.naming import NamedValues, name_genes
from consilience.expression.normalise import (
    Normalised,
    having_counts,
    normalisation_record,
    normalise,
)
from consilience.foundation.errors import DataError, Problem
from consilience.foundation.files import scratch_folder, write_json, write_parquet
from consilience.foundation.jobs import log
from consilience.sources.bulk.matrix import BulkMatrix
from consilience.sources.bulk.read import read_bulk
from consilience.sources.bulk.stored import part, released, whole
from consilience.sources.phenotypes import Phenotypes, standard_phenotypes
from consilience.sources.raw_folder import open_raw_folder
from consilience.sources.text import shown
from consilience.study.cohorts import Cohort
from consilience.study.design import design_problems
from consilience.study.sections import BulkQuality, NormalisationSection
from consilience.study.selection import selected_rows

if TYPE_CHECKING:
    import anndata

FORMAT_VERSION = 1


def prepare_bulk(
    *,
    cohort: Cohort,
    raw_dir: Path,
    quality: BulkQuality,
    normalisation: NormalisationSection,
    min_samples_per_arm: int,
    expression_path: Path,
    removed_path: Path,
    qc_path: Path,
) -> None:
    """Prepare one bulk cohort (see `prepare.prepare_cohort`).

    Counts lie in scratch files beside the output and are gone through in blocks; X is made block by block.
    """
    with scratch_folder(expression_path.parent / f".tmp-bulk-{cohort.name}") as scratch:
        matrix = wanted_samples(
            read_bulk(open_raw_folder(raw_dir), cohort=cohort, scratch=scratch), cohort=cohort
        )
        matrix = without_gaps(matrix, where=shown(raw_dir))
        log.info("%s: %d samples, %d genes", cohort.name, len(matrix.samples), len(matrix.genes))
        phenotypes = standard_phenotypes(
            cohort=cohort, samples=matrix.samples, columns=matrix.columns,
            min_samples_per_arm=min_samples_per_arm,
        )  # fmt: skip
        table = load_gene_table()
        named = name_genes(matrix, table=table, where=shown(raw_dir), scratch=scratch)
        metrics = sample_metrics(matrix, named=named)
        matrix = replace(matrix, values=released(matrix.values))
        verdict = judge_samples(metrics=metrics, named=named, phenotypes=phenotypes, quality=quality)
        refuse_broken_design(
            cohort, columns=matrix.columns, verdict=verdict, min_samples_per_arm=min_samples_per_arm
        )
        normalised = normalise(
            named.values, rows=np.flatnonzero(verdict.kept), units=named.units, quality=quality,
            normalisation=normalisation,
        )  # fmt: skip
        record = quality_record(
            cohort, matrix=matrix, phenotypes=phenotypes, named=named, verdict=verdict, normalised=normalised
        )
        tables = described(
            cohort, phenotypes=phenotypes, named=named, verdict=verdict, normalised=normalised, table=table
        )
        layers = {} if normalised.counts is None else {"counts": normalised.counts}
        write_h5ad(expression_path, tables, x=normalised.x, layers=layers)
    write_parquet(removed_path, removed_table(samples=matrix.samples, verdict=verdict))
    write_json(qc_path, record)


def wanted_samples(matrix: BulkMatrix, *, cohort: Cohort) -> BulkMatrix:
    """The samples that the cohort sheet selects; a note says how many others there are."""
    if not cohort.select:
        return matrix
    rows = selected_rows(cohort.select, matrix.columns, where=f"cohort {cohort.name}: select")
    if len(rows) == len(matrix.samples):
        return matrix
    note = f"{len(matrix.samples) - len(rows)} of {len(matrix.samples)} samples are not of {cohort.select!r}"
    return replace(
        matrix,
        values=part(matrix.values, rows=np.asarray(rows, dtype=np.intp)),
        samples=tuple(matrix.samples[row] for row in rows),
        columns={name: tuple(values[row] for row in rows) for name, values in matrix.columns.items()},
        metrics={name: values[rows] for name, values in matrix.metrics.items()},
        notes=(*matrix.notes, f"{note} and were left out"),
    )


def without_gaps(matrix: BulkMatrix, *, where: str) -> BulkMatrix:
    """A matrix without genes that lack a value in some sample; refused when that would be half of them.

    A missing value is never filled in: a zero would be a measurement that nobody made.
    """
    if matrix.values.dtype.kind != "f":
        return matrix
    values = whole(matrix.values)
    missing = np.isnan(values)
    complete = ~missing.any(axis=0)
    if complete.all():
        return matrix
    n_lost = int((~complete).sum())
    if 2 * n_lost > complete.size:
        worst = int(np.argmax(missing.sum(axis=1)))
        raise DataError(
            f"{n_lost} of {complete.size} genes have no value in some sample (most are missing in"
            f" {matrix.samples[worst]!r}: {int(missing[worst].sum())})",
            where=where, value="missing (NaN)", allowed="values of at least half the genes in all samples",
            mend="leave samples with few values out by 'select' of the cohort sheet",
        )  # fmt: skip
    genes = np.flatnonzero(complete)
    return replace(
        matrix,
        values=np.ascontiguousarray(values[:, genes]),
        genes=tuple(matrix.genes[k] for k in genes),
        gene_columns={name: tuple(ids[k] for k in genes) for name, ids in matrix.gene_columns.items()},
        notes=(
            *matrix.notes, f"{n_lost} of {complete.size} rows lack a value in some sample and were left out"
        ),
    )  # fmt: skip


def refuse_broken_design(cohort: Cohort, *, columns: Any, verdict: Verdict, min_samples_per_arm: int) -> None:
    """Refuse a cohort whose arms or batches no longer answer the question once bad samples are out."""
    kept = np.flatnonzero(verdict.kept)
    left = {name: [values[row] for row in kept] for name, values in columns.items()}
    problems = design_problems(cohort=cohort, columns=left, min_samples_per_arm=min_samples_per_arm)
    if not kept.size:
        problems = [Problem("no sample passes quality control", f"cohort {cohort.name}")]
    if problems:
        counted = ", ".join(f"{reason} {n}" for reason, n in verdict.removed_by_reason().items())
        removed = Problem(
            f"quality control removed {(~verdict.kept).sum()} of {len(verdict.kept)} samples ({counted})",
            f"cohort {cohort.name}",
            mend="look at these samples; if they are sound, raise the MADs in quality.bulk",
        )
        raise DataError.from_problems([removed, *problems])


def described(
    cohort: Cohort,
    *,
    phenotypes: Phenotypes,
    named: NamedValues,
    verdict: Verdict,
    normalised: Normalised,
    table: GeneTable,
) -> anndata.AnnData:
    """What the expression file says of the kept samples and genes, without the matrices themselves."""
    import anndata
    import pandas as pd

    kept = verdict.kept
    texts = phenotypes.standard | {
        name: values for name, values in phenotypes.others.items()
        if name not in verdict.metrics and name not in {"_index", "size_factor", "expressed_sex"}
    }  # fmt: skip
    obs = pd.DataFrame({name: np.array(values, dtype=object)[kept] for name, values in texts.items()})
    for name, values in verdict.metrics.items():
        obs[name] = np.asarray(values)[kept]
    if verdict.expressed_sex:
        obs["expressed_sex"] = np.array(verdict.expressed_sex, dtype=object)[kept]
    if normalised.factors is not None:
        obs["size_factor"] = normalised.factors.values
    obs.index = pd.Index(list(obs["sample"]), dtype=object)
    symbols = np.array(named.symbols, dtype=object)[normalised.kept]
    var = pd.DataFrame({
        "ensembl_id": [table.ensembl_ids[table.row_of[symbol]] for symbol in symbols],
        "source_id": np.array(named.source_ids, dtype=object)[normalised.kept],
        "mean": normalised.mean,
        "variance": normalised.variance,
        "highly_variable": normalised.highly_variable,
    }, index=pd.Index(symbols, dtype=object))  # fmt: skip
    if normalised.counts is not None:
        var.insert(2, "n_samples", having_counts(normalised.counts))
    data = anndata.AnnData(obs=obs, var=var)
    data.uns["consilience"] = {
        "cohort": cohort.name, "kind": cohort.kind, "units": normalised.units,
        "format_version": FORMAT_VERSION, "normalisation": normalisation_record(normalised),
    }  # fmt: skip
    return data
