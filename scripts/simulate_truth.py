"""Plant the truth that drives all simulated cohorts."""

from pathlib import Path

from consilience.foundation.jobs import job

with job(log_path=snakemake.log[0], threads=snakemake.threads):
    from consilience.simulate.truth import write_truth
    from consilience.study.sections import SimulationSection

    write_truth(
        settings=SimulationSection.model_validate(snakemake.params.simulation),
        seed=snakemake.params.seed,
        out_dir=Path(snakemake.output.truth).parent,
    )
