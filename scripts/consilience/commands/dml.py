"""`consilience dml`: effects of genes on disease, cell type by cell type, from an h5ad file of cells."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from consilience.commands.options import AsJson, Seed, Table
from consilience.commands.outputs import refuse_suffix, say, write_table
from consilience.foundation.errors import ConfigError, DataError, did_you_mean

if TYPE_CHECKING:
    import pandas as pd

    from consilience.study.causal import DmlSection

FIRST = ("cell_type", "gene", "theta", "se", "p", "fdr", "n_cells", "n_donors", "flags")
SHOWN = 5


def dml(
    input_file: Annotated[Path, typer.Option("--input", help="Cells (.h5ad): counts or logarithms.")],
    outcome: Annotated[str, typer.Option(help="Column of the cells that says which arm their donor is of.")],
    case: Annotated[list[str], typer.Option(help="Level of the cases (can be repeated).")],
    donor: Annotated[str, typer.Option(help="Column that says which donor a cell is from.")],
    out: Table,
    cell_type: Annotated[
        str | None, typer.Option(help="Column of cell types (without it all cells are one type).")
    ] = None,
    control: Annotated[
        list[str] | None, typer.Option(help="Level of the controls (can be repeated); all others without it.")
    ] = None,
    covariates: Annotated[
        list[str] | None,
        typer.Option(help="Columns that confound, such as batch,sex,age (commas, or repeated); library_size "
                          "is counted where it is no column."),
    ] = None,
    learner: Annotated[str, typer.Option(help="Learner of nuisances.")] = "ridge",
    score: Annotated[str, typer.Option(help="partialling_out, iv_type or irm.")] = "partialling_out",
    inference: Annotated[str, typer.Option(help="t or wild_bootstrap.")] = "t",
    folds: Annotated[int, typer.Option(help="Groups of donors for cross-fitting.", min=2)] = 5,
    repeats: Annotated[int, typer.Option(help="Divisions into folds.", min=1)] = 5,
    min_cells: Annotated[int, typer.Option(help="Cells a donor must have of a type.", min=1)] = 10,
    min_donors: Annotated[
        int, typer.Option(help="Donors each arm must have, or that must be in both (then at least 3).", min=2)
    ] = 3,
    latents: Annotated[
        Path | None, typer.Option(help="Table of latent confounders (columns cell, l0, l1, …).")
    ] = None,
    seed: Seed = 0,
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Write the effect of each gene's expression on disease in each cell type, with donors as the units."""
    refuse_suffix(out)
    settings = _settings(
        learner=learner, score=score, inference=inference, folds=folds, repeats=repeats, min_cells=min_cells,
        min_donors=min_donors, others=[], top=0,
        covariates=[name for text in covariates or ["library_size"] for name in text.split(",") if name],
    )  # fmt: skip
    from consilience.causal.dml.own_cells import open_own_cells
    from consilience.causal.dml.study import estimate_cohort

    source, units = open_own_cells(
        input_file, outcome=outcome, case=case, control=control or [], donor=donor, cell_type=cell_type,
        covariates=settings.covariates, latents=latents,
    )  # fmt: skip
    found = estimate_cohort(source, settings=settings, seed=seed, without_each=False)
    if found.main.empty:
        reasons = "; ".join(f"{name}: {why}" for name, why in found.record["skipped"].items())
        raise DataError(
            "no cell type can be estimated",
            where=str(input_file),
            value=reasons or "no cell types",
            mend="more donors are needed, or fewer of their cells (--min-cells)"
            if reasons
            else "look at the columns asked for",
        )
    write_table(out, found.main[[*FIRST, *(name for name in found.main if name not in FIRST)]])
    summary = {**found.record, "input": str(input_file), "values": units, "out": str(out)}
    say([*_lines(found.main, found.record, units), f"written: {out}"], summary, as_json=as_json)


def _settings(**given: Any) -> DmlSection:
    """Settings, checked before anything is read."""
    from consilience.causal.dml.learners import learner
    from consilience.study.causal import DmlSection

    for option, allowed in (("score", ("partialling_out", "iv_type", "irm")),
                            ("inference", ("t", "wild_bootstrap"))):  # fmt: skip
        if given[option] not in allowed:
            raise ConfigError(
                "no such choice",
                where=f"--{option}",
                value=given[option],
                allowed=", ".join(allowed),
                mend=did_you_mean(given[option], allowed),
            )
    learner(given["learner"])
    return DmlSection(**given)


def _lines(table: pd.DataFrame, record: dict[str, Any], units: str) -> list[str]:
    lines = [f"values: {units}"]
    for one in record["cell_types"]:
        best = table[(table["cell_type"] == one["cell_type"]) & (table["fdr"] <= 0.05)].nsmallest(SHOWN, "p")
        genes = ", ".join(best["gene"]) or "none"
        donors = f"{one['n_cases']} cases and {one['n_donors'] - one['n_cases']} controls"
        if one["paired"]:
            donors = f"{one['n_donors']} donors as case and as control"
        lines.append(
            f"{one['cell_type']}: {one['n_cells']:,} cells of {donors}, {one['n_genes']:,} genes tested; "
            f"{one['n_significant']} at FDR 5 %: {genes}"
        )
    lines += [f"{name}: not estimated ({why})" for name, why in record["skipped"].items()]
    return [*lines, *(f"note: {message}" for message in record["messages"])]
