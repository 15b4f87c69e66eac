"""`consilience twmr`: effects of genes on a trait from summary statistics, by several genes at once."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from consilience.commands.options import AsJson, Table
from consilience.commands.outputs import refuse_suffix, say, write_table
from consilience.foundation.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

INPUTS = "inputs.parquet"


def twmr(
    inputs: Annotated[
        Path,
        typer.Option(
            help="Folder of <gene>.matrix and <gene>.ld, or a folder causal/population/<cohort> of a study."
        ),
    ],
    out: Table,
    n_gwas: Annotated[float | None, typer.Option(help="People in the GWAS (for .matrix and .ld).")] = None,
    n_eqtl: Annotated[
        float | None, typer.Option(help="People in the eQTL study (for .matrix and .ld).")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Write the effect of each gene's expression on the trait, beside what the published estimator says."""
    refuse_suffix(out)
    table = _estimated(inputs, n_gwas=n_gwas, n_eqtl=n_eqtl)
    write_table(out, table)
    summary = _summary(table) | {"inputs": str(inputs), "out": str(out)}
    say([*_lines(summary), f"written: {out}"], summary, as_json=as_json)


def _estimated(inputs: Path, *, n_gwas: float | None, n_eqtl: float | None) -> pd.DataFrame:
    """The table, from text or from a study's folder."""
    from consilience.causal.twmr.study import estimated

    file = inputs / INPUTS if inputs.is_dir() else inputs
    if file.name == INPUTS and file.is_file():
        given = [name for name, n in (("--n-gwas", n_gwas), ("--n-eqtl", n_eqtl)) if n is not None]
        if given:
            raise DataError(
                "the numbers of people are in this folder already", where=" and ".join(given),
                value=str(file), mend="leave the option out",
            )  # fmt: skip
        from consilience.causal.twmr.table import FIRST

        found = estimated(file)
        return found[[*FIRST, *(name for name in found if name not in FIRST)]]
    if not inputs.is_dir():
        raise DataError(
            "no such folder" if not inputs.exists() else "not a folder", where="--inputs", value=str(inputs),
            allowed="a folder of <gene>.matrix and <gene>.ld, or causal/population/<cohort> of a study",
        )  # fmt: skip
    if not any(inputs.glob("*.matrix")):
        raise DataError(
            f"neither <gene>.matrix nor {INPUTS} in this folder", where="--inputs", value=str(inputs)
        )
    from consilience.causal.twmr.estimate import estimate
    from consilience.causal.twmr.folder import read_folder
    from consilience.causal.twmr.table import table

    buckets, named = read_folder(
        inputs, n_gwas=_people(n_gwas, "--n-gwas"), n_eqtl=_people(n_eqtl, "--n-eqtl")
    )
    return table(named, estimate(buckets, len(named.gene)))


def _people(n: float | None, option: str) -> float:
    """A number of people that can stand behind standardised effects."""
    if n is None:
        raise DataError(
            "needed: .matrix files do not say how many people stand behind their effects", where=option,
            allowed="a number", mend=f"add {option} with the number of people of that study",
        )  # fmt: skip
    if not math.isfinite(n) or n < 3:
        raise DataError("not a number of people", where=option, value=n, allowed="3 or more")
    return n


def _summary(table: pd.DataFrame) -> dict[str, Any]:
    """Counts of what was estimated and what was said about it."""
    known = table["p"].notna()
    flags = table["flags"].str.split(";").explode()
    counts = flags[flags != ""].value_counts().sort_index()
    return {
        "genes": len(table), "estimated": int(known.sum()), "at_fdr_0.05": int((table["fdr"] <= 0.05).sum()),
        "published_at_bonferroni_0.05": int((table["p_published"] * max(1, int(known.sum())) <= 0.05).sum()),
        "flags": {str(name): int(count) for name, count in counts.items()},
    }  # fmt: skip


def _lines(summary: dict[str, Any]) -> list[str]:
    from consilience.causal.twmr.flags import FLAGS

    lines = [
        f"genes: {summary['genes']:,}; estimated: {summary['estimated']:,}",
        f"FDR of 5% or less: {summary['at_fdr_0.05']:,}",
    ]
    return lines + [f"flag {name} ({count:,}): {FLAGS[name]}" for name, count in summary["flags"].items()]
