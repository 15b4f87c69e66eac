"""Bulk cohorts: read, name the genes, judge the samples, normalise, write."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from consilience.expression.bulk_quality import Verdict, judge_samples, sample_metrics
from consilience.expression.bulk_report import quality_record, removed_table
from consilience.expression.duplicates import merge_duplicates
from consilience.expression.genes import GeneMatch, GeneTable, load_gene_table, resolve
from consilience.expression.normalise import (
    PER_MILLION,
    SizeFactors,
    effective_library,
    kept_genes,
    log_cpm,
    size_factors,
)
from consilience.foundation.errors import DataError, Problem
from consilience.foundation.files import write_json, write_parquet
from consilience.foundation.jobs import log
from consilience.sources.matrix import BulkMatrix
from consilience.sources.phenotypes import Phenotypes, standard_phenotypes
from consilience.sources.raw_folder import RawFolder, open_raw_folder
from consilience.sources.text import shown
from consilience.study.cohorts import Cohort
from consilience.study.design import design_problems
from consilience.study.sections import BulkQuality, NormalisationSection

if TYPE_CHECKING:
    import anndata
    import numpy.typing as npt

MIN_GENES_MATCHED = 0.2
FORMAT_VERSION = 1


@dataclass(frozen=True, slots=True)
class NamedCounts:
    """`counts` (samples, genes) under current `symbols`; `source_ids` what the source calls each gene."""

    counts: npt.NDArray[np.int64]
    symbols: tuple[str, ...]
    source_ids: tuple[str, ...]
    match: GeneMatch


@dataclass(frozen=True, slots=True)
class Normalised:
    """`kept` (genes,) of the named genes; `counts` and `x` (kept samples, kept genes); `factors` per kept sample."""

    kept: npt.NDArray[np.bool_]
    counts: npt.NDArray[np.int64]
    x: npt.NDArray[np.float32]
    factors: SizeFactors
    highly_variable: npt.NDArray[np.bool_]


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
    started = time.monotonic()
    matrix = read_bulk(open_raw_folder(raw_dir))
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
    normalised = normalise(named.counts[verdict.kept], quality=quality, normalisation=normalisation)
    data = to_anndata(
        cohort, phenotypes=phenotypes, named=named, verdict=verdict, normalised=normalised, table=table
    )
    from consilience.expression.h5ad import write_h5ad

    write_h5ad(expression_path, data)
    write_parquet(removed_path, removed_table(samples=matrix.samples, verdict=verdict))
    record = quality_record(
        cohort, matrix=matrix, phenotypes=phenotypes, named=named, verdict=verdict, normalised=normalised
    )
    write_json(qc_path, record | {"seconds": round(time.monotonic() - started, 2)})


def read_bulk(folder: RawFolder) -> BulkMatrix:
    """Read a verified raw folder with the reader of its format."""
    if folder.format == "geo":
        from consilience.sources.geo import read_geo

        return read_geo(folder)
    if folder.format == "gdc":
        from consilience.sources.gdc import read_gdc

        return read_gdc(folder)
    if folder.format == "table":
        from consilience.sources.tables import read_tables

        return read_tables(folder)
    raise DataError("this is no format of bulk data", where=shown(folder.path), value=folder.format,
                    allowed="geo, gdc, or a count table with its samples table",
                    mend="mend 'kind' or 'location' of this cohort in the cohort sheet")  # fmt: skip


def name_genes(matrix: BulkMatrix, *, table: GeneTable, where: str) -> NamedCounts:
    """Bring the counts to current symbols by the id column that names most genes; counts of one gene add up."""
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
    counts = merge_duplicates(values=matrix.counts.T, match=match, additive=True)
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
            f"quality control removed {len(verdict.kept) - kept.size} of {len(verdict.kept)} samples ({counted})",
            f"cohort {cohort.name}",
            mend="look at these samples; if they are sound, raise the MADs in quality.bulk",
        )
        raise DataError.from_problems([removed, *problems])


def normalise(
    counts: npt.NDArray[np.int64], *, quality: BulkQuality, normalisation: NormalisationSection
) -> Normalised:
    """Drop low genes, then size factors and log counts per million; `counts` (kept samples, genes)."""
    kept = kept_genes(counts, min_count=quality.min_count, min_samples=quality.min_samples)
    if not kept.any():
        raise DataError(
            f"no gene has {quality.min_count} counts in {quality.min_samples:.0%} of the samples",
            mend="lower quality.bulk.min_count or min_samples, or check that these are raw counts",
        )
    counts = np.ascontiguousarray(counts[:, kept])
    factors = size_factors(counts)
    library = effective_library(totals=counts.sum(axis=1), factors=factors.values)
    x = log_cpm(counts, library=library)
    variance = x.var(axis=0, dtype=np.float64)
    top = np.argsort(-variance, kind="stable")[: normalisation.highly_variable_genes]
    variable = np.zeros(counts.shape[1], dtype=bool)
    variable[top] = True
    return Normalised(kept, counts, x, factors, variable)


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


def normalisation_record(normalised: Normalised) -> dict[str, str | int | float]:
    """How X was made, for the file and the report."""
    return {
        "method": f"{normalised.factors.method} (DESeq2), log1p",
        "x": "log1p(counts per million of the effective library size)",
        "target_sum": PER_MILLION,
        "n_reference_genes": normalised.factors.n_genes,
        "n_highly_variable": int(normalised.highly_variable.sum()),
    }
