"""The one training procedure: pretrain on any cohorts, then adapt to one cohort.

Both draw "same kind?" episodes and take the stages of the preset one after the other; only where the episodes
come from differs. The default networks begin with what the corpus itself says in closed form (its contrasts
and the moments of its genes), so that gradient steps refine and never have to search.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from consilience.foundation.errors import DataError
from consilience.learning.players import Loss, Player
from consilience.learning.schedule import Schedule
from consilience.rnagan.contrasts import MIN_DONORS, remember, softened
from consilience.rnagan.corpus import CohortTasks, Corpus
from consilience.rnagan.episodes import EpisodeBatch
from consilience.rnagan.presets import Preset, Stage

if TYPE_CHECKING:
    import torch

    from consilience.learning.fit import FitResult

MOST_ROWS = 500
"""Rows of a cohort that enter the moments of its genes."""
MOST_IN_GROUP = 40
"""Samples of one kind that enter the generator's factors."""
FEW, SLOW = 64, 0.01
"""Parameters of up to FEW numbers say how much to trust what; the default's larger ones begin at closed-form
values and move slower by SLOW."""


@dataclass(frozen=True)
class Trained:
    """How a training went: `history` lines of all stages (each with its `stage`), `tasks` remembered."""

    history: tuple[dict[str, Any], ...]
    tasks: tuple[tuple[str, ...], ...]
    device: str


def train(
    discriminator: torch.nn.Module,
    generator: torch.nn.Module,
    *,
    preset: Preset,
    corpus: Corpus,
    stages: tuple[Stage, ...],
    seed: int,
    device: str = "cpu",
    folder: Path | None = None,
    key: Mapping[str, Any] | None = None,
    keep: bool = False,
) -> Trained:
    """Train both networks in place through `stages`; stages whose kind of cohort is absent are passed over.

    `folder` holds one checkpoint folder for each stage, and an interrupted training goes on where it was.
    `keep`: the discriminator keeps its contrasts beside those of this corpus (adapting).
    """
    from consilience.learning.fit import fit

    tasks: tuple[tuple[str, ...], ...] = ()
    if preset.name == "default":
        tasks = begin_from(discriminator, corpus, keep=keep)
        if not keep:  # a study's own patients are too few to say more of the factors
            begin_factors(generator, corpus)
    history: list[dict[str, Any]] = []
    used = device
    for number, stage in enumerate(stages):
        cohorts = _cohorts_of(corpus, stage)
        if cohorts is None or stage.epochs * stage.steps == 0:
            continue
        result: FitResult = fit(
            players=_players(discriminator, generator, preset, stage),
            batches=lambda epoch, step, rng, source=cohorts: source.batch(  # type: ignore[misc]
                epoch=epoch, step=step, settings=preset.episodes
            ),
            schedule=Schedule(stage.epochs, stage.steps, rate="cosine", clip_norm=5.0),
            seed=seed, device=device, precision="auto",
            folder=None if folder is None else folder / f"{number + 1}-{stage.name.replace(' ', '-')}",
            key=dict(key or {}), label=f"RNAGAN, {stage.name}",
        )  # fmt: skip
        history += [{"stage": stage.name, **line} for line in result.history]
        used = result.device
    discriminator.train(mode=False)
    generator.train(mode=False)
    return Trained(tuple(history), tasks, used)


def begin_from(discriminator: Any, corpus: Corpus, *, keep: bool = False) -> tuple[tuple[str, ...], ...]:
    """Put the corpus's contrasts and gene moments into the default discriminator; returns its tasks.

    `keep`: contrasts that it has stay as far as there is room (adapting), else they go.
    """
    import torch

    cohorts = corpus.cohorts()
    softening = float(discriminator.log_softening.detach().exp()) if discriminator.soften else None
    size = discriminator.vector_size
    found = remember(cohorts, most=size // 4 if keep else size, softening=softening)
    mean, variance = gene_moments(cohorts, softening=softening)
    with torch.no_grad():
        old = discriminator.gene_contrasts.clone() if keep else torch.zeros(0, len(mean))
        every = torch.cat([torch.from_numpy(found.directions), old])[:size]
        discriminator.gene_contrasts.zero_()
        discriminator.gene_contrasts[: len(every)] = every
        discriminator.gene_mean.copy_(torch.from_numpy(mean))
        discriminator.gene_variance.copy_(torch.from_numpy(variance))
    return found.names


def begin_factors(generator: Any, corpus: Corpus) -> None:
    """Give the default generator the principal axes of the variation within kinds as its first factors."""
    import torch

    groups = []
    for cohort in corpus.cohorts():
        for family in cohort.families:
            for level in family.levels:
                if np.unique(level.donors).size >= MIN_DONORS:
                    rows = np.linspace(0, level.rows.size - 1, min(level.rows.size, MOST_IN_GROUP)).astype(int)
                    groups.append(torch.from_numpy(cohort.rows.dense(level.rows[rows, None])))
    if groups:
        generator.start_from(groups)


def gene_moments(cohorts: tuple[CohortTasks, ...], *, softening: float | None) -> tuple[Any, Any]:
    """Mean, and mean variance within cohorts, of each gene (G,), over the cohorts that measured it."""
    n_genes = len(cohorts[0].observed)
    total, spread, seen = np.zeros(n_genes), np.zeros(n_genes), np.zeros(n_genes)
    for cohort in cohorts:
        rows = np.linspace(0, len(cohort.rows) - 1, min(len(cohort.rows), MOST_ROWS)).astype(int)[:, None]
        values = softened(cohort.rows.dense(rows), cohort.observed, softening=softening)
        total += values.mean(axis=0) * cohort.observed
        spread += values.var(axis=0) * cohort.observed
        seen += cohort.observed
    if not seen.any():
        raise DataError("no gene was measured in any cohort")
    some = np.maximum(seen, 1)
    return (total / some).astype(np.float32), (spread / some).astype(np.float32)


def _cohorts_of(corpus: Corpus, stage: Stage) -> Corpus | None:
    if stage.data in {"any", "own"}:
        return corpus
    try:
        return corpus.of(stage.data)
    except DataError:
        return None


def _players(
    discriminator: torch.nn.Module, generator: torch.nn.Module, preset: Preset, stage: Stage
) -> list[Player]:
    import torch

    def adam(module: torch.nn.Module, rate: float) -> torch.optim.Optimizer:
        weights = [weight for weight in module.parameters() if weight.requires_grad]
        groups = [
            {"params": [weight for weight in weights if weight.numel() <= FEW], "lr": rate},
            {"params": [weight for weight in weights if weight.numel() > FEW],
             "lr": rate if preset.name == "published" else rate * SLOW},
        ]  # fmt: skip
        return torch.optim.AdamW([group for group in groups if group["params"]], betas=preset.betas,
                                 weight_decay=preset.weight_decay)  # fmt: skip

    if preset.name == "default":
        from consilience.rnagan.generator_losses import generator_player

        players = [Player("discriminator", discriminator, adam(discriminator, stage.rate_discriminator),
                          _log_loss(discriminator))]  # fmt: skip
        if stage.generator:
            own = stage.data == "own"
            players.append(generator_player(generator, rate=stage.rate_generator, only_shares=own))  # type: ignore[arg-type]
        return players
    of_discriminator, of_generator = _published_losses(discriminator, generator, stage)
    players = [
        Player(
            "discriminator", discriminator, adam(discriminator, stage.rate_discriminator), of_discriminator
        )
    ]
    if stage.generator:
        players.append(Player("generator", generator, adam(generator, stage.rate_generator), of_generator))
    return players


def _log_loss(discriminator: torch.nn.Module) -> Callable[[EpisodeBatch, torch.Generator], Loss]:
    """Log loss of each query."""
    from torch.nn.functional import binary_cross_entropy_with_logits

    def loss(batch: EpisodeBatch, noise: torch.Generator) -> Loss:
        logits = discriminator(batch.query, batch.positive, batch.negative, observed=batch.observed)
        right = ((logits > 0) == batch.labels).float().mean()
        return Loss(binary_cross_entropy_with_logits(logits, batch.labels.to(logits.dtype)), {"right": right})

    return loss


def _published_losses(discriminator: Any, generator: Any, stage: Stage) -> tuple[Any, Any]:
    """The authors' -log of the mean score."""
    from consilience.rnagan.published_losses import discriminator_loss, generator_loss

    def of_discriminator(batch: EpisodeBatch, noise: torch.Generator) -> Loss:
        return Loss(discriminator_loss(
            discriminator, query=batch.query, labels=batch.labels, positive=batch.positive,
            negative=batch.negative, observed=batch.observed,
            generator=generator if stage.generator else None, chosen=batch.chosen,
        ))  # fmt: skip

    def of_generator(batch: EpisodeBatch, noise: torch.Generator) -> Loss:
        return Loss(generator_loss(discriminator, generator, positive=batch.positive, negative=batch.negative,
                                   observed=batch.observed))  # fmt: skip

    return of_discriminator, of_generator
