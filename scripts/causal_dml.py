"""Effect of each gene's expression on disease, in each cell type of one cohort."""

from pathlib import Path

from consilience.foundation.jobs import job

with job(log_path=snakemake.log[0], threads=snakemake.threads):
    from consilience.causal.dml.study import write_dml
    from consilience.study.causal import DmlSection

    write_dml(
        Path(snakemake.input.expression),
        latent=next(map(Path, snakemake.input.latent), None),
        model=next(map(Path, snakemake.input.model), None),
        out=Path(snakemake.output.table),
        others=Path(snakemake.output.others),
        left_out=Path(snakemake.output.left_out),
        record=Path(snakemake.output.record),
        settings=DmlSection.model_validate(snakemake.params.settings),
        seed=snakemake.params.seed,
    )
