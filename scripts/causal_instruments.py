"""Instruments of each gene from the prepared summary statistics of one cohort."""

from pathlib import Path

from consilience.foundation.jobs import job

with job(log_path=snakemake.log[0], threads=snakemake.threads):
    from consilience.causal.instruments.study import write_instruments
    from consilience.study.causal import InstrumentsSection

    write_instruments(
        Path(snakemake.input.qc).parent,
        Path(snakemake.output.table).parent,
        settings=InstrumentsSection.model_validate(snakemake.params.settings),
    )
