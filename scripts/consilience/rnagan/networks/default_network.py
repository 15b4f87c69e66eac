"""The default discriminator: what it knows is learned once, what it is asked is solved from the references.

A published set-conditioned network has to learn classification itself, and loses to a nearest centroid where
references are few. Here the references are the training set of small classifiers that are solved in closed
form (`solved_head_network`), and the network learns what they are fed: how values are softened, how genes are
weighed, and 64 contrasts of pathways and genes that told kinds apart in pretraining. Leaving out each
reference says how far each classifier is to be believed on this very question.

Heads: two discriminants on genes (two weightings), one on pathways, one on genes and remembered contrasts
together, one on remembered contrasts alone, one on few strong genes. Every head is linear in the scaled
sample, and so is their sum: all that references tell is one `Rule`, and a query costs a few inner products.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from consilience.foundation.errors import ModelError
from consilience.foundation.seeds import stream
from consilience.pathways.wiring import Wiring
from consilience.rnagan.networks.one_kind_network import one_kind_rule
from consilience.rnagan.networks.pathway_means_layer import PathwayMeans
from consilience.rnagan.networks.reference_scale_network import (
    Rule,
    count_genes,
    gene_weights,
    joined,
    scaled,
    softened,
    within_variance,
)
from consilience.rnagan.networks.solved_head_network import (
    Folds,
    Head,
    as_head,
    james_stein_shares,
    leave_one_out,
    mean_within,
    separation,
    shared_products,
    solve_direction,
    weighted_sum,
)
from consilience.rnagan.networks.strong_genes_network import strong_genes_head
from consilience.rnagan.presets import Preset

HEADS = ("genes", "z_scores", "pathways", "genes_and_contrasts", "contrasts", "strong_genes")
LARGEST_TRUST = 3.0
BLOCK_ENTRIES = 1 << 20
"""Most numbers in the references of a block of draws: as many as a processor's cache holds."""


@dataclass(frozen=True)
class View:
    """References on their own scale, centred over the references.

    `genes`: in two weightings (..., m, G); their `products` per gene (..., 1, m, m); `pathways` (..., m, P)
    and `contrasts` (..., m, 64) of the second weighting.
    """

    genes: tuple[Tensor, Tensor]
    products: tuple[Tensor, Tensor]
    pathways: Tensor
    contrasts: Tensor


class DefaultDiscriminator(nn.Module):
    """Logits of queries given positive references, and negative ones where there are any.

    `soften`: values are natural log1p of scaled counts, whatever their total, and are softened (see
    `softened`). Invariant to the order of references; a query's logit does not depend on other queries.
    """

    gene_mean: Tensor
    gene_variance: Tensor

    def __init__(
        self, wiring: Wiring, *, pathways: str = "learned", vector_size: int = 64, soften: bool = True,
        seed: int = 0,
    ) -> None:  # fmt: skip
        super().__init__()
        self.wiring, self.vector_size, self.soften = wiring, vector_size, soften
        n_genes = len(wiring.genes)
        has_pathways = pathways != "none" and len(wiring.pathways) > 0
        self.pathway_layer = PathwayMeans(wiring, learned=pathways == "learned") if has_pathways else None
        draw = stream(seed, "default discriminator").normal(size=(vector_size, n_genes)) / n_genes**0.5
        self.gene_contrasts = nn.Parameter(torch.from_numpy(draw).float())
        n_pathways = len(wiring.pathways) if has_pathways else 0
        self.pathway_contrasts = nn.Parameter(torch.zeros(vector_size, n_pathways))
        # first values: tuned on the hard tasks of the benchmark (docs/decisions/0011)
        self.log_softening = nn.Parameter(torch.tensor(0.9))
        self.weight_exponents = nn.Parameter(torch.tensor([0.0, 1.0]))
        self.log_floor = nn.Parameter(torch.tensor(-1.2))
        self.log_shrinkage = nn.Parameter(torch.tensor([-0.5, -1.2, 0.0, -1.2, 0.0]))
        self.log_gate = nn.Parameter(torch.tensor([1.4, 1.4]))
        self.log_contrast_share = nn.Parameter(torch.tensor(-4.3))
        self.log_prior_trust = nn.Parameter(torch.tensor([-0.7, -3.5, -0.6, -3.5, -1.5]))
        self.log_evidence_trust = nn.Parameter(torch.tensor([-0.7, -0.7, -0.7, -0.7, -0.7]))
        self.log_threshold = nn.Parameter(torch.tensor(0.9))
        self.log_gain = nn.Parameter(torch.tensor(0.0))
        self.log_doubt = nn.Parameter(torch.tensor(1.4))
        self.one_kind = nn.Parameter(torch.tensor([1.0, 0.0]))
        self.register_buffer("gene_mean", torch.zeros(n_genes))
        self.register_buffer("gene_variance", torch.ones(n_genes))

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Pathways, then genes."""
        return (*(() if self.pathway_layer is None else self.wiring.pathways), *self.wiring.genes)

    def forward(
        self, query: Tensor, positive: Tensor, negative: Tensor | None = None, *,
        observed: Tensor | None = None,
    ) -> Tensor:  # fmt: skip
        """Logits (..., n) of queries (..., n, G) given references (..., R, G) and (..., S, G) or None.

        `observed` (..., G) truths: genes that were measured; the others count nowhere. Queries (n, G) may be
        shared by all of the references' leading dimensions.
        """
        # closed forms need all digits, whatever the precision of a training
        with torch.autocast(query.device.type, enabled=False):
            kinds = [self.prepared(kind, observed) for kind in (positive, negative) if kind is not None]
            rule = self.rule(kinds[0], kinds[1] if len(kinds) > 1 else None, observed=observed)
            return rule.scores(self.prepared(query, observed))

    def over_draws(
        self, query: Tensor, positive: Tensor, negative: Tensor | None, positive_rows: Tensor,
        negative_rows: Tensor | None, *, observed: Tensor | None = None,
    ) -> Tensor:  # fmt: skip
        """Logits (D, n) of queries (n, G) under D draws of references.

        `positive` (N, G), `negative` (M, G) are all references, `positive_rows` (D, R), `negative_rows`
        (D, S) those of each draw. What belongs to one sample alone is computed once.
        """
        asked, all_positive = self.prepared(query, observed), self.prepared(positive, observed)
        all_negative = None if negative is None else self.prepared(negative, observed)
        width = positive_rows.shape[1] + (0 if negative_rows is None else negative_rows.shape[1])
        step = max(1, BLOCK_ENTRIES // (width * query.shape[1]))
        rules = []
        with one_thread():
            for start in range(0, len(positive_rows), step):
                one = _taken(all_positive, positive_rows[start : start + step])
                other = None
                if all_negative is not None and negative_rows is not None:
                    other = _taken(all_negative, negative_rows[start : start + step])
                rules.append(self.rule(one, other, observed=observed))
        return joined(rules).scores(asked)

    def prepared(self, samples: Tensor, observed: Tensor | None) -> Tensor:
        """Samples (..., n, G) as they are compared: softened where they are logarithms of counts."""
        if samples.shape[-1] != len(self.wiring.genes):
            raise ModelError(
                "the samples have the wrong number of genes", value=tuple(samples.shape),
                allowed=f"(…, {len(self.wiring.genes)}), in the order of the model's genes",
            )  # fmt: skip
        return softened(samples, self.log_softening.exp(), observed) if self.soften else samples

    def rule(self, positive: Tensor, negative: Tensor | None, *, observed: Tensor | None) -> Rule:
        """What prepared references (..., R, G) and (..., S, G) or None make of any prepared sample."""
        variance, freedom = within_variance(positive, negative)
        if freedom < 1:
            variance = self.gene_variance.expand_as(variance)
        weights = [self._weights(variance, exponent, observed) for exponent in self.weight_exponents]
        references = positive if negative is None else torch.cat([positive, negative], dim=-2)
        both = [scaled(references, weight, observed) for weight in weights]
        if negative is None:
            slope, shift = self.one_kind[0].abs(), 1 + self.one_kind[1]
            return one_kind_rule(both, weights, slope=slope, shift=shift, observed=observed)
        folds = leave_one_out(positive.shape[-2], negative.shape[-2], like=references)
        means = [one.mean(-2) for one in both]
        view = self._view(both[0] - means[0][..., None, :], both[1] - means[1][..., None, :], observed)
        head = self._stacked([self._head(name, view, folds) for name in self._heads()], folds)
        directions = self._over_genes(head, view, observed)
        at_mean = sum(
            ((mean * one).sum(-1) for mean, one in zip(means, directions, strict=True)), head.middle
        )
        return Rule.of_scaled(weights, directions, offset=-at_mean, observed=observed)

    def vectors(self, samples: Tensor, *, observed: Tensor | None = None) -> Tensor:
        """One vector per sample by itself: (..., n, G) → (..., n, 64), its contrasts on the model's scale."""
        by_itself = self._by_itself(samples, observed)
        return self._contrasts(by_itself, self._pathways(by_itself, observed))

    def pathway_scores(self, samples: Tensor, *, observed: Tensor | None = None) -> Tensor:
        """Pathways of samples on the model's scale: (..., n, G) → (..., n, P)."""
        return self._pathways(self._by_itself(samples, observed), observed)

    def _by_itself(self, samples: Tensor, observed: Tensor | None) -> Tensor:
        """Samples as z-scores by the moments that genes have in pretraining: (..., n, G)."""
        weights = self._weights(self.gene_variance, self.weight_exponents[1], observed)
        return scaled(self.prepared(samples, observed) - self.gene_mean, weights, observed)

    def _weights(self, variance: Tensor, exponent: Tensor, observed: Tensor | None) -> Tensor:
        return gene_weights(variance, exponent=exponent, floor=self.log_floor.exp(), observed=observed)

    def _view(self, first: Tensor, second: Tensor, observed: Tensor | None) -> View:
        n_genes = count_genes(first, observed)
        products = [(one @ one.mT / n_genes)[..., None, :, :] for one in (first, second)]
        pathways = self._pathways(second, observed)
        return View((first, second), (products[0], products[1]), pathways, self._contrasts(second, pathways))

    def _pathways(self, samples: Tensor, observed: Tensor | None) -> Tensor:
        """Weighted means over each pathway's genes, of scaled samples: (..., n, P)."""
        return samples[..., :0] if self.pathway_layer is None else self.pathway_layer.means(samples, observed)

    def _contrasts(self, samples: Tensor, pathways: Tensor) -> Tensor:
        """Remembered contrasts (..., n, 64) of scaled samples (..., n, G) and their pathways (..., n, P)."""
        return samples @ self.gene_contrasts.mT + pathways @ self.pathway_contrasts.mT

    def _heads(self) -> list[str]:
        return [name for name in HEADS if name != "pathways" or self.pathway_layer is not None]

    def _head(self, name: str, view: View, folds: Folds) -> Head:
        """One head, solved from the references."""
        if name == "strong_genes":
            return strong_genes_head(view.genes[1], folds, self.log_threshold.exp())
        number = HEADS.index(name)
        shrinkage = self.log_shrinkage[number].exp()
        if name in ("genes", "z_scores"):
            direction = solve_direction(view.products[number], folds, shrinkage)
            return as_head(direction, view.products[number], {name: direction.coefficients[..., 0, :]})
        kind = "pathways" if name == "pathways" else "contrasts"
        features = view.pathways if name == "pathways" else view.contrasts
        shares = james_stein_shares(features, folds, self.log_gate[0 if name == "pathways" else 1].exp())
        if name == "genes_and_contrasts":
            amount = self.log_contrast_share.exp() * mean_within(view.products[0])
            shares = amount[..., None] * shares
        products = shared_products(features, shares)
        if name == "genes_and_contrasts":
            products = view.products[0] + products
        direction = solve_direction(products, folds, shrinkage)
        coefficients = direction.coefficients[..., 0, :]
        parts = {kind: shares[..., 0, :] * (coefficients[..., None, :] @ features)[..., 0, :]}
        if name == "genes_and_contrasts":
            parts["genes"] = coefficients
        return as_head(direction, products, parts)

    def _stacked(self, heads: list[Head], folds: Folds) -> Head:
        """Join the heads by what left-out references say of each, on the scale of log-odds.

        A head's weight is a learned prior times what its left-out effect has over that of the first head, in
        units of the noise of such an effect.
        """
        names = self._heads()
        apart = [separation(head.left_out, folds, head.gap) for head in heads]
        noise = 2 / folds.weights.shape[1] ** 0.5
        weights = [1 / apart[0].sd]
        for name, one in zip(names[1:], apart[1:], strict=True):
            place = HEADS.index(name) - 1
            evidence = self.log_evidence_trust[place].exp() * (one.effect - apart[0].effect) / noise
            prior = self.log_prior_trust[place]
            weights.append((prior + evidence.clamp(-LARGEST_TRUST, LARGEST_TRUST)).exp() / one.sd)
        joint = weighted_sum(heads, weights)
        last = separation(joint.left_out, folds, joint.gap)
        effect = last.effect.clamp(min=0) if folds.complete else torch.ones_like(last.effect)
        doubt = self.log_doubt.exp() / folds.weights.shape[1]
        believed = effect**3 / (effect**2 + doubt) + 0.05
        gain = self.log_gain.exp() * believed / last.sd
        return weighted_sum([replace(joint, middle=joint.middle + last.middle)], [gain])

    def _over_genes(self, head: Head, view: View, observed: Tensor | None) -> list[Tensor]:
        """A head's coefficients as directions (..., G) over scaled samples, one for each weighting."""
        n_genes = count_genes(view.genes[0], observed)
        directions = [
            (head.parts[name][..., None, :] @ genes / n_genes)[..., 0, :]
            for name, genes in zip(HEADS[:2], view.genes, strict=True)
        ]
        directions[1] = directions[1] + head.parts["strong_genes"]
        directions[1] = directions[1] + head.parts["contrasts"] @ self.gene_contrasts
        if self.pathway_layer is not None:
            of_pathways = head.parts["pathways"] + head.parts["contrasts"] @ self.pathway_contrasts
            directions[1] = directions[1] + self.pathway_layer.of_genes(of_pathways, observed)
        return directions if observed is None else [one * observed for one in directions]


def build_default(preset: Preset, wiring: Wiring, *, seed: int) -> tuple[DefaultDiscriminator, nn.Module]:
    """Both networks of the default preset."""
    from consilience.rnagan.networks.default_generator_network import DefaultGenerator, GeneratorSizes

    soften = preset.scale.startswith("log1p")
    discriminator = DefaultDiscriminator(
        wiring, pathways=preset.pathways, vector_size=preset.hidden[1], soften=soften, seed=seed
    )
    generator = DefaultGenerator(
        wiring.genes,
        wiring=wiring if wiring.pathways else None,
        sizes=GeneratorSizes(noise=preset.noise),
        seed=seed,
    )
    return discriminator, generator


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch compute in one thread: thousands of small steps gain little from two.

    Where another process uses the second core, they would wait for each other at every step.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _taken(samples: Tensor, rows: Tensor) -> Tensor:
    """Rows (D, R) of samples (N, G): (D, R, G)."""
    return samples.index_select(0, rows.flatten()).reshape(*rows.shape, -1)
