"""The models of a study: pretrained on its cohorts, adapted to one of them, and what each has learned from.

A study cohort's own models start from a base that has learned from the *other* pretraining cohorts only, so
that none of its patients has trained a model that is judged on them. A cohort without others starts from
networks that have learned nothing.
"""

from __future__ import annotations

import copy
import hashlib
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from consilience.foundation.errors import DataError
from consilience.foundation.jobs import log
from consilience.rnagan.corpus import CohortTasks, Corpus, donor_codes
from consilience.rnagan.corpus_rows import rows_of_matrix
from consilience.rnagan.corpus_tasks import families_of
from consilience.rnagan.model import MIN_DONORS, Rnagan, cohort_entry, moments_entry, software
from consilience.rnagan.presets import Preset, Scale, Stage, build_networks, preset_named
from consilience.rnagan.study_samples import StudyCohort, told_of
from consilience.sources.cells.matrix import Labels

if TYPE_CHECKING:
    from consilience.foundation.devices import Device
    from consilience.pathways.wiring import Wiring
    from consilience.rnagan.training import Trained
    from consilience.study.sections import PathwaysSection, RnaganSection

MOST_ROWS = 500
"""Rows of a cohort that enter the moments of genes which a model keeps."""
LEAST_GENES = 5
"""A pathway with fewer of a model's own genes is left out of it."""


@dataclass(frozen=True)
class Made:
    """A model with its loss curves (one dict an epoch, see `fit`) and how it came about, for JSON."""

    model: Rnagan
    history: tuple[dict[str, Any], ...]
    record: dict[str, Any]


@dataclass(frozen=True)
class Run:
    """Where a training runs: `device`, and `folder` for checkpoints (None: it keeps none)."""

    device: Device
    folder: Path | None = None
    seed: int = 0


def preset_of(settings: RnaganSection, *, scale: Scale) -> Preset:
    """The preset of the configuration, on a scale, with its share of training steps."""
    preset = preset_named(settings.preset)

    def shortened(stage: Stage) -> Stage:
        total = round(stage.epochs * stage.steps * settings.effort)
        epochs = max(1, min(stage.epochs, total))
        return replace(stage, epochs=epochs, steps=-(-total // epochs))

    return replace(
        preset, scale=scale, pathways=settings.pathways, adapting=shortened(preset.adapting),
        stages=tuple(shortened(stage) for stage in preset.stages),
    )  # fmt: skip


def wiring_of(
    genes: Sequence[str], *, measured: Mapping[str, Sequence[str]], settings: PathwaysSection
) -> Wiring:
    """Pathways of a model's `genes`: those of the gene sets that its own cohorts measure well enough.

    The same rules as in pathways/mask.parquet, but for the cohorts of this model: a further cohort in the
    study changes no other cohort's model.
    """
    from consilience.pathways.gene_sets import load_gene_sets
    from consilience.pathways.mask import build_mask
    from consilience.pathways.wiring import wire

    try:
        mask = build_mask(
            gene_sets=load_gene_sets(settings.gene_sets), measured=measured, min_genes=settings.min_genes,
            max_genes=settings.max_genes, min_coverage=settings.min_coverage,
        )  # fmt: skip
    except DataError as error:  # a panel of few hundred genes measures no pathway well enough
        log.warning("the model has no pathways: %s", error)
        return wire({"gene": [], "pathway": []}, genes=genes, pathways=[])
    known = set(genes)
    members: dict[str, list[str]] = {}
    for gene, pathway in zip(mask.gene, mask.pathway, strict=True):
        if gene in known:
            members.setdefault(pathway, []).append(gene)
    edges = [
        (gene, name) for name, own in members.items() for gene in own
        if len(own) >= min(LEAST_GENES, settings.min_genes)
    ]  # fmt: skip
    kept = [name for name, own in members.items() if len(own) >= min(LEAST_GENES, settings.min_genes)]
    return wire({"gene": [gene for gene, _ in edges], "pathway": [name for _, name in edges]}, genes=genes,
                pathways=kept)  # fmt: skip


def untrained(preset: Preset, wiring: Wiring, *, seed: int) -> Rnagan:
    """Networks that have learned nothing; the default ones then go by the references alone."""
    import torch

    discriminator, generator = build_networks(preset, wiring.genes, wiring, seed)
    contrasts = getattr(discriminator, "gene_contrasts", None)
    if contrasts is not None:
        with torch.no_grad():
            contrasts.zero_()
    record: dict[str, Any] = {
        "cohorts": [],
        "moments": None,
        "history": {},
        "figures": {},
        "limits": [],
        "software": software(),
    }
    return Rnagan(preset, wiring.genes, wiring, discriminator.eval(), generator.eval(), None, record)


def pretrained(corpus: Corpus, *, preset: Preset, wiring: Wiring, paths: Sequence[Path], run: Run) -> Made:
    """A model that has learned from a corpus; `paths` are the files it was opened from."""
    from consilience.foundation.files import sha256_of

    started = time.monotonic()
    files = {told_of(path)["cohort"] or path.stem: path for path in paths}
    cohorts = corpus.cohorts()
    entries = [_entry(cohort, files[cohort.name]) for cohort in cohorts]
    fresh = untrained(preset, wiring, seed=run.seed)
    key = {"files": {name: sha256_of(path) for name, path in sorted(files.items())},
           "preset": preset.to_params(), "genes": _digest(wiring.genes)}  # fmt: skip
    trained = _train(fresh, preset.stages, corpus, run=run, key=key, keep=False)
    record = fresh.record | {"cohorts": entries, "moments": _moments(cohorts), "history": _summed(trained)}
    model = replace(fresh, record=record)
    return _made(model, trained, run=run, notes=corpus.notes, started=started)


def adapted(base: Rnagan, cohort: StudyCohort, *, run: Run) -> Made:
    """The base adapted to all samples of a cohort (on its genes and scale); the base stays as it is."""
    started = time.monotonic()
    corpus = study_corpus(cohort, seed=run.seed)
    networks = [copy.deepcopy(network) for network in (base.discriminator, base.generator)]
    start = replace(base, discriminator=networks[0], generator=networks[1])
    entry = cohort_entry(cohort.name, cohort.samples, measured=cohort.measured)
    key = {"cohort": entry, "base": base.record.get("cohorts", []), "preset": base.preset.to_params()}
    trained = _train(start, (base.preset.adapting,), corpus, run=run, key=key,
                     keep=bool(base.record["cohorts"]))  # fmt: skip
    record = base.record | {
        "cohorts": [*base.record.get("cohorts", []), entry], "moments": moments_entry(cohort.samples),
        "history": _summed(trained),
    }  # fmt: skip
    return _made(replace(start, record=record), trained, run=run, notes=cohort.notes, started=started)


def study_corpus(cohort: StudyCohort, *, seed: int) -> Corpus:
    """Cases against controls of one cohort, within each cell type where there are several."""
    samples = cohort.samples
    labels = {"condition": Labels.from_text(samples.labels.tolist()).compact()}
    if len(np.unique(cohort.cell_types)) > 1:
        labels["cell_type"] = Labels.from_text(cohort.cell_types.tolist()).compact()
    donors, known = donor_codes(Labels.from_text(samples.donors.tolist()).compact(), len(samples))
    families = tuple(family for family in families_of(labels, donors) if family.column == "condition")
    if not families:
        raise DataError("cases and controls cannot be told apart: two patients of each are needed",
                        where=cohort.name, value=f"{len(samples)} samples")  # fmt: skip
    observed = np.ones(len(samples.genes), dtype=bool)
    tasks = CohortTasks(cohort.name, False, rows_of_matrix(samples.values), observed, families, known)
    return Corpus(samples.genes, load=lambda _: (tasks,), seed=seed, data="own")


def history_table(parts: Mapping[str, Sequence[Mapping[str, Any]]]) -> Any:
    """Loss curves of several models: one row an epoch, the model first."""
    import pandas as pd

    lines = [{"model": name, **line} for name, history in parts.items() for line in history]
    first = ["model", "stage", "epoch", "steps", "seconds"]
    table = pd.DataFrame(lines, columns=None if lines else first)
    return table[[*first, *sorted(set(table.columns) - set(first))]]


def _train(
    model: Rnagan, stages: tuple[Stage, ...], corpus: Corpus, *, run: Run, key: Mapping[str, Any], keep: bool
) -> Trained:
    from consilience.rnagan.training import train

    return train(
        model.discriminator, model.generator, preset=model.preset, corpus=corpus, stages=stages,
        seed=run.seed, device=run.device.name, folder=run.folder, key=key, keep=keep,
    )  # fmt: skip


def _made(model: Rnagan, trained: Trained, *, run: Run, notes: Sequence[str], started: float) -> Made:
    for network in (model.discriminator, model.generator):
        network.cpu()
    seconds = time.monotonic() - started
    names = ", ".join(cohort["name"] for cohort in model.record["cohorts"])
    log.info("trained on %s: %d epochs, %.1f s, %s", names, len(trained.history), seconds, trained.device)
    return Made(model, trained.history, training_record(model) | {
        "notes": list(notes), "tasks": [list(names) for names in trained.tasks],
        "steps": sum(_steps(trained).values()), "seconds": round(seconds, 2),
        "device": trained.device, "device_reason": run.device.reason,
    })  # fmt: skip


def training_record(model: Rnagan) -> dict[str, Any]:
    """What training.json says of any model; of one that was not trained, all of it."""
    return {
        "preset": model.preset.name, "scale": model.scale, "n_genes": len(model.genes),
        "n_pathways": len(model.wiring.pathways), "cohorts": model.record["cohorts"], "notes": [],
        "tasks": [], "steps": 0, "seconds": 0.0, "device": "cpu", "device_reason": "not trained",
        "pretrained": bool(model.record["cohorts"]),
    }  # fmt: skip


def _steps(trained: Trained) -> dict[str, int]:
    return {line["stage"]: int(line["steps"]) for line in trained.history}


def _summed(trained: Trained) -> dict[str, Any]:
    """Steps and last numbers of each stage, for the model's record."""
    last = {line["stage"]: line for line in trained.history}
    return {
        stage: {
            name: value
            for name, value in line.items()
            if name == "steps" or name.endswith((".loss", ".right"))
        }
        for stage, line in last.items()
    }


def _entry(cohort: CohortTasks, path: Path) -> dict[str, Any]:
    """As `model.cohort_entry`, of a cohort that is not in memory as a whole."""
    from consilience.foundation.files import sha256_of

    labels: dict[str, int] = {}
    donors: set[int] = set()
    for family in cohort.families:
        for level in family.levels:
            labels[level.name] = labels.get(level.name, 0) + len(level.rows)
            donors.update(level.donors.tolist())
    return {"name": cohort.name, "measured": told_of(path)["units"], "samples": len(cohort.rows),
            "donors": len(donors), "digest": sha256_of(path)[:16], "labels": labels}  # fmt: skip


def _moments(cohorts: Sequence[CohortTasks]) -> dict[str, list[float | None]] | None:
    """Mean and sd of each gene over the cohorts that measured it, None for a gene of too few donors."""
    n_genes = len(cohorts[0].observed)
    weight, total, square, donors = (np.zeros(n_genes) for _ in range(4))
    for cohort in cohorts:
        rows = np.linspace(0, len(cohort.rows) - 1, min(len(cohort.rows), MOST_ROWS)).astype(np.intp)
        values = cohort.rows.dense(rows).astype(np.float64)
        weight += cohort.observed
        total += values.mean(axis=0) * cohort.observed
        square += (values**2).mean(axis=0) * cohort.observed
        people = {int(one) for family in cohort.families for level in family.levels for one in level.donors}
        donors += len(people) * cohort.observed
    some = np.maximum(weight, 1)
    mean = total / some
    sd = np.sqrt(np.maximum(square / some - mean**2, 0))
    told = donors >= MIN_DONORS
    if not told.any():
        return None
    return {
        name: [round(float(value), 5) if known else None for value, known in zip(values, told, strict=True)]
        for name, values in (("mean", mean), ("sd", sd))
    }


def _digest(genes: Sequence[str]) -> str:
    return hashlib.sha256("\0".join(genes).encode()).hexdigest()[:16]
