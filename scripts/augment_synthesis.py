"""Synthetic patients of one cohort, with the verdict on them."""

from pathlib import Path

from consilience.foundation.jobs import job

with job(log_path=snakemake.log[0], threads=snakemake.threads):
    from consilience.augment.study_synthesis import synthesise_cohort
    from consilience.foundation.files import read_json
    from consilience.study.sections import AugmentSection

    synthesise_cohort(
        Path(snakemake.input.expression),
        read_json(snakemake.input.choice),
        Path(snakemake.output.metrics).parent,
        name=snakemake.wildcards.cohort,
        settings=AugmentSection.model_validate(snakemake.params.settings),
        seed=snakemake.params.seed,
        gpus=snakemake.resources.gpu,
        base=next(map(Path, snakemake.input.base), None),
    )
