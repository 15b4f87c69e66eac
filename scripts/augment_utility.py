"""Classifiers with and without the samples of one generator."""

from pathlib import Path

from consilience.foundation.jobs import job

with job(log_path=snakemake.log[0], threads=snakemake.threads):
    from consilience.augment.study_utility import use_generator, write_used
    from consilience.study.sections import AugmentSection

    found = use_generator(
        Path(snakemake.input.expression),
        snakemake.wildcards.generator,
        name=snakemake.wildcards.cohort,
        settings=AugmentSection.model_validate(snakemake.params.settings),
        seed=snakemake.params.seed,
        gpus=snakemake.resources.gpu,
        base=next(map(Path, snakemake.input.base), None),
    )
    write_used(
        found,
        table=Path(snakemake.output.table),
        published=Path(snakemake.output.published),
        record=Path(snakemake.output.record),
    )
