"""What may be claimed of the use of all generators on one cohort."""

from pathlib import Path

from consilience.foundation.jobs import job

with job(log_path=snakemake.log[0], threads=snakemake.threads):
    from consilience.augment.study_utility import write_utility

    write_utility(
        [Path(path) for path in snakemake.input.tables],
        [Path(path) for path in snakemake.input.published],
        [Path(path) for path in snakemake.input.records],
        table=Path(snakemake.output.table),
        summary=Path(snakemake.output.summary),
        ladder=Path(snakemake.output.published),
        record=Path(snakemake.output.record),
    )
