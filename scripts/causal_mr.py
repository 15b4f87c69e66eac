"""Effects of genes on the trait, one gene at a time."""

from pathlib import Path

from consilience.foundation.jobs import job

with job(log_path=snakemake.log[0], threads=snakemake.threads):
    from consilience.causal.mr.study import write_mr
    from consilience.study.causal import MrSection

    write_mr(
        Path(snakemake.input.inputs),
        Path(snakemake.input.genes),
        Path(snakemake.output.table),
        settings=MrSection.model_validate(snakemake.params.settings),
        seed=snakemake.params.seed,
    )
