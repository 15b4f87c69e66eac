"""Write one simulated cohort in the format its source would serve."""

from pathlib import Path

from consilience.foundation.jobs import job

with job(log_path=snakemake.log[0], threads=snakemake.threads):
    from consilience.simulate.cohort import write_cohort
    from consilience.study.cohorts import Cohort
    from consilience.study.sections import SimulationSection

    write_cohort(
        cohort=Cohort.from_params(snakemake.params.cohort),
        settings=SimulationSection.model_validate(snakemake.params.simulation),
        seed=snakemake.params.seed,
        truth_dir=Path(snakemake.input.truth).parent,
        served_dir=Path(snakemake.output.manifest).parent,
        samples_path=Path(snakemake.output.samples),
        threads=snakemake.threads,
    )
