"""Quality control and normalisation of one cohort."""

from pathlib import Path

from consilience.foundation.jobs import job

with job(log_path=snakemake.log[0], threads=snakemake.threads):
    from consilience.expression.prepare import prepare_cohort
    from consilience.study.cohorts import Cohort
    from consilience.study.sections import CellTypesSection, NormalisationSection, QualitySection

    prepare_cohort(
        cohort=Cohort.from_params(snakemake.params.cohort),
        raw_dir=Path(snakemake.input.provenance).parent,
        quality=QualitySection.model_validate(snakemake.params.quality),
        normalisation=NormalisationSection.model_validate(snakemake.params.normalisation),
        min_samples_per_arm=snakemake.params.min_samples_per_arm,
        seed=snakemake.params.seed,
        expression_path=Path(snakemake.output.expression),
        removed_path=Path(snakemake.output.removed),
        qc_path=Path(snakemake.output.qc),
        cell_types=CellTypesSection.model_validate(snakemake.params.cell_types),
    )
