"""Effects of genes on the trait, several genes of a locus at once."""

from pathlib import Path

from consilience.foundation.jobs import job

with job(log_path=snakemake.log[0], threads=snakemake.threads):
    from consilience.causal.twmr.study import write_twmr
    from consilience.study.causal import InstrumentsSection

    write_twmr(
        Path(snakemake.input.inputs),
        Path(snakemake.input.genes),
        Path(snakemake.output.table),
        settings=InstrumentsSection.model_validate(snakemake.params.settings),
    )
