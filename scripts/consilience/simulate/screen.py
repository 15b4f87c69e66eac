"""Perturbation screens: knock-downs in several cell lines whose response programs follow gene function."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from consilience.foundation.errors import ConfigError
from consilience.foundation.seeds import stream
from consilience.simulate.cells import (
    BATCH_SD,
    BLOCK,
    DYING,
    EMPTY,
    HEALTHY,
    LIBRARY_SD,
    Block,
    CellModel,
    blocks_of,
    cell_barcodes,
    draw_block,
)
from consilience.simulate.plan import (
    N_CELL_GROUPS,
    UNPERTURBED,
    cell_line_names,
    column_names,
    perturbation_sizes,
)
from consilience.simulate.truth import Truth, line_gains
from consilience.study.cohorts import Cohort
from consilience.study.sections import SimulationSection

CONTROL_FOLD = 10
ESCAPED_SHARE, DYING_SHARE, EMPTY_SHARE = 0.10, 0.02, 0.01
LINE_SD = 0.7


@dataclass(frozen=True)
class GroupContext:
    """Cells of one line in one group: `targets` (n_cells,) index of the perturbation or -1 for controls."""

    line: str
    group: str
    number: int
    first: int
    targets: npt.NDArray[np.int32]
    profile: npt.NDArray[np.float32]
    gains: npt.NDArray[np.float64]

    @property
    def sample(self) -> str:
        """Name of the sample: cell line and group."""
        return f"{self.line}_{self.group}"


@dataclass(frozen=True)
class ScreenTask:
    """One block to draw."""

    context: GroupContext
    number: int
    size: int


@dataclass(frozen=True)
class ScreenCells:
    """A perturbation cohort as a list of tasks and a function that draws one."""

    cohort: Cohort
    settings: SimulationSection
    model: CellModel

    @property
    def truth(self) -> Truth:
        """The planted truth."""
        return self.model.truth

    def targets(self) -> list[str]:
        """The perturbed genes of this cohort: the first of the truth's list."""
        wanted, known = (
            perturbation_sizes(self.cohort, self.settings).n_perturbations,
            self.truth.perturbations.names,
        )
        if wanted > len(known):
            raise ConfigError(
                "more perturbations than genes that can be perturbed",
                where=f"cohort {self.cohort.name}: n_perturbations",
                value=wanted,
                allowed=f"1 to {len(known)}",
                mend="raise simulation.n_genes (a quarter of them at most)",
            )
        return list(known[:wanted])

    def samples(self) -> Iterator[GroupContext]:
        """Groups of cells in order: every line in every gem group."""
        sizes, targets = perturbation_sizes(self.cohort, self.settings), self.targets()
        first = 0
        for line in cell_line_names(sizes.cell_lines):
            cells = np.repeat(np.arange(-1, len(targets), dtype=np.int32), sizes.cells_per_perturbation)
            more = np.full((CONTROL_FOLD - 1) * sizes.cells_per_perturbation, -1, dtype=np.int32)
            cells = stream(self.truth.seed, self.cohort.name, "cells", line).permutation(
                np.concatenate([cells, more])
            )
            gains = line_gains(
                seed=self.truth.seed,
                line=line,
                pathways=list(self.truth.perturbations.pathways[: len(targets)]),
            )
            for number in range(N_CELL_GROUPS):
                mine = cells[number::N_CELL_GROUPS]
                group = f"gem{number + 1}"
                yield GroupContext(line, group, number, first, mine, self._profile(line, group), gains)
                first += mine.size

    def tasks(self) -> Iterator[ScreenTask]:
        """All blocks of all groups in order."""
        for context in self.samples():
            for number, size in blocks_of(context.targets.size):
                yield ScreenTask(context, number, size)

    def _profile(self, line: str, group: str) -> npt.NDArray[np.float32]:
        truth = self.truth
        log_mean = truth.expression.base + stream(truth.seed, "line", line).normal(
            0.0, LINE_SD, truth.expression.base.size
        )
        visible = np.unique([truth.symbols.index(name) for name in truth.perturbations.names])
        log_mean[visible] = np.maximum(log_mean[visible], truth.expression.base[visible])
        log_mean += stream(truth.seed, self.cohort.name, "batch", group).normal(0.0, BATCH_SD, log_mean.size)
        log_mean[truth.rows_of_chromosome("Y")] -= 8.0
        profile = np.exp(log_mean)
        return np.asarray(profile / profile.sum(), dtype=np.float32)

    def draw(self, task: ScreenTask) -> Block:
        """Draw one block from its own stream."""
        context, n, start = task.context, task.size, task.number * BLOCK
        rng = stream(self.truth.seed, self.cohort.name, "block", context.sample, task.number)
        chance = rng.random(n)
        state = np.where(
            chance < EMPTY_SHARE, EMPTY, np.where(chance < EMPTY_SHARE + DYING_SHARE, DYING, HEALTHY)
        )
        targets = context.targets[start : start + n]
        escaped = (targets >= 0) & (rng.random(n) < ESCAPED_SHARE)
        library = self.model.library * 1.5 * np.exp(rng.normal(0.0, LIBRARY_SD, n))
        library *= np.select([state == EMPTY, state == DYING], [0.02, 0.6], 1.0)
        mitochondrial = np.where(state == DYING, rng.uniform(0.35, 0.75, n), rng.beta(6.0, 94.0, n))
        scores = rng.normal(0.0, 1.0, (n, len(self.truth.programs.names)))
        profile = np.repeat(context.profile[None, :], n, axis=0)
        self._perturb(profile, targets=np.where(escaped | (state == EMPTY), -1, targets), gains=context.gains)
        counts = draw_block(
            model=self.model, profile=profile, library=library, mitochondrial=mitochondrial, scores=scores,
            second=None, doublets=np.empty(0, dtype=np.intp), rng=rng,
        )  # fmt: skip
        names, words = self.truth.perturbations.names, column_names(self.cohort)
        barcodes = cell_barcodes(
            first=context.first + start, n=n, seed=self.truth.seed, cohort=self.cohort.name,
            suffix=f"-{context.number + 1}",
        )  # fmt: skip
        labels = [names[t] if t >= 0 else UNPERTURBED for t in targets]
        columns = {
            words["cell_type"]: [context.line] * n,
            words["batch"]: [context.group] * n,
            words["perturbation"]: labels,
        }
        facts = {
            "id": barcodes,
            "sample": [context.sample] * n,
            "cell_type": [context.line] * n,
            "perturbation": labels,
            "outlier": (state != HEALTHY).tolist(),
            "outlier_kind": state.tolist(),
            "doublet": [False] * n,
            "escaped": escaped.tolist(),
            "depth_factor": (library / self.model.library).tolist(),
        }
        return Block(context.sample, start, barcodes, columns, facts, counts)

    def _perturb(
        self,
        profile: npt.NDArray[np.float32],
        *,
        targets: npt.NDArray[np.int32],
        gains: npt.NDArray[np.float64],
    ) -> None:
        """Multiply the rows of `profile` (n, genes) by their perturbation's program in this line."""
        perturbations, symbols = self.truth.perturbations, self.truth.genes["gene"].to_numpy()
        for target in np.unique(targets[targets >= 0]):
            rows, log2fc = perturbations.rows[target], perturbations.log2fc[target]
            own = symbols[rows] == perturbations.names[target]
            factor = np.exp2(np.where(own, log2fc, log2fc * gains[target])).astype(np.float32)
            cells = np.flatnonzero(targets == target)
            profile[np.ix_(cells, rows)] *= factor
