"""Jobs of the workflow that train: the model of all pretraining cohorts, and the two of each study cohort."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from consilience.expression.store import open_expression
from consilience.foundation.devices import pick_device
from consilience.foundation.files import write_json, write_parquet
from consilience.foundation.jobs import log
from consilience.rnagan.corpus import Corpus
from consilience.rnagan.corpus_files import open_corpus
from consilience.rnagan.presets import Scale
from consilience.rnagan.study_models import (
    Made,
    Run,
    adapted,
    history_table,
    preset_of,
    pretrained,
    training_record,
    untrained,
    wiring_of,
)
from consilience.rnagan.study_samples import READS, most_variable, read_cohort, scale_of

if TYPE_CHECKING:
    from consilience.study.sections import PathwaysSection, RnaganSection

MIN_OVERLAP = 0.1
"""A cohort with a smaller share of a model's genes is left out of its pretraining."""


def pretrain_study(
    paths: Mapping[str, Path], *, settings: RnaganSection, pathways: PathwaysSection, seed: int, gpus: int,
    checkpoints: Path, out: Path, history: Path, record: Path,
) -> None:  # fmt: skip
    """Pretrain on all pretraining cohorts, `paths` by name, for use on new data.

    The model is of reads where any cohort holds reads, else of arrays: one model has one scale.
    """
    scales = {name: scale_of(path) for name, path in paths.items()}
    scale: Scale = READS if READS in scales.values() else "log2"
    chosen = {name: path for name, path in sorted(paths.items()) if scales[name] == scale}
    measured = {name: open_expression(path).genes for name, path in chosen.items()}
    genes = _most_variable_of(chosen, settings.genes)
    made = _pretrained(chosen, genes=genes, measured=measured, scale=scale, settings=settings,
                       pathways=pathways, run=Run(pick_device(gpus=gpus), checkpoints, seed))  # fmt: skip
    left = [f"{name}: left out, the model is of {'reads' if scale == READS else 'arrays'}"
            for name in sorted(set(paths) - set(chosen))]  # fmt: skip
    made.model.save(out)
    write_parquet(history, history_table({"pretrained": made.history}))
    write_json(record, made.record | {"notes": [*left, *made.record["notes"]]})
    shutil.rmtree(checkpoints, ignore_errors=True)


def adapt_cohort(
    path: Path, others: Mapping[str, Path], *, name: str, settings: RnaganSection, pathways: PathwaysSection,
    seed: int, gpus: int, checkpoints: Path, base_out: Path, model_out: Path, history: Path, record: Path,
) -> None:  # fmt: skip
    """The base of a study cohort, from the `others` alone, and its model: the base adapted to the cohort."""
    cohort = read_cohort(path, name=name)
    genes, device = most_variable(cohort, settings.genes), pick_device(gpus=gpus)
    chosen, left = _usable(others, genes=genes, scale=cohort.scale)
    base = _pretrained(
        chosen, genes=genes, measured={name: cohort.samples.genes}, scale=cohort.scale, settings=settings,
        pathways=pathways, run=Run(device, checkpoints / "base", seed),
    )  # fmt: skip
    base = replace(base, record=base.record | {"notes": [*left, *base.record["notes"]]})
    base.model.save(base_out)
    model = adapted(base.model, cohort.of_genes(genes), run=Run(device, checkpoints / "model", seed))
    model.model.save(model_out)
    write_parquet(history, history_table({"base": base.history, "model": model.history}))
    write_json(record, {"base": base.record, "model": model.record})
    shutil.rmtree(checkpoints, ignore_errors=True)


def _pretrained(
    paths: Mapping[str, Path], *, genes: tuple[str, ...], measured: Mapping[str, Sequence[str]], scale: Scale,
    settings: RnaganSection, pathways: PathwaysSection, run: Run,
) -> Made:  # fmt: skip
    preset = preset_of(settings, scale=scale)
    wiring = wiring_of(genes, measured=measured, settings=pathways)
    if not paths:
        log.info("no cohort to pretrain on: the model begins with what its references tell")
        model = untrained(preset, wiring, seed=run.seed)
        return Made(model, (), training_record(model))
    corpus: Corpus = open_corpus(
        list(paths.values()), seed=run.seed, scale=scale, genes=genes, memory_mb=settings.memory_mb,
        turn_epochs=1, min_overlap=0.0,
    )  # fmt: skip
    return pretrained(corpus, preset=preset, wiring=wiring, paths=list(paths.values()), run=run)


def _usable(
    others: Mapping[str, Path], *, genes: tuple[str, ...], scale: Scale
) -> tuple[dict[str, Path], list[str]]:
    """Other cohorts on this scale with enough of these genes, and why the rest is left out."""
    chosen, notes = {}, []
    for name, path in sorted(others.items()):
        shared = len(set(genes) & set(open_expression(path).genes)) / len(genes)
        if scale_of(path) != scale:
            notes.append(f"{name}: left out, arrays and reads are not on one scale")
        elif shared < MIN_OVERLAP:
            notes.append(f"{name}: left out, it has {shared:.1%} of the model's genes")
        else:
            chosen[name] = path
    return chosen, notes


def _most_variable_of(paths: Mapping[str, Path], most: int) -> tuple[str, ...]:
    """Genes of all files, sorted; where they are more than `most`, those that rank highest by variance.

    A gene's rank is its mean over the files that measured it.
    """
    ranks: dict[str, list[float]] = {}
    for path in paths.values():
        expression = open_expression(path)
        variance = expression.var_numbers("variance")
        order = np.empty(variance.size)
        order[np.lexsort((np.array(expression.genes), -variance))] = np.linspace(0, 1, variance.size)
        for gene, rank in zip(expression.genes, order.tolist(), strict=True):
            ranks.setdefault(gene, []).append(rank)
    ordered = sorted(ranks, key=lambda gene: (round(float(np.mean(ranks[gene])), 9), gene))
    return tuple(sorted(ordered[: most or None]))
