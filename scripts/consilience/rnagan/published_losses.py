"""The published losses: minus the logarithm of the mean score (not the mean of logarithms).

Each query is scored with the references of its own kind (should be 1) and with those of the other kind, as if
the groups had been shifted by one (should be 0). The logarithm of a mean
forgives single wrong answers and saturates; the default preset takes the mean of logarithms.
"""

from __future__ import annotations

import math

import torch
from torch.nn.functional import logsigmoid

from consilience.rnagan.networks.published_generator_network import PublishedGenerator
from consilience.rnagan.networks.published_network import PublishedDiscriminator


def log_of_mean(logits: torch.Tensor) -> torch.Tensor:
    """−log(mean(sigmoid(logits))), exact also where all sigmoids are tiny; any shape to a scalar."""
    flat = logsigmoid(logits.flatten())
    return math.log(flat.numel()) - torch.logsumexp(flat, dim=0)


def discriminator_loss(
    discriminator: PublishedDiscriminator,
    *,
    query: torch.Tensor,
    labels: torch.Tensor,
    positive: torch.Tensor,
    negative: torch.Tensor | None = None,
    observed: torch.Tensor | None = None,
    generator: PublishedGenerator | None = None,
    chosen: torch.Tensor | None = None,
) -> torch.Tensor:
    """Loss of the discriminator over T episodes; with `generator`, some generated samples count as negatives.

    `query` (T, n, G), `labels` (T, n) truths, `positive` (T, R, G), `negative` (T, S, G), `observed`
    (T, G). A query and the references of its own kind are a group; those `chosen` (T, n; each with
    probability 0.1, see `EpisodeSettings.generated`) add a generated query. Without negative references there
    is no other kind to shift to, and queries that are not of the kind count as negatives.

    The logarithm is taken over the episodes given: of a batch in parts, the mean of the parts' losses is not
    the loss of the whole (but each part trains towards the same).
    """
    sets = [part for part in (positive, negative) if part is not None]
    features = [discriminator.features(part, observed) for part in sets]
    queries = discriminator.features(query, observed).flatten(0, 1)
    n_episodes, n = labels.shape
    episode = torch.arange(n_episodes, device=labels.device).repeat_interleave(n)
    number, true = torch.arange(len(queries), device=labels.device), labels.flatten()
    query_of, set_of = (
        number.repeat(len(sets)),
        torch.cat([episode + k * n_episodes for k in range(len(sets))]),
    )
    wanted = torch.cat([true, ~true][: len(sets)])
    if generator is not None and chosen is not None:
        own = torch.where(true, episode, episode + n_episodes)
        used = chosen.flatten() & true if negative is None else chosen.flatten()
        of_group = own[used]
        if len(of_group):
            made = discriminator.features(_generated(generator, sets, observed)[of_group])
            new = torch.arange(len(of_group), device=labels.device) + len(queries)
            queries = torch.cat((queries, made))
            query_of, set_of = torch.cat((query_of, new)), torch.cat((set_of, of_group))
            wanted = torch.cat((wanted, torch.zeros_like(of_group, dtype=torch.bool)))
    logits = discriminator.pair_logits(queries, features, query_of, set_of)
    return log_of_mean(torch.where(wanted, logits, -logits))


def generator_loss(
    discriminator: PublishedDiscriminator,
    generator: PublishedGenerator,
    *,
    positive: torch.Tensor,
    negative: torch.Tensor | None = None,
    observed: torch.Tensor | None = None,
) -> torch.Tensor:
    """−log of the mean score of generated samples with the references that they were made from.

    `positive` (T, R, G), `negative` (T, S, G), `observed` (T, G). Only the generator's parameters should be
    stepped; whether the discriminator's batch normalisation trains along is the caller's choice of mode.
    """
    sets = [part for part in (positive, negative) if part is not None]
    made = _of_sets(generator, sets, observed)
    number = torch.arange(len(made), device=made.device)
    features = [discriminator.features(part, observed) for part in sets]
    return log_of_mean(discriminator.pair_logits(discriminator.features(made), features, number, number))


def _generated(
    generator: PublishedGenerator, sets: list[torch.Tensor], observed: torch.Tensor | None
) -> torch.Tensor:
    """One generated sample for each set, positive sets first, (sets, G); no gradient flows back."""
    with torch.no_grad():
        return _of_sets(generator, sets, observed)


def _of_sets(
    generator: PublishedGenerator, sets: list[torch.Tensor], observed: torch.Tensor | None
) -> torch.Tensor:
    """One sample for each set; sets of equal sizes share one batch normalisation."""
    if len({part.shape[1] for part in sets}) > 1:
        return torch.cat([generator.generate(part, observed=observed) for part in sets])
    each = None if observed is None else observed.repeat(len(sets), 1)
    return generator.generate(torch.cat(sets), observed=each)
