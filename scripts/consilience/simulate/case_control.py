"""Single-cell case-control cohorts: donors, cell types, doublets, dying cells, near-empty droplets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from consilience.foundation.seeds import stream
from consilience.simulate.cells import (
    BLOCK,
    DOUBLET,
    DYING,
    EMPTY,
    HEALTHY,
    LIBRARY_SD,
    Block,
    CellModel,
    blocks_of,
    cell_barcodes,
    draw_block,
    log_profiles,
)
from consilience.simulate.plan import PlannedSample, cell_sizes, column_names, planned_samples
from consilience.simulate.truth import Truth
from consilience.study.cohorts import Cohort
from consilience.study.sections import SimulationSection

DYING_SHARE, EMPTY_SHARE = 0.03, 0.02
MITOCHONDRIAL_BETA = (5.0, 95.0)
DYING_MITOCHONDRIAL = (0.35, 0.75)
EMPTY_DEPTH = 0.03


@dataclass(frozen=True)
class SampleContext:
    """One sample: `profile` (types, genes), rows sum to one; `shares` (types,), `scores` (programs,)."""

    planned: PlannedSample
    age: int
    first: int
    n_cells: int
    depth: float
    profile: npt.NDArray[np.float32]
    shares: npt.NDArray[np.float64]
    scores: npt.NDArray[np.float64]

    @cached_property
    def ambient(self) -> npt.NDArray[np.float32]:
        """Profile of the free RNA: the mean of all cell types (genes,)."""
        return np.asarray(self.shares.astype(np.float32) @ self.profile)


@dataclass(frozen=True)
class CellTask:
    """One block to draw."""

    context: SampleContext
    number: int
    size: int


@dataclass(frozen=True)
class CaseControlCells:
    """A single-cell cohort as a list of tasks and a function that draws one."""

    cohort: Cohort
    settings: SimulationSection
    model: CellModel

    @property
    def truth(self) -> Truth:
        """The planted truth."""
        return self.model.truth

    def samples(self) -> Iterator[SampleContext]:
        """The samples in order, each with what its cells share."""
        first = 0
        for planned in planned_samples(self.cohort, self.settings):
            context = self._context(planned, first)
            first += context.n_cells
            yield context

    def tasks(self) -> Iterator[CellTask]:
        """All blocks of all samples in order."""
        for context in self.samples():
            for number, size in blocks_of(context.n_cells):
                yield CellTask(context, number, size)

    def _context(self, planned: PlannedSample, first: int) -> SampleContext:
        seed, name = self.truth.seed, self.cohort.name
        rng = stream(seed, name, "sample", planned.sample)
        wanted = cell_sizes(self.cohort, self.settings).cells_per_donor
        profile = np.exp(log_profiles(
            truth=self.truth, cohort=name, donor=planned.donor, batch=planned.batch, sex=planned.sex,
            diseased=planned.arm == "case",
        ))  # fmt: skip
        return SampleContext(
            planned=planned,
            age=int(stream(seed, name, "age", planned.donor).integers(24, 80)),
            first=first,
            n_cells=max(1, round(wanted * float(np.exp(rng.normal(0.0, 0.12))))),
            depth=float(np.exp(rng.normal(0.0, 0.1))),
            profile=(profile / profile.sum(axis=1, keepdims=True)).astype(np.float32),
            shares=rng.dirichlet(self.truth.expression.shares * 60.0),
            scores=rng.normal(0.0, 0.4, len(self.truth.programs.names)),
        )

    def draw(self, task: CellTask) -> Block:
        """Draw one block from its own stream."""
        context, n = task.context, task.size
        rng = stream(self.truth.seed, self.cohort.name, "cells", context.planned.sample, task.number)
        state = cell_states(n=n, doublet_share=cell_sizes(self.cohort, self.settings).doublet_share, rng=rng)
        types = rng.choice(context.shares.size, size=n, p=context.shares)
        others = rng.choice(context.shares.size, size=n, p=context.shares)
        library = self.model.library * context.depth * np.exp(rng.normal(0.0, LIBRARY_SD, n))
        library *= np.select([state == EMPTY, state == DYING], [EMPTY_DEPTH, 0.6], 1.0)
        mitochondrial = rng.beta(*MITOCHONDRIAL_BETA, n)
        mitochondrial = np.where(state == DYING, rng.uniform(*DYING_MITOCHONDRIAL, n), mitochondrial)
        scores = context.scores + rng.normal(0.0, 1.0, (n, context.scores.size))
        profile = context.profile[types]
        profile[state == EMPTY] = context.ambient
        doublets = np.flatnonzero(state == DOUBLET)
        counts = draw_block(
            model=self.model, profile=profile, library=library, mitochondrial=mitochondrial, scores=scores,
            second=context.profile[others[doublets]], doublets=doublets, rng=rng,
        )  # fmt: skip
        return self._block(task, state=state, types=types, others=others, library=library, counts=counts)

    def _block(
        self, task: CellTask, *, state: Any, types: Any, others: Any, library: Any, counts: Any
    ) -> Block:
        context, n = task.context, task.size
        one, names = context.planned, column_names(self.cohort)
        start = task.number * BLOCK
        barcodes = cell_barcodes(
            first=context.first + start, n=n, seed=self.truth.seed, cohort=self.cohort.name, suffix="-1"
        )
        cell_types = [self.truth.expression.types[position] for position in types]
        columns = {
            "sample": [one.sample] * n,
            names["donor"]: [one.donor] * n,
            names["condition"]: [one.level] * n,
            names["batch"]: [one.batch] * n,
            names["cell_type"]: cell_types,
            names["sex"]: [one.sex] * n,
            "age": [str(context.age)] * n,
        }
        doublet = state == DOUBLET
        facts = {
            "id": barcodes,
            "sample": columns["sample"],
            "donor": [one.donor] * n,
            "arm": [one.arm] * n,
            "cell_type": cell_types,
            "outlier": ((state == DYING) | (state == EMPTY)).tolist(),
            "outlier_kind": np.where(doublet, HEALTHY, state).tolist(),
            "doublet": doublet.tolist(),
            "heterotypic": (doublet & (types != others)).tolist(),
            "depth_factor": (library / self.model.library).tolist(),
        }
        return Block(one.sample, start, barcodes, columns, facts, counts)


def cell_states(*, n: int, doublet_share: float, rng: np.random.Generator) -> npt.NDArray[np.str_]:
    """What each barcode holds: a healthy cell (""), a dying one, nearly nothing, or two cells."""
    chance = rng.random(n)
    states = np.full(n, HEALTHY, dtype="U8")
    states[chance < EMPTY_SHARE + DYING_SHARE + doublet_share] = DOUBLET
    states[chance < EMPTY_SHARE + DYING_SHARE] = DYING
    states[chance < EMPTY_SHARE] = EMPTY
    return states
