"""The quality record of a bulk cohort: what qc.json and removed.parquet say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from consilience.expression.bulk_quality import EXPLANATIONS, Verdict
from consilience.expression.naming import NamedValues
from consilience.expression.normalise import Normalised, comparable, normalisation_record
from consilience.expression.quality import Limits, principal_components
from consilience.sources.bulk.matrix import BulkMatrix
from consilience.sources.bulk.stored import part
from consilience.sources.phenotypes import Phenotypes
from consilience.study.cohorts import Cohort

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd


N_BINS = 30
FEW_GENES_MATCHED = 0.7
MANY_REMOVED = 0.2


def removed_table(*, samples: Sequence[str], verdict: Verdict) -> pd.DataFrame:
    """One row for each removed sample: id, sample, reasons, metrics; the same columns when there is none."""
    import pandas as pd

    rows = np.flatnonzero(~verdict.kept)
    names = [samples[int(row)] for row in rows]
    reasons = ["; ".join(verdict.reasons[int(row)]) for row in rows]
    texts = {
        name: pd.Series(values, dtype="string")
        for name, values in (("id", names), ("sample", names), ("reason", reasons))
    }
    return pd.DataFrame(texts | {name: values[rows] for name, values in verdict.metrics.items()})


def quality_record(
    cohort: Cohort,
    *,
    matrix: BulkMatrix,
    phenotypes: Phenotypes,
    named: NamedValues,
    verdict: Verdict,
    normalised: Normalised,
) -> dict[str, Any]:
    """Everything that the report shows of this cohort's quality (docs/outputs.md explains each entry)."""
    kept = np.flatnonzero(verdict.kept)
    arms = phenotypes.standard.get("arm", ())
    donors = phenotypes.standard.get("donor", phenotypes.standard["sample"])
    return {
        "cohort": cohort.name, "kind": cohort.kind, "label": cohort.label, "source": cohort.source,
        "units": named.units,
        "n_in": len(matrix.samples), "n_kept": len(kept),
        "n_genes_in": len(matrix.genes), "n_genes_kept": int(normalised.kept.sum()),
        "n_donors": len({donors[row] or f"\0{row}" for row in kept}),
        "arms": {arm: sum(arms[row] == arm for row in kept) for arm in ("case", "control")} if arms else {},
        "thresholds": _thresholds(verdict),
        "removed_by_reason": verdict.removed_by_reason(),
        "samples": _samples(phenotypes, verdict),
        "distributions": {
            name: _distribution(verdict.metrics[name], limits) for name, limits in verdict.limits.items()
        },
        "embedding": _embedding(named, phenotypes=phenotypes, verdict=verdict, normalised=normalised),
        "genes": named.match.to_report(),
        "normalisation": normalisation_record(normalised),
        "messages": [
            {"level": level, "text": text}
            for level, text in _messages(matrix=matrix, phenotypes=phenotypes, named=named, verdict=verdict)
        ],
    }  # fmt: skip


def _messages(
    *, matrix: BulkMatrix, phenotypes: Phenotypes, named: NamedValues, verdict: Verdict
) -> list[tuple[str, str]]:
    messages = list(verdict.messages)
    n_removed, n_samples = int((~verdict.kept).sum()), len(verdict.kept)
    if n_removed > MANY_REMOVED * n_samples:
        messages.append(("alarm", f"quality control removed {n_removed} of {n_samples} samples"))
    share = named.match.n_matched / max(1, len(named.match.symbol))
    if share < FEW_GENES_MATCHED:
        messages.append(
            ("alarm", f"only {share:.0%} of the gene ids are known human genes; the others were left out")
        )
    if dates := named.match.dates:
        messages.append(
            ("alarm", f"{len(dates)} gene ids were turned into dates by a spreadsheet: {dates[0][0]} …")
        )
    association = [("alarm" if "Cramér" in note else "note", note) for note in phenotypes.notes]
    return messages + association + [("note", note) for note in (*matrix.notes, *named.notes)]


def _thresholds(verdict: Verdict) -> list[dict[str, Any]]:
    entries = []
    for name, limits in verdict.limits.items():
        for group, low in limits.low.items():
            mine = [row for row, one in enumerate(verdict.groups) if one == group]
            entries.append({
                "metric": name, "scope": group if len(limits.low) > 1 else "all",
                "low": number(low), "high": number(limits.high[group]),
                "median": number(limits.median[group]),
                "mad": number(limits.mad[group]), "n_mads": limits.n_mads,
                "n_removed": sum(name in verdict.reasons[row] for row in mine),
                "explanation": EXPLANATIONS[name] + (" (MAD of the logarithm)" if limits.log else ""),
            })  # fmt: skip
    return entries


def _samples(phenotypes: Phenotypes, verdict: Verdict) -> list[dict[str, Any]]:
    names = [name for name in ("sample", "donor", "condition", "arm", "batch") if name in phenotypes.standard]
    return [
        {
            **{name: phenotypes.standard[name][row] for name in names},
            "kept": bool(verdict.kept[row]),
            "reasons": list(verdict.reasons[row]),
            "metrics": {name: number(values[row]) for name, values in verdict.metrics.items()}
            | ({"expressed_sex": verdict.expressed_sex[row]} if verdict.expressed_sex else {}),
        }
        for row in range(len(verdict.kept))
    ]


def _distribution(values: npt.NDArray[np.float64], limits: Limits) -> dict[str, Any]:
    """A histogram; edges are even on the logarithm where the limits are. Limits: the widest of all groups."""
    usable = values[np.isfinite(values) & (values > 0 if limits.log else True)]
    counts, edges = (
        np.histogram(np.log(usable) if limits.log else usable, bins=N_BINS) if usable.size else ((), ())
    )
    lows = [one for one in limits.low.values() if one is not None]
    highs = [one for one in limits.high.values() if one is not None]
    return {
        "edges": [number(edge) for edge in (np.exp(edges) if limits.log else edges)],
        "counts": [int(one) for one in counts],
        "low": number(min(lows, default=None)), "high": number(max(highs, default=None)),
        "log": limits.log,
    }  # fmt: skip


def _embedding(
    named: NamedValues, *, phenotypes: Phenotypes, verdict: Verdict, normalised: Normalised
) -> dict[str, Any]:
    """First two principal components of all samples, the removed ones too, so that one sees why."""
    chosen = comparable(part(named.values, columns=np.flatnonzero(normalised.kept)), units=named.units)
    found = principal_components(chosen, n_components=2)
    groups = phenotypes.standard.get("condition", ("",) * len(verdict.kept))
    return {
        "kind": "pca",
        "explained": [number(one) for one in found.explained],
        "points": [
            {"sample": sample, "x": number(x), "y": number(y), "group": group, "kept": bool(kept)}
            for sample, (x, y), group, kept in zip(
                phenotypes.standard["sample"], found.scores, groups, verdict.kept, strict=True
            )
        ],
    }


def number(value: float | None) -> float | None:
    """A number for JSON: six figures, null for what is not finite."""
    return None if value is None or not np.isfinite(value) else float(f"{float(value):.6g}")
