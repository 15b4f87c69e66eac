"""Patient vectors of a study cohort, and what they are worth on patients the model has not seen."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from consilience.foundation.devices import Device
from consilience.foundation.errors import DataError
from consilience.foundation.files import write_json, write_parquet
from consilience.foundation.jobs import log
from consilience.learning.splits import donor_folds
from consilience.rnagan.model import Rnagan, load_model
from consilience.rnagan.study_diagnosis import donors_of
from consilience.rnagan.study_models import Run, adapted
from consilience.rnagan.study_samples import StudyCohort, read_cohort
from consilience.rnagan.vectors import GroupVectors, group_vectors, nearest, sample_vectors, vectors_table
from consilience.rnagan.vectors_evaluation import Figure, SpaceFigures, VectorsEvaluation, evaluate_vectors

if TYPE_CHECKING:
    import pandas as pd

    from consilience.learning.samples import Samples

FOLDS = 3
NEIGHBOURS = 5
K = 15


def cohort_vectors(
    path: Path, base_folder: Path, model_folder: Path, *, name: str, seed: int, vectors: Path, groups: Path,
    neighbours: Path, record: Path,
) -> None:  # fmt: skip
    """Vectors of all samples by the cohort's model; judged by models that have not seen the queries."""
    import pandas as pd

    started, base, model = time.monotonic(), load_model(base_folder), load_model(model_folder)
    cohort = read_cohort(path, name=name).of_genes(model.genes)
    samples = cohort.samples
    found = sample_vectors(model, samples)
    table = vectors_table(samples.names, found)
    for place, (column, values) in enumerate(
        (
            ("cell_type", cohort.cell_types),
            ("donor", samples.donors),
            ("arm", samples.labels),
            ("batch", samples.batches),
        ),
        1,
    ):
        table.insert(place, column, values.astype(object))
    write_parquet(vectors, table)
    group_tables, near_tables, tasks = [], [], []
    folds = _adapted_folds(base, cohort, seed)
    for cell_type, own in cohort.tasks():
        rows = cohort.cell_types == cell_type
        group_tables.append(_groups(group_vectors(vectors=found[rows], samples=own, seed=seed), cell_type))
        near = nearest(
            query_vectors=found[rows], reference_vectors=found[rows], query_names=own.names, names=own.names,
            labels=own.labels, k=NEIGHBOURS, donors=(own.donors, own.donors),
        )  # fmt: skip
        near.insert(0, "cell_type", cell_type)
        near_tables.append(near)
        tasks.append(_judged(folds, own, cell_type, seed))
    write_parquet(groups, pd.concat(group_tables, ignore_index=True))
    write_parquet(neighbours, pd.concat(near_tables, ignore_index=True))
    write_json(record, {"tasks": tasks, "preset": model.preset.name,
                        "seconds": round(time.monotonic() - started, 1)})  # fmt: skip


def _adapted_folds(base: Rnagan, cohort: StudyCohort, seed: int) -> list[tuple[Rnagan, frozenset[str]]]:
    """Models adapted without a third of the donors each, with the donors that each has not seen."""
    donors, labels = cohort.samples.donors, cohort.samples.labels
    found = []
    n_folds = min(FOLDS, len(np.unique(donors)))
    try:
        for split in donor_folds(donors, labels=labels, n_folds=n_folds, seed=seed):
            rows = np.isin(np.arange(len(donors)), split.train)
            run = Run(Device("cpu", "evaluation"), None, seed)
            found.append(
                (adapted(base, cohort.take(rows), run=run).model, frozenset(donors[split.test].tolist()))
            )
    except DataError as error:
        log.warning("vectors are not judged: %s", error)
        return []
    return found


def _judged(
    folds: Sequence[tuple[Rnagan, frozenset[str]]], samples: Samples, cell_type: str, seed: int
) -> dict[str, Any]:
    told: dict[str, Any] = {"cell_type": cell_type, "skipped": None, "n_samples": len(samples),
                            "n_donors": donors_of(samples), "figures": None}  # fmt: skip
    each = []
    for number, (model, unseen) in enumerate(folds):
        rows = np.isin(samples.donors, sorted(unseen))
        queries, references = samples.take(rows), samples.take(~rows)
        if len(queries) < 2 or len(np.unique(references.donors)) < 3 or len(np.unique(references.labels)) < 2:
            continue
        k = min(K, max(1, len(np.unique(references.donors)) // 2))
        try:
            each.append(
                evaluate_vectors(model, references=references, queries=queries, k=k, seed=seed + number)
            )
        except DataError as error:
            told["skipped"] = str(error)
    if not each:
        return told | {"skipped": told["skipped"] or "too few donors to hold some out"}
    return told | {"skipped": None, "figures": averaged(each).to_plain(), "folds": len(each)}


def averaged(each: Sequence[VectorsEvaluation]) -> VectorsEvaluation:
    """Figures of all folds together, weighted by their queries; counts add up, sds are means over folds."""
    weights = np.array([one.n_queries for one in each], dtype=np.float64)

    def mean(values: Sequence[float]) -> float:
        known = np.isfinite(np.array(values, dtype=np.float64))
        return (
            float(np.average(np.array(values)[known], weights=weights[known]))
            if known.any()
            else float("nan")
        )

    def space(name: str) -> SpaceFigures:
        parts = [getattr(one, name) for one in each]
        return SpaceFigures(**{
            entry.name: Figure(mean([getattr(part, entry.name).mean for part in parts]),
                               mean([getattr(part, entry.name).sd for part in parts]))
            for entry in fields(SpaceFigures)
        })  # fmt: skip

    return replace(
        each[0], n_references=round(mean([one.n_references for one in each])),
        n_queries=int(weights.sum()), chance=mean([one.chance for one in each]),
        overlap_chance=mean([one.overlap_chance for one in each]), rnagan=space("rnagan"), pca=space("pca"),
    )  # fmt: skip


def _groups(found: GroupVectors, cell_type: str) -> pd.DataFrame:
    import pandas as pd

    size = found.mean.shape[1]
    head = pd.DataFrame({"cell_type": cell_type, "arm": list(found.labels), "n_donors": list(found.n_donors)})
    mean = pd.DataFrame(found.mean, columns=[f"v{k}" for k in range(size)])
    spread = pd.DataFrame(found.spread, columns=[f"spread{k}" for k in range(size)])
    return pd.concat([head, mean, spread], axis=1)
