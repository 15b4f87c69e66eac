"""Which measured gene belongs to which pathway."""

from pathlib import Path

from consilience.foundation.jobs import job

with job(log_path=snakemake.log[0], threads=snakemake.threads):
    from consilience.pathways.mask import write_mask
    from consilience.study.sections import PathwaysSection

    write_mask(
        names=snakemake.params.settings["gene_sets"],
        expression_paths=dict(zip(snakemake.params.cohorts, snakemake.input.expression, strict=True)),
        settings=PathwaysSection.model_validate(snakemake.params.settings),
        mask_path=Path(snakemake.output.mask),
        coverage_path=Path(snakemake.output.coverage),
    )
