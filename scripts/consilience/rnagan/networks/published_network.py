"""The published discriminator, which says whether a sample is of the same kind as references.

References
----------
Hou Z, Lee, Kwong, Guan, Liu, Dai. RNAGAN. bioRxiv 10.64898/2026.03.17.712527, 2026.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from consilience.foundation.errors import ModelError
from consilience.pathways.wiring import Wiring
from consilience.rnagan.networks.pooling_layer import max_and_mean
from consilience.rnagan.networks.published_generator_network import PublishedGenerator
from consilience.rnagan.networks.published_pathway_layer import Block, Normalised, PathwaysAndGenes, dense
from consilience.rnagan.presets import Preset


class PublishedDiscriminator(nn.Module):
    """Query and references → pathways and genes → [query; max; mean] → 256 → 64 → 16 → 1.

    All samples are on the model's log scale, (…, n, G), and are turned back to the linear scale inside. A
    feature is a pathway or a gene: pathways come first (`feature_names`).
    """

    def __init__(self, preset: Preset, wiring: Wiring, *, seed: int = 0) -> None:
        super().__init__()
        wide, vector, narrow = preset.hidden
        self.wiring, self.vector_size = wiring, vector
        self.inputs = PathwaysAndGenes(wiring, pathways=preset.pathways, base2=preset.base2, seed=seed)
        n = self.inputs.n_features
        self.normalised = Normalised(n)
        self.wide = Block(3 * n, wide, seed=seed, key="D wide", dropout=preset.dropout)
        self.vector = Block(wide, vector, seed=seed, key="D vector")
        self.narrow = Block(vector, narrow, seed=seed, key="D narrow")
        self.out = dense(narrow, 1, seed=seed, key="D out")

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Pathways, then genes."""
        return (*self.inputs.pathways, *self.inputs.genes)

    def forward(
        self,
        query: torch.Tensor,
        positive: torch.Tensor,
        negative: torch.Tensor | None = None,
        *,
        observed: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """Logits (…, n): how well each query fits `positive`, less how well it fits `negative`.

        `query` (…, n, G), `positive` (…, R, G), `negative` (…, S, G) or None, `observed` (…, G) truths.
        """
        other = None if negative is None else self.features(negative, observed)
        return self.of_features(self.features(query, observed), self.features(positive, observed), other)

    def of_features(
        self, query: torch.Tensor, positive: torch.Tensor, negative: torch.Tensor | None = None
    ) -> torch.Tensor:
        """The same logits from features (…, n, F), (…, R, F), (…, S, F): for effects of single features."""
        logits = self.set_logits(query, positive, negative)
        return logits[0] if len(logits) == 1 else logits[0] - logits[1]

    def set_logits(
        self, query: torch.Tensor, positive: torch.Tensor, negative: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, ...]:
        """Logits (…, n) of the features `query` against each set by itself: positive, and negative if any."""
        leading, n = query.shape[:-2], query.shape[-2]
        rows = query.reshape(-1, query.shape[-1])
        if any(part.shape[:-2] != leading for part in (positive, negative) if part is not None):
            raise ModelError(
                "queries and references have other leading sizes", value=f"{leading}, {positive.shape[:-2]}"
            )
        n_groups = leading.numel()
        sets = [part.reshape(n_groups, *part.shape[-2:]) for part in (positive, negative) if part is not None]
        group = torch.arange(len(rows), device=rows.device) // n
        query_of = torch.arange(len(rows), device=rows.device).repeat(len(sets))
        set_of = torch.cat([group + number * n_groups for number in range(len(sets))])
        logits = self.pair_logits(rows, sets, query_of, set_of)
        return tuple(part.reshape(*leading, n) for part in logits.chunk(len(sets)))

    def pair_logits(
        self,
        queries: torch.Tensor,
        sets: Sequence[torch.Tensor],
        query_of: torch.Tensor,
        set_of: torch.Tensor,
    ) -> torch.Tensor:
        """Logit of each pair of a query and a set, (pairs,).

        `queries` (Q, F); `sets` tensors (K_i, R_i, F), numbered through; `query_of`, `set_of` (pairs,).
        All rows are normalised together, once, however many pairs they are in.
        """
        return self.out(self.narrow(self._vector_block(queries, sets, query_of, set_of)))[..., 0]  # type: ignore[no-any-return]

    def vectors(
        self,
        samples: torch.Tensor,
        references: torch.Tensor | None = None,
        *,
        observed: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """One vector per sample, (…, n, G) → (…, n, 64): the 64-unit layer.

        Each sample is its own reference, unless `references` (…, R, G) are given for all (the authors' second
        version takes the mean over draws of references). For use in evaluation mode.
        """
        features = self.features(samples, observed)
        rows = features.reshape(-1, features.shape[-1])
        number = torch.arange(len(rows), device=rows.device)
        sets, set_of = rows.unsqueeze(1), number
        if references is not None:
            own = self.features(references, observed)
            sets, set_of = own.reshape(-1, *own.shape[-2:]), number // samples.shape[-2]
        return self._vector_block(rows, [sets], number, set_of).reshape(*samples.shape[:-1], self.vector_size)

    def group_vector(self, references: torch.Tensor, *, observed: torch.Tensor | None = None) -> torch.Tensor:
        """One vector of a group, (…, R, G) → (…, 64): the mean of its members' vectors among each other.

        The published vector of a group is the generator's (`PublishedGenerator.group_vector`).
        """
        return self.vectors(references, references, observed=observed).mean(dim=-2)

    def pathway_scores(self, samples: torch.Tensor, *, observed: torch.Tensor | None = None) -> torch.Tensor:
        """Values of the pathway layer, (…, n, G) → (…, n, P), on the linear scale."""
        return self.inputs.scores(self.inputs.linear(samples, observed))

    def features(self, samples: torch.Tensor, observed: torch.Tensor | None = None) -> torch.Tensor:
        """Pathways and genes on the linear scale: (…, n, G) → (…, n, P + G)."""
        features: torch.Tensor = self.inputs(self.inputs.linear(samples, observed))
        return features

    def _vector_block(
        self,
        queries: torch.Tensor,
        sets: Sequence[torch.Tensor],
        query_of: torch.Tensor,
        set_of: torch.Tensor,
    ) -> torch.Tensor:
        """Activations of the 64-unit layer for each pair, (pairs, 64)."""
        n = queries.shape[-1]
        rows = self.normalised(torch.cat([queries, *(part.reshape(-1, n) for part in sets)]))
        sizes = [len(queries), *(part.shape[0] * part.shape[1] for part in sets)]
        query, *members = rows.split(sizes)
        pooled = torch.cat(
            [max_and_mean(part.reshape(given.shape)) for part, given in zip(members, sets, strict=True)]
        )
        # the dense layer of [query; max; mean], without writing that row for every pair
        weight = self.wide.dense.weight
        of_query, of_set = query @ weight[:, :n].T, pooled @ weight[:, n:].T
        first = of_query[query_of] + of_set[set_of] + self.wide.dense.bias
        activations: torch.Tensor = self.vector(self.wide.after(first))
        return activations


def build_published(
    preset: Preset, wiring: Wiring, *, seed: int
) -> tuple[PublishedDiscriminator, PublishedGenerator]:
    """Both published networks with their first weights."""
    return PublishedDiscriminator(preset, wiring, seed=seed), PublishedGenerator(preset, wiring, seed=seed)
