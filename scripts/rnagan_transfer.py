"""Diagnosis of one cohort by references and training from another."""

from pathlib import Path

from consilience.foundation.jobs import job

with job(log_path=snakemake.log[0], threads=snakemake.threads):
    from consilience.rnagan.study_diagnosis import diagnose_across
    from consilience.study.sections import RnaganSection

    diagnose_across(
        Path(snakemake.input.learned),
        Path(snakemake.input.diagnosed),
        Path(snakemake.input.base),
        names=(snakemake.wildcards.other, snakemake.wildcards.cohort),
        settings=RnaganSection.model_validate(snakemake.params.settings),
        seed=snakemake.params.seed,
    ).write(Path(snakemake.output.table), Path(snakemake.output.record))
