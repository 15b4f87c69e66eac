"""Synthetic samples of one cohort, with the verdict on them."""

from pathlib import Path

from consilience.foundation.jobs import job

with job(log_path=snakemake.log[0], threads=snakemake.threads):
    from consilience.rnagan.study_synthesis import synthesise_cohort, write_synthetic
    from consilience.study.sections import RnaganSection

    made = synthesise_cohort(
        Path(snakemake.input.expression),
        Path(snakemake.input.base),
        Path(snakemake.input.model),
        name=snakemake.wildcards.cohort,
        settings=RnaganSection.model_validate(snakemake.params.settings),
        seed=snakemake.params.seed,
    )
    write_synthetic(
        made,
        h5ad=Path(snakemake.output.h5ad),
        table=Path(snakemake.output.table),
        record=Path(snakemake.output.record),
    )
