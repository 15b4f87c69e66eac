"""A small planted truth and cohorts to draw from it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from consilience.simulate.cohort import write_cohort
from consilience.simulate.truth import Truth, read_truth, write_truth
from consilience.study.cohorts import Cohort
from consilience.study.sections import SimulationSection

SETTINGS = {
    "n_genes": 600,
    "n_causal_genes": 20,
    "n_causal_pathways": 2,
    "bulk": {"n_case": 8, "n_control": 7, "n_outliers": 2},
    "single_cell": {"n_case": 2, "n_control": 2, "cells_per_donor": 400, "doublet_share": 0.05},
    "perturbation": {"cell_lines": 2, "n_perturbations": 5, "cells_per_perturbation": 20},
    "summary_statistics": {"n_loci": 12, "snps_per_locus": 10},
}
COHORTS = {
    "geo": Cohort("geo", "bulk", "simulated", "geo", "disease state", ("diseased",), ("healthy",), "subject id", "", "batch"),
    "gdc": Cohort(
        "gdc", "bulk", "simulated", "gdc", "sample_type", ("Primary Tumor",), ("Solid Tissue Normal",), "case_id",
        "", "plate",
    ),
    "tenx": Cohort(
        "tenx", "single_cell", "simulated", "10x", "condition", ("diseased",), ("healthy",), "donor", "cell_type", "batch"
    ),
    "cells": Cohort(
        "cells", "single_cell", "simulated", "h5ad", "condition", ("diseased",), ("healthy",), "donor", "cell_type", "batch"
    ),
    "screen": Cohort(
        "screen", "perturbation", "simulated", "h5ad", "", (), ("non-targeting",), "", "cell_line", "gem_group", "gene"
    ),
    "gwas": Cohort("gwas", "summary_statistics", "simulated", "gwas_ssf"),
}  # fmt: skip
Serve = Callable[..., Path]


@pytest.fixture(scope="session")
def settings() -> SimulationSection:
    """Sizes of the small study."""
    return SimulationSection.model_validate(SETTINGS)


@pytest.fixture(scope="session")
def truth_dir(settings: SimulationSection, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The small study's truth folder."""
    folder = tmp_path_factory.mktemp("truth")
    write_truth(settings=settings, seed=7, out_dir=folder)
    return folder


@pytest.fixture(scope="session")
def truth(truth_dir: Path) -> Truth:
    """The small study's truth."""
    return read_truth(truth_dir)


@pytest.fixture(scope="session")
def cohorts() -> dict[str, Cohort]:
    """One cohort of each format."""
    return COHORTS


@pytest.fixture(scope="session")
def serve(truth_dir: Path, settings: SimulationSection, tmp_path_factory: pytest.TempPathFactory) -> Serve:
    """Write a cohort (once per name and arguments) and give its folder; facts lie in ../samples.parquet."""
    done: dict[tuple[str, int, int], Path] = {}

    def write(name: str, *, threads: int = 1, again: int = 0) -> Path:
        key = (name, threads, again)
        if key not in done:
            root = tmp_path_factory.mktemp(name)
            write_cohort(
                cohort=COHORTS[name], settings=settings, seed=7, truth_dir=truth_dir, served_dir=root / "served",
                samples_path=root / "samples.parquet", threads=threads,
            )  # fmt: skip
            done[key] = root / "served"
        return done[key]

    return write
