"""All generators of one cohort side by side, and the one that is taken."""

from pathlib import Path

from consilience.foundation.jobs import job

with job(log_path=snakemake.log[0], threads=snakemake.threads):
    from consilience.augment.study_choice import write_choice
    from consilience.study.sections import AugmentSection

    files = snakemake.input
    pieces = zip(files.tables, files.attacks, files.scans, files.records, strict=True)
    names = ("table", "attacks", "scan", "record")
    write_choice(
        [dict(zip(names, map(Path, piece), strict=True)) for piece in pieces],
        settings=AugmentSection.model_validate(snakemake.params.settings),
        table=Path(snakemake.output.table),
        attacks=Path(snakemake.output.attacks),
        scan=Path(snakemake.output.scan),
        temperatures=Path(snakemake.output.temperatures),
        record=Path(snakemake.output.record),
    )
