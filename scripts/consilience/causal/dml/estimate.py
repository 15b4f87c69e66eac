"""Gene effects in one cell type: scores over repeats, without each donor, and at the level of cells."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from consilience.causal.dml.cell_errors import moments_cell_errors
from consilience.causal.dml.crossfit import crossfit_scores
from consilience.causal.dml.donor_scores import DonorScores, clustered_se
from consilience.causal.dml.folds import donor_folds
from consilience.causal.dml.gathering import gather
from consilience.causal.dml.learners import learner as find_learner
from consilience.causal.dml.moments import columns_of, moments_in_blocks
from consilience.causal.dml.pairs import deviations, pair_test
from consilience.causal.dml.ridge_scores import Choice, LinearScore, choose, ridge_scores
from consilience.causal.dml.testing import Inference, from_moments, from_scores, tests_beside
from consilience.causal.dml.treatments import treatment_blocks

if TYPE_CHECKING:
    import numpy.typing as npt

    from consilience.causal.dml.cells import CellsOfType
    from consilience.causal.dml.crossfit import Score
    from consilience.causal.dml.few_donors import DonorTest
    from consilience.causal.dml.moments import Moments

    Floats = npt.NDArray[np.float64]
    Places = npt.NDArray[np.intp]

COLLINEAR = 1.0 - 1e-4
"""A gene of which confounders explain more than this out of fold is not estimated."""


@dataclass(frozen=True)
class Estimates:
    """m donors, G genes. `repeats`: the scores of each division into folds (see `donor_scores.DonorScores`).

    `left_out` one entry a donor: scores without it (m - 1 donors), from the first division; () where not
    asked for. `naive` effect and robust standard error (2, G) of the first division that take cells for
    independent; NaN where not computed. `test` p-values with donors as the units; `pulls` (m, G) what each
    donor adds to an effect's variance (see `pulls`), NaN with other scores, learners and tests.
    """

    repeats: tuple[DonorScores, ...]
    test: DonorTest
    left_out: tuple[DonorScores, ...]
    naive: Floats
    pulls: Floats

    @property
    def theta(self) -> Floats:
        """Effects (G,): the median over repeats; NaN for genes that confounders explain wholly."""
        middle: Floats = np.median([one.theta for one in self.repeats], axis=0)
        return np.where(self.collinear, np.nan, middle)

    @property
    def clustered(self) -> tuple[Floats, Floats]:
        """Effects and donor-clustered errors (G,), gathered as DoubleML does, uncorrected for few donors."""
        thetas = np.stack([one.theta for one in self.repeats])
        return gather(thetas, np.stack([clustered_se(one) for one in self.repeats]))

    @property
    def repeats_spread(self) -> Floats:
        """Standard deviation of the effects over repeats (G,)."""
        return np.asarray(np.std([one.theta for one in self.repeats], axis=0))

    @property
    def r2_treatment(self) -> Floats:
        """Median over repeats (G,)."""
        return np.median([one.r2_treatment for one in self.repeats], axis=0)

    @property
    def r2_outcome(self) -> Floats:
        """Median over repeats (G,)."""
        shape = self.repeats[0].theta.shape
        return np.median([np.broadcast_to(one.r2_outcome, shape) for one in self.repeats], axis=0)

    @property
    def treatment_sd(self) -> Floats:
        """Median over repeats (G,)."""
        return np.median([one.treatment_sd for one in self.repeats], axis=0)

    @property
    def collinear(self) -> npt.NDArray[np.bool_]:
        """Genes (G,) of which confounders leave nothing."""
        return self.r2_treatment > COLLINEAR


def estimate(
    cells: CellsOfType, *, learner: str = "ridge", score: Score = "partialling_out", folds: int = 5,
    repeats: int = 5, seed: int, penalty: float | None = None, without_each: bool = False,
    cell_errors: bool = False, inference: Inference = "t",
) -> Estimates:  # fmt: skip
    """Effects of all genes of `cells` on disease.

    `penalty`: λ of ridge (None: chosen on inner donors); `without_each`: also without each donor;
    `cell_errors`: also the naive errors (both with ridge and a partially linear score alone).
    """
    divisions = [
        donor_folds(cells.donors, disease=cells.disease, folds=folds, repeat=repeat, seed=seed)
        for repeat in range(repeats)
    ]
    found = find_learner(learner)
    if found.sums and score != "irm":
        return _from_sums(
            cells,
            divisions,
            score=score,
            penalty=penalty,
            without_each=without_each,
            cell_errors=cell_errors,
            inference=inference,
            seed=seed,
        )
    blocks: list[list[DonorScores]] = [[] for _ in divisions]
    for treatment in treatment_blocks(cells, binary=score == "irm"):
        for repeat, division in enumerate(divisions):
            blocks[repeat].append(crossfit_scores(
                confounders=cells.confounders, outcome=cells.outcome, treatment=treatment, donor=cells.donor,
                folds=division, fit_predict=found.fit_predict, score=score, seed=seed + repeat,
            ))  # fmt: skip
    made = tuple(beside(block) for block in blocks)
    test = from_scores(made, cells=cells, inference=inference, seed=seed)
    n_genes = len(cells.genes)
    unknown = np.full((len(cells.donors), n_genes), np.nan)
    return Estimates(made, test, (), np.full((2, n_genes), np.nan), unknown)


def _from_sums(
    cells: CellsOfType,
    divisions: Sequence[Places],
    *,
    score: Score,
    penalty: float | None,
    without_each: bool,
    cell_errors: bool,
    inference: Inference,
    seed: int,
) -> Estimates:
    """By ridge through sums within donors."""
    columns = columns_of(cells.confounders, cells.outcome)
    m, n_genes = len(cells.donors), len(cells.genes)
    repeated: list[list[DonorScores]] = [[] for _ in divisions]
    without: list[list[DonorScores]] = [[] for _ in range(m if without_each else 0)]
    naive, pulls = np.full((2, n_genes), np.nan), np.full((m, n_genes), np.nan)
    tests: list[DonorTest] = []
    for genes, sums in moments_in_blocks(
        columns=columns, expression=cells.expression, donor=cells.unit, n_donors=cells.unit_outcome.size
    ):
        samples, moments, levels = (sums, sums, None) if cells.arm is None else deviations(sums)
        scored = _scored(moments, score)
        chosen = [penalty or choose(moments, division) for division in divisions]
        for repeat, division in enumerate(divisions):
            repeated[repeat].append(scored(division, chosen[repeat]))
        latest = [one[-1] for one in repeated]
        if score == "partialling_out" and inference == "t" and cells.arm is not None:
            tested, pulls[:, genes] = pair_test(samples, divisions=divisions, chosen=chosen, scores=latest)
            tests.append(tested)
        elif score == "partialling_out" and inference == "t":
            tested, pulls[:, genes] = from_moments(
                moments, disease=cells.disease, divisions=divisions, chosen=chosen, scores=latest
            )
            tests.append(tested)
        else:
            tests.append(from_scores(latest, cells=cells, inference=inference, seed=seed))
        for donor in range(len(without)):
            without[donor].append(scored(_without(divisions[0], donor), chosen[0]))
        if cell_errors:
            whole = genes.stop - genes.start == n_genes
            naive[:, genes] = moments_cell_errors(
                moments=moments, columns=columns, donor=cells.donor, folds=divisions[0], penalty=chosen[0],
                expression=cells.expression if whole else cells.expression[:, genes], levels=levels,
            )  # fmt: skip
    made = tuple(map(beside, repeated))
    return Estimates(made, tests_beside(tests), tuple(map(beside, without)), naive, pulls)


def _scored(moments: Moments, score: Score) -> Callable[[Places, float | Choice], DonorScores]:
    kind: LinearScore = "iv_type" if score == "iv_type" else "partialling_out"

    def scored(folds: Places, penalty: float | Choice) -> DonorScores:
        return ridge_scores(moments, folds=folds, score=kind, penalty=penalty)

    return scored


def _without(folds: Places, donor: int) -> Places:
    """The division without one donor."""
    made = folds.copy()
    made[donor] = -1
    return made


PER_GENE = ("b", "a", "squared_residuals", "treatment_total")


def beside(blocks: Sequence[DonorScores]) -> DonorScores:
    """Scores of blocks of genes as one; all of the same donors and folds."""
    first = blocks[0]
    if len(blocks) == 1:
        return first
    names = [*PER_GENE, *(["outcome_residuals"] if first.outcome_residuals.ndim == 2 else [])]
    joined: dict[str, Any] = {
        name: np.concatenate([getattr(one, name) for one in blocks], axis=-1) for name in names
    }
    return replace(first, **joined)
