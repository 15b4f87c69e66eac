"""What the default generator is trained by: samples must be to other patients what these are to each other.

The energy score (Gneiting & Raftery, J Am Stat Assoc 102:359, 2007) of samples made from references against
other real samples of the kind is smallest, on average, for the distribution that these come from; a
generator of too little variety, or one that stays near its references, scores worse. In thousands of genes
the score of whole samples hardly depends on how genes go together, so it is taken in three spaces: whole
samples, their directions, and blocks of genes that go together in the references.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch.nn.functional import softplus

from consilience.learning.players import Loss, Player
from consilience.rnagan.episodes import EpisodeBatch
from consilience.rnagan.networks.default_generator_network import DefaultGenerator

Judge = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]
"""Logits (n,) that samples (n, G) are of the kind of references (R, G)."""
SMALL_SD = 0.05


@dataclass(frozen=True)
class EnergySettings:
    """`blocks` blocks of `block_genes` genes; `adversarial` weight of the judge's verdict, if any."""

    blocks: int = 16
    block_genes: int = 30
    adversarial: float = 0.1


def energy_score(first: torch.Tensor, second: torch.Tensor, real: torch.Tensor) -> torch.Tensor:
    """Mean distance of samples from `real`, less half the mean distance between independent samples.

    `first` (…, n, d) and `second` (…, k, d) are drawn independently of each other, `real` (…, m, d): (…,).
    Samples of one round belong together, so pairs are taken across the two.
    """
    across = torch.cdist(torch.cat([first, second], dim=-2), real, compute_mode=_EXACT)
    between = torch.cdist(first, second, compute_mode=_EXACT)
    return across.mean(dim=(-2, -1)) - between.mean(dim=(-2, -1)) / 2


_EXACT = "donot_use_mm_for_euclid_dist"


def generator_energy(
    generator: DefaultGenerator,
    *,
    references: torch.Tensor,
    real: torch.Tensor,
    noise: torch.Generator,
    settings: EnergySettings | None = None,
) -> dict[str, torch.Tensor]:
    """Energy scores of one episode, by space: `whole`, `direction`, `blocks`, each about 1.

    `references` (R, G), R ≥ 2; `real` (m, G) other samples of their kind; `noise` on the CPU.
    """
    settings = settings or EnergySettings()
    centre, sd = references.mean(dim=0), references.std(dim=0)
    varies = sd > 0
    made = [generator.draw_round(references, noise) for _ in range(2)]
    scale = (sd + SMALL_SD).where(varies, torch.ones_like(sd))
    first, second, other = ((one - centre)[:, varies] / scale[varies] for one in (*made, real))
    found = {
        "whole": energy_score(first, second, other) / max(1, first.shape[1]) ** 0.5,
        "direction": energy_score(*(_unit(one) for one in (first, second, other))),
    }
    width = min(settings.block_genes, first.shape[1])
    if width < 2:
        return found
    of_references = _unit(((references - centre)[:, varies] / scale[varies]).T)
    anchors = torch.randint(first.shape[1], (settings.blocks,), generator=noise).to(references.device)
    # chosen by the references alone: choosing by the real samples would make the score improper
    blocks = (of_references[anchors] @ of_references.T).topk(width, dim=1).indices
    parts = (one[:, blocks].transpose(0, 1) for one in (first, second, other))
    found["blocks"] = energy_score(*parts).mean() / width**0.5
    return found


def batch_energy(
    generator: DefaultGenerator,
    batch: EpisodeBatch,
    *,
    judge: Judge | None = None,
    settings: EnergySettings | None = None,
) -> Loss:
    """Mean over episodes of the summed energy scores, and of what a judge says of samples."""
    settings = settings or EnergySettings()
    total: list[torch.Tensor] = []
    metrics: dict[str, torch.Tensor | float] = {}
    # noise of the episode alone, drawn on the CPU: neither the device nor the parting of a batch changes it
    for number, seed in enumerate(batch.seeds.tolist()):
        references = batch.positive[number]
        real = batch.query[number][batch.labels[number]]
        own = torch.Generator().manual_seed(seed)
        scores = generator_energy(generator, references=references, real=real, noise=own, settings=settings)
        value = torch.stack(list(scores.values())).sum()
        if judge is not None:
            verdict = softplus(-judge(generator.draw_round(references, own), references)).mean()
            scores["judge"] = verdict
            value = value + settings.adversarial * verdict
        total.append(value)
        for name, score in scores.items():
            metrics[name] = metrics.get(name, 0.0) + score.detach() / len(batch)
    return Loss(torch.stack(total).mean(), metrics)


def generator_player(
    generator: DefaultGenerator,
    *,
    rate: float = 1e-3,
    only_shares: bool = False,
    judge: Judge | None = None,
    settings: EnergySettings | None = None,
    every: int = 1,
) -> Player:
    """The generator as a player of `learning.fit.fit`, on batches of episodes.

    `only_shares`: only the few numbers that set the shares are trained (ten times as fast as loadings), which
    is what five to thirty references of a study can tell; the loadings stay as pretrained.
    """
    few = [generator.first, generator.second, generator.settings]
    many: Sequence[torch.nn.Parameter] = [
        parameter
        for parameter in (generator.loadings, generator.pathway_loadings, generator.member_weights)
        if parameter.numel() and not only_shares
    ]
    groups = [{"params": few, "lr": 10 * rate}]
    if many:
        groups.append({"params": list(many), "lr": rate})
    return Player(
        "generator", generator, torch.optim.Adam(groups, lr=rate),
        lambda batch, _: batch_energy(generator, batch, judge=judge, settings=settings),
        every=every,
    )  # fmt: skip


def _unit(rows: torch.Tensor) -> torch.Tensor:
    lengths: torch.Tensor = rows.norm(dim=-1, keepdim=True)
    return rows / lengths.clamp(min=1e-9)
