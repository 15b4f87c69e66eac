"""Bring the raw files of one cohort here and record where they came from."""

from pathlib import Path

from consilience.foundation.jobs import job

with job(log_path=snakemake.log[0], threads=snakemake.threads):
    from consilience.sources.fetch import fetch_cohort
    from consilience.study.cohorts import Cohort
    from consilience.study.sections import FetchSection

    cohort = Cohort.from_params(snakemake.params.cohort)
    fetch_cohort(
        cohort=cohort,
        served_dir=Path(snakemake.input[0]).parent if cohort.source == "simulated" else None,
        raw_dir=Path(snakemake.output.provenance).parent,
        folder=Path(),
        # not a param: how a file gets here does not change what it is, so it reruns nothing
        settings=FetchSection.model_validate(snakemake.config.get("fetch", {})),
    )
