"""An episode: queries, and references of one kind (and of another) to judge them by; and batches of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from consilience.foundation.errors import DataError
from consilience.rnagan.corpus_rows import Rows
from consilience.rnagan.corpus_tasks import Family, Level, companions, draw_parts, draw_task
from consilience.rnagan.presets import EpisodeSettings

if TYPE_CHECKING:
    import numpy.typing as npt
    import torch

NAMES_SHOWN = 5
LEAST_GENES = 100
"""About so many genes an episode keeps, however many it hides."""


@dataclass(frozen=True)
class Episode:
    """One task: does each query belong to the positive kind.

    `query` (n, G), `labels` (n,) truths, `positive` (R, G), `negative` (S, G; S may be 0), float32 on the
    model's scale with 0 where a gene is not `observed` (G,); `name` says which kinds of which cohort,
    `chosen` (n,) which queries' groups add a generated one, `seed` is for noise of this episode alone. No
    donor has samples both among the queries and among the references (see `corpus_tasks`).
    """

    query: npt.NDArray[np.float32]
    labels: npt.NDArray[np.bool_]
    positive: npt.NDArray[np.float32]
    negative: npt.NDArray[np.float32]
    observed: npt.NDArray[np.bool_]
    name: str
    chosen: npt.NDArray[np.bool_]
    seed: int


@dataclass(frozen=True)
class EpisodeBatch:
    """T episodes of equal sizes as tensors.

    `query` (T, n, G), `labels` (T, n) truths, `positive` (T, R, G), `negative` (T, S, G) or None, `observed`
    (T, G) truths, `names` (T,) text, `chosen` (T, n) truths (see `Episode`), `seeds` (T,) whole numbers from
    which a loss makes noise that does not depend on how a batch is parted.
    """

    query: torch.Tensor
    labels: torch.Tensor
    positive: torch.Tensor
    negative: torch.Tensor | None
    observed: torch.Tensor
    names: tuple[str, ...]
    chosen: torch.Tensor
    seeds: torch.Tensor

    def __len__(self) -> int:
        return len(self.names)

    def part(self, start: int, stop: int) -> EpisodeBatch:
        """Episodes start … stop, for machines whose memory does not hold all of them at once."""
        rows = slice(start, stop)
        return EpisodeBatch(
            self.query[rows], self.labels[rows], self.positive[rows],
            None if self.negative is None else self.negative[rows], self.observed[rows], self.names[rows],
            self.chosen[rows], self.seeds[rows],
        )  # fmt: skip

    def to(self, device: torch.device | str) -> EpisodeBatch:
        """The same on another device."""
        moved = {
            name: getattr(self, name).to(device)
            for name in ("query", "labels", "positive", "observed", "chosen", "seeds")
        }
        negative = None if self.negative is None else self.negative.to(device)
        return replace(self, **moved, negative=negative)

    def describe(self) -> str:
        """Which episodes these are, for a message about a step that went wrong."""
        more = f" and {len(self) - NAMES_SHOWN} more" if len(self) > NAMES_SHOWN else ""
        n_negative = 0 if self.negative is None else self.negative.shape[1]
        sizes = f"{self.query.shape[1]} queries, {self.positive.shape[1]} and {n_negative} references each"
        return f"{len(self)} episodes ({sizes}): {'; '.join(self.names[:NAMES_SHOWN])}{more}"


def stack(episodes: Sequence[Episode]) -> EpisodeBatch:
    """Episodes of equal sizes as one batch."""
    import torch

    sizes = {(len(one.query), len(one.positive), len(one.negative), one.observed.size) for one in episodes}
    if len(sizes) != 1:
        raise DataError(
            "episodes of one batch must have equal numbers of queries, references and genes",
            value=str(sorted(sizes)),
        )

    def together(name: str) -> torch.Tensor:
        return torch.from_numpy(np.stack([getattr(one, name) for one in episodes]))

    negative = together("negative") if len(episodes[0].negative) else None
    names = tuple(one.name for one in episodes)
    return EpisodeBatch(
        together("query"),
        together("labels"),
        together("positive"),
        negative,
        together("observed"),
        names,
        together("chosen"),
        torch.tensor([one.seed for one in episodes]),
    )


def draw_episode(
    rng: np.random.Generator,
    *,
    family: Family,
    rows: Rows,
    observed: npt.NDArray[np.bool_],
    settings: EpisodeSettings,
    n_references: int,
    with_negative: bool = True,
    averaged: bool = False,
    prefix: str = "",
) -> Episode:
    """An episode of a family of tasks of one cohort.

    `rows` holds the cohort's samples, `observed` (G,) its genes. `averaged` says that samples may be means
    over cells of one donor (`settings.cells_per_sample`).
    """
    positive, negative = draw_task(rng, family, rest=settings.rest)
    parts = draw_parts(rng, positive, negative, n_references=n_references, n_queries=settings.queries)
    n_cells = int(rng.choice(settings.cells_per_sample)) if averaged else 1

    def values(level: Level, wanted: npt.NDArray[np.int32]) -> npt.NDArray[np.float32]:
        return rows.dense(companions(rng, level, wanted, n_cells))

    query = np.empty((settings.queries, rows.n_genes), dtype=np.float32)
    query[parts.labels] = values(positive, parts.query[parts.labels])
    query[~parts.labels] = values(negative, parts.query[~parts.labels])
    of_positive = values(positive, parts.positive)
    of_negative = values(negative, parts.negative if with_negative else parts.negative[:0])
    if settings.hidden_strongest:
        # by the references alone: chosen by the queries as well, what is left points the wrong way in them
        together = (of_positive, values(negative, parts.negative))
        observed = without_strongest(
            observed, *together, share=rng.uniform(0, settings.hidden_strongest), least=LEAST_GENES
        )
    if settings.hidden_genes and observed.sum() > LEAST_GENES:
        share = min(rng.uniform(0, settings.hidden_genes), 1 - LEAST_GENES / observed.sum())
        observed = observed & (rng.random(observed.size) >= share)
    for samples in (query, of_positive, of_negative):
        samples[:, ~observed] = 0
    name = f"{prefix}{family.task_name(positive, negative)}"
    chosen = rng.random(settings.queries) < settings.generated
    seed = int(rng.integers(2**62))
    return Episode(query, parts.labels, of_positive, of_negative, observed, name, chosen, seed)


def without_strongest(
    observed: npt.NDArray[np.bool_],
    positive: npt.NDArray[np.float32],
    negative: npt.NDArray[np.float32],
    *,
    share: float,
    least: int,
) -> npt.NDArray[np.bool_]:
    """`observed` (G,) less this share of its genes: those whose means differ most, in units of their sd."""
    within = positive.var(axis=0) + negative.var(axis=0)
    seen = np.flatnonzero(observed)
    gone = min(int(share * seen.size), max(0, seen.size - least))
    typical = float(np.median(within[seen])) if seen.size else 1.0
    difference = np.abs(positive.mean(axis=0) - negative.mean(axis=0)) / np.sqrt(
        within + 0.3 * typical + 1e-6
    )
    kept = observed.copy()
    kept[seen[np.argsort(-difference[seen], kind="stable")[:gone]]] = False
    return kept
