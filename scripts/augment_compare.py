"""One generator on one cohort, held against patients it never saw."""

from pathlib import Path

from consilience.foundation.jobs import job

with job(log_path=snakemake.log[0], threads=snakemake.threads):
    from consilience.augment.study_compare import compare_generator, write_compared
    from consilience.study.sections import AugmentSection, PathwaysSection

    found = compare_generator(
        Path(snakemake.input.expression),
        snakemake.wildcards.generator,
        pathways=PathwaysSection.model_validate(snakemake.params.pathways),
        name=snakemake.wildcards.cohort,
        settings=AugmentSection.model_validate(snakemake.params.settings),
        seed=snakemake.params.seed,
        gpus=snakemake.resources.gpu,
        base=next(map(Path, snakemake.input.base), None),
    )
    write_compared(
        found,
        table=Path(snakemake.output.table),
        attacks=Path(snakemake.output.attacks),
        scan=Path(snakemake.output.scan),
        record=Path(snakemake.output.record),
    )
