"""Synthetic patients that may leave the house: judged in a trial, then made from everybody.

A trial holds out some donors of every class, makes samples of the others by the same recipe, and holds them
against those held out; its figures decide whether the samples made of all patients are given out. As many
samples for each patient are judged as are given out: ten tell more of a patient than one.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from consilience import __version__
from consilience.augment.attacks import attribute_told, shadow_told
from consilience.augment.card import card_text
from consilience.augment.judging import FIDELITY
from consilience.augment.making import Learned, Made, Recipe, learn, make
from consilience.augment.trial import Trial, held_out_parts, run_trial
from consilience.augment.units import Units
from consilience.foundation.errors import ConfigError, DataError, ModelError
from consilience.measures.plain import plain
from consilience.measures.release import LEVELS, PrivacyThresholds, Release, release_gate

if TYPE_CHECKING:
    from consilience.augment.generators.generator import Fitted
    from consilience.learning.samples import Samples

KIND = "augment"
"""Of the model folder."""


@dataclass(frozen=True)
class Released:
    """The verdict and what it is about.

    `samples`: synthetic ones on the scale of generators, none where `passed` is False; `values` (k, G) the
    same in the file's units. `metrics`, `privacy`: what metrics.json and privacy.json hold. `learned`: from
    all patients. `trial`: None where there were too few patients for one.
    """

    samples: Samples
    values: Any
    passed: bool
    metrics: dict[str, Any]
    privacy: dict[str, Any]
    learned: Learned
    trial: Trial | None


def thresholds_of(level: str, limits: Mapping[str, float] | None = None) -> PrivacyThresholds:
    """The limits of a level of privacy, some replaced."""
    if level not in LEVELS:
        raise ConfigError("no such level of privacy", value=level, allowed=", ".join(LEVELS))
    given: dict[str, Any] = dict(limits or {})
    for name in ("exact_copies", "small_n"):
        if name in given:
            given[name] = int(given[name])
    return replace(LEVELS[level], **given)


def limits_told(thresholds: PrivacyThresholds, *, n_train: int) -> dict[str, float | None]:
    """The limits that hold for so many training patients, as files tell them."""
    small = n_train <= thresholds.small_n
    auc = thresholds.small_membership_auc if small else thresholds.membership_auc
    return {"membership": auc if thresholds.attacks else None, "closest_share": thresholds.closest_share,
            "near_share": thresholds.near_share, "exact_copies": float(thresholds.exact_copies)}  # fmt: skip


def released(
    samples: Samples,
    recipe: Recipe,
    *,
    units: Units,
    level: str,
    seed: int,
    limits: Mapping[str, float] | None = None,
    shadows: int = 0,
    why: str = "",
) -> Released:
    """Judge the recipe, then make samples of all patients; they are given out only if the trial passes.

    `shadows`: refits to halves of the patients behind the shadow attack, which is told beside.

    Raises
    ------
    DataError
        Where the generator cannot learn from these samples.
    """
    started = time.perf_counter()
    thresholds = thresholds_of(level, limits)
    try:
        trial: Trial | None = run_trial(held_out_parts(samples, seed=seed), recipe, units=units, seed=seed)
        reason = ""
    except DataError as error:
        trial, reason = None, f"not judged, and what is not judged is not released: {error}"
    verdict = release_gate(trial.judged.privacy, thresholds=thresholds) if trial else None
    learned = learn(samples, recipe, seed=seed)
    made = make(samples, learned, fold=recipe.fold, units=units, seed=seed)
    passed = verdict is not None and verdict.passed
    metrics = _metrics(samples, made, recipe, trial, units=units, learned=learned, passed=passed) | {
        "level": level, "seed": seed, "released": passed, "why": why, "skipped": None,
        "seconds": round(time.perf_counter() - started, 1),
    }  # fmt: skip
    privacy = _privacy(trial, verdict, thresholds, reason=reason, made=made, learned=learned) | {
        "level": level,
        "attribute": attribute_told(trial, seed=seed) if trial else None,
        "shadow": shadow_told(samples, recipe, n_shadows=shadows, seed=seed) if trial else None,
    }
    given = made if passed else _none_of(made)
    return Released(_samples(samples, given), given.values, passed, metrics, privacy, learned, trial)


def save_model(folder: Path, made: Released, *, recipe: Recipe, units: Units) -> bool:
    """Write the generator fitted on all patients; one that cannot be written without them is not (False)."""
    from consilience.learning.bundles import save_bundle

    try:
        arrays, description = made.learned.fitted.to_arrays()
    except ModelError:
        return False
    fitted = made.learned.fitted
    record = {
        "generator": recipe.generator.key, "title": recipe.generator.title, "genes": list(fitted.genes),
        "classes": list(fitted.classes), "units": units.record(), "temperature": made.learned.temperature,
        "state": description,
        "record": {
            "figures": {name: one for name, one in made.metrics["fidelity"].items() if one is not None},
            "limits": [recipe.generator.limits],
            "software": {"consilience": __version__},
            "training data": {one["label"]: one["real"] for one in made.metrics["kinds"]},
            "privacy": {"level": made.privacy["level"], "released": made.passed},
        },
    }  # fmt: skip
    save_bundle(folder, kind=KIND, tensors=arrays, description=record,
                card=card_text(made.metrics, made.privacy, model=True))  # fmt: skip
    return True


def load_model(folder: Path) -> Fitted:
    """The generator of such a folder."""
    from consilience.augment.generators import generator
    from consilience.learning.bundles import load_bundle

    bundle = load_bundle(folder, kind=KIND)
    arrays = {name: tensor.numpy() for name, tensor in bundle.tensors.items()}
    return generator(bundle.description["generator"]).restore(arrays, bundle.description["state"])


def _metrics(
    samples: Samples, made: Made, recipe: Recipe, trial: Trial | None, *, units: Units, learned: Learned,
    passed: bool,
) -> dict[str, Any]:  # fmt: skip
    labels = np.unique(samples.labels).tolist()
    judged = {
        "by": "a trial on part of the donors" if trial else "nothing",
        "n_train": len(trial.parts.train) if trial else 0,
        "n_held_out": len(trial.parts.held_out) if trial else 0,
        "n_drawn": len(trial.made.labels) if trial else 0,
    }
    return {
        "kinds": [
            {"label": label, "real": int((samples.labels == label).sum()),
             "synthetic": int((made.labels == label).sum()) if passed else 0} for label in labels
        ],
        "fold": recipe.fold, "generator": recipe.generator.key, "title": recipe.generator.title,
        "kind": recipe.generator.kind, "reference": recipe.generator.reference, "doi": recipe.generator.doi,
        "temperature": learned.temperature, "temperature_means": recipe.generator.temperature,
        "effort": recipe.effort, "units": units.units, "scale": units.scale, "genes": len(samples.genes),
        "patients": int(np.unique(samples.donors).size), "epsilon": epsilon_of(learned.fitted),
        "near_copies_removed": made.removed, "not_replaced": made.lost,
        "fidelity": plain({name: trial.judged.figures[name] for name in FIDELITY}) if trial else {},
        "ceiling": plain(trial.judged.ceiling) if trial else {}, "judged": judged, "notes": [],
    }  # fmt: skip


def epsilon_of(fitted: Fitted) -> float | None:
    """The epsilon of differentially private training, None for a training without."""
    found = getattr(fitted, "epsilon", None)
    return float(found) if isinstance(found, int | float) and np.isfinite(found) and found > 0 else None


def _privacy(
    trial: Trial | None, verdict: Release | None, thresholds: PrivacyThresholds, *, reason: str, made: Made,
    learned: Learned,
) -> dict[str, Any]:  # fmt: skip
    told: dict[str, Any] = {
        "passed": False, "reasons": [reason], "checks": [], "notes": [], "judged_by": "nothing",
        "removed": made.removed, "epsilon": epsilon_of(learned.fitted),
        "limits": limits_told(thresholds, n_train=0), "skipped": None,
    }  # fmt: skip
    if trial is None or verdict is None:
        return told
    leak: dict[str, Any] = plain(trial.judged.privacy)
    return told | leak | {
        "passed": verdict.passed, "reasons": list(verdict.failures()), "notes": list(verdict.notes),
        "checks": plain(verdict.reasons), "judged_by": "a trial on part of the donors",
        "limits": limits_told(thresholds, n_train=trial.judged.privacy.n_train),
    }  # fmt: skip


def _none_of(made: Made) -> Made:
    return replace(made, logs=made.logs[:0], values=made.values[:0], labels=made.labels[:0])


def _samples(real: Samples, made: Made) -> Samples:
    names = np.array([f"synthetic-{number:05d}" for number in range(1, len(made.labels) + 1)], dtype=str)
    return replace(
        real, values=made.logs, names=names, donors=names, labels=made.labels,
        batches=np.full(len(names), "synthetic"),
    )  # fmt: skip
