"""What RNAGAN learns from: any list of expression files, as an endless supply of "same kind?" episodes.

    corpus = open_corpus(paths, seed=1, scale="log1p_cp10k")
    batch = corpus.batch(epoch=3, step=7, settings=preset.episodes)

A batch is a function of (seed, epoch, step) alone: a training that starts again needs no state of the data.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from consilience.foundation.errors import ConfigError, DataError
from consilience.foundation.seeds import stream
from consilience.rnagan.corpus_rows import Rows, rows_of_matrix
from consilience.rnagan.corpus_tasks import Family, families_of
from consilience.rnagan.episodes import EpisodeBatch, draw_episode, stack
from consilience.rnagan.presets import EpisodeSettings
from consilience.sources.cells.matrix import Labels
from consilience.study.cohorts import Cohort

if TYPE_CHECKING:
    import numpy.typing as npt

    from consilience.learning.samples import Samples

Data = Literal["cells", "bulk", "any", "own"]


@dataclass(frozen=True)
class CohortTasks:
    """A cohort in memory: `rows` of its samples, which genes it `observed` (G,), its `families` of tasks."""

    name: str
    cells: bool
    rows: Rows
    observed: npt.NDArray[np.bool_]
    families: tuple[Family, ...]
    donors_known: bool

    @property
    def columns(self) -> tuple[str, ...]:
        """Label columns that give tasks."""
        return tuple(dict.fromkeys(family.column for family in self.families))


class Corpus:
    """Cohorts as a supply of episodes.

    `load(turn)` gives the cohorts of one turn (and remembers the last): cohorts larger than their share of
    memory take other rows every `turn_epochs` epochs (0: never). `notes` say what was left out and why.
    """

    def __init__(
        self, genes: Sequence[str], *, load: Callable[[int], tuple[CohortTasks, ...]], seed: int,
        turn_epochs: int = 0, notes: Sequence[str] = (), data: Data = "any",
    ) -> None:  # fmt: skip
        self.genes, self.seed, self.notes = tuple(genes), seed, tuple(notes)
        self._load, self._turn_epochs, self._data = load, turn_epochs, data
        self._refuse_nothing()

    def cohorts(self, epoch: int = 0) -> tuple[CohortTasks, ...]:
        """The cohorts as they are in this epoch."""
        turn = epoch // self._turn_epochs if self._turn_epochs else 0
        return tuple(cohort for cohort in self._load(turn) if self._data in {"any", "own"}
                     or cohort.cells == (self._data == "cells"))  # fmt: skip

    def of(self, data: Data) -> Corpus:
        """The same corpus with its cohorts of cells alone, or its bulk cohorts alone."""
        return Corpus(self.genes, load=self._load, seed=self.seed, turn_epochs=self._turn_epochs,
                      notes=self.notes, data=data)  # fmt: skip

    def batch(
        self, *, epoch: int, step: int, settings: EpisodeSettings, rank: int = 0, n_ranks: int = 1
    ) -> EpisodeBatch:
        """Episodes of one step; of several processes each gets its share of the same episodes.

        A cohort is drawn first (all equally often), then one of its label columns, then a family of tasks.
        """
        cohorts = self.cohorts(epoch)
        rng = stream(self.seed, "step", epoch, step)
        n_references = int(rng.choice(settings.reference_sizes))
        with_negative = bool(rng.random() >= settings.positive_only)
        episodes = []
        for number in range(rank, settings.episodes, n_ranks):
            own = stream(self.seed, "episode", epoch, step, number)
            cohort = cohorts[own.integers(len(cohorts))]
            column = cohort.columns[own.integers(len(cohort.columns))]
            families = [family for family in cohort.families if family.column == column]
            episodes.append(draw_episode(
                own, family=families[own.integers(len(families))], rows=cohort.rows,
                observed=cohort.observed, settings=settings, n_references=n_references,
                with_negative=with_negative, averaged=cohort.cells and cohort.donors_known,
                prefix=f"{cohort.name}, ",
            ))  # fmt: skip
        if not episodes:
            raise ConfigError("there are more processes than episodes in a step", value=n_ranks,
                              allowed=f"at most {settings.episodes}")  # fmt: skip
        return stack(episodes)

    def describe(self) -> dict[str, object]:
        """What is learned from, for the model's record: cohorts, rows, and families of tasks by column."""
        cohorts = [
            {
                "name": cohort.name, "rows": len(cohort.rows), "genes": int(cohort.observed.sum()),
                "families": dict(Counter(family.column for family in cohort.families)),
                "levels": sum(len(family.levels) for family in cohort.families),
            }
            for cohort in self.cohorts()
        ]  # fmt: skip
        return {"cohorts": cohorts, "genes": len(self.genes), "notes": list(self.notes)}

    def _refuse_nothing(self) -> None:
        if not self.cohorts():
            wanted = {"cells": "single-cell ", "bulk": "bulk "}.get(self._data, "")
            raise DataError(
                f"there is no {wanted}cohort to learn from",
                value="; ".join(self.notes) or None,
                allowed="cohorts in which at least one label column has two levels, of two donors each",
                mend="give further cohorts the role pretrain, or name their label columns in the sheet",
            )


def pretraining_cohorts(cohorts: Sequence[Cohort]) -> tuple[Cohort, ...]:
    """The cohorts of a sheet to pretrain on: role pretrain or both, with expression."""
    chosen = tuple(
        cohort for cohort in cohorts
        if cohort.role in {"pretrain", "both"} and cohort.kind != "summary_statistics"
    )  # fmt: skip
    if not chosen:
        raise ConfigError(
            "no cohort has the role pretrain", where="cohort sheet: role",
            value=", ".join(f"{cohort.name}: {cohort.role}" for cohort in cohorts) or "no cohorts",
            allowed="pretrain, or both for a cohort that is studied as well",
            mend="give that role to some cohorts, or train without pretraining",
        )  # fmt: skip
    return chosen


def samples_corpus(
    samples: Samples, *, seed: int, observed: npt.NDArray[np.bool_] | None = None, name: str = "study"
) -> Corpus:
    """A corpus of samples in memory (on the model's scale, with the model's genes): for adapting a model.

    Tasks tell the levels of `samples.labels` apart; "" is no level. Only samples that may be trained on
    belong here: those held out must have been left out before.
    """
    _refuse_not_finite(samples)
    labels = Labels.from_text(samples.labels.tolist()).compact()
    donors, known = donor_codes(Labels.from_text(samples.donors.tolist()).compact())
    families = tuple(families_of({"condition": labels}, donors))
    notes = () if families else (
        f"{name}: {len(labels.levels)} levels of the label ({', '.join(labels.levels[:5])}), "
        "and two are needed with two donors each",)  # fmt: skip
    seen = np.ones(len(samples.genes), dtype=bool) if observed is None else observed
    cohort = CohortTasks(name, False, rows_of_matrix(samples.values), seen, families, known)
    return Corpus(samples.genes, load=lambda _: (cohort,) if families else (), seed=seed, notes=notes,
                  data="own")  # fmt: skip


def donor_codes(donors: Labels | None, n: int = 0) -> tuple[npt.NDArray[np.int32], bool]:
    """Number of each sample's donor, (n,), and whether donors are known.

    Where none or only one is named, each sample counts as a donor; so does a sample without a name of its
    donor among others that have one.
    """
    if donors is None or len(donors.levels) < 2:
        return np.arange(n if donors is None else donors.codes.size, dtype=np.int32), False
    codes = donors.codes.copy()
    unnamed = np.flatnonzero(codes < 0)
    codes[unnamed] = len(donors.levels) + np.arange(unnamed.size)
    return codes, True


def _refuse_not_finite(samples: Samples) -> None:
    if not np.isfinite(samples.values).all():
        row, gene = np.argwhere(~np.isfinite(samples.values))[0]
        raise DataError(
            f"sample {samples.names[row]!s}, gene {samples.genes[gene]}: no finite value",
            value=float(samples.values[row, gene]), allowed="logarithms of expression",
            mend="leave the sample or the gene out, or prepare the cohort again",
        )  # fmt: skip
