"""Diagnosis of one cohort, judged on patients never seen."""

from pathlib import Path

from consilience.foundation.jobs import job

with job(log_path=snakemake.log[0], threads=snakemake.threads):
    from consilience.rnagan.study_diagnosis import diagnose_cohort
    from consilience.study.sections import RnaganSection

    diagnose_cohort(
        Path(snakemake.input.expression),
        Path(snakemake.input.base),
        name=snakemake.wildcards.cohort,
        settings=RnaganSection.model_validate(snakemake.params.settings),
        seed=snakemake.params.seed,
    ).write(Path(snakemake.output.table), Path(snakemake.output.record))
