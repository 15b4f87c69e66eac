"""The synthetic patients of one cohort, by the generator that was chosen, and pictures of their trial."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from consilience.augment.making import Recipe
from consilience.augment.release import Released, released, save_model
from consilience.augment.study_cohort import Cohort, open_cohort, recipe_of, units_of_cohort
from consilience.augment.units import Units
from consilience.augment.writing import obs_of, provenance, write_samples, write_table, write_told
from consilience.expression.store import open_expression
from consilience.foundation.errors import DataError, ModelError
from consilience.foundation.files import write_json, write_parquet, write_text
from consilience.foundation.jobs import log

if TYPE_CHECKING:
    import numpy.typing as npt
    import pandas as pd

    from consilience.augment.trial import Trial
    from consilience.study.sections import AugmentSection

MOST_GENES, MOST_POINTS = 2_000, 400
GENES = ("label", "gene", "mean_real", "sd_real", "mean_synthetic", "sd_synthetic", "zeros_real",
         "zeros_synthetic")  # fmt: skip
POINTS = ("kind", "label", "pc1", "pc2", "sample", "explained_1", "explained_2")


def synthesise_cohort(
    path: Path, choice: dict[str, Any], out: Path, *, name: str, settings: AugmentSection, seed: int,
    gpus: int = 0, base: Path | None = None,
) -> None:  # fmt: skip
    """Judge, make and write; where nothing can be made, files without samples that say why."""
    key, why = choice.get("generator"), choice.get("skipped")
    why = why or ("augment.fold is 0" if not settings.fold else None)
    if why or not key:
        write_nothing(out, path, why or "nothing was chosen", level=settings.privacy)
        return
    recipe = recipe_of(key, settings, fold=settings.fold, gpus=gpus, base=base)
    try:
        cohort = open_cohort(path, name=name)
        units = units_of_cohort(cohort, path)
        made = released(
            cohort.samples, recipe, units=units, level=settings.privacy, seed=seed,
            limits={str(limit): value for limit, value in settings.limits.items()},
            shadows=settings.shadows, why=str(choice.get("why", "")),
        )  # fmt: skip
    except (DataError, ModelError) as error:
        log.warning("no synthetic samples: %s", error)
        write_nothing(out, path, str(error), level=settings.privacy)
        return
    made = replace(made, metrics=made.metrics | {"notes": list(cohort.notes)})
    write_all(out, made, cohort, recipe, units, conditions=conditions_of(path, cohort))


def write_all(
    out: Path, made: Released, cohort: Cohort, recipe: Recipe, units: Units, *, conditions: dict[str, str]
) -> None:
    """All files of the folder; `conditions` are the cohort's words for case and control."""
    kinds = [one | {"condition": conditions.get(one["label"], "")} for one in made.metrics["kinds"]]
    made = replace(made, metrics=made.metrics | {"kinds": kinds})
    labels = made.samples.labels
    words = np.array([conditions.get(label, label) for label in labels.tolist()], dtype=str)
    obs = obs_of(made.samples.names, condition=words, arm=labels)
    counts = made.values if units.whole else None
    told = provenance(made, cohort=cohort.name)
    write_samples(out / "synthetic.h5ad", as_prepared(made.values, units), obs=obs, told=told,
                  genes=cohort.samples.genes, counts=counts)  # fmt: skip
    write_table(out / "synthetic.parquet", made.values, obs=obs, genes=cohort.samples.genes)
    if not save_model(out / "model", made, recipe=recipe, units=units):
        _no_model(out / "model", "this generator cannot be written down without the patients themselves")
    write_parquet(out / "genes.parquet", genes_of(made.trial))
    write_parquet(out / "overlay.parquet", overlay_of(made.trial))
    write_told(made, out)


def write_nothing(out: Path, path: Path, why: str, *, level: str) -> None:
    """The same files without samples."""
    genes = open_expression(path).genes
    empty = np.zeros((0, len(genes)), dtype=np.float32)
    none = np.array([], dtype=str)
    obs = obs_of(none, condition=none, arm=none)
    write_samples(out / "synthetic.h5ad", empty, obs=obs, genes=genes,
                  told={"synthetic": True, "kind": "augment", "skipped": why})  # fmt: skip
    write_table(out / "synthetic.parquet", empty, obs=obs, genes=genes)
    _no_model(out / "model", why)
    write_parquet(out / "genes.parquet", genes_of(None))
    write_parquet(out / "overlay.parquet", overlay_of(None))
    write_text(out / "card.md", f"# Synthetic patients\n\nNone were made: {why}\n")
    write_json(out / "metrics.json", {"skipped": why, "released": False, "level": level, "kinds": []})
    write_json(out / "privacy.json", {"skipped": why, "passed": False, "level": level, "reasons": [why]})


def as_prepared(values: npt.NDArray[np.float32], units: Units) -> npt.NDArray[np.float32]:
    """Values in the units of the cohort as X of a prepared file holds them."""
    if units.units == "counts":
        totals = np.maximum(values.sum(axis=1, keepdims=True), 1.0)
        return np.asarray(np.log1p(values / totals * 1e6), dtype=np.float32)
    if units.units in {"tpm", "fpkm", "cpm"}:
        return np.asarray(np.log2(values + 1.0), dtype=np.float32)
    return values


def conditions_of(path: Path, cohort: Cohort) -> dict[str, str]:
    """The condition of cases and of controls, where each has one."""
    expression = open_expression(path)
    if "condition" not in expression.obs_columns:
        return {}
    names = np.char.decode(expression.names, "utf-8").tolist()
    of = dict(zip(names, expression.obs("condition").text(), strict=True))
    found: dict[str, str] = {}
    for label in np.unique(cohort.samples.labels).tolist():
        words = {of[name] for name in cohort.samples.names[cohort.samples.labels == label].tolist()}
        found[label] = words.pop() if len(words) == 1 else label
    return found


def genes_of(trial: Trial | None) -> pd.DataFrame:
    """Mean, sd and zeros of each gene and class, of the trial's held-out and synthetic samples."""
    import pandas as pd

    empty = pd.DataFrame(columns=list(GENES))
    if trial is None:
        return empty
    train, held_out, drawn, tables = trial.parts.train, trial.parts.held_out, trial.made, []
    zero = float(train.values.min())
    chosen = np.sort(np.argsort(-train.values.var(axis=0, dtype=np.float64), kind="stable")[:MOST_GENES])
    for label in np.unique(train.labels).tolist():
        real = held_out.values[held_out.labels == label]
        made = drawn.logs[drawn.labels == label]
        if min(len(real), len(made)) < 2:
            continue
        told: dict[str, Any] = {"label": label, "gene": np.array(train.genes)[chosen]}
        for kind, values in (("real", real[:, chosen]), ("synthetic", made[:, chosen])):
            told |= {f"mean_{kind}": values.mean(axis=0), f"sd_{kind}": values.std(axis=0, ddof=1),
                     f"zeros_{kind}": (values <= zero).mean(axis=0)}  # fmt: skip
        tables.append(pd.DataFrame(told, columns=list(GENES)))
    return pd.concat(tables, ignore_index=True) if tables else empty


def overlay_of(trial: Trial | None) -> pd.DataFrame:
    """Two principal components of the trial's patients, and where its synthetic samples lie in them."""
    import pandas as pd

    if trial is None:
        return pd.DataFrame(columns=list(POINTS))
    train, held_out, made = trial.parts.train, trial.parts.held_out, trial.made
    some = np.arange(len(made.labels))[:MOST_POINTS]
    real = np.concatenate([train.values, held_out.values]).astype(np.float64)
    centre = real.mean(axis=0)
    _, sizes, axes = np.linalg.svd(real - centre, full_matrices=False)
    # a sign of its own for each axis: the largest entry points up
    turn = np.sign(axes[np.arange(2), np.abs(axes[:2]).argmax(axis=1)])
    places = (np.concatenate([real, made.logs[some]]) - centre) @ (axes[:2] * turn[:, None]).T
    share = sizes**2 / (sizes**2).sum()
    kinds = ["training"] * len(train) + ["held out"] * len(held_out) + ["synthetic"] * len(some)
    return pd.DataFrame({
        "kind": kinds, "label": np.concatenate([train.labels, held_out.labels, made.labels[some]]),
        "pc1": places[:, 0], "pc2": places[:, 1],
        "sample": np.concatenate([train.names, held_out.names, np.full(len(some), "")]),
        "explained_1": share[0], "explained_2": share[1],
    }, columns=list(POINTS))  # fmt: skip


def _no_model(folder: Path, why: str) -> None:
    """A folder that says why there is no model in it."""
    import shutil

    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    write_text(folder / "README.md", f"No model was written: {why}\n")
