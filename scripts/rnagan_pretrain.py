"""The model of all pretraining cohorts, for use on new data."""

from pathlib import Path

from consilience.foundation.jobs import job

with job(log_path=snakemake.log[0], threads=snakemake.threads):
    from consilience.rnagan.study_training import pretrain_study
    from consilience.study.sections import PathwaysSection, RnaganSection

    pretrain_study(
        {
            name: Path(path)
            for name, path in zip(snakemake.params.cohorts, snakemake.input.expression, strict=True)
        },
        settings=RnaganSection.model_validate(snakemake.params.settings),
        pathways=PathwaysSection.model_validate(snakemake.params.pathways),
        seed=snakemake.params.seed,
        gpus=snakemake.resources.get("gpu", 0),
        checkpoints=Path(snakemake.params.checkpoints),
        out=Path(snakemake.output.model),
        history=Path(snakemake.output.history),
        record=Path(snakemake.output.record),
    )
