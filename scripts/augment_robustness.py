"""How much of the figures is luck, and whether markers are kept."""

from pathlib import Path

from consilience.foundation.jobs import job

with job(log_path=snakemake.log[0], threads=snakemake.threads):
    from consilience.augment.study_robustness import robustness_of, write_robust
    from consilience.foundation.files import read_json
    from consilience.study.sections import AugmentSection

    found = robustness_of(
        Path(snakemake.input.expression),
        read_json(snakemake.input.choice),
        name=snakemake.wildcards.cohort,
        settings=AugmentSection.model_validate(snakemake.params.settings),
        seed=snakemake.params.seed,
        gpus=snakemake.resources.gpu,
        base=next(map(Path, snakemake.input.base), None),
    )
    write_robust(
        found,
        table=Path(snakemake.output.table),
        genes=Path(snakemake.output.genes),
        agreement=Path(snakemake.output.agreement),
        record=Path(snakemake.output.record),
    )
