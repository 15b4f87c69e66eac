"""Double machine learning of one cohort of the study: its tables and its record."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from consilience.causal.dml.cells import CellsOfType
from consilience.causal.dml.cells_file import (
    CellSource,
    Plan,
    TypePlan,
    batches,
    open_cells,
    plan_types,
    read_types,
)
from consilience.causal.dml.confounders import Confounders, make_confounders
from consilience.causal.dml.denoised import denoised_values
from consilience.causal.dml.estimate import estimate
from consilience.causal.dml.gene_choice import SeenGenes, seen_genes, with_genes
from consilience.causal.dml.rows import LEFT_OUT, MAIN, left_out_rows, main_rows
from consilience.causal.dml.variants import OTHERS, other_rows
from consilience.foundation.files import write_json, write_parquet
from consilience.foundation.jobs import log
from consilience.measures.plain import plain

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd

    from consilience.study.causal import DmlSection


LATENTS_TELL = 0.3
"""Share of disease's variance that confounders tell out of fold, above which latents may hold its effect."""


@dataclass(frozen=True)
class OpenType:
    """One cell type, ready: the cells with the genes that are estimated, what became of all genes."""

    plan: TypePlan
    cells: CellsOfType
    seen: SeenGenes
    confounders: Confounders


@dataclass(frozen=True)
class Found:
    """Tables of `rows` (MAIN, OTHERS, LEFT_OUT columns) and the record."""

    main: pd.DataFrame
    others: pd.DataFrame
    left_out: pd.DataFrame
    record: dict[str, Any]


def write_dml(
    expression: Path, *, latent: Path | None, out: Path, others: Path, left_out: Path, record: Path,
    settings: DmlSection, seed: int, model: Path | None = None,
) -> None:  # fmt: skip
    """Write dml.parquet, dml_others.parquet, dml_left_out.parquet and dml.json of one cohort of cells.

    `latent` table of latent confounders (used where `settings.latents`); `model` folder of the network that
    denoises, needed where denoised expression is the treatment.
    """
    source = open_cells(
        expression, covariates=settings.covariates, latent=latent if settings.latents else None
    )
    found = estimate_cohort(source, settings=settings, seed=seed, model=model, expression=expression)
    found.record["cohort"] = expression.stem
    write_parquet(out, found.main)
    write_parquet(others, found.others)
    write_parquet(left_out, found.left_out)
    write_json(record, plain(found.record))


def estimate_cohort(
    source: CellSource, *, settings: DmlSection, seed: int, model: Path | None = None,
    expression: Path | None = None, without_each: bool = True,
) -> Found:  # fmt: skip
    """Everything of one cohort; cell types of which too few donors have cells are told in the record."""
    started = time.perf_counter()
    plan = plan_types(source, min_cells=settings.min_cells, min_donors=settings.min_donors)
    mains, varied, withouts, told = [], [], [], []
    for one in open_types(source, plan, settings=settings, model=model, expression=expression):
        log.info("%s: %d cells of %d donors, %d genes", one.plan.cell_type, len(one.cells.donor),
                 len(one.cells.donors), len(one.cells.genes))  # fmt: skip
        linear = settings.score != "irm"
        found = estimate(
            one.cells, learner=settings.learner, score=settings.score, folds=settings.folds,
            repeats=settings.repeats, seed=seed, without_each=without_each, cell_errors=linear,
            inference=settings.inference,
        )  # fmt: skip
        main = main_rows(one.cells, found, seen=one.seen, confounders=one.confounders, genes=source.genes,
                         ensembl_ids=source.ensembl_ids, seed=seed)  # fmt: skip
        mains.append(main)
        withouts.append(left_out_rows(one.cells, found))
        rows, more = other_rows(one.cells, main, settings=settings, seed=seed)
        varied.append(rows)
        told.append(_told(one, found_rows=main) | more)
    import pandas as pd

    def table(parts: list[pd.DataFrame], columns: Sequence[str]) -> pd.DataFrame:
        filled = [part for part in parts if len(part)]
        return pd.concat(filled, ignore_index=True) if filled else pd.DataFrame(columns=list(columns))

    return Found(
        table(mains, MAIN), table(varied, OTHERS), table(withouts, LEFT_OUT),
        _record(source, plan, told, settings, time.perf_counter() - started),
    )  # fmt: skip


def open_types(
    source: CellSource, plan: Plan, *, settings: DmlSection, model: Path | None = None,
    expression: Path | None = None,
) -> Iterator[OpenType]:  # fmt: skip
    """Yield cell types one after the other; the file is read once for as many as fit into memory."""
    for batch in batches(plan.types, source.entries):
        matrices = read_types(source, batch)
        for one in batch:
            matrix = matrices.pop(0)
            seen = seen_genes(matrix, one.donor, min_expressed=settings.min_expressed)
            confounders = make_confounders(
                {name: labels.take(one.rows) for name, labels in source.covariates.items()},
                latents=None if source.latents is None else source.latents[one.rows],
                donor=one.donor, disease=one.disease, arm=one.arm,
            )  # fmt: skip
            treatment: Any
            if settings.expression == "denoised":
                del matrix
                seen, treatment = denoised_values(
                    model=model, expression=expression, plan=one, seen=seen, genes=source.genes
                )
            else:
                treatment = with_genes(matrix, seen.kept)
                del matrix
            cells = CellsOfType(
                one.cell_type, one.donors, one.donor, one.disease, confounders.values, confounders.names,
                treatment, _of(source.genes, seen.kept), _of(source.ensembl_ids, seen.kept), one.arm,
            )  # fmt: skip
            yield OpenType(one, cells, seen, confounders)


def _of(names: Sequence[str], kept: npt.NDArray[np.bool_]) -> tuple[str, ...]:
    return tuple(name for name, wanted in zip(names, kept, strict=True) if wanted)


def _told(one: OpenType, *, found_rows: pd.DataFrame) -> dict[str, Any]:
    """What the record says of a cell type."""
    from consilience.causal.dml.rows import genomic_inflation

    p = found_rows["p"].to_numpy()
    tested = p[np.isfinite(p)]
    return {
        "cell_type": one.plan.cell_type, "n_cells": len(one.cells.donor), "n_donors": len(one.cells.donors),
        "n_cases": int(one.cells.disease.sum()), "paired": one.plan.arm is not None,
        "other_design": list(one.plan.other), "n_genes": int(tested.size),
        "n_significant": int((found_rows["fdr"] <= 0.05).sum()),
        "few_cells": list(one.plan.few),
        "confounders": list(one.confounders.names), "covariates_used": list(one.confounders.used),
        "covariates_dropped": dict(one.confounders.dropped), "covariates_gaps": dict(one.confounders.gaps),
        "r2_outcome": float(found_rows["r2_outcome"].median()),
        "lambda_gc": genomic_inflation(tested),
        "lambda_gc_naive": genomic_inflation(found_rows["p_naive"].dropna().to_numpy()),
    }  # fmt: skip


def _design_messages(plan: Plan) -> Iterator[str]:
    """Which donors are compared with which, where some are case and control."""
    paired = [one for one in plan.types if one.arm is not None]
    unpaired = [one for one in plan.types if one.arm is None]
    if paired:
        n_pairs = [len(one.donors) for one in paired]
        yield (
            f"paired design in {len(paired)} of {len(plan.types)} cell types: {_range(n_pairs)} donors were "
            "sampled as case and as control; effects are differences within them, their own levels are out"
        )
        if alone := sorted({name for one in paired for name in one.other}):
            yield (
                f"{len(alone)} donors of one arm alone were left out where pairs are compared: {_some(alone)}"
            )
    if plan.both_arms and not plan.types:
        yield (f"{len(plan.both_arms)} donors are both case and control, too few to be compared with "
               f"themselves: {_some(plan.both_arms)}")  # fmt: skip
    elif plan.both_arms and unpaired:
        where = f" in {_some([one.cell_type for one in unpaired])}" if paired else ""
        yield (f"{len(plan.both_arms)} donors are both case and control and were left out{where}: "
               f"{_some(plan.both_arms)}")  # fmt: skip


def _range(numbers: Sequence[int]) -> str:
    least, most = min(numbers), max(numbers)
    return str(least) if least == most else f"{least} to {most}"


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (" …" if len(names) > 5 else "")


def _record(
    source: CellSource, plan: Plan, told: list[dict[str, Any]], settings: DmlSection, seconds: float
) -> dict[str, Any]:  # fmt: skip
    messages = [*_design_messages(plan)]
    for name in sorted({name for one in told for name, why in one["covariates_dropped"].items()
                        if "one arm alone" in why}):  # fmt: skip
        messages.append(
            f"disease cannot be told from {name}: it was left out, and effects may be its effects"
        )
    told_by_latents = [one["cell_type"] for one in told if one["r2_outcome"] > LATENTS_TELL]
    if source.latents is not None and told_by_latents:
        messages.append(
            f"confounders, latent numbers of cells among them, tell more than {LATENTS_TELL:.0%} of disease "
            f"in {_some(told_by_latents)}: what disease or treatment does to the whole cell may be taken out "
            "with them; compare with causal.dml.latents: false"
        )
    if source.missing:
        messages.append(f"no such columns of cells: {', '.join(source.missing)}")
    if not told:
        messages.append("no cell type has enough donors of both arms: nothing was estimated")
    return {
        "cell_types": told, "skipped": dict(plan.skipped), "covariates_missing": list(source.missing),
        "latents": 0 if source.latents is None else source.latents.shape[1],
        "settings": settings.model_dump(), "learner": settings.learner, "score": settings.score,
        "folds": settings.folds, "repeats": settings.repeats, "inference": settings.inference,
        "both_arms": list(plan.both_arms), "paired": any(one.arm is not None for one in plan.types),
        "messages": messages, "seconds": round(seconds, 2),
    }  # fmt: skip
