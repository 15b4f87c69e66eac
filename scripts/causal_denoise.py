"""Latent confounders of the cells of one cohort, and a model of their denoised expression."""

from pathlib import Path

from consilience.foundation.jobs import job

with job(log_path=snakemake.log[0], threads=snakemake.threads):
    from consilience.causal.denoising.study import write_denoised
    from consilience.study.causal import DenoisingSection
    from consilience.study.sections import PathwaysSection

    write_denoised(
        Path(snakemake.input.expression),
        out_dir=Path(snakemake.output.latent).parent,
        settings=DenoisingSection.model_validate(snakemake.params.settings),
        pathways=PathwaysSection.model_validate(snakemake.params.pathways),
        seed=snakemake.params.seed,
        gpus=snakemake.resources.gpu,
    )
