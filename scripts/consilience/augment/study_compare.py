"""One generator on one cohort: fitted to part of the patients again and again, held against the others."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from consilience.augment.generators import generator
from consilience.augment.generators.generator import Drawn
from consilience.augment.judging import FIDELITY, PRIVACY, REAL_TRAIN, judge, privacy_figures
from consilience.augment.makers import fresh_seed
from consilience.augment.making import Learned, Made, Recipe, learn, make
from consilience.augment.study_cohort import Cohort, as_they_are, open_cohort, parts_of, recipe_of
from consilience.augment.trial import Parts, real_as_made
from consilience.foundation.errors import DataError, ModelError
from consilience.foundation.files import write_json, write_parquet
from consilience.foundation.jobs import log
from consilience.measures.plain import plain

if TYPE_CHECKING:
    import numpy.typing as npt

    from consilience.measures.privacy import Privacy
    from consilience.study.sections import AugmentSection, PathwaysSection

ONCE = "_once"
"""Ending of the figures of privacy of one sample a patient, beside those of as many as are given out."""
KEYS = ("split", "generator", "kind", "temperature", "n_train", "n_held_out", "n_drawn", "genes", "seconds",
        "error")  # fmt: skip
COLUMNS = (*KEYS, *FIDELITY, *PRIVACY, *(f"{name}{ONCE}" for name in PRIVACY))
ATTACKS = ("split", "generator", "attack", "auc", "low", "high", "p")
SCANNED = ("generator", "split", "mode", "temperature", "n_train", *FIDELITY, *PRIVACY)


@dataclass(frozen=True)
class Compared:
    """Rows of COLUMNS, ATTACKS and SCANNED, and what a record tells of this generator."""

    rows: list[dict[str, Any]]
    attacks: list[dict[str, Any]]
    scanned: list[dict[str, Any]]
    record: dict[str, Any]


def compare_generator(
    path: Path, key: str, *, name: str, settings: AugmentSection, pathways: PathwaysSection | None,
    seed: int, gpus: int = 0, base: Path | None = None,
) -> Compared:  # fmt: skip
    """Figures of one generator (or of the training patients themselves, REAL_TRAIN) in every split."""
    real = key == REAL_TRAIN
    recipe = None if real else recipe_of(key, settings, fold=settings.fold or 1.0, gpus=gpus, base=base)
    try:
        cohort = open_cohort(path, name=name, genes=settings.genes)
        sets = pathway_columns(cohort.samples.genes, pathways)
        return compare_cohort(cohort, recipe, settings=settings, seed=seed, sets=sets)
    except DataError as error:
        log.warning("%s: %s", key, error)
        return Compared([], [], [], {"generator": key, "temperatures": [], "errors": [],
                                     "skipped": str(error), "seconds": 0.0})  # fmt: skip


def compare_cohort(
    cohort: Cohort, recipe: Recipe | None, *, settings: AugmentSection, seed: int,
    sets: Sequence[npt.NDArray[np.intp]] | None = None,
) -> Compared:  # fmt: skip
    """The same of a cohort in memory; without a recipe the training patients. `sets`: columns of pathways.

    Raises
    ------
    DataError
        With too few patients to hold some out.
    """
    started = time.perf_counter()
    key = recipe.generator.key if recipe else REAL_TRAIN
    parts = parts_of(cohort, splits=settings.splits, seed=seed)
    record: dict[str, Any] = {"generator": key, "temperatures": [], "errors": [], "skipped": None}
    record |= _told(cohort, key)
    found = Compared([], [], [], record)
    for number, part in enumerate(parts):
        _one_split(found, number, part, cohort, recipe, sets=sets, settings=settings, seed=seed)
    record["seconds"] = round(time.perf_counter() - started, 1)
    return found


def write_compared(found: Compared, *, table: Path, attacks: Path, scan: Path, record: Path) -> None:
    """The pieces of one generator."""
    import pandas as pd

    for path, rows, columns in (
        (table, found.rows, COLUMNS), (attacks, found.attacks, ATTACKS), (scan, found.scanned, SCANNED),
    ):  # fmt: skip
        write_parquet(path, pd.DataFrame(rows, columns=list(columns)))
    write_json(record, found.record)


def pathway_columns(
    genes: tuple[str, ...], pathways: PathwaysSection | None
) -> list[npt.NDArray[np.intp]] | None:
    """Columns of the genes of each pathway; None where none is measured well enough."""
    from consilience.pathways.gene_sets import load_gene_sets
    from consilience.pathways.mask import build_mask

    if pathways is None:
        return None
    try:
        mask = build_mask(
            gene_sets=load_gene_sets(pathways.gene_sets), measured={"": genes}, max_genes=pathways.max_genes,
            min_genes=pathways.min_genes, min_coverage=pathways.min_coverage,
        )  # fmt: skip
    except DataError:
        return None
    place = {gene: number for number, gene in enumerate(genes)}
    columns: dict[str, list[int]] = {}
    for gene, pathway in zip(mask.gene, mask.pathway, strict=True):
        columns.setdefault(pathway, []).append(place[gene])
    return [np.array(columns[pathway]) for pathway in sorted(columns)]


def _one_split(
    found: Compared, number: int, parts: Parts, cohort: Cohort, recipe: Recipe | None, *,
    sets: Sequence[npt.NDArray[np.intp]] | None, settings: AugmentSection, seed: int,
) -> None:  # fmt: skip
    """Add the rows of one split; what cannot be learned there leaves a row without figures."""
    key = recipe.generator.key if recipe else REAL_TRAIN
    own = fresh_seed(seed, "compare", number)
    row: dict[str, Any] = dict.fromkeys(COLUMNS, float("nan")) | {
        "split": number, "generator": key, "kind": recipe.generator.kind if recipe else "real",
        "n_train": len(parts.train), "n_held_out": len(parts.held_out), "n_drawn": 0,
        "genes": len(cohort.samples.genes), "error": "",
    }  # fmt: skip
    started = time.perf_counter()
    try:
        learned = learn(parts.train, recipe, seed=own) if recipe else None
        made = _made(parts, learned, cohort, settings.fold or 1.0, own)
    except (DataError, ModelError) as error:
        log.warning("%s, split %d: %s", key, number, error)
        found.record["errors"].append(str(error))
        found.rows.append(row | {"error": str(error)})
        return
    row |= {"seconds": time.perf_counter() - started, "n_drawn": len(made.labels)}
    held = judge(
        train=parts.train, held_out=parts.held_out, drawn=Drawn(made.logs, made.labels), membership=sets,
        seed=own,
    )  # fmt: skip
    leak = held.privacy
    row |= held.figures | {f"{name}{ONCE}": value for name, value in _once(parts, made, leak, own).items()}
    found.attacks.extend(_attacks(number, key, leak))
    if learned is not None and recipe is not None:
        row["temperature"] = float("nan") if learned.temperature is None else learned.temperature
        if learned.adaptive is not None:
            found.record["temperatures"].append({"split": number} | plain(learned.adaptive))
        found.scanned.extend(_scanned(number, key, parts, learned, settings, own))
    found.rows.append(row)


def _made(parts: Parts, learned: Learned | None, cohort: Cohort, fold: float, seed: int) -> Made:
    """As the generator gives them, near copies and all: what it does is what is compared."""
    if learned is None:
        return real_as_made(parts)
    return make(
        parts.train, learned, fold=fold, units=as_they_are(cohort), seed=fresh_seed(seed, "make"),
        cleaning=False,
    )  # fmt: skip


def _once(parts: Parts, made: Made, leak: Privacy, seed: int) -> dict[str, float]:
    """Figures of privacy of one sample for each training patient."""
    from consilience.measures.privacy import privacy

    train, held_out = parts.train, parts.held_out
    if len(made.labels) <= len(train):
        return privacy_figures(leak)
    classes, sizes = np.unique(train.labels, return_counts=True)
    some = made.first(dict(zip(classes.tolist(), sizes.tolist(), strict=True)))
    return privacy_figures(
        privacy(
            train=train.values, held_out=held_out.values, synthetic=some.values,
            labels=(train.labels, held_out.labels, some.labels), donors=(train.donors, held_out.donors),
            seed=seed,
        )
    )  # fmt: skip


def _attacks(number: int, key: str, leak: Privacy) -> list[dict[str, Any]]:
    return [
        {"split": number, "generator": key, "attack": one.name, "auc": one.auc, "low": one.low,
         "high": one.high, "p": one.p}
        for one in leak.attacks
    ]  # fmt: skip


def _scanned(
    number: int, key: str, parts: Parts, learned: Learned, settings: AugmentSection, seed: int
) -> list[dict[str, Any]]:
    """Figures by temperature, of one sample for each training patient."""
    from consilience.augment.temperature import scan

    if not generator(key).temperature or len(settings.temperatures) < 2:
        return []
    rows = scan(
        learned.fitted, train=parts.train, held_out=parts.held_out, temperatures=settings.temperatures,
        full=False, seed=seed,
    )  # fmt: skip
    named = {"generator": key, "split": number, "mode": "sampled", "n_train": len(parts.train)}
    return [dict.fromkeys(SCANNED, float("nan")) | named | row for row in rows]


def _told(cohort: Cohort, key: str) -> dict[str, Any]:
    """What the record says of the cohort and the generator."""
    samples = cohort.samples
    classes, sizes = np.unique(samples.labels, return_counts=True)
    told: dict[str, Any] = {
        "classes": dict(zip(classes.tolist(), sizes.tolist(), strict=True)), "n_samples": len(samples),
        "n_donors": int(np.unique(samples.donors).size), "genes": len(samples.genes),
        "scale": samples.units, "notes": list(cohort.notes),
    }  # fmt: skip
    if key == REAL_TRAIN:
        return told | {"title": "The training patients themselves", "kind": "real"}
    one = generator(key)
    return told | {
        "title": one.title, "kind": one.kind, "reference": one.reference, "doi": one.doi,
        "assumes": one.assumes, "limits": one.limits, "temperature_means": one.temperature,
        "neural": one.neural,
    }  # fmt: skip
