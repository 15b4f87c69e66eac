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

from consilience.foundation.errors import DataError, ModelError
from consilience.learning.players import Loss, Player
from consilience.learning.schedule import Schedule
from consilience.rnagan.contrasts import MIN_DONORS, evenly, remember, softened
from consilience.rnagan.corpus import CohortTasks, Corpus
from consilience.rnagan.episodes import EpisodeBatch
from consilience.rnagan.presets import Preset, Stage

if TYPE_CHECKING:
    import numpy.typing as npt
    import torch

    from consilience.learning.fit import Batches, FitResult
    from consilience.rnagan.networks.default_generator_network import DefaultGenerator

LossOf = Callable[[EpisodeBatch, "torch.Generator"], Loss]
MOST_ROWS = 500
"""Rows of a cohort that enter the moments of its genes."""
MOST_IN_GROUP = 40
"""Samples of one kind that enter the generator's factors."""
MOST_GROUPS = 60
"""Kinds that do, evenly over all of them: their samples are compared with each other, all at once."""
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
        cohorts = cohorts_of(corpus, stage)
        if cohorts is None or stage.epochs * stage.steps == 0:
            continue
        result: FitResult = fit(
            players=players_of(discriminator, generator, preset, stage), batches=_episodes(cohorts, preset),
            schedule=Schedule(stage.epochs, stage.steps, rate=preset.rate, clip_norm=preset.clip_norm),
            seed=seed, device=device, precision="auto",
            folder=None if folder is None else folder / f"{number + 1}-{stage.name.replace(' ', '-')}",
            key=dict(key or {}), label=f"RNAGAN, {stage.name}",
        )  # fmt: skip
        history += [{"stage": stage.name, **line} for line in result.history]
        used = result.device
    discriminator.train(mode=False)
    generator.train(mode=False)
    return Trained(tuple(history), tasks, used)


def _episodes(corpus: Corpus, preset: Preset) -> Batches:
    def episodes(epoch: int, step: int, rng: np.random.Generator) -> EpisodeBatch:
        return corpus.batch(epoch=epoch, step=step, settings=preset.episodes)

    return episodes


def begin_from(
    discriminator: torch.nn.Module, corpus: Corpus, *, keep: bool = False
) -> tuple[tuple[str, ...], ...]:
    """Put the corpus's contrasts and gene moments into the default discriminator; returns its tasks.

    `keep`: contrasts that it has stay as far as there is room (adapting), else they go.
    """
    import torch

    from consilience.rnagan.networks.default_network import DefaultDiscriminator

    if not isinstance(discriminator, DefaultDiscriminator):
        raise ModelError("only the default discriminator remembers contrasts", value=type(discriminator))
    cohorts = corpus.cohorts()
    softening = float(discriminator.log_softening.detach().exp()) if discriminator.soften else None
    size = discriminator.vector_size
    found = remember(cohorts, most=size // 4 if keep else size, softening=softening)
    mean, variance = gene_moments(cohorts, softening=softening)
    with torch.no_grad():
        now = discriminator.gene_contrasts
        every = torch.cat([torch.from_numpy(found.directions).to(now), now if keep else now[:0]])[:size]
        now.zero_()
        now[: len(every)] = every
        discriminator.gene_mean.copy_(torch.from_numpy(mean))
        discriminator.gene_variance.copy_(torch.from_numpy(variance))
    return found.names


def begin_factors(generator: torch.nn.Module, corpus: Corpus) -> None:
    """Give the default generator the principal axes of the variation within kinds as its first factors."""
    import torch

    levels = [
        (cohort.rows, level)
        for cohort in corpus.cohorts() for family in cohort.families for level in family.levels
        if np.unique(level.donors).size >= MIN_DONORS
    ]  # fmt: skip
    chosen = [levels[place] for place in evenly(len(levels), MOST_GROUPS)]
    if chosen:
        _default_generator(generator).start_from([
            torch.from_numpy(rows.dense(level.rows[evenly(level.rows.size, MOST_IN_GROUP)]))
            for rows, level in chosen
        ])  # fmt: skip


def gene_moments(
    cohorts: tuple[CohortTasks, ...], *, softening: float | None
) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]:
    """Mean, and mean variance within cohorts, of each gene (G,), over the cohorts that measured it."""
    n_genes = len(cohorts[0].observed)
    total, spread, seen = np.zeros(n_genes), np.zeros(n_genes), np.zeros(n_genes)
    for cohort in cohorts:
        # of samples that belong to a task alone: what is held out may still lie among the rows
        rows = np.unique(
            np.concatenate([level.rows for family in cohort.families for level in family.levels])
        )
        values = cohort.rows.dense(rows[evenly(rows.size, MOST_ROWS)])
        values = softened(values, cohort.observed, softening=softening)
        total += values.mean(axis=0) * cohort.observed
        spread += values.var(axis=0) * cohort.observed
        seen += cohort.observed
    if not seen.any():
        raise DataError("no gene was measured in any cohort")
    some = np.maximum(seen, 1)
    return (total / some).astype(np.float32), (spread / some).astype(np.float32)


def cohorts_of(corpus: Corpus, stage: Stage) -> Corpus | None:
    """What of a corpus a stage learns from; None where it has nothing of the kind."""
    if stage.data in {"any", "own"}:
        return corpus
    try:
        return corpus.of(stage.data)
    except DataError:
        return None


def players_of(
    discriminator: torch.nn.Module, generator: torch.nn.Module, preset: Preset, stage: Stage
) -> list[Player]:
    """The discriminator, and the generator in stages that train it, with their losses and optimisers."""
    optimiser = _optimiser(discriminator, stage.rate_discriminator, preset)
    if preset.name == "default":
        from consilience.rnagan.generator_losses import generator_player

        players = [Player("discriminator", discriminator, optimiser, log_loss(discriminator))]
        if stage.generator:
            own = stage.data == "own"
            players.append(
                generator_player(_default_generator(generator), rate=stage.rate_generator, only_shares=own)
            )
        return players
    of_discriminator, of_generator = _published_losses(discriminator, generator, stage)
    players = [Player("discriminator", discriminator, optimiser, of_discriminator)]
    if stage.generator:
        mine = _optimiser(generator, stage.rate_generator, preset)
        players.append(Player("generator", generator, mine, of_generator))
    return players


def _default_generator(generator: torch.nn.Module) -> DefaultGenerator:
    from consilience.rnagan.networks.default_generator_network import DefaultGenerator

    if not isinstance(generator, DefaultGenerator):
        raise ModelError("the default preset trains the default generator", value=type(generator))
    return generator


def _optimiser(module: torch.nn.Module, rate: float, preset: Preset) -> torch.optim.Optimizer:
    import torch

    weights = [weight for weight in module.parameters() if weight.requires_grad and weight.numel()]
    slow = rate if preset.name == "published" else rate * SLOW
    groups = [
        {"params": [weight for weight in weights if weight.numel() <= FEW], "lr": rate},
        {"params": [weight for weight in weights if weight.numel() > FEW], "lr": slow},
    ]
    return torch.optim.AdamW(
        [group for group in groups if group["params"]], betas=preset.betas, weight_decay=preset.weight_decay
    )


def log_loss(discriminator: torch.nn.Module) -> LossOf:
    """Mean log loss of an episode's queries; `right`, the share on the right side of 0, is watched."""
    from torch.nn.functional import binary_cross_entropy_with_logits

    def loss(batch: EpisodeBatch, noise: torch.Generator) -> Loss:
        logits = discriminator(batch.query, batch.positive, batch.negative, observed=batch.observed)
        right = ((logits > 0) == batch.labels).float().mean()
        return Loss(binary_cross_entropy_with_logits(logits, batch.labels.to(logits.dtype)), {"right": right})

    return loss


def _published_losses(discriminator: Any, generator: Any, stage: Stage) -> tuple[LossOf, LossOf]:
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
