"""A results folder as the workflow leaves it, small and made in a second: what the report is tested on."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from consilience.foundation.files import write_json, write_parquet, write_text
from consilience.study.cohorts import Cohort
from consilience.study.sections import Config, ReportSection, StudySection

BULK_METRICS = ("library_size", "n_genes", "pca_distance")
CELL_METRICS = ("library_size", "n_genes", "mitochondrial_share", "doublet_score")


@dataclass
class Study:
    """Arguments for write_report."""

    config: Config
    cohorts: list[Cohort]
    results: Path
    benchmarks: Path
    hostile: str = ""
    samples: dict[str, list[str]] = field(default_factory=dict)

    @property
    def page(self) -> Path:
        return self.results / "report" / "index.html"

    def arguments(self) -> dict[str, Any]:
        return {
            "config": self.config, "cohorts": self.cohorts, "results": self.results,
            "benchmarks": self.benchmarks, "out": self.page,
        }  # fmt: skip


def default_cohorts() -> list[Cohort]:
    return [
        Cohort("tissue_geo", "bulk", "simulated", "geo", "disease state", ("diseased",), ("healthy",),
               "subject id", "", "batch", "", "both", "Tissue biopsies (GEO series)"),
        Cohort("rare_geo", "bulk", "simulated", "geo", "disease state", ("diseased",), ("healthy",),
               "subject id", role="study", label="Rare disease, few patients (GEO series)"),
        Cohort("blood_cells", "single_cell", "simulated", "10x", "condition", ("diseased",), ("healthy",),
               "donor", "cell_type", "batch", "", "both", "Blood cells of patients and controls (10x)"),
        Cohort("four_lines", "perturbation", "simulated", "h5ad", control=("non-targeting",),
               cell_type="cell_line", batch="gem_group", perturbation="gene", label="CRISPRi in four cell lines"),
        Cohort("gwas_eqtl", "summary_statistics", "simulated", "gwas_ssf", label="GWAS and cis-eQTL statistics"),
    ]  # fmt: skip


def make_study(folder: Path, *, hostile: str = "", pseudonyms: bool = False, seed: int = 5) -> Study:
    """Write the folder. `hostile` is put wherever a file or a person can put a name."""
    rng = np.random.default_rng(seed)
    cohorts = default_cohorts()
    if hostile:
        cohorts = [replace(cohort, label=f"{cohort.label} {hostile}", location=hostile) for cohort in cohorts]
    config = Config(
        study=StudySection(title=f"A study whose truth is known{hostile}", name="fixture"),
        report=ReportSection(pseudonyms=pseudonyms),
    )
    study = Study(config, cohorts, folder / "results" / "fixture", folder / "benchmarks" / "fixture", hostile)
    for cohort in cohorts:
        _raw(study, cohort, rng)
        if cohort.kind == "summary_statistics":
            _summary_statistics(study, cohort)
        else:
            _expression(study, cohort, rng)
    _pathways(study, rng)
    _truth(study)
    _benchmarks(study, rng)
    return study


def _raw(study: Study, cohort: Cohort, rng: np.random.Generator) -> None:
    names = [f"{cohort.name}_series_matrix.txt.gz", f"{cohort.name}_raw_counts{study.hostile}.tsv.gz"]
    write_json(study.results / "raw" / cohort.name / "provenance.json", {
        "cohort": cohort.name, "source": "simulated", "location": cohort.location,
        "date": "2026-11-20T10:00:00Z", "release": study.hostile or "simulated",
        "files": [
            {"name": name, "bytes": int(rng.integers(1e4, 1e7)), "url": f"https://example.org/{name}",
             "sha256": hashlib.sha256(name.encode()).hexdigest()}
            for name in names
        ],
    })  # fmt: skip


def _summary_statistics(study: Study, cohort: Cohort) -> None:
    write_json(study.results / "summary_statistics" / cohort.name / "qc.json", {
        "cohort": cohort.name, "kind": cohort.kind, "label": cohort.label, "source": "simulated",
        "n_variants": 3521, "n_genes": 214, "n_loci": 120, "build": "GRCh38",
        "layouts": [{"file": "gwas.h.tsv.gz", "title": "GWAS-SSF", "effect_allele": "effect_allele"},
                    {"file": f"{study.hostile}.txt", "title": "eQTLGen", "effect_allele": "AssessedAllele"}],
        "removed_by_reason": {"palindromic, frequency near 0.5": 63, "not in LD panel": 16},
        "messages": [{"level": "note", "text": f"4 eQTL genes have no variant in the GWAS {study.hostile}"}],
    })  # fmt: skip


def _histogram(
    values: np.ndarray[Any, Any], *, log: bool, low: float | None, high: float | None
) -> dict[str, Any]:
    edges = (
        np.geomspace(values.min(), values.max(), 31) if log else np.linspace(values.min(), values.max(), 31)
    )
    counts = np.histogram(values, edges)[0]
    return {
        "edges": [float(f"{e:.6g}") for e in edges],
        "counts": counts.tolist(),
        "low": low,
        "high": high,
        "log": log,
    }


def _expression(study: Study, cohort: Cohort, rng: np.random.Generator) -> None:
    cells = cohort.kind != "bulk"
    n_samples = {"tissue_geo": 62, "rare_geo": 9, "blood_cells": 12, "four_lines": 8}[cohort.name]
    n_in = 3_120 if cells else n_samples
    library = rng.lognormal(9 if cells else 16, 0.35, n_in)
    genes = np.clip(rng.normal(1400, 90, n_in), 20, 2000)
    library[:2] /= 40
    samples = [
        f"{'D' if cells else 'GSM'}{cohort.name[:2].upper()}{i:04d}{study.hostile}" for i in range(n_samples)
    ]
    study.samples[cohort.name] = samples
    gone = {0, 1} if not cells else set()
    arms = ["case" if i % 2 else "control" for i in range(n_samples)]
    shift = np.array([2.0 if arm == "case" else -2.0 for arm in arms])
    low = float(np.exp(np.median(np.log(library)) - 4 * 0.35))
    n_removed = len(gone) or 143
    metrics = CELL_METRICS if cells else BULK_METRICS
    rows = [
        {
            "sample": name, "donor": f"P{cohort.name[:2]}{i:03d}", "arm": arms[i], "batch": f"b{i % 3}",
            "condition": "diseased" if arms[i] == "case" else "healthy",
            "kept": i not in gone, "reasons": ["library_size", "pca_distance"] if i in gone else [],
            **({"n_cells_in": 260, "n_cells_kept": 260 - int(rng.integers(2, 30))} if cells else {}),
            "metrics": {name: float(rng.random()) if "share" in name or "score" in name else float(library[i])
                        for name in metrics},
        }
        for i, name in enumerate(samples)
    ]  # fmt: skip
    removed = pd.DataFrame({
        "id": [samples[i % n_samples] if not cells else f"{samples[i % n_samples]}_ACGT{i:05d}-1" for i in range(n_removed)],
        "sample": [samples[i % n_samples] for i in range(n_removed)],
        "reason": ["library_size; n_genes" if i % 3 else "doublet_score" for i in range(n_removed)],
        "library_size": library[:n_removed].round(1), "n_genes": genes[:n_removed].round(),
        "pca_distance": [np.nan] * n_removed,
    })  # fmt: skip
    write_parquet(study.results / "expression" / f"{cohort.name}.removed.parquet", removed)
    messages = [{"level": "note", "text": f"samples were read as counts {study.hostile}"}]
    if cohort.name == "tissue_geo":
        messages.insert(
            0,
            {
                "level": "alarm",
                "text": f"the sex genes of 1 samples contradict their annotated sex: {samples[5]}",
            },
        )
    distributions = {
        "library_size": _histogram(library, log=True, low=low, high=None),
        "n_genes": _histogram(genes, log=False, low=900.0, high=None),
    }
    if cells:
        share = rng.beta(2, 30, n_in)
        distributions["mitochondrial_share"] = _histogram(share, log=False, low=None, high=0.2)
    write_json(study.results / "expression" / f"{cohort.name}.qc.json", {
        "cohort": cohort.name, "kind": cohort.kind, "label": cohort.label, "source": "simulated", "units": "counts",
        "n_in": n_in, "n_kept": n_in - n_removed, "n_genes_in": 2000, "n_genes_kept": 1871, "n_donors": n_samples - len(gone),
        "arms": {"perturbed": 2100, "control": n_in - n_removed - 2100} if cohort.kind == "perturbation"
                else {"case": n_samples // 2 - (1 if gone else 0), "control": n_samples - n_samples // 2 - (1 if gone else 0)},
        "thresholds": [
            {"metric": "library_size", "scope": "all", "low": low, "high": None, "median": float(np.median(library)),
             "mad": 0.35, "n_mads": 4.0, "n_removed": n_removed, "explanation": "counts of the sample; far lower is a failed library"},
            {"metric": "n_genes", "scope": samples[0], "low": 900.0, "high": None, "median": 1400.0, "mad": 90.0,
             "n_mads": 4.0, "n_removed": 1, "explanation": f"genes with a count {study.hostile}"},
        ],
        "removed_by_reason": {"library_size": n_removed, "pca_distance": 1},
        "samples": rows, "distributions": distributions,
        "embedding": {"kind": "pca", "explained": [0.31, 0.12], "points": [
            {"sample": name, "x": float(shift[i] + rng.normal()) + (9 if i in gone else 0), "y": float(rng.normal()),
             "group": rows[i]["condition"], "kept": i not in gone} for i, name in enumerate(samples)]},
        "genes": {"matched": 1952, "total": 2000, "how": {"exact": 1900}, "n_renamed": 31, "n_unmatched": 41,
                  "renamed": [["FAM46A", "TENT5A"], [f"OLD{study.hostile}", "NEW"]],
                  "ambiguous": ["NOV: previous symbol of CCN3 and PLXNA1"], "n_ambiguous": 1,
                  "unmatched": ["XYZ1", "XYZ2"], "dates": [["1-Mar", "MARCHF1 or MTARC1"]], "duplicates": 4},
        "normalisation": {"method": "median of ratios (DESeq2), log1p", "n_highly_variable": 500},
        "messages": messages,
    })  # fmt: skip


def _pathways(study: Study, rng: np.random.Generator) -> None:
    rows = []
    for number in range(400):
        n_genes = int(rng.lognormal(3.6, 1.0)) + 3
        measured = int(rng.binomial(n_genes, rng.beta(5, 2)))
        share = measured / n_genes
        why = (
            "fewer than 10 measured genes"
            if measured < 10
            else "less than 30% of its genes measured"
            if share < 0.3
            else ""
        )
        rows.append({
            "pathway": f"Pathway {number}{study.hostile}", "collection": "hallmark" if number < 50 else "reactome",
            "source": "", "n_genes": n_genes, "n_measured": measured, "coverage": round(share, 4), "kept": not why,
            "why": why, "same_as": "", "by_cohort": {"tissue_geo": measured},
        })  # fmt: skip
    kept = sum(row["kept"] for row in rows)
    write_json(study.results / "pathways" / "coverage.json", {
        "limits": {"min_genes": 10, "max_genes": 500, "min_coverage": 0.3}, "n_pathways": len(rows), "n_kept": kept,
        "n_genes_in_mask": 1702, "dropped_by_reason": {"fewer than 10 measured genes": len(rows) - kept},
        "collections": [],
        "cohorts": [{"cohort": cohort.name, "n_genes": 1871, "n_in_pathways": 1800, "n_in_mask": 1650,
                     "share_of_mask": 0.9694} for cohort in study.cohorts if cohort.kind != "summary_statistics"],
        "n_unknown_members": 1, "unknown_members": [{"member": f"ATP{study.hostile}", "n_pathways": 12}],
        "pathways": rows,
    })  # fmt: skip


def _truth(study: Study) -> None:
    def check(name: str, value: float, ok: bool = True) -> dict[str, Any]:
        return {"name": name, "planted": f"2{study.hostile}", "found": "2", "value": value, "ideal": 1.0, "chance": 0.5,
                "ok": ok, "text": f"{name}: {value:.0%} ({study.samples['tissue_geo'][0]})"}  # fmt: skip

    checks = [check("outliers", 1.0), check("causal genes", 0.93), check("signs", 0.97)]
    cohorts = {cohort.name: {"kind": cohort.kind, "checks": checks} for cohort in study.cohorts}
    cohorts["rare_geo"] = {
        "kind": "bulk",
        "checks": [check("outliers", 1.0), check("causal genes", 0.56, ok=False)],
    }
    headline = (
        "40 causal genes in 4 pathways were planted, acting in monocytes; 13 of 14 comparisons came out."
    )
    write_json(study.results / "truth" / "found.json", {"headline": headline, "cohorts": cohorts})
    write_json(study.results / "truth" / "truth.json", {"format_version": 1, "seed": 1, "settings": {}, "summary": {
        "n_genes": 2000, "n_causal_genes": 3, "causal_pathways": ["REACTOME_G_BETA_GAMMA_SIGNALLING_THROUGH_PI3KGAMMA_AND_MORE", "Interferon"], "n_cell_types": 6,
        "active_cell_types": ["monocyte", "B cell"], "n_perturbations": 24, "n_loci": 120}})  # fmt: skip
    write_parquet(study.results / "truth" / "genes.parquet", pd.DataFrame({
        "gene": ["IFIT1", "STAT1", "GBP5", "ACTB"], "causal": [True, True, True, False], "effect": [1.2, -0.4, 0.8, 0.0],
        "alpha": [0.02, 0.01, -0.03, 0.0], "pathway": ["Interferon signalling"] * 4}))  # fmt: skip


def _benchmarks(study: Study, rng: np.random.Generator) -> None:
    header = "s\th:m:s\tmax_rss\tmax_vms\tmax_uss\tmax_pss\tio_in\tio_out\tmean_load\tcpu_time"
    names = ["simulate_truth", "pathway_mask", *(f"{rule}/{cohort.name}" for cohort in study.cohorts
             for rule in ("simulate_cohort", "fetch", "prepare"))]  # fmt: skip
    for name in names:
        seconds = rng.gamma(2, 3)
        memory = "-" if seconds < 2 else f"{rng.gamma(5, 60):.2f}"
        line = f"{seconds:.4f}\t0:00:0{int(seconds) % 10}\t{memory}\t-\t-\t-\t0.0\t0.1\t90.2\t{seconds * 0.9:.2f}"
        write_text(study.benchmarks / f"{name}.tsv", f"{header}\n{line}\n")
