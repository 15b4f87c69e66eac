"""The models of one study cohort: pretrained on the others, and adapted to it."""

from pathlib import Path

from consilience.foundation.jobs import job

with job(log_path=snakemake.log[0], threads=snakemake.threads):
    from consilience.rnagan.study_training import adapt_cohort
    from consilience.study.sections import PathwaysSection, RnaganSection

    adapt_cohort(
        Path(snakemake.input.expression),
        {
            name: Path(path)
            for name, path in zip(snakemake.params.others, snakemake.input.others, strict=True)
        },
        name=snakemake.wildcards.cohort,
        settings=RnaganSection.model_validate(snakemake.params.settings),
        pathways=PathwaysSection.model_validate(snakemake.params.pathways),
        seed=snakemake.params.seed,
        gpus=snakemake.resources.get("gpu", 0),
        checkpoints=Path(snakemake.params.checkpoints),
        base_out=Path(snakemake.output.base),
        model_out=Path(snakemake.output.model),
        history=Path(snakemake.output.history),
        record=Path(snakemake.output.record),
    )
