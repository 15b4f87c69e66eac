"""What was planted beside what was found: the report's proof that the workflow sees what is there."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from consilience.foundation.errors import DataError
from consilience.foundation.files import read_json, write_json
from consilience.foundation.jobs import log
from consilience.simulate.checks import Check


def compare_with_truth(
    *,
    expression_paths: dict[str, Path],
    qc_paths: dict[str, Path],
    truth_dir: Path,
    mask_path: Path,
    out: Path,
    marker_paths: dict[str, Path] | None = None,
    twmr_paths: dict[str, Path] | None = None,
    agreement_paths: dict[tuple[str, str], Path] | None = None,
) -> None:
    """Compare each simulated cohort with the truth and write found.json.

    `qc_paths` may hold summary-statistics cohorts too; their tables are looked for beside their qc.json.
    `marker_paths`: tables of marker genes (rnagan/<cohort>/markers_genes.parquet) of cohorts that have them;
    `twmr_paths` and `agreement_paths` (by population and cells): those of the causal stage.
    A study without effects is checked for false findings instead of recovery.
    """
    import pandas as pd

    from consilience.simulate.truth import read_truth

    truth, mask = read_truth(truth_dir), pd.read_parquet(mask_path)
    cohorts: dict[str, Any] = {}
    for name in dict.fromkeys([*expression_paths, *qc_paths]):
        samples = truth_dir / "samples" / f"{name}.parquet"
        if not samples.is_file():
            continue
        record, facts = read_json(qc_paths[name]), pd.read_parquet(samples)
        log.info("comparing %s with the truth", name)
        if record["kind"] == "summary_statistics":
            from consilience.simulate.recovery_instruments import instrument_checks

            checks = instrument_checks(
                qc_paths[name].parent / "eqtl.parquet",
                facts=facts,
                n_tests=record["n_rows_read"].get("eQTL", 0),
            )
            if name in (twmr_paths or {}):
                from consilience.simulate.recovery_causal import twmr_checks

                checks += twmr_checks((twmr_paths or {})[name], facts=facts)
        else:
            checks = _expression_checks(
                record["kind"], expression_paths[name], facts=facts, truth=truth, mask=mask
            )
        cohorts[name] = {"kind": record["kind"]}
        if name in (marker_paths or {}):
            from consilience.simulate.recovery_markers import marker_checks

            own, cohorts[name]["markers"] = marker_checks((marker_paths or {})[name], truth=truth)
            checks = [*checks, *own]
        checks = [*checks, *_agreement_of(name, agreement_paths or {}, truth=truth, truth_dir=truth_dir)]
        cohorts[name]["checks"] = [check.record() for check in checks]
    write_json(out, {"cohorts": cohorts, "headline": headline(read_json(truth_dir / "truth.json"), cohorts)})


def _agreement_of(
    cells: str, paths: dict[tuple[str, str], Path], *, truth: Any, truth_dir: Path
) -> list[Check]:
    """Agreement of this single-cell cohort with each population that is simulated too."""
    import pandas as pd

    from consilience.simulate.recovery_causal import agreement_checks

    checks = []
    for (population, own), path in paths.items():
        facts = truth_dir / "samples" / f"{population}.parquet"
        if own != cells or not facts.is_file():
            continue
        planted = pd.read_parquet(facts, columns=["gene", "alpha"])
        acting = set(planted.loc[planted["alpha"] != 0, "gene"])
        related = bool(acting & set(truth.genes.loc[truth.genes["causal"], "gene"]))
        checks += [
            replace(check, name=f"{check.name} ({population})")
            for check in agreement_checks(path, truth=truth, related=related)
        ]
    return checks


def _expression_checks(kind: str, path: Path, *, facts: Any, truth: Any, mask: Any) -> list[Check]:
    if kind == "bulk":
        from consilience.simulate.recovery_bulk import bulk_checks

        return bulk_checks(path, facts=facts, truth=truth, mask=mask)
    from consilience.simulate.recovery_cells import case_control_checks, cell_quality_checks, screen_checks

    if kind == "single_cell":
        return [*cell_quality_checks(path, facts=facts), *case_control_checks(path, truth=truth)]
    if kind == "perturbation":
        return [*cell_quality_checks(path, facts=facts), *screen_checks(path, truth=truth)]
    raise DataError("unknown kind of cohort", where=str(path), value=kind)


def headline(record: dict[str, Any], cohorts: dict[str, Any]) -> str:
    """One sentence: what was planted and how many comparisons came out as they should."""
    checks = [check for cohort in cohorts.values() for check in cohort["checks"]]
    n_ok, summary = sum(check["ok"] for check in checks), record["summary"]
    done = f"{n_ok} of {len(checks)} comparisons with the truth came out as they should"
    if not summary["n_causal_genes"]:
        return f"No disease effect was planted (a null study); {done}."
    return (
        f"{summary['n_causal_genes']} causal genes in {len(summary['causal_pathways'])} pathways were planted"
        f", acting in {' and '.join(summary['active_cell_types'])}; {done}."
    )
