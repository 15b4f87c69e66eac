"""What was planted beside what was found."""

from pathlib import Path

from consilience.foundation.jobs import job

with job(log_path=snakemake.log[0], threads=snakemake.threads):
    from consilience.simulate.recovery import compare_with_truth

    compare_with_truth(
        expression_paths={Path(path).stem: Path(path) for path in snakemake.input.expression},
        qc_paths={Path(path).name.removesuffix(".qc.json"): Path(path) for path in snakemake.input.qc}
        | {Path(path).parent.name: Path(path) for path in snakemake.input.summary_qc},
        truth_dir=Path(snakemake.input.truth).parent,
        mask_path=Path(snakemake.input.mask),
        out=Path(snakemake.output.found),
        marker_paths={Path(path).parent.name: Path(path) for path in snakemake.input.markers},
        twmr_paths={Path(path).parent.name: Path(path) for path in snakemake.input.twmr},
        agreement_paths={
            (Path(path).parts[-3], Path(path).parts[-2]): Path(path) for path in snakemake.input.agreement
        },
    )
