"""One self-contained page from the results of every stage."""

from pathlib import Path

from consilience.foundation.jobs import job

with job(log_path=snakemake.log[0], threads=snakemake.threads):
    from consilience.report.page import write_report
    from consilience.study.cohorts import Cohort
    from consilience.study.sections import Config

    write_report(
        config=Config.model_validate(snakemake.params.config),
        cohorts=[Cohort.from_params(row) for row in snakemake.params.cohorts],
        results=Path(snakemake.params.results),
        benchmarks=Path(snakemake.params.benchmarks),
        out=Path(snakemake.output.page),
    )
