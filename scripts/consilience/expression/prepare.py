"""From a cohort's raw folder to its expression file, what was removed from it, and its quality record."""

from __future__ import annotations

from pathlib import Path

from consilience.foundation.errors import DataError
from consilience.study.cohorts import Cohort
from consilience.study.sections import CellTypesSection, NormalisationSection, QualitySection


def prepare_cohort(
    *,
    cohort: Cohort,
    raw_dir: Path,
    quality: QualitySection,
    normalisation: NormalisationSection,
    min_samples_per_arm: int,
    seed: int,
    expression_path: Path,
    removed_path: Path,
    qc_path: Path,
    cell_types: CellTypesSection | None = None,
) -> None:
    """Read, check, normalise and write one cohort of expression data.

    Writes the h5ad, the table of what was removed and why, and qc.json; each whole or not at all.
    """
    if cohort.kind == "bulk":
        from consilience.expression.bulk import prepare_bulk

        prepare_bulk(
            cohort=cohort, raw_dir=raw_dir, quality=quality.bulk, normalisation=normalisation,
            min_samples_per_arm=min_samples_per_arm, expression_path=expression_path,
            removed_path=removed_path, qc_path=qc_path,
        )  # fmt: skip
    elif cohort.kind in {"single_cell", "perturbation"}:
        from consilience.expression.cells import prepare_cells

        prepare_cells(
            cohort=cohort, raw_dir=raw_dir, quality=quality, normalisation=normalisation,
            cell_types=cell_types or CellTypesSection(), min_samples_per_arm=min_samples_per_arm, seed=seed,
            expression_path=expression_path, removed_path=removed_path, qc_path=qc_path,
        )  # fmt: skip
    else:
        raise DataError(
            "this kind of cohort has no expression data", where=f"cohort {cohort.name}: kind",
            value=cohort.kind, allowed="bulk, single_cell, perturbation",
        )  # fmt: skip
