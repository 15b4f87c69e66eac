"""Check GWAS, eQTL and LD tables of one cohort and write them as parquet."""

from pathlib import Path

from consilience.foundation.jobs import job

with job(log_path=snakemake.log[0], threads=snakemake.threads):
    from consilience.sources.summary_statistics.prepare import prepare_summary_statistics
    from consilience.study.cohorts import Cohort
    from consilience.study.sections import SummaryStatisticsSection

    prepare_summary_statistics(
        cohort=Cohort.from_params(snakemake.params.cohort),
        raw_dir=Path(snakemake.input.provenance).parent,
        out_dir=Path(snakemake.output.gwas).parent,
        qc_path=Path(snakemake.output.qc),
        settings=SummaryStatisticsSection.model_validate(snakemake.params.settings),
    )
