"""Cells: single-cell cohorts and perturbation screens, generated block by block from independent streams."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from consilience.foundation.seeds import stream
from consilience.simulate.bulk import silence_sex_genes
from consilience.simulate.counts import Counts, dispersion_trend, draw_counts
from consilience.simulate.truth import Truth

Floats = npt.NDArray[np.float64]
BLOCK = 512
LIBRARY_SD, BATCH_SD, DONOR_SD = 0.35, 0.15, 0.12
DISPERSION_FLOOR, DISPERSION_EXTRA, DROPOUT = 0.10, 5.0, 0.10
HEALTHY, DYING, EMPTY, DOUBLET = "", "dying", "empty", "doublet"


@dataclass(frozen=True)
class Block:
    """Cells of one block of a sample, from its cell `start` on.

    `columns` phenotype text (n,) by name, `facts` what was planted (n,) by name, `counts` (n, genes).
    """

    sample: str
    start: int
    barcodes: list[str]
    columns: dict[str, list[str]]
    facts: dict[str, list[Any]]
    counts: Counts


@dataclass(frozen=True)
class CellModel:
    """What all blocks of a cohort share: how programs act and how counts scatter."""

    truth: Truth

    @cached_property
    def mitochondrial(self) -> npt.NDArray[np.intp]:
        """Rows of the mitochondrial genes."""
        return self.truth.rows_of_chromosome("MT")

    @cached_property
    def dispersion(self) -> Floats:
        """Dispersion of each gene (genes,)."""
        share = np.exp(self.truth.expression.base)
        trend = dispersion_trend(
            abundance=1e6 * share / share.sum(), floor=DISPERSION_FLOOR, extra=DISPERSION_EXTRA
        )
        return np.asarray(trend * self.truth.expression.dispersion)

    @cached_property
    def touched(self) -> npt.NDArray[np.intp]:
        """Rows of the genes that belong to any program."""
        return np.unique(np.concatenate([*self.truth.programs.rows, np.empty(0, dtype=np.intp)]))

    @property
    def library(self) -> float:
        """Typical counts of a cell: grows with the square root of the number of genes."""
        return 55.0 * float(np.sqrt(len(self.truth.genes)))

    def program_effect(self, scores: Floats) -> npt.NDArray[np.float32]:
        """Factor on the touched genes (n, touched) for program scores (n, programs)."""
        effect = np.zeros((scores.shape[0], self.touched.size), dtype=np.float32)
        programs = self.truth.programs
        for position, (rows, loading) in enumerate(zip(programs.rows, programs.loadings, strict=True)):
            columns = np.searchsorted(self.touched, rows)
            effect[:, columns] += (scores[:, position, None] * loading).astype(np.float32)
        return np.exp(effect)

    def expected(
        self, *, profile: npt.NDArray[np.float32], scores: Floats, library: Floats, mitochondrial: Floats
    ) -> npt.NDArray[np.float32]:
        """Expected counts (n, genes): `profile` with programs, scaled to library and mitochondrial share."""
        mean = profile
        mean[:, self.touched] *= self.program_effect(scores)
        inside = mean[:, self.mitochondrial].sum(axis=1)
        outside = mean.sum(axis=1) - inside
        share = mitochondrial if self.mitochondrial.size else np.zeros_like(mitochondrial)
        mean_mitochondrial = (
            mean[:, self.mitochondrial] * (library * share / np.maximum(inside, 1e-12))[:, None]
        )
        mean *= (library * (1.0 - share) / outside).astype(np.float32)[:, None]
        mean[:, self.mitochondrial] = mean_mitochondrial
        return mean


def blocks_of(n_cells: int) -> Iterator[tuple[int, int]]:
    """(number, size) of the blocks that `n_cells` make."""
    for number, start in enumerate(range(0, n_cells, BLOCK)):
        yield number, min(BLOCK, n_cells - start)


def cell_barcodes(*, first: int, n: int, seed: int, cohort: str, suffix: str) -> list[str]:
    """Barcodes of 16 letters for cells `first` … of a cohort: unique, without keeping those given before.

    Cell numbers are multiplied by an odd number modulo 4^16, which maps different numbers to different ones.
    """
    rng = stream(seed, cohort, "barcodes")
    factor, offset = int(rng.integers(1 << 20, 1 << 31)) * 2 + 1, int(rng.integers(1 << 31))
    numbers = (
        np.arange(first, first + n, dtype=np.uint64) * np.uint64(factor) + np.uint64(offset)
    ) % np.uint64(1 << 32)
    shifts = np.arange(30, -1, -2, dtype=np.uint64)
    letters = np.frombuffer(b"ACGT", dtype=np.uint8)[
        ((numbers[:, None] >> shifts) & np.uint64(3)).astype(np.intp)
    ]
    return [row.tobytes().decode() + suffix for row in letters]


def log_profiles(*, truth: Truth, cohort: str, donor: str, batch: str, sex: str, diseased: bool) -> Floats:
    """Log profile of every cell type (types, genes) in one sample of a case-control cohort."""
    model = truth.expression
    log_mean = model.base + model.by_type
    if diseased:
        log_mean = log_mean + np.outer(model.active, truth.disease.effect * np.log(2.0))
    log_mean = log_mean + stream(truth.seed, cohort, "donor", donor).normal(0.0, DONOR_SD, model.base.size)
    log_mean += stream(truth.seed, cohort, "batch", batch).normal(0.0, BATCH_SD, model.base.size)
    silence_sex_genes(log_mean, sex=sex, truth=truth)
    return log_mean


def draw_block(
    *,
    model: CellModel,
    profile: npt.NDArray[np.float32],
    library: Floats,
    mitochondrial: Floats,
    scores: Floats,
    second: npt.NDArray[np.float32] | None,
    doublets: npt.NDArray[np.intp],
    rng: np.random.Generator,
) -> Counts:
    """Counts of one block; `second` (doublets, genes) is the profile of each doublet's other cell."""
    mean = model.expected(profile=profile, scores=scores, library=library, mitochondrial=mitochondrial)
    if second is not None and doublets.size:
        other = model.expected(
            profile=second, scores=scores[doublets][::-1].copy(), library=library[doublets] * 0.8,
            mitochondrial=mitochondrial[doublets],
        )  # fmt: skip
        mean[doublets] += other
    return draw_counts(mean=mean, dispersion=model.dispersion, rng=rng, dropout=DROPOUT)
