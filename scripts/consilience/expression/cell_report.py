"""The quality record of a cohort of cells: what qc.json and removed.parquet say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from consilience.expression.bulk_report import FEW_GENES_MATCHED, MANY_REMOVED, number
from consilience.expression.cell_phenotypes import CellPhenotypes
from consilience.expression.cell_quality import CellLimits
from consilience.expression.cell_verdict import CellVerdict, NamedGenes
from consilience.expression.normalise import log_cpm
from consilience.expression.quality import principal_components
from consilience.expression.stream import GeneMoments
from consilience.sources.cells.matrix import CellMatrix, Labels

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd

    from consilience.study.cohorts import Cohort

N_BINS = 40
SAMPLE_COLUMNS = ("donor", "condition", "arm", "batch", "cell_type")


def removed_cells(
    *, names: npt.NDArray[np.bytes_], phenotypes: CellPhenotypes, verdict: CellVerdict
) -> pd.DataFrame:
    """One row for each removed cell: id, sample, reason(s), metrics."""
    import pandas as pd

    rows = np.flatnonzero(~verdict.kept)
    reasons = [""] * rows.size
    for reason, mask in verdict.reasons.items():
        for place in np.flatnonzero(mask[rows]):
            reasons[place] = f"{reasons[place]}; {reason}" if reasons[place] else reason
    texts = {
        "id": [name.decode() for name in names[rows]],
        "sample": phenotypes.samples.take(rows).text(),
        "reason": reasons,
    }
    columns: dict[str, Any] = {name: pd.Series(values, dtype="string") for name, values in texts.items()}
    return pd.DataFrame(columns | {name: values[rows] for name, values in verdict.metrics.items()})


def cell_quality_record(
    cohort: Cohort,
    *,
    matrix: CellMatrix,
    phenotypes: CellPhenotypes,
    genes: NamedGenes,
    verdict: CellVerdict,
    moments: GeneMoments,
    highly_variable: npt.NDArray[np.bool_],
    normalisation: Mapping[str, Any],
) -> dict[str, Any]:
    """Everything that the report shows of this cohort's quality (docs/outputs.md explains each entry)."""
    samples = sample_records(phenotypes, verdict)
    donors = phenotypes.standard.get("donor", None if cohort.kind == "perturbation" else phenotypes.samples)
    return {
        "cohort": cohort.name, "kind": cohort.kind, "label": cohort.label, "source": cohort.source,
        "units": "counts",
        "n_in": matrix.n_cells, "n_kept": int(verdict.kept.sum()),
        "n_genes_in": len(matrix.genes), "n_genes_kept": int(moments.n_cells.size),
        "n_donors": None if donors is None else int(np.unique(donors.codes[verdict.kept]).size),
        "arms": arm_sizes(cohort, phenotypes, verdict.kept),
        "thresholds": [entry for limits in verdict.limits
                       for entry in threshold_records(limits, phenotypes, verdict)],
        "removed_by_reason": {name: int(mask.sum()) for name, mask in sorted(verdict.reasons.items())
                              if mask.any()},
        "samples": samples,
        "distributions": {limits.metric: distribution(verdict.metrics[limits.metric], limits)
                          for limits in verdict.limits if np.isfinite(verdict.metrics[limits.metric]).any()},
        "embedding": pseudobulk_embedding(
            counts=moments.group_totals[:, highly_variable], samples=samples,
            groups=[sample.get("condition") or sample.get("cell_type") or "" for sample in samples],
        ),
        "genes": genes.match.to_report(),
        "normalisation": dict(normalisation),
        "messages": [{"level": level, "text": text}
                     for level, text in messages(matrix, phenotypes, genes, verdict, samples)],
    }  # fmt: skip


def arm_sizes(cohort: Cohort, phenotypes: CellPhenotypes, kept: npt.NDArray[np.bool_]) -> dict[str, int]:
    """Kept donors of each arm; for a screen kept cells."""
    arm = phenotypes.standard.get("arm")
    if arm is None:
        return {}
    if cohort.kind == "perturbation":
        return {
            "perturbed": int((kept & (arm.codes == 0)).sum()),
            "control": int((kept & (arm.codes == 1)).sum()),
        }
    donors = phenotypes.standard.get("donor", phenotypes.samples)
    return {name: int(np.unique(donors.codes[kept & (arm.codes == code)]).size)
            for code, name in enumerate(arm.levels)}  # fmt: skip


def sample_records(phenotypes: CellPhenotypes, verdict: CellVerdict) -> list[dict[str, Any]]:
    """One entry a sample: phenotype (where its cells agree), cells in and kept, medians of all its cells."""
    codes, n = phenotypes.samples.codes, len(phenotypes.samples.levels)
    order = np.argsort(codes, kind="stable")
    cells_of = np.split(order, np.searchsorted(codes[order], np.arange(n)))[1:]
    records = []
    for name, cells in zip(phenotypes.samples.levels, cells_of, strict=True):
        n_kept = int(verdict.kept[cells].sum())
        shared = {
            column: shared_level(phenotypes.standard[column], cells)
            for column in SAMPLE_COLUMNS
            if column in phenotypes.standard
        }
        counted = {
            reason: int(mask[cells].sum()) for reason, mask in verdict.reasons.items() if mask[cells].any()
        }
        records.append({
            "sample": name, **{column: level for column, level in shared.items() if level is not None},
            "kept": n_kept > 0, "reasons": [] if n_kept else sorted(counted), "n_cells_in": int(cells.size),
            "n_cells_kept": n_kept, "removed_by_reason": counted,
            "metrics": {metric: median(values[cells]) for metric, values in verdict.metrics.items()},
        })  # fmt: skip
    return records


def shared_level(column: Labels, cells: npt.NDArray[np.int64]) -> str | None:
    """The level that all cells have ("" where it is missing), None where they differ."""
    found = np.unique(column.codes[cells])
    return (*column.levels, "")[int(found[0])] if found.size == 1 else None


def median(values: npt.NDArray[np.float64]) -> float | None:
    """Median of what is known; null for nothing."""
    known = values[np.isfinite(values)]
    return number(float(np.median(known))) if known.size else None


def threshold_records(
    limits: CellLimits, phenotypes: CellPhenotypes, verdict: CellVerdict
) -> list[dict[str, Any]]:
    """The limits of one metric, one entry a sample."""
    names = phenotypes.samples.levels
    outside = phenotypes.samples.codes[verdict.reasons[limits.metric]]
    removed = np.bincount(outside, minlength=len(names))
    return [
        {
            "metric": limits.metric,
            "scope": name if len(names) > 1 else "all",
            "low": number(limits.low[code]),
            "high": number(limits.high[code]),
            "median": number(limits.median[code]),
            "mad": number(limits.mad[code]),
            "n_mads": limits.n_mads,
            "n_removed": int(removed[code]),
            "explanation": limits.explanation
            + (" (too few cells: limits of all cells)" if limits.pooled[code] else ""),
        }
        for code, name in enumerate(names)
    ]


def distribution(values: npt.NDArray[np.float64], limits: CellLimits) -> dict[str, Any]:
    """A histogram; edges are even on the logarithm where limits are. Limits: the widest of all samples."""
    usable = values[np.isfinite(values)]
    usable = np.log(usable[usable > 0]) if limits.log else usable
    counts, edges = np.histogram(usable, bins=N_BINS) if usable.size else (np.empty(0), np.empty(0))
    return {
        "edges": [number(edge) for edge in (np.exp(edges) if limits.log else edges)],
        "counts": [int(count) for count in counts],
        "low": number(float(limits.low.min())), "high": number(float(limits.high.max())), "log": limits.log,
    }  # fmt: skip


def pseudobulk_embedding(
    *, counts: npt.NDArray[np.int64], samples: Sequence[Mapping[str, Any]], groups: Sequence[str]
) -> dict[str, Any]:
    """First two principal components of summed cells; `counts` (samples, genes) of the variable genes."""
    used = [row for row in range(len(samples)) if counts[row].sum() > 0]
    if len(used) < 3 or counts.shape[1] < 2:
        return {"kind": "pca", "explained": [], "points": []}
    chosen = counts[used]
    found = principal_components(
        log_cpm(chosen, library=chosen.sum(axis=1).astype(np.float64)), n_components=2
    )
    return {
        "kind": "pca",
        "explained": [number(float(share)) for share in found.explained],
        "points": [
            {
                "sample": samples[row]["sample"],
                "x": number(float(x)),
                "y": number(float(y)),
                "group": groups[row],
                "kept": samples[row]["kept"],
            }
            for row, (x, y) in zip(used, found.scores, strict=True)
        ],
    }


def messages(
    matrix: CellMatrix, phenotypes: CellPhenotypes, genes: NamedGenes, verdict: CellVerdict,
    samples: Sequence[Mapping[str, Any]],
) -> list[tuple[str, str]]:  # fmt: skip
    """What a reader should be told, alarms first."""
    told = []
    n_removed, n = int((~verdict.kept).sum()), verdict.kept.size
    if n_removed > MANY_REMOVED * n:
        told.append(("alarm", f"quality control removed {n_removed} of {n} cells"))
    thin = [sample["sample"] for sample in samples if sample["n_cells_kept"] < 0.5 * sample["n_cells_in"]]
    if thin:
        told.append(
            ("alarm", f"{len(thin)} samples lost more than half of their cells: {', '.join(thin[:10])}")
        )
    share = genes.match.n_matched / max(1, len(genes.match.symbol))
    if share < FEW_GENES_MATCHED:
        told.append(
            ("alarm", f"only {share:.0%} of the gene ids are known human genes; the others were left out")
        )
    if dates := genes.match.dates:
        told.append(
            ("alarm", f"{len(dates)} gene ids were turned into dates by a spreadsheet: {dates[0][0]} …")
        )
    told += [("alarm" if "Cramér" in note else "note", note) for note in phenotypes.notes]
    return told + [("note", note) for note in (*matrix.notes, *verdict.notes)]
