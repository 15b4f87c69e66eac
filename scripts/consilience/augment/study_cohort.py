"""What every job of this stage does first: the cohort, its generator's recipe, and who is held out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from consilience.augment.checks import checked
from consilience.augment.generators import generator
from consilience.augment.making import Recipe
from consilience.augment.trial import Parts, held_out_parts
from consilience.augment.units import Units, totals_of
from consilience.expression.store import open_expression
from consilience.foundation.devices import pick_device
from consilience.rnagan.corpus_files import STORED
from consilience.rnagan.scales import linear
from consilience.rnagan.study_samples import StudyCohort, most_variable, read_cohort

if TYPE_CHECKING:
    import numpy.typing as npt

    from consilience.augment.makers import Maker
    from consilience.learning.samples import Samples
    from consilience.study.sections import AugmentSection

RNAGAN = "rnagan"
"""The generator that needs a model, pretrained on other cohorts."""


@dataclass(frozen=True)
class Cohort:
    """Samples labelled case or control, sorted by name, of patients who are there once; and notes on them."""

    name: str
    samples: Samples
    measured: str
    notes: tuple[str, ...]


def open_cohort(path: Path, *, name: str, genes: int = 0) -> Cohort:
    """Read a prepared bulk cohort; with its `genes` most variable genes only, where not 0.

    Raises
    ------
    DataError
        For what cannot be augmented (`checks`).
    """
    read: StudyCohort = read_cohort(path, name=name)
    if genes:
        read = read.of_genes(most_variable(read, genes))
    found = checked(read.samples)
    return Cohort(name, found.samples, read.measured, (*read.notes, *found.notes))


def variable_cohort(samples: Samples, genes: int) -> Cohort:
    """Samples in memory, with their most variable genes only (0: all)."""
    one = StudyCohort("", samples, np.full(len(samples), ""), "log2", "", ())
    few = one.of_genes(most_variable(one, genes)) if genes else one
    return Cohort("", few.samples, "", ())


def parts_of(cohort: Cohort, *, splits: int, seed: int) -> list[Parts]:
    """The splits by donor in which generators are compared; all jobs of a cohort have the same."""
    return [held_out_parts(cohort.samples, seed=seed, number=number) for number in range(splits)]


def as_they_are(cohort: Cohort) -> Units:
    """For comparisons: on the scale of generators, without a way through counts."""
    return Units(cohort.samples.units, cohort.samples.units)


def units_of_cohort(cohort: Cohort, path: Path) -> Units:
    """The units of what the cohort was made of, and totals of its reads."""
    stored = STORED[cohort.measured]
    if stored == "log2":
        return Units("log2", cohort.samples.units)
    expression = open_expression(path)
    totals = np.zeros(expression.shape[0])
    counted = expression.has_counts
    for start, block in expression.counts() if counted else expression.log_normalised():
        rows = block if counted else _linear(block, stored)
        totals[start : start + block.shape[0]] = np.asarray(rows.sum(axis=1)).ravel()
    place = {name: at for at, name in enumerate(np.char.decode(expression.names, "utf-8").tolist())}
    mine = totals[[place[name] for name in cohort.samples.names.tolist()]]
    units = "counts" if counted else cohort.measured
    return totals_of(cohort.samples, units=units, totals=mine)


def recipe_of(
    key: str, settings: AugmentSection, *, fold: float, gpus: int = 0, base: Path | None = None
) -> Recipe:
    """A generator as the configuration asks for it; `base` is the model of RNAGAN, for that generator."""
    chosen = generator(key)
    options: dict[str, Any] = {}
    if chosen.wants and base is not None:
        options["model"] = str(base)
    if settings.epsilon and "epsilon" in chosen.options:
        options["epsilon"] = settings.epsilon
    if "privacy" in chosen.options:
        options["privacy"] = settings.privacy
    device = pick_device(gpus=gpus) if chosen.neural else None
    return Recipe(chosen, fold, settings.temperature, settings.effort, options, device)


def maker_of_recipe(recipe: Recipe) -> Maker:
    """The recipe as usefulness and robustness call it; a temperature is chosen among what it is given.

    They fit again and again, so networks are drawn from at their own temperature where it is to be chosen.
    """
    from consilience.augment.generators.generator import Drawn
    from consilience.augment.makers import Draw
    from consilience.augment.making import learn

    if recipe.generator.neural and recipe.temperature == "auto":
        recipe = replace(recipe, temperature=None)

    def make(samples: Samples, seed: int) -> Draw:
        learned = learn(samples, recipe, seed=seed)

        def draw(labels: npt.NDArray[np.str_], seed: int) -> Drawn:
            return learned.fitted.sample(labels, seed=seed, temperature=learned.temperature)

        return draw

    return make


def _linear(block: Any, stored: str) -> Any:
    rows = block.copy()
    rows.data = np.maximum(linear(block.data, units=stored), 0.0)
    return rows
