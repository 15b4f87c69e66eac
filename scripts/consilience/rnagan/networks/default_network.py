"""The default discriminator: what it knows is learned once, what it is asked is solved from the references.

A published set-conditioned network has to learn classification itself, and loses to a nearest centroid where
references are few. Here the references are the training set of small classifiers that are solved in closed
form (`solved_head_network`), and the network learns what they are fed: how values are softened, how genes are
weighed, and 64 contrasts of pathways and genes that told kinds apart in pretraining. Leaving out each
reference says how far each classifier is to be believed on this very question.

Heads: two discriminants on genes (two weightings), one on pathways, one on genes and remembered contrasts
together, one on remembered contrasts alone.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from consilience.foundation.seeds import stream
from consilience.pathways.layer import PathwayLinear
from consilience.pathways.wiring import Wiring
from consilience.rnagan.networks.reference_scale_network import Scaled, gene_weights, scale, within_variance
from consilience.rnagan.networks.solved_head_network import (
    Direction,
    Folds,
    class_weights,
    leave_one_out,
    separation,
    solve_direction,
)
from consilience.rnagan.presets import Preset

HEADS = ("genes", "z_scores", "pathways", "genes_and_contrasts", "contrasts")
LARGEST_TRUST = 2.0


@dataclass(frozen=True)
class Views:
    """References and queries in two weightings of genes, and their pathways and contrasts.

    `references`, `queries` (one Scaled for each weighting); `pathways`, `contrasts`: (..., m, k) of the
    references and (..., n, k) of the queries.
    """

    references: tuple[Scaled, Scaled]
    queries: tuple[Scaled, Scaled]
    pathways: tuple[Tensor, Tensor] | None
    contrasts: tuple[Tensor, Tensor]


class DefaultDiscriminator(nn.Module):
    """Logits of queries given positive references, and negative ones where there are any.

    `soften`: values are natural log1p of scaled counts, whatever their total, and are softened (`_softened`).
    Invariant to the order of references.
    """

    gene_mean: Tensor
    gene_variance: Tensor

    def __init__(
        self,
        wiring: Wiring,
        *,
        pathways: str = "learned",
        vector_size: int = 64,
        soften: bool = True,
        seed: int = 0,
    ) -> None:
        super().__init__()
        n_genes = len(wiring.genes)
        has_pathways = pathways != "none" and len(wiring.pathways) > 0
        self.wiring, self.vector_size, self.soften = wiring, vector_size, soften
        self.pathway_layer = (
            PathwayLinear(wiring, bias=False, learned=pathways == "learned", seed=seed)
            if has_pathways
            else None
        )
        if self.pathway_layer is not None:
            with (
                torch.no_grad()
            ):  # learned weights begin where fixed ones stay: at the mean of the pathway's genes
                self.pathway_layer.weight.copy_(
                    PathwayLinear(wiring, bias=False, learned=False, implementation=None).weight
                )
        draw = stream(seed, "default discriminator").normal(size=(vector_size, n_genes)) / n_genes**0.5
        self.gene_contrasts = nn.Parameter(torch.from_numpy(draw).float())
        n_pathways = len(wiring.pathways) if has_pathways else 0
        self.pathway_contrasts = nn.Parameter(torch.zeros(vector_size, n_pathways))
        self.log_softening = nn.Parameter(torch.tensor(0.9))
        self.weight_exponents = nn.Parameter(torch.tensor([0.0, 1.0]))
        self.log_floor = nn.Parameter(torch.tensor(-1.2))
        self.log_shrinkage = nn.Parameter(torch.tensor([-1.2, -1.2, 0.0, -1.2, 0.0]))
        self.log_gate = nn.Parameter(torch.tensor([1.4, 1.4]))
        self.log_contrast_share = nn.Parameter(torch.tensor(-4.3))
        self.log_prior_trust = nn.Parameter(torch.tensor([-0.7, -3.5, -0.5, -3.5]))
        self.log_evidence_trust = nn.Parameter(torch.tensor(-0.7))
        self.log_gain = nn.Parameter(torch.tensor(0.0))
        self.log_doubt = nn.Parameter(torch.tensor(1.4))
        self.one_kind = nn.Parameter(torch.tensor([1.0, 0.0]))
        self.register_buffer("gene_mean", torch.zeros(n_genes))
        self.register_buffer("gene_variance", torch.ones(n_genes))

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Pathways, then genes."""
        layer = self.pathway_layer
        return (*(() if layer is None else layer.pathways), *self.wiring.genes)

    def forward(
        self,
        query: Tensor,
        positive: Tensor,
        negative: Tensor | None = None,
        *,
        observed: Tensor | None = None,
    ) -> Tensor:
        """Logits (..., n) of queries (..., n, G) given references (..., R, G) and (..., S, G) or None.

        `observed` (..., G) truths: genes that were measured; the others count nowhere.
        """
        kinds = [positive] if negative is None else [positive, negative]
        references = self._softened(torch.cat(kinds, dim=-2), observed)
        query = self._softened(query, observed)
        n_positive = positive.shape[-2]
        views = self._views(query, references, n_positive, observed)
        if negative is None:
            return self._one_kind_logits(views)
        folds = leave_one_out(n_positive, negative.shape[-2], like=query)
        names = [name for name in HEADS if name != "pathways" or views.pathways]
        return self._stacked(names, [self._head(name, views, folds) for name in names], folds)

    def vectors(self, samples: Tensor, *, observed: Tensor | None = None) -> Tensor:
        """One vector per sample by itself: (..., n, G) → (..., n, 64), its contrasts on the model's scale."""
        weights = gene_weights(
            self.gene_variance,
            exponent=self.weight_exponents[1],
            floor=self.log_floor.exp(),
            observed=observed,
        )
        values = self._softened(samples, observed) - self.gene_mean
        return self._contrasts(scale(values, weights.expand(*samples.shape[:-2], -1)))

    def pathway_scores(self, samples: Tensor, *, observed: Tensor | None = None) -> Tensor:
        """Values of the pathway layer: (..., n, G) → (..., n, P), of samples on the model's scale."""
        weights = gene_weights(
            self.gene_variance,
            exponent=self.weight_exponents[1],
            floor=self.log_floor.exp(),
            observed=observed,
        )
        scaled = scale(
            self._softened(samples, observed) - self.gene_mean, weights.expand(*samples.shape[:-2], -1)
        )
        return self._pathways(scaled)

    def _softened(self, values: Tensor, observed: Tensor | None) -> Tensor:
        """log1p(linear value / (a * mean linear value of the sample)), with a learned a.

        A logarithm of few reads is mostly noise; this one is linear below the mean level and needs to know
        neither depth nor the total that samples were scaled to.
        """
        if not self.soften:
            return values
        linear = torch.expm1(values.clamp(0.0, 15.0))
        if observed is not None:
            linear = linear * observed[..., None, :]
        n_genes = values.shape[-1] if observed is None else observed.sum(-1)[..., None, None].clamp(min=1)
        level = linear.sum(-1, keepdim=True) / n_genes
        return torch.log1p(linear / (self.log_softening.exp() * level + 1e-6))

    def _views(self, query: Tensor, references: Tensor, n_positive: int, observed: Tensor | None) -> Views:
        """Put references and queries on the references' scale, in both weightings."""
        negative = references[..., n_positive:, :] if references.shape[-2] > n_positive else None
        variance, freedom = within_variance(references[..., :n_positive, :], negative)
        if freedom < 1:
            variance = self.gene_variance.expand_as(variance)
        scaled = []
        for exponent in self.weight_exponents:
            weights = gene_weights(variance, exponent=exponent, floor=self.log_floor.exp(), observed=observed)
            scaled.append((scale(references, weights), scale(query, weights)))
        z_references, z_queries = scaled[1]
        both = (
            None if self.pathway_layer is None else (self._pathways(z_references), self._pathways(z_queries))
        )
        return Views(
            (scaled[0][0], z_references),
            (scaled[0][1], z_queries),
            both,
            (self._contrasts(z_references), self._contrasts(z_queries)),
        )

    def _pathways(self, scaled: Scaled) -> Tensor:
        """Pathway layer of scaled samples, without forming them: (..., n, P)."""
        layer = self.pathway_layer
        if layer is None:
            return scaled.mean.new_zeros(*scaled.mean.shape[:-1], 0)
        present = (scaled.weights != 0).to(scaled.values.dtype)
        raw = layer(scaled.values * scaled.weights[..., None, :])
        total = layer(present)[..., None, :]
        size = layer.weight.new_tensor(0.0) + (total.abs() + 1e-6)
        values: Tensor = (raw - scaled.mean * total) / scaled.sd / size**0.5
        return values

    def _contrasts(self, scaled: Scaled) -> Tensor:
        """Remembered contrasts of pathways and genes: (..., n, 64)."""
        values = scaled.projections(self.gene_contrasts)
        if self.pathway_layer is not None:
            values = values + self._pathways(scaled) @ self.pathway_contrasts.mT
        return values

    def _head(self, name: str, views: Views, folds: Folds) -> tuple[Tensor, Tensor]:
        """Scores of queries (..., n) and of left-out references (..., m) by one head."""
        number = HEADS.index(name)
        shrinkage = self.log_shrinkage[number].exp()
        if name in ("genes", "z_scores"):
            own, asked = _gene_products(views, number)
            return _scores(solve_direction(own, folds, shrinkage), own, asked)
        if name == "pathways":
            assert views.pathways is not None  # noqa: S101 - for the type checker
            own, asked = _gated_products(*views.pathways, folds, self.log_gate[0].exp())
            return _scores(solve_direction(own, folds, shrinkage), own, asked)
        own, asked = _gated_products(*views.contrasts, folds, self.log_gate[1].exp())
        if name == "genes_and_contrasts":
            gene_own, gene_asked = _gene_products(views, 0)
            spread = _mean_within(gene_own, folds)
            share = self.log_contrast_share.exp() * spread[..., None, None]
            own = gene_own[..., None, :, :] + share[..., None, :, :] * own
            asked = gene_asked + share * asked
        return _scores(solve_direction(own, folds, shrinkage), own, asked)

    def _stacked(self, names: list[str], scores: list[tuple[Tensor, Tensor]], folds: Folds) -> Tensor:
        """Join the heads by what left-out references say of each, on the scale of log-odds."""
        effects, asked, left = [], [], []
        for queries, left_out in scores:
            effect, sd, _ = separation(left_out, folds)
            unit = torch.where(sd > 1e-5, sd, queries.std(-1, unbiased=False) + 1e-5)[..., None]
            effects.append(effect)
            asked.append(queries / unit)
            left.append(left_out / unit)
        noise = 2 / folds.weights.shape[1] ** 0.5
        asked_sum, left_sum = asked[0], left[0]
        for name, effect, queries, left_out in zip(names[1:], effects[1:], asked[1:], left[1:], strict=True):
            evidence = self.log_evidence_trust.exp() * (effect - effects[0]) / noise
            prior = self.log_prior_trust[HEADS.index(name) - 1]
            trust = (prior + evidence.clamp(-LARGEST_TRUST, LARGEST_TRUST)).exp()[..., None]
            asked_sum = asked_sum + trust * queries
            left_sum = left_sum + trust * left_out
        effect, sd, middle = separation(left_sum, folds)
        effect = torch.where(folds.usable.all(), effect, torch.ones_like(effect))
        middle = torch.where(folds.usable.all(), middle, torch.zeros_like(middle))
        sd = torch.where(sd > 1e-5, sd, torch.ones_like(sd))
        believed = (
            effect.clamp(min=0) ** 3 / (effect**2 + self.log_doubt.exp() / folds.weights.shape[1]) + 0.05
        )
        return self.log_gain.exp() * believed[..., None] * (asked_sum - middle[..., None]) / sd[..., None]

    def _one_kind_logits(self, views: Views) -> Tensor:
        """With positive references only: how a query's distance to them compares with their own distances."""
        total: Tensor | None = None
        for references, queries in zip(views.references, views.queries, strict=True):
            distance, own = _distances(references, queries)
            centre = own.mean(-1, keepdim=True)
            sd = own.std(-1, keepdim=True, unbiased=False) + 0.1 * centre.abs() + 1e-6
            part = (centre - distance) / sd
            total = part if total is None else total + part
        assert total is not None  # noqa: S101 - for the type checker
        return self.one_kind[0].abs() * total / 2 + self.one_kind[1] + 1


def build_default(preset: Preset, wiring: Wiring, *, seed: int) -> tuple[DefaultDiscriminator, nn.Module]:
    """Both networks of the default preset."""
    from consilience.rnagan.networks.default_generator_network import DefaultGenerator

    soften = preset.scale.startswith("log1p")
    discriminator = DefaultDiscriminator(
        wiring, pathways=preset.pathways, vector_size=preset.hidden[1], soften=soften, seed=seed
    )
    return discriminator, DefaultGenerator(
        wiring.genes, wiring=wiring if wiring.pathways else None, seed=seed
    )


def _gene_products(views: Views, weighting: int) -> tuple[Tensor, Tensor]:
    """Inner products among references (..., m, m) and of queries with them (..., n, m), centred."""
    references, queries = views.references[weighting], views.queries[weighting]
    own, asked = references.products(references), queries.products(references)
    return own - own.mean(-2, keepdim=True), asked - own.mean(-2, keepdim=True)


def _mean_within(products: Tensor, folds: Folds) -> Tensor:
    """Mean squared distance of references from the mean of all: (...,)."""
    weights = torch.full_like(folds.weights[0], 1 / folds.weights.shape[1])
    own = products.diagonal(dim1=-2, dim2=-1).mean(-1)
    return (own - (products @ weights @ weights)).clamp(min=1e-9)


def _gated_products(references: Tensor, queries: Tensor, folds: Folds, gate: Tensor) -> tuple[Tensor, Tensor]:
    """Inner products over features that tell the kinds apart: (..., M, m, m) and (..., n, m).

    A feature counts by the positive-part James-Stein factor 1 - gate / t^2 of its own t statistic between the
    references of the fold, so that features that say nothing here bring no noise.
    """
    positive, negative = class_weights(folds)
    difference = (positive - negative) @ references
    square = references**2
    n = folds.weights.sum(-1)[:, None]
    n_positive = (folds.weights * folds.positive).sum(-1)[:, None].clamp(min=1)
    n_negative = (n - n_positive).clamp(min=1)
    spread = n_positive * (positive @ square - (positive @ references) ** 2)
    spread = spread + n_negative * (negative @ square - (negative @ references) ** 2)
    typical = (spread / (n - 2).clamp(min=1)).median(-1, keepdim=True).values
    variance = (spread.clamp(min=0) + 4 * typical.clamp(min=1e-8)) / (n + 2)
    t_square = difference**2 / (variance * (1 / n_positive + 1 / n_negative))
    share = (1 - gate / t_square.clamp(min=1e-6)).clamp(min=0)
    share = share / share.sum(-1, keepdim=True).clamp(min=1) / variance
    weighted = references[..., None, :, :] * share[..., None, :]
    own = weighted @ references[..., None, :, :].mT
    return own, queries @ weighted[..., 0, :, :].mT


def _scores(direction: Direction, own: Tensor, asked: Tensor) -> tuple[Tensor, Tensor]:
    """Scores of queries and of left-out references."""
    return direction.of_queries(asked), direction.left_out(own)


def _distances(references: Scaled, queries: Scaled) -> tuple[Tensor, Tensor]:
    """Mean squared distance to the references' mean: of queries (..., n), of each left-out one (..., m).

    Scaled samples have length 1 per gene, so that distances follow from inner products.
    """
    own, asked = references.products(references), queries.products(references)
    m = own.shape[-1]
    all_mean = own.mean((-2, -1))[..., None]
    distance = 1 - 2 * asked.mean(-1) + all_mean
    if m < 2:
        return distance, torch.zeros_like(own[..., 0])
    others = (own.sum(-1) - own.diagonal(dim1=-2, dim2=-1)) / (m - 1)
    total = own.sum((-2, -1))[..., None]
    others_mean = (total - 2 * own.sum(-1) + own.diagonal(dim1=-2, dim2=-1)) / (m - 1) ** 2
    return distance + (others_mean - all_mean).mean(-1, keepdim=True), 1 - 2 * others + others_mean
