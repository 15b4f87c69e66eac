"""Markers of one cohort: genes, pathways, interactions, enrichment."""

from pathlib import Path

from consilience.foundation.jobs import job

with job(log_path=snakemake.log[0], threads=snakemake.threads):
    from consilience.rnagan.study_markers import PARTS, find_cohort_markers
    from consilience.study.sections import RnaganSection

    find_cohort_markers(
        Path(snakemake.input.expression),
        Path(snakemake.input.base),
        name=snakemake.wildcards.cohort,
        settings=RnaganSection.model_validate(snakemake.params.settings),
        seed=snakemake.params.seed,
        tables={part: Path(snakemake.output[part]) for part in PARTS},
        record=Path(snakemake.output.record),
    )
