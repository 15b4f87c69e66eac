"""Vectors of the patients of one cohort, and what they are worth."""

from pathlib import Path

from consilience.foundation.jobs import job

with job(log_path=snakemake.log[0], threads=snakemake.threads):
    from consilience.rnagan.study_vectors import cohort_vectors

    cohort_vectors(
        Path(snakemake.input.expression),
        Path(snakemake.input.base),
        Path(snakemake.input.model),
        name=snakemake.wildcards.cohort,
        seed=snakemake.params.seed,
        vectors=Path(snakemake.output.vectors),
        groups=Path(snakemake.output.groups),
        neighbours=Path(snakemake.output.neighbours),
        record=Path(snakemake.output.record),
    )
