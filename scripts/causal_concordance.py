"""Whether gene effects from single cells agree with those from population genetics."""

from pathlib import Path

from consilience.foundation.jobs import job

with job(log_path=snakemake.log[0], threads=snakemake.threads):
    from consilience.causal.concordance.study import write_concordance
    from consilience.study.causal import ConcordanceSection
    from consilience.study.sections import PathwaysSection

    write_concordance(
        twmr=Path(snakemake.input.twmr),
        mr=Path(snakemake.input.mr),
        dml=Path(snakemake.input.dml),
        left_out=Path(snakemake.input.left_out),
        out_dir=Path(snakemake.output.table).parent,
        settings=ConcordanceSection.model_validate(snakemake.params.settings),
        pathways=PathwaysSection.model_validate(snakemake.params.pathways),
        seed=snakemake.params.seed,
        control=snakemake.params.control,
    )
