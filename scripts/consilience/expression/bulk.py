"""Bulk cohorts: read, name the genes, judge the samples, normalise, write."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from consilience.expression.bulk_quality import Verdict, judge_samples, sample_metrics
from consilience.expression.bulk_report import quality_record, removed_table
from consilience.expression.genes import GeneTable, load_gene_table
from consilience.expression.h5ad import write_h5ad
from consilience.expression.naming import NamedCounts, name_genes
from consilience.expression.normalise import Normalised, normalisation_record, normalise_counts
from consilience.foundation.errors import DataError, Problem
from consilience.foundation.files import write_json, write_parquet
from consilience.foundation.jobs import log
from consilience.sources.bulk.read import read_bulk
from consilience.sources.phenotypes import Phenotypes, standard_phenotypes
from consilience.sources.raw_folder import open_raw_folder
from consilience.sources.text import shown
from consilience.study.cohorts import Cohort
from consilience.study.design import design_problems
from consilience.study.sections import BulkQuality, NormalisationSection

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
    """Prepare one bulk cohort (see `prepare.prepare_cohort`)."""
    matrix = read_bulk(open_raw_folder(raw_dir), cohort=cohort)
    log.info("%s: %d samples, %d genes", cohort.name, len(matrix.samples), len(matrix.genes))
    phenotypes = standard_phenotypes(
        cohort=cohort, samples=matrix.samples, columns=matrix.columns, min_samples_per_arm=min_samples_per_arm
    )
    table = load_gene_table()
    named = name_genes(matrix, table=table, where=shown(raw_dir))
    metrics = sample_metrics(matrix)
    verdict = judge_samples(
        metrics=metrics, counts=named.counts, symbols=named.symbols, phenotypes=phenotypes, quality=quality
    )
    refuse_broken_design(
        cohort, columns=matrix.columns, verdict=verdict, min_samples_per_arm=min_samples_per_arm
    )
    normalised = normalise_counts(named.counts[verdict.kept], quality=quality, normalisation=normalisation)
    data = to_anndata(
        cohort, phenotypes=phenotypes, named=named, verdict=verdict, normalised=normalised, table=table
    )
    write_h5ad(expression_path, data)
    write_parquet(removed_path, removed_table(samples=matrix.samples, verdict=verdict))
    record = quality_record(
        cohort, matrix=matrix, phenotypes=phenotypes, named=named, verdict=verdict, normalised=normalised
    )
    write_json(qc_path, record)


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


def to_anndata(
    cohort: Cohort,
    *,
    phenotypes: Phenotypes,
    named: NamedCounts,
    verdict: Verdict,
    normalised: Normalised,
    table: GeneTable,
) -> anndata.AnnData:
    """The expression file of the kept samples, as every later room reads it."""
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
    obs["size_factor"] = normalised.factors.values
    obs.index = pd.Index(list(obs["sample"]), dtype=object)
    symbols = np.array(named.symbols, dtype=object)[normalised.kept]
    var = pd.DataFrame({
        "ensembl_id": [table.ensembl_ids[table.row_of[symbol]] for symbol in symbols],
        "source_id": np.array(named.source_ids, dtype=object)[normalised.kept],
        "n_samples": (normalised.counts > 0).sum(axis=0),
        "mean": normalised.x.mean(axis=0, dtype=np.float64),
        "variance": normalised.x.var(axis=0, dtype=np.float64),
        "highly_variable": normalised.highly_variable,
    }, index=pd.Index(symbols, dtype=object))  # fmt: skip
    small = normalised.counts.max() < np.iinfo(np.int32).max
    data = anndata.AnnData(X=normalised.x, obs=obs, var=var)
    data.layers["counts"] = normalised.counts.astype(np.int32) if small else normalised.counts
    data.uns["consilience"] = {
        "cohort": cohort.name, "kind": cohort.kind, "units": "counts", "format_version": FORMAT_VERSION,
        "normalisation": normalisation_record(normalised),
    }  # fmt: skip
    return data
