"""Put splits of a cohort before a model that was trained without the donors it is asked about."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from consilience.foundation.errors import ConfigError
from consilience.rnagan.markers.attribution import Question
from consilience.rnagan.markers.integrated_gradients import path_slopes
from consilience.rnagan.markers.scorer import Refit, Scorer, evaluation
from consilience.rnagan.markers.splits import Split, has_both_kinds, references

if TYPE_CHECKING:
    import numpy.typing as npt

    from consilience.rnagan.markers.cohort import Cohort


@dataclass(frozen=True)
class Model:
    """How scores come about: a fixed `scorer`, or `refit` for each set of reference donors.

    `most_references` of each kind are used; `seed` decides which.
    """

    scorer: Scorer | None
    refit: Refit | None
    most_references: int
    seed: int

    def __post_init__(self) -> None:
        if (self.scorer is None) == (self.refit is None):
            raise ConfigError("markers need either a scorer or a way to fit one",
                              value="both" if self.scorer is not None else "neither",
                              allowed="exactly one of scorer= and refit=")  # fmt: skip

    def questions(
        self, cohort: Cohort, positive: npt.NDArray[np.bool_], splits: Sequence[Split]
    ) -> Iterator[tuple[Split, Question]]:
        """One question per split whose references hold both kinds under the labels `positive` (n,)."""
        for split in splits:
            labels = positive[split.reference]
            if not has_both_kinds(labels) or not len(split.query):
                continue
            scorer = self.scorer
            if self.refit is not None:
                scorer = self.refit(cohort.samples.take(split.reference), labels)
            assert scorer is not None  # noqa: S101 - one of both is there, see __post_init__
            yield split, self.question(cohort, positive, split, scorer)

    def question(
        self, cohort: Cohort, positive: npt.NDArray[np.bool_], split: Split, scorer: Scorer
    ) -> Question:
        """The question of one split."""
        sides = [
            references(cohort, split.reference[positive[split.reference] == kind],
                       most=self.most_references, seed=self.seed)
            for kind in (True, False)
        ]  # fmt: skip
        values = cohort.samples.values
        return Question(evaluation(scorer), values[split.query], values[sides[0]], values[sides[1]])


def slopes_of(
    model: Model,
    cohort: Cohort,
    positive: npt.NDArray[np.bool_],
    splits: Sequence[Split],
    run: Callable[[Question], npt.NDArray[np.float64]],
) -> npt.NDArray[np.float64]:
    """Slopes of all samples (n, G); 0 for a sample that no question asks about."""
    found = np.zeros(cohort.samples.values.shape)
    for split, question in model.questions(cohort, positive, splits):
        found[split.query] = run(question)
    return found


def plain_slopes(question: Question, *, steps: int) -> npt.NDArray[np.float64]:
    """Slopes (n, G) from the neutral patient to each query: quick, the same for true and permuted labels."""
    return path_slopes(question, question.neutral, steps=steps)
